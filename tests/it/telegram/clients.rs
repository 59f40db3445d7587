//! Telethon, unmodified: it is told the address of the server, and its public key.

use super::server::LoginServer;

/// Logging in to the end and back, every transport it has, every error, restarts in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn telethon_logs_in_whatever_happens_in_between() {
    let server = LoginServer::new().await;
    server.run("telegram_cases.py", &["telethon"]).await;
}
