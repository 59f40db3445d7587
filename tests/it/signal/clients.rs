//! `grpcio`, with stubs made of our own `.proto` file.

use crate::support::called::CalledServer;
use crate::support::rpc::{in_snake_case, methods};

/// Every row of the table of errors, every limit with its exact waits, both spellings, tokens, senders, languages.
#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn grpcio_meets_every_error_and_every_limit() {
    let mut world = CalledServer::new().await;
    world
        .run("signal_cases.py", &["grpc", "grpc_tools"], "signal")
        .await;
    // What the script leaves out is not proved.
    for path in methods("signal") {
        let today = path.rsplit('/').next().unwrap();
        for spelling in [today, &in_snake_case(today)] {
            assert!(world.met(spelling), "{spelling} was not called with success");
        }
    }
}
