//! The house rules that the compiler does not know: which way imports run, and what a file may hold.
//!
//! The rules read text, not syntax. What they cannot see (a type that comes through a re-export) a reader can.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod circles;
mod doors;
mod imports;
mod names;
mod prose;
mod source;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

#[test]
fn imports_run_one_way() {
    assert_no(sources(&["src"]).iter().flat_map(imports::violations));
}

#[test]
fn flows_form_no_circle() {
    assert_no(circles::violations(&sources(&["src/flows"])).into_iter());
}

#[test]
fn flows_reach_the_store_through_one_door() {
    assert_no(sources(&["src/flows"]).iter().flat_map(doors::violations));
}

#[test]
fn no_two_types_have_one_name() {
    assert_no(names::violations(&sources(&["src"])).into_iter());
}

#[test]
fn words_of_a_protocol_stay_in_its_dialect() {
    assert_no(sources(&["src"]).iter().flat_map(words::violations));
}

#[test]
fn every_file_keeps_the_house_rules() {
    assert_no(
        sources(&["src", "tests", "fuzz/src", "fuzz/fuzz_targets"])
            .iter()
            .flat_map(prose::violations),
    );
}

/// Records are written without field names: a field that is left out would shift all that follow it.
#[test]
fn no_record_leaves_a_field_out() {
    let mut records = sources(&["src/domain"]);
    records.push(Source::new(RECORDS, &read(&root().join(RECORDS))));
    assert_no(records.iter().flat_map(prose::shifted_fields));
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

const RECORDS: &str = "src/store/records.rs";
