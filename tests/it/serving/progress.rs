//! Long commands say how far they are, where somebody looks, and nowhere else.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::program;
use crate::support::terminal::at_terminal;

#[test]
fn a_bar_is_shown_on_a_terminal_and_nothing_of_it_elsewhere() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (data, key) = (at("data"), at("data/master.key"));
    let fill = |factors: &str| {
        let seed = "0123456789abcdef";
        [
            "bench",
            "fill",
            "--factors",
            factors,
            "--seed",
            seed,
            "--data",
            &data,
        ]
        .map(str::to_owned)
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let to = |name: &str, more: &[&str]| {
        words(&[more, &["--master-key-file", &key, "--data", &at(name)]].concat())
    };
    // Twice each, into another place: at a terminal, and without one.
    for (shown, mut commands) in [
        (true, vec![("filling", fill("300").to_vec())]),
        (false, vec![("filling", fill("600").to_vec())]),
    ] {
        let name = |what: &str| format!("{what}-{shown}");
        let (export, backup) = (at(&name("export")), at(&name("backup")));
        commands.extend([
            ("checking entries", words(&["store", "check", "--data", &data])),
            (
                "exporting",
                words(&["store", "export", "--to", &export, "--data", &data]),
            ),
            (
                "backing up",
                words(&["backup", "create", "--to", &backup, "--data", &data]),
            ),
            (
                "reading",
                words(&["backup", "verify", "--from", &backup, "--data", &data]),
            ),
            (
                "reading",
                to(&name("imported"), &["store", "import", "--from", &export]),
            ),
            (
                "reading",
                to(&name("restored"), &["backup", "restore", "--from", &backup]),
            ),
            (
                "copying",
                words(&[
                    "store",
                    "convert",
                    "--from",
                    &data,
                    "--to",
                    &at(&name("converted")),
                ]),
            ),
        ]);
        for (verb, command) in commands {
            says(&command, verb, shown);
        }
    }
}

/// Runs it, at a terminal if `shown`: then the bar is there and is taken away again. Its JSON is whole in both cases.
fn says(words: &[String], verb: &str, shown: bool) {
    let words: Vec<_> = words.iter().map(String::as_str).chain(["--json"]).collect();
    let mut command: Command = program(&words);
    command.env("TERM", "xterm");
    let (text, output) = if shown {
        let shown = at_terminal(command, "", "");
        (shown.text, shown.output)
    } else {
        let output = command.output().unwrap();
        (String::from_utf8(output.stderr.clone()).unwrap(), output)
    };
    assert!(output.status.success(), "{words:?}: {text}");
    let told = String::from_utf8(output.stdout).unwrap();
    let value: Value = serde_json::from_str(&told).unwrap();
    assert!(value.is_object() && !told.contains('\u{1b}'), "{told}");
    if shown {
        let bar = text
            .find(verb)
            .unwrap_or_else(|| panic!("{words:?} shows no {verb}: {text:?}"));
        assert!(
            text[bar..].contains("\u{1b}[2K"),
            "{words:?} leaves its bar: {text:?}"
        );
    } else {
        assert_eq!(text, "", "{words:?}");
    }
}

/// What a bar is shown for takes as long in a pipe, and nothing is in the way of what is exported there.
#[test]
fn an_export_to_standard_output_is_whole_at_a_terminal_and_has_no_place_for_json() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let data = data.to_str().unwrap();
    let made = program(&["account", "create", "--data", data]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let export = ["store", "export", "--to", "-", "--data", data];
    let shown = at_terminal(program(&export), "", "");
    assert!(shown.output.status.success(), "{}", shown.text);
    let lines = String::from_utf8(shown.output.stdout).unwrap();
    for line in lines.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    for path in [&["store", "export"], &["backup", "create"]] {
        let refused = program(&[&path[..], &["--to", "-", "--json", "--data", data]].concat())
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(refused.stdout.is_empty(), "{refused:?}");
    }
}
