//! Backups that a server makes by itself.

use std::fs::{self, DirBuilder, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::database::Servers;
use super::forged::forge;
use super::process::{Process, command, get, run, stdout_of};
use crate::postgres_server::Cluster;
use countersign::domain::sid::EventSid;
use countersign::store::keys;

const SEED: &str = "what everybody in these backups follows from";

/// A data directory, and one for backups.
struct Site {
    place: TempDir,
    data: PathBuf,
    backups: PathBuf,
}

impl Site {
    fn new() -> Self {
        let place = TempDir::new().unwrap();
        let [data, backups] = ["data", "backups"].map(|name| place.path().join(name));
        DirBuilder::new().mode(0o700).create(&backups).unwrap();
        Self { place, data, backups }
    }

    fn start(&self) -> Process {
        self.start_with(&[])
    }

    fn start_with(&self, more: &[(&str, &str)]) -> Process {
        let mut variables = variables(&self.backups);
        variables.extend(more);
        Process::start_with(&self.data, &["--ops-listen", "127.0.0.1:0"], &variables)
    }

    fn names(&self) -> Vec<String> {
        names(&self.backups)
    }

    fn fill(&self, factors: &str) {
        let filled = run(
            &self.data,
            &["bench", "fill", "--factors", factors, "--seed", SEED],
        );
        assert!(filled.status.success(), "{filled:?}");
    }
}

fn variables(backups: &Path) -> Vec<(&'static str, &str)> {
    vec![
        ("COUNTERSIGN_BACKUP_EVERY_MINUTES", "60"),
        ("COUNTERSIGN_BACKUP_DIRECTORY", backups.to_str().unwrap()),
    ]
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// The backup in a line that says that it was made.
fn made(line: &str) -> PathBuf {
    PathBuf::from(line.rsplit(" backed up to ").next().unwrap())
}

/// The same name, of a moment in this year.
fn of_year(path: &Path, year: &str) -> PathBuf {
    let name = path.file_name().unwrap().to_str().unwrap();
    let (before, moment) = name.rsplit_once('-').unwrap();
    path.with_file_name(format!("{before}-{year}{}", &moment[4..]))
}

#[test]
fn a_server_backs_up_by_itself_and_keeps_so_many() {
    let site = Site::new();
    let server = site.start();
    let ops = server
        .wait_for_log("serving /health")
        .split(" on ")
        .last()
        .unwrap()
        .to_owned();
    let first = made(&server.wait_for_log(" entries backed up to "));
    server.wait_for_log("the next backup is due in 3600 s");
    assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
    let metrics = get(&ops, "/metrics");
    assert!(
        metrics.contains("\ncountersign_backup_failures_total 0\n"),
        "{metrics}"
    );
    let line = metrics
        .lines()
        .find(|line| line.starts_with("countersign_backup_last_success_seconds "));
    let last: u64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(last > 1_700_000_000, "{last}");
    server.rest_after_sigterm();
    // It can be restored with the master key alone.
    let from = first.to_str().unwrap();
    assert!(stdout_of(&site.data, &["backup", "verify", "--from", from]).ends_with(" all sound\n"));
    let restored = site.place.path().join("restored");
    fs::create_dir(&restored).unwrap();
    fs::copy(site.data.join("master.key"), restored.join("master.key")).unwrap();
    let said = stdout_of(&restored, &["backup", "restore", "--from", from]);
    assert!(said.contains(" entries restored; "), "{said}");

    // There is a recent one: a start makes none.
    let server = site.start();
    server.wait_for_log("the next backup is due in 35");
    server.rest_after_sigterm();
    assert_eq!(site.names().len(), 1);

    // Once it is old, another one is made, and the oldest go; nothing else does.
    let years = ["2021", "2022", "2023"].map(|year| of_year(&first, year));
    fs::rename(&first, &years[0]).unwrap();
    for copy in &years[1..] {
        fs::copy(&years[0], copy).unwrap();
    }
    let name = years[0].file_name().unwrap().to_str().unwrap();
    let id = name.split('-').nth(1).unwrap();
    let of_another = site.backups.join(name.replace(id, &"0".repeat(32)));
    let ahead = of_year(&first, "2999");
    let left = format!("{name}.1.partial");
    for other in [
        of_another.as_path(),
        ahead.as_path(),
        &site.backups.join(&left),
        &site.backups.join("notes"),
    ] {
        fs::write(other, "theirs").unwrap();
    }
    let server = site.start_with(&[("COUNTERSIGN_BACKUP_KEEP", "2")]);
    let second = made(&server.wait_for_log(" entries backed up to "));
    server.wait_for_log("the next backup is due in");
    server.rest_after_sigterm();
    let mut expected = [
        &second,
        &years[2],
        &of_another,
        &ahead,
        &site.backups.join("notes"),
    ]
    .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    expected.sort_unstable();
    assert_eq!(site.names(), expected);
    // The audit log tells that the server did it.
    let told = stdout_of(&site.data, &["audit", "list", "--account", "none"]);
    assert!(told.contains("export"), "{told}");
}

/// Nothing has the name of a backup that is none, and what is left is removed.
#[test]
fn a_kill_in_the_middle_leaves_nothing_that_looks_whole() {
    let site = Site::new();
    site.fill("5000");
    let mut caught = 0;
    while caught < 3 {
        let server = site.start();
        // From the first bytes on; the end is far.
        while site.names().is_empty() {
            std::thread::yield_now();
        }
        server.signal("KILL");
        server.wait();
        let names = site.names();
        let is_half = |name: &String| name.ends_with(".partial");
        if names.iter().any(is_half) {
            assert_eq!(names.len(), 1, "{names:?}");
            caught += 1;
            // The next one begins beside what is left.
            continue;
        }
        let whole = site.backups.join(&names[0]);
        stdout_of(
            &site.data,
            &["backup", "verify", "--from", whole.to_str().unwrap()],
        );
        fs::remove_file(whole).unwrap();
    }
    let server = site.start();
    let whole = made(&server.wait_for_log(" entries backed up to "));
    server.wait_for_log("the next backup is due in");
    assert_eq!(site.names(), [whole.file_name().unwrap().to_str().unwrap()]);
    server.rest_after_sigterm();
    let verified = stdout_of(
        &site.data,
        &["backup", "verify", "--from", whole.to_str().unwrap()],
    );
    assert!(verified.ends_with(" all sound\n"), "{verified}");
}

/// It says what to do, goes on serving, and tries again.
#[test]
fn a_directory_that_cannot_be_used_is_complained_of_and_tried_again() {
    let site = Site::new();
    fs::remove_dir(&site.backups).unwrap();
    let server = site.start();
    let ops = server
        .wait_for_log("serving /health")
        .split(" on ")
        .last()
        .unwrap()
        .to_owned();
    server.wait_for_log("no backup was made: cannot use ");
    assert!(get(&ops, "/ready").starts_with("HTTP/1.1 200 "));
    // It may have tried again by now.
    assert!(!get(&ops, "/metrics").contains("\ncountersign_backup_failures_total 0\n"));
    assert!(!site.backups.exists(), "what is not mounted is not made");
    fs::create_dir(&site.backups).unwrap();
    fs::set_permissions(&site.backups, fs::Permissions::from_mode(0o777)).unwrap();
    let line = server.wait_for_log("others than its owner may write to ");
    assert!(line.contains("chmod go-w "), "{line}");
    assert!(site.names().is_empty());
    fs::set_permissions(&site.backups, fs::Permissions::from_mode(0o700)).unwrap();
    server.wait_for_log(" entries backed up to ");
    assert_eq!(site.names().len(), 1);
}

/// A disk that is full leaves nothing half done on it, and is tried again once there is room.
#[test]
fn a_full_disk_keeps_nobody_from_being_served() {
    let mut namespace = Command::new("unshare");
    if !namespace
        .args(["-rm", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        assert!(
            std::env::var_os("COUNTERSIGN_TEST_ALL").is_none(),
            "a disk that is full is made with unshare -rm, which is not permitted here"
        );
        return;
    }
    let site = Site::new();
    site.fill("500");
    let script = "mount -t tmpfs -o size=1m,mode=700 tmpfs \"$1\" && { cat /dev/zero >\"$1/filler\" 2>/dev/null; shift; exec \"$@\"; }";
    let serve = command(
        &site.data,
        &["serve", "--listen", "127.0.0.1:0", "--log", "debug"],
    );
    let mut server = Command::new("unshare")
        .args(["-rm", "sh", "-c", script, "sh"])
        .arg(&site.backups)
        .arg(serve.get_program())
        .args(serve.get_args())
        .envs(variables(&site.backups))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // As the server sees it.
    let seen = PathBuf::from(format!("/proc/{}/root{}", server.id(), site.backups.display()));
    let mut log = BufReader::new(server.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut wait_for = |part: &str| log.find(|line| line.contains(part)).unwrap();
    let line = wait_for("no backup was made: ");
    assert!(
        line.contains("No space left on device") && line.contains("see whether the disk is full"),
        "{line}"
    );
    assert_eq!(names(&seen), ["filler"], "nothing is left");
    fs::remove_file(seen.join("filler")).unwrap();
    wait_for(" entries backed up to ");
    assert_eq!(names(&seen).len(), 1);
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Of servers that share a database and a directory one makes the backups, and another one goes on where it stopped.
#[test]
fn one_of_several_servers_makes_the_backups() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let (one, other) = (servers.data("one", 1), servers.data("other", 1));
    stdout_of(&one, &["store", "migrate", "--store", &servers.url]);
    let site = Site::new();
    let arguments = ["--store", &servers.url];
    let start = |data| Process::start_with(data, &arguments, &variables(&site.backups));
    let (first, second) = (start(&one), start(&other));
    while !site.names().iter().any(|name| name.ends_with("Z.age")) {
        std::thread::yield_now();
    }
    // It gives its duties back.
    first.rest_after_sigterm();
    // Whoever has the duty now knows of it.
    second.wait_for_log("the next backup is due in");
    let names = site.names();
    assert_eq!(names.len(), 1, "{names:?}");
    let from = site.backups.join(&names[0]);
    let verify = ["backup", "verify", "--from", from.to_str().unwrap()];
    assert!(stdout_of(&other, &verify).ends_with(" all sound\n"));
}

/// Whoever has the identity opens it, and the master key alone does not.
#[test]
fn a_backup_for_recipients_is_for_them_alone() {
    let site = Site::new();
    let recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    let identity = site.place.path().join("identity");
    fs::write(
        &identity,
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n",
    )
    .unwrap();
    let server = site.start_with(&[("COUNTERSIGN_BACKUP_RECIPIENTS", recipient)]);
    let whole = made(&server.wait_for_log(" entries backed up to "));
    server.rest_after_sigterm();
    let from = whole.to_str().unwrap();
    let opened = run(&site.data, &["backup", "verify", "--from", from]);
    assert!(
        String::from_utf8_lossy(&opened.stderr).contains("it is sealed for another key"),
        "{opened:?}"
    );
    let verify = [
        "backup",
        "verify",
        "--from",
        from,
        "--identity",
        identity.to_str().unwrap(),
    ];
    assert!(stdout_of(&site.data, &verify).ends_with(" all sound\n"));
    // The one that it was read back with is in it, and nobody has it.
    let mut head = BufReader::new(File::open(&whole).unwrap());
    let mut stanzas = 0;
    loop {
        let mut line = Vec::new();
        head.read_until(b'\n', &mut line).unwrap();
        match line.as_slice() {
            [b'-', b'>', ..] => stanzas += 1,
            [b'-', ..] => break,
            _ => {}
        }
    }
    assert_eq!(stanzas, 2);
}

/// It is there for whoever needs it, but whole ones stay, and somebody is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_leaves_something_out_takes_no_place_of_a_whole_one() {
    let site = Site::new();
    let server = site.start();
    let whole = made(&server.wait_for_log(" entries backed up to "));
    server.rest_after_sigterm();
    let old = of_year(&whole, "2021");
    fs::rename(&whole, &old).unwrap();
    let letter = keys::dead_letter(EventSid::from_bytes([7; 16])).into_bytes();
    forge(&site.data, &[letter]).await;

    let server = site.start_with(&[("COUNTERSIGN_BACKUP_KEEP", "1")]);
    let ops = server.wait_for_log("serving /health");
    let ops = ops.split(" on ").last().unwrap();
    let incomplete = made(&server.wait_for_log(" entries backed up to "));
    server.wait_for_log("a backup leaves out 1 entries that no server of this store wrote");
    server.wait_for_log("the next backup is due in 3600 s");
    let mut expected = [&old, &incomplete].map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    expected.sort_unstable();
    assert!(expected[1].ends_with("Z.incomplete.age"), "{expected:?}");
    assert_eq!(site.names(), expected);
    let metrics = get(ops, "/metrics");
    assert!(
        metrics.contains("\ncountersign_backup_failures_total 1\n")
            && metrics.contains("\ncountersign_backup_last_success_seconds 16"),
        "{metrics}"
    );
    server.rest_after_sigterm();
}

/// What is not taken stays in the directory, is sent again by whoever serves next, and counts as a backup only then.
#[test]
fn a_command_takes_backups_elsewhere_and_what_it_did_not_take_waits_for_it() {
    let site = Site::new();
    let elsewhere = site.place.path().join("elsewhere");
    let command = format!("sh -c 'cat >\"{}/$COUNTERSIGN_BACKUP\"'", elsewhere.display());
    let with_command = [("COUNTERSIGN_BACKUP_COMMAND", command.as_str())];
    // Its target is not there.
    let server = site.start_with(&with_command);
    let ops = server.wait_for_log("serving /health");
    let ops = ops.split(" on ").last().unwrap();
    let unsent = made(&server.wait_for_log(" entries backed up to "));
    let line = server.wait_for_log("a backup was not taken elsewhere: backup.command (\"sh\") failed");
    assert!(line.contains("the next try is in 5 s"), "{line}");
    let metrics = get(ops, "/metrics");
    assert!(
        metrics.contains("\ncountersign_backup_failures_total 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\ncountersign_backup_last_success_seconds 0\n"),
        "{metrics}"
    );
    server.rest_after_sigterm();
    let name = unsent.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.ends_with(".unsent.age"), "{name}");
    assert_eq!(site.names(), [name.as_str()]);

    fs::create_dir(&elsewhere).unwrap();
    let server = site.start_with(&with_command);
    server.wait_for_log(" was taken by backup.command");
    server.rest_after_sigterm();
    let sent = name.replace(".unsent.age", ".age");
    assert_eq!(site.names(), [sent.as_str()], "it is the same one");
    assert_eq!(names(&elsewhere), [sent.as_str()]);
    let copy = elsewhere.join(&sent);
    assert_eq!(
        fs::read(&copy).unwrap(),
        fs::read(site.backups.join(&sent)).unwrap()
    );
    let from = copy.to_str().unwrap();
    assert!(stdout_of(&site.data, &["backup", "verify", "--from", from]).ends_with(" all sound\n"));
}

/// A server that is told to stop does not wait for a command that hangs, and does not leave it behind.
#[test]
fn a_command_that_hangs_is_ended_with_the_server() {
    let site = Site::new();
    let fifo = site.place.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // Whoever of them lives holds the pipe open.
    let command = format!("sh -c 'exec 9>{}; echo ready >&9; sleep 600'", fifo.display());
    let server = site.start_with(&[("COUNTERSIGN_BACKUP_COMMAND", &command)]);
    let mut held = BufReader::new(File::open(&fifo).unwrap());
    let mut said = String::new();
    held.read_line(&mut said).unwrap();
    server.rest_after_sigterm();
    assert_eq!(held.read_line(&mut said).unwrap(), 0, "all of them are gone");
    let [name] = &site.names()[..] else {
        panic!("{:?}", site.names())
    };
    assert!(name.ends_with(".unsent.age"), "{name}");
}

/// Whoever relies on what the command takes elsewhere has lost what goes before that: it is an error, and counted.
#[test]
fn a_backup_that_goes_and_was_never_taken_is_complained_of() {
    let site = Site::new();
    let server = site.start();
    let first = made(&server.wait_for_log(" entries backed up to "));
    server.rest_after_sigterm();
    let unsent = |year| {
        let name = of_year(&first, year);
        name.with_extension("unsent.age")
    };
    for year in ["2021", "2022"] {
        fs::copy(&first, unsent(year)).unwrap();
    }
    fs::remove_file(&first).unwrap();
    let variables = [
        ("COUNTERSIGN_BACKUP_COMMAND", "false"),
        ("COUNTERSIGN_BACKUP_KEEP", "1"),
    ];
    let server = site.start_with(&variables);
    let ops = server.wait_for_log("serving /health");
    let ops = ops.split(" on ").last().unwrap();
    let line = server.wait_for_log(" backups that backup.command has never taken are gone");
    assert!(
        line.contains("2 of the backups that backup.command has never taken are gone from the directory, which keeps 1 of them \
                       (backup.keep)"),
        "{line}"
    );
    server.wait_for_log("a backup was not taken elsewhere: ");
    let metrics = get(ops, "/metrics");
    assert!(
        !metrics.contains("\ncountersign_backup_failures_total 0\n")
            && !metrics.contains("\ncountersign_backup_failures_total 1\n"),
        "that it went and that it was not taken: {metrics}"
    );
    server.rest_after_sigterm();
    let [name] = &site.names()[..] else {
        panic!("{:?}", site.names())
    };
    assert!(
        name.ends_with(".unsent.age") && !name.contains("-2021") && !name.contains("-2022"),
        "{name}"
    );
}
