//! `grpcio`, with stubs made of our own `.proto` files, and `curl`.

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
