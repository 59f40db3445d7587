//! `countersign outbox`, with and without a running server, and what the operators see.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, complaint, run, stdout_of};

fn list(data: &Path, which: &str) -> Value {
    serde_json::from_str(&stdout_of(data, &["outbox", "list", which, "--json"])).unwrap()
}

/// The same commands do the same in both ways.
fn administer(data: &Path) {
    for which in ["--dead", "--waiting"] {
        assert_eq!(list(data, which)["rows"], serde_json::json!([]));
        assert_eq!(
            stdout_of(data, &["outbox", "list", which]),
            "Nothing of this kind is in the outbox.\n"
        );
    }
    let sid = "EV0123456789abcdef0123456789abcdef";
    for command in ["retry", "drop"] {
        let complaint = |arguments: &[&str], status| {
            let output = run(data, &[&["outbox", command], arguments].concat());
            complaint(&output, status)
        };
        assert!(complaint(&[sid], 1).starts_with("there is no such dead letter"));
        assert!(complaint(&["YW01"], 2).starts_with("YW01 is no event's SID: it must be EV and"));
        let nobody = complaint(&["--receiver", "AC01"], 2);
        assert!(nobody.starts_with("AC01 is no receiver: it must be the SID of a webhook"));
        // One of the three, and not two of them.
        complaint(&[], 2);
        complaint(&[sid, "--all"], 2);
    }
    assert_eq!(stdout_of(data, &["outbox", "retry", "--all"]), "put back 0\n");
    assert_eq!(stdout_of(data, &["outbox", "drop", "--all"]), "dropped 0\n");
}

#[test]
fn dead_letters_are_administered_with_and_without_a_server() {
    let directory = TempDir::new().unwrap();
    let server = Process::start(directory.path());
    administer(directory.path());
    drop(server);
    administer(directory.path());
}
