//! Standard output and standard error. A reader that went away is no error.

use std::io::Write as _;

use serde_json::Value;

/// Writes `text` to standard output at once.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _unread = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes what came of a command to standard output at once: as one line of JSON if `json`, or for people.
pub(super) fn tell(json: bool, value: impl FnOnce() -> Value, text: impl FnOnce() -> String) {
    say(&if json { format!("{}\n", value()) } else { text() });
}

/// Writes one line to standard error.
pub(super) fn complain(line: &str) {
    let mut err = std::io::stderr().lock();
    let _unread = writeln!(err, "countersign: {}", line.replace('\n', " "));
}
