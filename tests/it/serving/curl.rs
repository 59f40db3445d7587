//! The three lines that a newcomer pastes.

use std::process::Command;

use tempfile::TempDir;

use super::process::Process;
use crate::foreign::require;

/// Needs the operations that the lines call, and `countersign totp`.
#[test]
fn the_lines_of_the_first_start_work_when_pasted() {
    require(
        Command::new("curl").arg("--version"),
        "curl (`apt-get install curl`)",
    );
    let directory = TempDir::new().unwrap();
    let mut server = Process::start(directory.path());
    let lines = server.read_lines_until(|line| line.contains("AuthPayload="));
    let lines: Vec<_> = lines.into_iter().filter(|line| line.contains("curl ")).collect();
    let pasted = Command::new("sh")
        .arg("-c")
        .arg(lines.join("\n"))
        .output()
        .unwrap();
    let shown = String::from_utf8(pasted.stdout.clone()).unwrap();
    assert!(pasted.status.success(), "{pasted:?}");
    let mut answers = shown.lines();
    let service = answers.next().unwrap();
    assert!(service.len() == 34 && service.starts_with("VA"), "{shown}");
    let factor: serde_json::Value = serde_json::from_str(answers.next().unwrap()).unwrap();
    assert!(
        factor["binding"]["uri"]
            .as_str()
            .unwrap()
            .starts_with("otpauth://totp/"),
        "{shown}"
    );
    let verified: serde_json::Value = serde_json::from_str(answers.next().unwrap()).unwrap();
    assert_eq!(verified["status"], "verified", "{shown}");
}
