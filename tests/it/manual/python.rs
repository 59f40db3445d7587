//! The Python of the README and the manual runs.

use std::fs;

use super::page::{Block, Document, Treatment, documents};
use super::server::{ACCOUNT, Server, TOKEN, clean, countersign, put_keys_of_providers};
use crate::foreign::{python, with_input};

#[test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
fn python_runs_as_it_stands() {
    for document in documents() {
        let blocks = python_blocks(&document);
        let runs = blocks.iter().filter(|block| block.treatment == Treatment::Run);
        let code: String = runs.map(|block| block.text.as_str()).collect();
        if !code.is_empty() {
            run(&document, &code);
        }
    }
}

/// What is not run is at least Python.
#[test]
#[ignore = "needs python3 (`apt-get install python3`); run with --include-ignored"]
fn python_that_is_not_run_can_be_read() {
    for document in documents() {
        for block in python_blocks(&document) {
            let mut command = clean(python("manual.py", &["ast"]), super::root());
            command.arg("read");
            let read = with_input(command, &block.text);
            assert!(
                read.status.success(),
                "{}:{}: {read:?}",
                document.path,
                block.line
            );
        }
    }
}

fn python_blocks(document: &Document) -> Vec<Block> {
    let blocks = document.blocks().into_iter();
    blocks.filter(|block| block.language == "python").collect()
}

fn run(document: &Document, code: &str) {
    let command = python("manual.py", &["grpc", "grpc_tools", "twilio"]);
    let server = Server::start();
    fs::copy(
        super::root().join("src/dialect/signal/proto/registration.proto"),
        server.directory.path().join("registration.proto"),
    )
    .unwrap();
    put_keys_of_providers(server.directory.path());
    let mut command = clean(command, server.directory.path());
    if code.contains(SIGNAL_TOKEN) {
        let made = countersign(server.directory.path())
            .args(["token", "create", "--signal"])
            .output()
            .unwrap();
        command.env(SIGNAL_TOKEN, String::from_utf8(made.stdout).unwrap().trim());
    }
    command
        .arg("run")
        .env("TWILIO_ACCOUNT_SID", ACCOUNT)
        .env("TWILIO_AUTH_TOKEN", TOKEN);
    let ran = with_input(command, &server.addressed(code));
    let printed = String::from_utf8(ran.stdout).unwrap();
    let complaints = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success(), "{}: {printed}\n{complaints}", document.path);
    // The comments behind a line that prints say what it prints.
    for line in code.lines().filter(|line| line.starts_with("print(")) {
        if let Some((_, comment)) = line.rsplit_once("  # ") {
            assert!(
                printed.contains(comment.trim()),
                "{}: {comment} in {printed}",
                document.path
            );
        }
    }
    let log = fs::read_to_string(server.directory.path().join("countersign.log")).unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}

/// What `countersign token create --signal` prints, for scripts.
const SIGNAL_TOKEN: &str = "COUNTERSIGN_SIGNAL_TOKEN";
