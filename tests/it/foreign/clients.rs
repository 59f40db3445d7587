//! Clients of the API that share no code with this server.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::programs::{node, python, require};
use super::{ACCOUNT, Server, TOKEN};
use crate::support::contract;

/// Twilio's own library runs all operations.
#[test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
fn twilio_from_pypi_runs_every_operation() {
    run_script(python(
        "twilio_operations.py",
        &["twilio", "pyotp", "cryptography"],
    ));
}

/// Twilio's library for Node runs all operations, and every answer it gets is as Twilio describes it.
#[test]
#[ignore = "needs node with `npm install twilio@6.2.0`; run with --include-ignored"]
fn twilio_from_npm_runs_every_operation() {
    let output = run_script(node("operations.js", "twilio"));
    let mut met = BTreeSet::new();
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        let exchange: Value = serde_json::from_str(line).expect("a line of JSON");
        let of = |member: &str| exchange[member].as_str().expect("a text");
        let (method, path, body) = (of("method"), of("path"), &exchange["body"]);
        let status = exchange["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok());
        let status = status.expect("a status");
        let faults = contract::faults(method, path, status, &headers(&exchange["headers"]), body);
        assert!(faults.is_empty(), "{method} {path}: {}", faults.join("; "));
        let operation = contract::operation(method, path);
        met.insert((operation.expect("an operation that Twilio describes"), status));
    }
    let spoken = contract::declared().filter(|(operation, _)| !operation.contains("/Passkeys/"));
    for (operation, statuses) in spoken {
        let succeeded = statuses
            .iter()
            .any(|status| *status < 400 && met.contains(&(operation, *status)));
        assert!(succeeded, "{operation} did not succeed: {met:?}");
    }
}

/// Headers, by their names in lower case.
fn headers(given: &Value) -> HeaderMap {
    let pairs = given.as_object().expect("headers").iter();
    let pairs = pairs.filter_map(|(name, value)| {
        let name: HeaderName = name.parse().expect("a name");
        Some((name, HeaderValue::from_str(value.as_str()?).expect("a value")))
    });
    pairs.collect()
}

/// The same library creates, changes and deletes the keys of push providers.
#[test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
fn twilio_from_pypi_manages_credentials() {
    run_script(python("credentials.py", &["twilio", "cryptography"]));
}

/// A device written from the protocol alone.
#[test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
fn a_device_in_python_enrols_answers_and_is_held_to_its_own() {
    run_script(python("device.py", &["jwt", "requests", "cryptography"]));
}

/// Codes of two other programs, for every hash, length and step.
#[test]
#[ignore = "needs oathtool (`apt-get install oathtool`) and python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
fn codes_of_pyotp_and_oathtool_are_approved() {
    require(
        Command::new("oathtool").arg("--version"),
        "oathtool (`apt-get install oathtool`)",
    );
    run_script(python("codes.py", &["pyotp", "requests"]));
}

/// Runs a script against a fresh server.
fn run_script(mut script: Command) -> Output {
    let server = Server::start();
    let output = script
        .env("COUNTERSIGN_TEST_URL", &server.url)
        .env("COUNTERSIGN_TEST_ACCOUNT", ACCOUNT)
        .env("COUNTERSIGN_TEST_TOKEN", TOKEN)
        .env("COUNTERSIGN_TEST_LOG", &server.log)
        .env_remove("TWILIO_EDGE")
        .env_remove("TWILIO_REGION")
        .output()
        .expect("the script runs");
    assert!(
        output.status.success(),
        "{script:?}:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
