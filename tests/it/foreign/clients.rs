//! Clients of the API that share no code with this server.

use std::process::Command;

use super::programs::{python, require};
use super::{ACCOUNT, Server, TOKEN};

/// Twilio's own library runs all operations.
#[test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
fn twilio_from_pypi_runs_every_operation() {
    run_script(python(
        "twilio_operations.py",
        &["twilio", "pyotp", "cryptography"],
    ));
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
fn run_script(mut script: Command) {
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
}
