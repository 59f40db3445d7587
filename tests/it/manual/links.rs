//! Links lead somewhere, and pages are found.

use std::collections::{BTreeMap, BTreeSet};

use countersign::manual::{INDEX, PAGES};
use url::Url;

use super::page::{Document, documents, page};

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for document in documents() {
        for target in inline_targets(&document)
            .into_iter()
            .chain(definitions(&document).into_values())
        {
            if let Err(why) = check(&document, &target) {
                wrong.push(format!("{}: {target}: {why}", document.path));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn references_are_defined_and_definitions_used() {
    for document in documents() {
        let used: BTreeSet<_> = references(&document).into_iter().collect();
        let defined: BTreeSet<_> = definitions(&document).into_keys().collect();
        assert_eq!(used, defined, "{}", document.path);
    }
}

#[test]
fn every_page_is_in_the_table_the_index_and_the_readme() {
    let files = super::files("src/manual");
    let names = PAGES.iter().chain([&INDEX]).map(|page| page.name);
    let pages: BTreeSet<_> = names.map(|name| format!("{name}.md")).collect();
    let beside = ["mod.rs", "rustdoc_links.md"].map(str::to_owned);
    assert_eq!(files, pages.iter().cloned().chain(beside).collect());

    let index: BTreeSet<_> = definitions(&page("index")).into_values().collect();
    let expected = PAGES.iter().map(|page| format!("{}.md", page.name)).collect();
    assert_eq!(index, expected, "index.md");
    let readme = super::read("README.md");
    for name in pages {
        assert!(
            readme.contains(&format!("(src/manual/{name})")),
            "README.md: {name}"
        );
    }
}

/// Definitions stand in front of every page in the documentation of the code, and count there.
#[test]
fn links_hold_in_the_documentation_of_the_code_too() {
    let mut links = BTreeMap::new();
    for document in documents().iter().filter(|document| document.name() != "README") {
        for (label, target) in definitions(document) {
            let module = format!("crate::manual::{}", target.replacen(".md", "", 1));
            let other = links.insert(label.clone(), module.clone());
            assert!(
                other.is_none_or(|other| other == module),
                "{label} means two pages"
            );
        }
    }
    let written = links
        .iter()
        .map(|(label, module)| format!("[{label}]: {module}\n"));
    let expected: String = written.collect();
    let kept = super::read("src/manual/rustdoc_links.md");
    assert!(
        kept == expected,
        "src/manual/rustdoc_links.md must be:\n{expected}"
    );
}

#[test]
fn titles_are_what_pages_are_called_in_links() {
    for (label, target) in definitions(&page("index")) {
        let page = countersign::manual::page(target.trim_end_matches(".md")).unwrap();
        assert_eq!(page.title(), label);
    }
}

/// `[text](target)`.
fn inline_targets(document: &Document) -> Vec<String> {
    let words = document.words();
    let behind = words.split("](").skip(1);
    behind
        .map(|rest| rest.split(')').next().unwrap().to_owned())
        .collect()
}

/// `[label]: target`.
pub(super) fn definitions(document: &Document) -> BTreeMap<String, String> {
    let lines = document.prose().filter_map(|(_, line)| line.strip_prefix('['));
    let pairs = lines.filter_map(|line| line.split_once("]: "));
    pairs
        .map(|(label, target)| (label.to_owned(), target.to_owned()))
        .collect()
}

/// `[label]`, with nothing behind it that makes it another kind of link.
fn references(document: &Document) -> Vec<String> {
    let words = document.words();
    let lines = words
        .lines()
        .filter(|line| !(line.starts_with('[') && line.contains("]: ")));
    let text = lines.collect::<Vec<_>>().join("\n");
    let labelled = text.split('[').skip(1).filter_map(|part| part.split_once(']'));
    let alone = labelled.filter(|(_, rest)| !rest.starts_with('('));
    alone.map(|(label, _)| label.replace('\n', " ")).collect()
}

fn check(document: &Document, target: &str) -> Result<(), String> {
    if target.contains("://") {
        let url = Url::parse(target).map_err(|error| error.to_string())?;
        return (url.scheme() == "https")
            .then_some(())
            .ok_or("it is not https".to_owned());
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let directory = document
        .path
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory);
    let path = match (file, directory) {
        ("", _) => document.path.clone(),
        (file, "") => file.to_owned(),
        (file, directory) => format!("{directory}/{file}"),
    };
    if !super::root().join(&path).is_file() {
        return Err(format!("there is no {path}"));
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let text = super::read(&path);
    let anchors = Document { path, text }.anchors();
    anchors
        .iter()
        .any(|known| known == anchor)
        .then_some(())
        .ok_or(format!("there are {anchors:?}"))
}
