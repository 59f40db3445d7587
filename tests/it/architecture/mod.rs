//! The house rules that the compiler does not know: which way imports run, and what a file may hold.
//!
//! The rules read text, not syntax. What they cannot see (a type that comes through a re-export) a reader can.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod imports;
mod prose;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

#[test]
fn imports_run_one_way() {
    assert_no(sources(&["src"]).iter().flat_map(imports::violations));
}

#[test]
fn every_file_keeps_the_house_rules() {
    assert_no(
        sources(&["src", "tests", "fuzz/src", "fuzz/fuzz_targets"])
            .iter()
            .flat_map(prose::violations),
    );
}

/// What the records do not say today may be said tomorrow: see `store::records`.
#[test]
fn no_record_refuses_fields_that_it_does_not_know() {
    let strict = concat!("deny_unknown", "_fields");
    let records = sources(&["src/domain"]);
    let and_more = Source::new(
        "src/store/records.rs",
        &read(&root().join("src/store/records.rs")),
    );
    let found = records
        .iter()
        .chain([&and_more])
        .filter(|source| source.text().contains(strict));
    assert_no(found.map(|source| format!("{}: a record must ignore what later versions add", source.path())));
}

/// Every Rust file below these directories.
fn sources(directories: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for directory in directories {
        collect(&root().join(directory), &mut paths);
    }
    paths.sort();
    assert!(!paths.is_empty());
    paths
        .iter()
        .map(|path| {
            let relative = path.strip_prefix(root()).unwrap().to_str().unwrap();
            Source::new(&relative.replace('\\', "/"), &read(path))
        })
        .collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn assert_no(violations: impl Iterator<Item = String>) {
    let violations: Vec<String> = violations.collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}
