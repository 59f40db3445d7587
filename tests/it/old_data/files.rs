//! The files in `tests/data`: `NAME-vN.EXTENSION`, with N from 1 up.

use std::fs;
use std::path::PathBuf;

/// All files of this name, oldest first.
pub(super) fn all(name: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let path = |number: u32| directory().join(format!("{name}-v{number}.{extension}"));
    (1..)
        .map(path)
        .map_while(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))
        .collect()
}

/// Compares `today` with the newest file of this name. If it differs, a new file is written when that is wanted; older
/// ones stay as they are.
pub(super) fn keep(name: &str, extension: &str, today: &str) {
    let files = all(name, extension);
    if files.last().is_some_and(|(_, newest)| newest == today) {
        return;
    }
    assert!(
        std::env::var_os(WRITE).is_some_and(|value| value == "1"),
        "what is written today differs from the newest {name} file in tests/data. If that is meant, and the older ones \
         still open, run the tests with {WRITE}=1 to add a new one"
    );
    let next = directory().join(format!("{name}-v{}.{extension}", files.len() + 1));
    fs::write(next, today).unwrap();
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

const WRITE: &str = "COUNTERSIGN_WRITE_FIXTURES";
