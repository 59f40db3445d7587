//! `grpcio`, with stubs made of our own `.proto` files, `curl`, and Zitadel's own client.

use std::collections::{BTreeMap, BTreeSet};

use tempfile::TempDir;

use crate::doubles::watch;
use crate::foreign::node;
use crate::serving::process::{Process, stdout_of};
use crate::support::called::CalledServer;
use crate::support::rpc::methods;

/// Every call and every error of the tables, over gRPC and as JSON.
#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt` and curl; run with --include-ignored"]
async fn grpcio_and_curl_meet_every_call_and_every_error() {
    let mut server = CalledServer::new().await;
    server
        .run("zitadel_cases.py", &["grpc", "grpc_tools"], "zitadel")
        .await;
    // What the script leaves out is not proved.
    for path in methods("zitadel") {
        let method = path.rsplit('/').next().unwrap();
        assert!(server.met(method), "{method} was not called with success");
    }
}

/// `@zitadel/client`, unmodified: every call with success, over gRPC as servers use it and over gRPC-Web as pages do.
#[test]
#[ignore = "needs node with `npm install @zitadel/client@1.3.1` (NODE_PATH names the node_modules); run with --include-ignored"]
fn zitadels_own_client_makes_every_call_over_both_of_its_transports() {
    let data = TempDir::new().unwrap();
    let server = Process::start(data.path());
    let token = |whose: &[&str]| {
        let token = stdout_of(data.path(), &[&["token", "create", "--user"], whose].concat());
        watch::secret(token.trim_end());
        token.trim_end().to_owned()
    };
    let mut command = node("zitadel.mjs", "@zitadel/client");
    command
        .arg(&server.url)
        .arg(token(&["backend-01", "--manage-users"]));
    for user in ["user-ada-01", "user-bob-01"] {
        command.args([user, &token(&[user])]);
    }
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let met: BTreeMap<String, BTreeSet<String>> = serde_json::from_slice(&output.stdout).unwrap();
    let paths = methods("zitadel");
    let all = paths
        .iter()
        .map(|path| path.rsplit('/').next().unwrap().to_owned());
    let all: BTreeSet<_> = all.collect();
    let transports = ["createClientTransport", "createServerTransport"];
    assert_eq!(met, transports.map(|name| (name.to_owned(), all.clone())).into());
}
