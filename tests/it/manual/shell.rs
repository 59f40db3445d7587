//! The commands of the README and the manual run.

use std::env;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use countersign::server::self_signed;

use super::links::definitions;
use super::page::{Block, Document, Treatment, documents, page};
use super::server::{Server, clean, countersign, listening, put_keys_of_providers};

#[test]
fn commands_run_as_they_stand() {
    programs(&["bash", "curl", "openssl"]);
    assert_all(|document| {
        let blocks = shell_blocks(document);
        if blocks.is_empty() {
            Ok(())
        } else {
            run(&Server::start(), document, &blocks, BASH)
        }
    });
}

/// As somebody pastes them who has another shell, and who begins anew where he began before.
#[test]
fn commands_run_in_zsh_and_again_where_they_ran() {
    programs(&["curl", "openssl"]);
    if !has_zsh() {
        return;
    }
    assert_all(|document| {
        let blocks = shell_blocks(document);
        if blocks.is_empty() {
            return Ok(());
        }
        let server = Server::start();
        run(&server, document, &blocks, ZSH)?;
        if NOT_AGAIN.iter().any(|(page, _)| *page == document.name()) {
            return Ok(());
        }
        run(&server, document, &blocks, ZSH).map_err(|failure| format!("again: {failure}"))
    });
}

#[test]
fn servers_start_as_they_are_told_to() {
    programs(&["bash"]);
    assert_all(|document| {
        let blocks = document.blocks();
        let mut serving = blocks.iter().filter(|block| block.treatment == Treatment::Serve);
        serving.try_for_each(|block| serve(document, block))
    });
}

#[test]
fn settings_are_those_that_a_server_starts_with() {
    assert_all(|document| {
        let blocks = document.blocks();
        let is_run = |block: &&Block| block.language == "toml" && block.treatment == Treatment::Run;
        let mut settings = blocks.iter().filter(is_run);
        settings.try_for_each(|block| configure(document, block))
    });
}

/// What the page's commands go on from, and they themselves.
fn run(server: &Server, document: &Document, blocks: &[Block], shell: Shell) -> Result<(), String> {
    let directory = server.directory.path();
    put_keys_of_providers(directory);
    let mut script = format!("set -euo pipefail\n{}\n", shell.first);
    let before = prelude(document);
    for block in &before {
        script.push_str(&block.text);
    }
    for (index, block) in blocks.iter().enumerate() {
        script.push_str(&marked(index, &block.text));
    }
    fs::write(directory.join("page.sh"), server.addressed(&script)).unwrap();
    let (out, err) = (directory.join("out"), directory.join("err"));
    // Into files: what goes on in the background would hold a pipe open.
    let ended = clean(Command::new("timeout"), directory)
        .args(["60", "sh", "-c", shell.command])
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .status()
        .unwrap();
    let printed = fs::read_to_string(&out).unwrap();
    let outputs = outputs(&printed);
    let at = |index: usize| format!("{}:{}", document.path, blocks[index].line);
    if !ended.success() {
        let place = outputs
            .len()
            .checked_sub(1)
            .map_or("before the page".to_owned(), at);
        let complaints = fs::read_to_string(&err).unwrap();
        return Err(format!(
            "{place}: {ended}\n{}\n{complaints}",
            outputs.last().unwrap_or(&"")
        ));
    }
    answers(document, blocks, &printed)
}

/// What runs a block, so that it is seen which one printed what.
pub(super) fn marked(index: usize, text: &str) -> String {
    format!("printf '\\n{MARK}{index}\\n'\n{text}")
}

/// What each block printed.
fn outputs(printed: &str) -> Vec<&str> {
    printed.split(&format!("\n{MARK}")).skip(1).collect()
}

/// Whether each block printed what its lines of `#>` say.
pub(super) fn answers(document: &Document, blocks: &[Block], printed: &str) -> Result<(), String> {
    let outputs = outputs(printed);
    if outputs.len() != blocks.len() {
        return Err(format!("{}: not all of it was run", document.path));
    }
    for (block, output) in blocks.iter().zip(outputs) {
        let mut rest = output;
        for wanted in block.text.lines().filter_map(|line| line.strip_prefix("#> ")) {
            let found = rest.split_once(wanted);
            let at = || format!("{}:{}: no {wanted} in\n{output}", document.path, block.line);
            (_, rest) = found.ok_or_else(at)?;
        }
    }
    Ok(())
}

/// The blocks of the sections that a page names in the sentence "go on where [..] and [..] end".
fn prelude(document: &Document) -> Vec<Block> {
    let words = document.words().replace('\n', " ");
    let Some((_, sentence)) = words.split_once("go on where ") else {
        return Vec::new();
    };
    let (sentence, _) = sentence.split_once('.').unwrap();
    let defined = definitions(document);
    let labels = sentence
        .split('[')
        .skip(1)
        .map(|part| part.split(']').next().unwrap());
    let targets = labels.map(|label| defined[label].split_once(".md#").unwrap());
    let sections = targets.flat_map(|(name, section)| {
        let blocks = shell_blocks(&page(name)).into_iter();
        let blocks: Vec<_> = blocks.filter(|block| block.section == section).collect();
        assert!(
            !blocks.is_empty(),
            "{}: nothing runs in {name}#{section}",
            document.path
        );
        blocks
    });
    sections.collect()
}

fn shell_blocks(document: &Document) -> Vec<Block> {
    let runs = |block: &Block| block.language == "sh" && block.treatment == Treatment::Run;
    document.blocks().into_iter().filter(runs).collect()
}

/// Starts a server as the block says, on free ports.
fn serve(document: &Document, block: &Block) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    self_signed::ensure(directory.path(), None).unwrap();
    let mut text = block.text.clone();
    for address in [
        "127.0.0.1:8080",
        "0.0.0.0:8443",
        "127.0.0.1:8443",
        "127.0.0.1:9090",
    ] {
        text = text.replace(address, "127.0.0.1:0");
    }
    let command = clean(Command::new("bash"), directory.path());
    starts(command, &["-c", &text], directory.path())
        .map_err(|log| format!("{}:{}: {log}", document.path, block.line))
}

/// Starts a server with the block as its configuration file.
fn configure(document: &Document, block: &Block) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let place = format!("{}/", directory.path().display());
    for name in ["mail.password", "provider.key", "smsc.password"] {
        let secret = directory.path().join(name);
        fs::write(&secret, "secret\n").unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    }
    let key = directory.path().join("master.key");
    fs::write(&key, format!("{}\n", "00".repeat(32))).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o400)).unwrap();
    fs::write(
        directory.path().join("file.toml"),
        block.text.replace("/etc/countersign/", &place),
    )
    .unwrap();
    let command = countersign(directory.path());
    starts(command, &["--config", "file.toml"], directory.path())
        .map_err(|log| format!("{}:{}: {log}", document.path, block.line))
}

fn starts(mut command: Command, arguments: &[&str], directory: &Path) -> Result<(), String> {
    let log = directory.join("log");
    let mut process = command
        .args(arguments)
        .env("COUNTERSIGN_LISTEN", "127.0.0.1:0")
        .env("COUNTERSIGN_OPS_LISTEN", "127.0.0.1:0")
        .env("COUNTERSIGN_DATA", directory.join("data"))
        .stdout(Stdio::piped())
        .stderr(File::create(&log).unwrap())
        .process_group(0)
        .spawn()
        .unwrap();
    let address = listening(&mut process);
    // The shell that it was started from, and the server itself.
    let group = format!("kill -KILL -{}", process.id());
    let _ended_already = Command::new("sh")
        .args(["-c", &group])
        .stderr(Stdio::null())
        .status();
    let _reaped = process.wait();
    address.map(drop).ok_or_else(|| fs::read_to_string(&log).unwrap())
}

/// Runs `check` on all documents at once, and complains of all that fail.
fn assert_all(check: impl Fn(&Document) -> Result<(), String> + Sync) {
    let documents = documents();
    let failed: Vec<_> = thread::scope(|scope| {
        let check = &check;
        let running: Vec<_> = documents
            .iter()
            .map(|document| scope.spawn(move || check(document)))
            .collect();
        running
            .into_iter()
            .filter_map(|running| running.join().unwrap().err())
            .collect()
    });
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

/// Whether zsh is installed. Says what is skipped where it is not, past the test harness.
fn has_zsh() -> bool {
    let there = Command::new("zsh").arg("--version").output().is_ok();
    let all = env::var_os("COUNTERSIGN_TEST_ALL").is_some_and(|all| all == "1");
    assert!(there || !all, "install zsh (`apt-get install zsh`)");
    if !there {
        let line = "SKIPPED: the manual's commands in zsh, which is not installed (Debian's package zsh)\n";
        io::stderr().write_all(line.as_bytes()).unwrap();
    }
    there
}

/// Fails unless these are installed.
pub(super) fn programs(names: &[&str]) {
    let there = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    // OpenSSL's own word for it is another one, but it is started all the same.
    let missing: Vec<_> = names.iter().copied().filter(|name| !there(name)).collect();
    let missing = missing.join(" ");
    assert!(
        missing.is_empty(),
        "install {missing} (`apt-get install {missing}`)"
    );
}

/// How a shell is given `page.sh`, and what it is told first.
#[derive(Clone, Copy)]
struct Shell {
    command: &'static str,
    first: &'static str,
}

const BASH: Shell = Shell {
    command: "exec bash page.sh",
    first: "",
};

/// Interactive, as it is where commands are pasted: only then does it take comments and `!` for something else.
/// In a session of its own: it would reach for the terminal of whoever runs the tests, and be stopped.
const ZSH: Shell = Shell {
    command: "exec setsid zsh -fis < page.sh",
    first: "setopt interactive_comments",
};

/// Pages whose commands do not run twice in one directory, and why.
const NOT_AGAIN: &[(&str, &str)] = &[
    ("administering", "an account has one API key of a name"),
    ("backup", "a backup that is there is not overwritten"),
    (
        "keys",
        "a store stays sealed under the key that it was changed to",
    ),
];

const MARK: &str = "=== block ";
