//! The files in `tests/data`: `NAME-vN.EXTENSION`, with N from 1 up.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

/// All files of this name, oldest first.
pub(super) fn all(name: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let path = |number: u32| directory().join(format!("{name}-v{number}.{extension}"));
    (1..)
        .map(path)
        .map_while(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))
        .collect()
}

/// Adds a file of this name beside the older ones, if that is wanted; fails otherwise.
pub(super) fn add(name: &str, extension: &str, content: &str) {
    assert!(
        std::env::var_os(WRITE).is_some_and(|value| value == "1"),
        "what is written today differs from the newest {name} file in tests/data. If that is meant, and the older ones \
         still open, run the tests with {WRITE}=1 to add a new one"
    );
    let number = all(name, extension).len() + 1;
    let mut file = File::create_new(directory().join(format!("{name}-v{number}.{extension}"))).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

const WRITE: &str = "COUNTERSIGN_WRITE_FIXTURES";
