//! How much memory clients take that are connected and say nothing: most of what there is to do for them is to be there.
//!
//! `COUNTERSIGN_TEST_IDLE` sets how many (1,000 unless told).

use tempfile::TempDir;

use super::tcp::{TcpClient, keys_in, start};
use crate::support::number_from;

/// 10,000 in 200 MB.
const BYTES_OF_ONE: u64 = 20_000;

#[test]
fn clients_that_say_nothing_take_little_memory() {
    let count = number_from("COUNTERSIGN_TEST_IDLE", 1000);
    let data = TempDir::new().unwrap();
    let keys = keys_in(data.path(), count);
    let most = (2 * count).to_string();
    let (server, address) = start(
        data.path(),
        &["--max-connections", &most],
        &[("COUNTERSIGN_LOG", "info")],
    );
    // With the first ones all is made that is made once.
    let (first, others) = keys.split_at(50);
    let begun = |key| TcpClient::begin(&address, key, 5);
    let mut clients: Vec<_> = first.iter().map(begun).collect();
    let without = server.memory();
    clients.extend(others.iter().map(begun));
    let each = (server.memory() - without) / u64::try_from(others.len()).unwrap();
    eprintln!(
        "{count} clients, {} bytes altogether, {each} for each",
        server.memory()
    );
    assert!(each < BYTES_OF_ONE, "{each} bytes");
    assert!(server.memory() < BYTES_OF_ONE * u64::try_from(count).unwrap().max(10_000));
    // All of them are still there.
    clients.iter_mut().for_each(TcpClient::ping);
}
