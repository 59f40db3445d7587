//! Programs that are not ours. Tests that need one are ignored, so that nobody takes them for passed where it is not
//! installed; with `--include-ignored` they run, and fail where it is missing.

use std::path::Path;
use std::process::Command;

/// The command that runs a script of `tests/it/python`, which imports these modules.
pub(crate) fn python(script: &str, modules: &[&str]) -> Command {
    let python = std::env::var_os("COUNTERSIGN_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    require(
        Command::new(&python).args(["-c", &format!("import {}", modules.join(", "))]),
        "python3 with `pip install -r tests/it/python/requirements.txt` (COUNTERSIGN_TEST_PYTHON names another interpreter)",
    );
    let mut command = Command::new(python);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python");
    command.arg("-B").arg(directory.join(script));
    command
}

/// The same, which imports what stands in one folder of `COUNTERSIGN_TEST_VONAGE`: a library of one generation.
pub(crate) fn python_with_vonage(script: &str, major: &str) -> Command {
    let all = std::env::var_os("COUNTERSIGN_TEST_VONAGE").unwrap_or_default();
    let folder = Path::new(&all).join(major);
    let mut command = python(script, &["json"]);
    require(
        Command::new(command.get_program())
            .env("PYTHONPATH", &folder)
            .args(["-c", "import vonage"]),
        "what tests/it/python/vonage3.txt and vonage4.txt name, with `pip install --target`, into the folders 3 and 4 of one \
         that COUNTERSIGN_TEST_VONAGE names",
    );
    command.env("PYTHONPATH", folder);
    command
}

/// The command that runs a script of `tests/it/node`, which needs this package of npm.
pub(crate) fn node(script: &str, package: &str) -> Command {
    require(
        Command::new("node").args(["-e", &format!("require.resolve('{package}')")]),
        "node with `npm install twilio@6.2.0 @zitadel/client@1.3.1 @vonage/server-sdk@3.30.1 @vonage/verify@1.23.1 nexmo@2.9.1` \
         (NODE_PATH names the node_modules)",
    );
    let mut command = Command::new("node");
    command.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/it/node")
            .join(script),
    );
    command
}

/// Fails with `what` is to be installed unless `command` succeeds.
pub(crate) fn require(command: &mut Command, what: &str) {
    let found = command.output().is_ok_and(|output| output.status.success());
    assert!(found, "install {what}");
}
