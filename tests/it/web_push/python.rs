//! Asks `tests/it/python/web_push.py` what it makes of a message: it knows the RFCs and nothing of this program.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What the script reads in `question`; none, with a line that says so, where its libraries are not installed, unless
/// `COUNTERSIGN_TEST_ALL=1`.
pub(super) fn read(question: &Value) -> Option<Value> {
    let python = std::env::var_os("COUNTERSIGN_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let imports = Command::new(&python)
        .args(["-c", "import cryptography, jwt"])
        .output();
    if !imports.is_ok_and(|output| output.status.success()) {
        let line = "web_push.py is not run: install python3 with `pip install -r tests/it/python/requirements.txt` \
                    (COUNTERSIGN_TEST_PYTHON names another interpreter)";
        assert!(
            std::env::var_os("COUNTERSIGN_TEST_ALL").is_none_or(|all| all != "1"),
            "{line}"
        );
        // Past the test harness, which shows what a passing test prints to nobody.
        writeln!(std::io::stderr().lock(), "{line}").unwrap();
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python/web_push.py");
    let mut process = Command::new(&python)
        .arg("-B")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    input.write_all(question.to_string().as_bytes()).unwrap();
    drop(input);
    let output = process.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(serde_json::from_slice(&output.stdout).unwrap())
}
