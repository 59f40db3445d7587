//! What `countersign completions` and `countersign man` write, as a shell reads it.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::program;

fn printed(arguments: &[&str]) -> String {
    let output = program(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What bash offers behind these words, the last of which is not ended.
fn completed_by_bash(script: &Path, words: &[&str]) -> Vec<String> {
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let all = words.join(" ");
    let script = script.to_str().unwrap();
    let asked = format!(
        "source '{script}'; COMP_WORDS=({all}); COMP_CWORD={}; _countersign countersign '{last}' '{before}'; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.len() - 1
    );
    let output = Command::new("bash")
        .args(["--norc", "-c", &asked])
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    shown.lines().map(str::to_owned).collect()
}

#[test]
fn bash_reads_its_completions_and_completes_with_them() {
    let directory = TempDir::new().unwrap();
    let script = directory.path().join("countersign.bash");
    fs::write(&script, printed(&["completions", "bash"])).unwrap();
    let checked = Command::new("bash").arg("-n").arg(&script).output().unwrap();
    assert!(
        checked.status.success() && checked.stderr.is_empty(),
        "{checked:?}"
    );

    let completed = |words: &[&str]| completed_by_bash(&script, words);
    assert_eq!(completed(&["countersign", "use"]), ["user"]);
    assert_eq!(completed(&["countersign", "user", "unl"]), ["unlock"]);
    assert_eq!(
        completed(&["countersign", "config", "show", "--ops-l"]),
        ["--ops-listen"]
    );
    let commands = completed(&["countersign", "config", "''"]);
    for command in ["check", "reference", "show"] {
        assert!(
            commands.iter().any(|offered| offered == command),
            "{command}: {commands:?}"
        );
    }
}

#[test]
fn each_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        assert!(script.contains("rotate-webhook-secret"), "{shell}");
    }
}

/// Each page is one that man can read, and no command is without one.
#[test]
fn each_command_has_a_manual_page() {
    let directory = TempDir::new().unwrap();
    let pages = directory.path().join("share/man1");
    assert_eq!(printed(&["man", pages.to_str().unwrap()]), "");
    let mut command = countersign::cli::command_line().disable_help_subcommand(true);
    command.build();
    let mut names = Vec::new();
    collect(&command, "countersign", &mut names);
    assert!(names.len() > 50, "{names:?}");
    for name in names {
        let page = fs::read_to_string(pages.join(format!("{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"),
            "{page}"
        );
    }
    assert!(printed(&["man"]).contains(".TH countersign 1"));
}

fn collect(command: &clap::Command, name: &str, names: &mut Vec<String>) {
    names.push(name.to_owned());
    for command in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        collect(command, &format!("{name}-{}", command.get_name()), names);
    }
}
