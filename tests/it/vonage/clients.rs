//! Vonage's own libraries: two for Node over HTTP, two generations for Python over TLS.

use countersign::server::self_signed;
use tempfile::TempDir;

use crate::foreign::{node, python_with_vonage};
use crate::support::called::CalledServer;

#[tokio::test]
#[ignore = "needs node with `npm install @vonage/server-sdk@3.30.1 @vonage/verify@1.23.1 nexmo@2.9.1`; run with --include-ignored"]
async fn libraries_for_node_begin_check_search_and_cancel() {
    let server = CalledServer::new().await;
    let mut script = node("vonage_cases.js", "@vonage/server-sdk");
    script.arg(server.address());
    server.attend(script).await;
}

#[tokio::test]
#[ignore = "needs python3 with `pip install --target` of tests/it/python/vonage3.txt and vonage4.txt; run with --include-ignored"]
async fn libraries_for_python_begin_check_search_and_cancel() {
    let directory = TempDir::new().unwrap();
    let files = self_signed::ensure(directory.path(), None).unwrap();
    for major in ["4", "3"] {
        let server = CalledServer::new().await;
        let over_tls = server.serve_tls(&files);
        let mut script = python_with_vonage("vonage_cases.py", major);
        script
            .arg(format!("localhost:{}", over_tls.address.port()))
            .arg(major)
            .env("REQUESTS_CA_BUNDLE", &files.certificate);
        server.attend(script).await;
    }
}
