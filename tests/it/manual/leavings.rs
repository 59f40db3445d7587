//! What the pages' commands leave in the directory where they run is never committed by somebody who tries them in a checkout.

use std::collections::BTreeSet;

use super::page::{Treatment, documents};

#[test]
fn what_the_tours_write_is_ignored() {
    let ignored = super::read(".gitignore");
    let ignored: BTreeSet<&str> = ignored.lines().map(|line| line.trim_start_matches('/')).collect();
    let mut missing = BTreeSet::new();
    let mut found = 0;
    for document in documents() {
        let blocks = document.blocks().into_iter();
        let run =
            blocks.filter(|block| block.language == "sh" && !matches!(block.treatment, Treatment::Leave(_)));
        for block in run {
            for name in block.text.lines().flat_map(written) {
                found += 1;
                if !ignored.contains(name) {
                    missing.insert(format!("{}: /{name}", document.path));
                }
            }
        }
    }
    assert!(found > 20, "{found}");
    assert_eq!(missing, BTreeSet::new());
}

/// The files and directories of the working directory that a line writes to.
fn written(line: &str) -> Vec<&str> {
    let mut words = line.split_ascii_whitespace();
    let mut names = Vec::new();
    while let Some(word) = words.next() {
        let takes_name = [">", ">>", "--to", "--data", "--state"].contains(&word);
        if word == "#>" || !takes_name {
            continue;
        }
        let Some(name) = words.next() else { break };
        let name = name.trim_matches(['"', '\'', ')', ';']).trim_start_matches("./");
        let name = name.split('/').next().unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if !name.is_empty() && name != "-" && name.chars().all(is_name) && !line.starts_with("#>") {
            names.push(name);
        }
    }
    names
}
