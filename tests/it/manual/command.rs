//! `countersign manual`.

use std::process::Command;

use countersign::manual::{INDEX, PAGES};
use tempfile::TempDir;

use super::server::{clean, countersign};

#[test]
fn pages_are_shown_as_they_are() {
    let directory = TempDir::new().unwrap();
    let mut index = countersign(directory.path());
    let shown = index.arg("manual").output().unwrap();
    assert_eq!(String::from_utf8(shown.stdout).unwrap(), INDEX.text);
    for page in PAGES {
        let mut command = countersign(directory.path());
        // No pager where there is no terminal.
        let shown = command
            .args(["manual", page.name])
            .env("PAGER", "false")
            .output()
            .unwrap();
        assert!(shown.status.success());
        assert_eq!(String::from_utf8(shown.stdout).unwrap(), page.text);
    }
}

#[test]
fn a_page_that_there_is_not_is_told_with_those_that_there_are() {
    let directory = TempDir::new().unwrap();
    let shown = countersign(directory.path())
        .args(["manual", "pusch"])
        .output()
        .unwrap();
    let told = String::from_utf8(shown.stderr).unwrap();
    assert_eq!(
        (shown.status.code(), told.lines().count()),
        (Some(2), 1),
        "{told}"
    );
    for page in PAGES {
        assert!(told.contains(page.name), "{told}");
    }
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let directory = TempDir::new().unwrap();
    let line = "set -o pipefail; countersign manual codes | head -1";
    let shown = clean(Command::new("bash"), directory.path())
        .args(["-c", line])
        .output()
        .unwrap();
    let told = String::from_utf8(shown.stderr).unwrap();
    assert!(shown.status.success() && told.is_empty(), "{told}");
    assert_eq!(String::from_utf8(shown.stdout).unwrap(), "# Codes by message\n");
}
