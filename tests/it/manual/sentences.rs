//! What the manual quotes is what the program says, and what it names in the source is there.

use std::fs;
use std::path::Path;

use super::page::{documents, page};

#[test]
fn lines_in_the_chapter_on_troubleshooting_are_lines_of_ours() {
    let source = source();
    let troubleshooting = page("troubleshooting");
    let mut unknown = Vec::new();
    let mut quoted = 0;
    for (line, row) in troubleshooting
        .prose()
        .filter(|(_, line)| line.starts_with("| `"))
    {
        let sentence = row.split('`').nth(1).unwrap();
        quoted += 1;
        let parts = sentence.split("...").filter(|part| part.trim().len() > 3);
        unknown.extend(
            parts
                .filter(|part| !source.contains(part))
                .map(|part| format!("{line}: {part}")),
        );
    }
    assert_eq!(unknown, [""; 0]);
    assert!(quoted > 20, "{quoted}");
}

#[test]
fn what_is_named_in_the_source_is_there() {
    for document in documents() {
        for (line, span) in document.spans() {
            let ours = ["src/", "tests/", "fuzz/"]
                .iter()
                .any(|folder| span.starts_with(folder));
            assert!(
                !ours || super::root().join(&span).exists(),
                "{}:{line}: {span}",
                document.path
            );
        }
    }
}

/// All of it, with texts that are broken over lines put together.
fn source() -> String {
    let mut text = String::new();
    collect(&super::root().join("src"), &mut text);
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap().to_owned();
    lines.fold(first, |joined, line| joined + line.trim_start())
}

fn collect(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
