//! How much one network may do, and one client may have at work.

use std::sync::Arc;
use std::time::Duration;

use countersign::dialect::telegram::schema::{DESTROY_AUTH_KEY, HELP_GET_CONFIG, PONG};
use countersign::store::faulty::FaultyStore;
use countersign::store::memory::MemoryStore;

use super::raw::{Bare, ping, send_code_to};
use super::server::senders;
use crate::support::TestApp;

#[tokio::test]
async fn a_network_has_only_so_many_codes_sent_and_the_store_hears_of_no_more() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let bare = Bare::of(TestApp::on(store.clone()).await.with_senders(senders())).await;
    let abroad = send_code_to("+33612345678");
    let mut clients = [bare.greeted(5).await, bare.greeted(6).await];
    for nth in 0..30 {
        // Whatever becomes of them.
        let sent = clients[nth % 2].call(&abroad).await;
        assert_eq!(sent.unwrap_err().1, "SMS_CODE_CREATE_FAILED", "{nth}");
    }
    let before = bare.server.dump().await;
    for (seconds, name) in [(0, "FLOOD_WAIT_10"), (4, "FLOOD_WAIT_6"), (5, "FLOOD_WAIT_1")] {
        bare.server.clock.advance(Duration::from_secs(seconds));
        store.fail_commits(true);
        let flood = clients[0].call(&abroad).await;
        store.fail_commits(false);
        assert_eq!(flood, Err((420, name.to_owned())));
    }
    assert!(bare.server.dump().await == before);
    let mut other = bare.client_from("192.0.2.2", 7).await;
    other.greet().await;
    let sent = other.call(&abroad).await;
    assert_eq!(sent.unwrap_err().1, "SMS_CODE_CREATE_FAILED");
    bare.server.clock.advance(Duration::from_secs(1));
    let sent = clients[0].call(&abroad).await;
    assert_eq!(sent.unwrap_err().1, "SMS_CODE_CREATE_FAILED");
}

#[tokio::test]
async fn a_call_has_a_place_among_the_requests_at_work_or_is_told_to_wait() {
    let bare = Bare::new().await;
    let mut client = bare.greeted(5).await;
    bare.leave_room_for(1);
    client.call(&HELP_GET_CONFIG.to_le_bytes()).await.unwrap();
    for method in [HELP_GET_CONFIG, DESTROY_AUTH_KEY] {
        let refused = client.call(&method.to_le_bytes()).await;
        assert_eq!(refused, Err((420, "FLOOD_WAIT_1".to_owned())));
    }
    client.send(true, &ping()).await;
    assert_eq!(client.receive().await.pop().unwrap().constructor(), PONG);
    // Nor is a key looked up.
    let mut other = bare.client(6).await;
    other.send(true, &ping()).await;
    assert_eq!(other.frame().await.unwrap(), (-429i32).to_le_bytes());
    bare.leave_room_for(usize::MAX);
    client.call(&HELP_GET_CONFIG.to_le_bytes()).await.unwrap();
}
