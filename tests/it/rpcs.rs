//! The calls that `.proto` files describe, all of them.

use std::fs;
use std::path::Path;

use crate::support::rpc::{in_snake_case, methods};

/// The dialects that are spoken in calls, and where their tests are: folders, and how the names of files begin that count.
const DIALECTS: [(&str, &[(&str, &str)]); 2] = [
    (
        "signal",
        &[("tests/it/signal", ""), ("tests/it/python", "signal_")],
    ),
    (
        "zitadel",
        &[("tests/it/zitadel", ""), ("tests/it/python", "zitadel_")],
    ),
];

/// A call that no test of its dialect names, neither those in Rust nor the scripts, is one that nothing is known of.
#[test]
fn every_call_is_named_by_a_test_of_its_dialect() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut unnamed = Vec::new();
    for (dialect, places) in DIALECTS {
        let texts = places
            .iter()
            .map(|(folder, beginning)| text_below(&root.join(folder), beginning));
        let text: String = texts.collect();
        let words: Vec<_> = text
            .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
            .collect();
        let described = methods(dialect);
        assert!(!described.is_empty(), "{dialect} describes no calls");
        unnamed.extend(described.into_iter().filter(|path| {
            let name = path.rsplit('/').next().unwrap();
            !words.contains(&name) && !words.contains(&&*in_snake_case(name))
        }));
    }
    assert!(unnamed.is_empty(), "no test names {unnamed:?}");
}

/// All files of a folder, and of those within, whose names begin so.
fn text_below(folder: &Path, beginning: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&text_below(&path, beginning));
        } else if path.file_name().unwrap().to_str().unwrap().starts_with(beginning) {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    text
}
