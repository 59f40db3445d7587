//! Every block has a language, and what is not run is known.

use super::page::{Treatment, documents};

#[test]
fn what_is_not_run_is_known() {
    let mut left = Vec::new();
    for document in documents() {
        for block in document.blocks() {
            if let Treatment::Leave(reason) = block.treatment {
                left.push((document.name().to_owned(), block.language, reason));
            }
        }
    }
    let left: Vec<_> = left
        .iter()
        .map(|(page, language, reason)| (page.as_str(), language.as_str(), reason.as_str()))
        .collect();
    assert_eq!(left, NOT_RUN);
}

#[test]
fn every_block_is_in_a_language_that_is_known() {
    for document in documents() {
        for block in document.blocks() {
            let at = format!("{}:{}: {}", document.path, block.line, block.language);
            let run = ["json", "python", "sh", "toml"].contains(&block.language.as_str());
            let shown = SHOWN.contains(&block.language.as_str());
            assert!(run || shown, "{at}");
            assert!(
                block.language == "sh" || block.treatment != Treatment::Serve,
                "{at}"
            );
            // Only what is run may be left.
            assert!(run || block.treatment == Treatment::Run, "{at}");
        }
    }
}

#[test]
fn json_is_json() {
    for document in documents() {
        for block in document.blocks().iter().filter(|block| block.language == "json") {
            let read = serde_json::from_str::<serde_json::Value>(&block.text);
            assert!(read.is_ok(), "{}:{}: {read:?}", document.path, block.line);
        }
    }
}

/// A package has the unit of the manual, for where it puts the program.
#[test]
fn the_package_has_the_unit_of_the_manual() {
    let unit = super::page::page("deploying")
        .blocks()
        .into_iter()
        .find(|block| block.language == "ini");
    let unit = unit.unwrap().text.replace("/usr/local/bin/", "/usr/bin/");
    let packed = super::read("src/package/countersign.service");
    assert_eq!(packed, unit, "copy it to src/package/countersign.service");
}

#[test]
fn the_readme_is_short() {
    let lines = super::read("README.md").lines().count();
    assert!(lines <= 200, "{lines}");
}

/// Languages of what other programs read, and of what is shown.
const SHOWN: &[&str] = &[
    "caddyfile",
    "dockerfile",
    "haproxy",
    "ini",
    "js",
    "nginx",
    "text",
    "yaml",
];

/// Blocks that are not run: the page, the language, and why.
const NOT_RUN: &[(&str, &str, &str)] = &[
    (
        "README",
        "sh",
        "the first serves until it is stopped, the second runs this test",
    ),
    (
        "README",
        "sh",
        "compiles for minutes, and serves until it is stopped",
    ),
    ("start", "sh", "compiles for minutes"),
    ("push", "python", "needs a device that answers"),
    (
        "webhooks",
        "python",
        "a server of its own, run with flask; the tests have its like",
    ),
    ("waiting", "python", "needs a user who answers"),
    ("telegram", "sh", "serves until it is stopped"),
    (
        "telegram",
        "sh",
        "there is a key when a server was started with the listener",
    ),
    ("telegram", "python", "tests/it/telegram logs in with Telethon"),
    ("deploying", "sh", "changes the system"),
    ("deploying", "sh", "changes the system"),
    ("deploying", "sh", "compiles for minutes, and changes the system"),
    ("deploying", "sh", "builds and runs a container"),
    ("kubernetes", "sh", "needs a cluster"),
    ("database", "sh", "it needs a database"),
    ("backup", "toml", "needs another disk"),
    ("keys", "sh", "needs a key in AWS KMS"),
    ("keys", "toml", "needs a key in AWS KMS"),
    ("keys", "sh", "needs a server of Vault"),
    ("keys", "toml", "needs a server of Vault"),
    ("keys", "sh", "changes the system"),
    ("keys", "sh", "needs a TPM"),
    ("keys", "toml", "needs a TPM"),
    ("performance", "sh", "loads the server for half a minute"),
    ("performance", "sh", "loads the server for half a minute"),
    ("performance", "sh", "compiles for minutes, and loads a server"),
    ("performance", "sh", "two servers with a quarter of a core each"),
    ("performance", "sh", "fills a store with a million factors"),
    ("performance", "sh", "10,000 connections"),
];
