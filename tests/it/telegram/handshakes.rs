//! Handshakes to their end, whatever that is; and how long a client may take for one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::dialect::Speaks;
use countersign::dialect::telegram::schema::{DH_GEN_FAIL, DH_GEN_OK, DH_GEN_RETRY, PONG};
use countersign::flows::client_key;
use countersign::server::{ClientLimits, Listener};
use countersign::store::faulty::FaultyStore;
use countersign::store::memory::MemoryStore;

use super::raw::{Bare, key_name, lives, ping};
use super::shaking::Shaking;
use crate::serving::http::{serve_dialect, until_closed};
use crate::support::TestApp;

#[tokio::test]
async fn a_key_is_agreed_on_and_spoken_with() {
    let bare = Bare::new().await;
    let mut shaking = Shaking::new(bare.connect()).await;
    let key = shaking.agree().await.unwrap();
    let mut client = bare.client_on(shaking.stream, key, 5);
    client.greet().await;
    client.send(true, &ping()).await;
    assert_eq!(client.receive().await.pop().unwrap().constructor(), PONG);
}

#[tokio::test]
async fn a_key_whose_name_is_taken_is_made_anew_from_the_same_offer() {
    let bare = Bare::new().await;
    let mut shaking = Shaking::new(bare.connect()).await;
    let asked = shaking.ask().await.unwrap();
    let offered = shaking.take(&asked).await;
    let (first, second) = (offered.choose(7), offered.choose(9));
    let name = key_name(&bare.server.app, first.key.id());
    let other = [9; 256];
    client_key::keep(&bare.server.app, name, &other, lives(), None)
        .await
        .unwrap();
    assert_eq!(shaking.finish(&offered, &first, 0).await, DH_GEN_RETRY);
    let kept = client_key::open(&bare.server.app, name, lives()).await.unwrap();
    assert_eq!(kept.key.as_slice(), other, "the one that was there stays");
    let told = shaking.finish(&offered, &second, first.aux()).await;
    assert_eq!(told, DH_GEN_OK);
    let mut client = bare.client_on(shaking.stream, second.key, 5);
    client.greet().await;
}

#[tokio::test]
async fn a_key_that_cannot_be_kept_is_refused_and_the_client_begins_anew() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let bare = Bare::of(TestApp::on(store.clone()).await).await;
    let before = bare.server.dump().await;
    let mut shaking = Shaking::new(bare.connect()).await;
    let asked = shaking.ask().await.unwrap();
    let offered = shaking.take(&asked).await;
    let chosen = offered.choose(7);
    store.fail_commits(true);
    assert_eq!(shaking.finish(&offered, &chosen, 0).await, DH_GEN_FAIL);
    store.fail_commits(false);
    assert!(bare.server.dump().await == before, "nothing is half kept");
    let key = shaking.agree().await.unwrap();
    let mut client = bare.client_on(shaking.stream, key, 5);
    client.greet().await;
    // The one that was refused is nobody's.
    let mut refused = bare.client(6).await;
    refused.key = chosen.key;
    refused.send(true, &ping()).await;
    assert_eq!(refused.frame().await.unwrap(), (-404i32).to_le_bytes());
}

#[tokio::test]
async fn a_network_keeps_only_so_many_keys() {
    let bare = Bare::new().await;
    // All have begun before any of them is kept.
    let mut begun = Vec::new();
    for nth in 0..61 {
        if nth == 60 {
            let mut early = Shaking::new(bare.connect()).await;
            assert_eq!(early.ask().await.err(), Some(-429), "that many are begun at once");
            bare.server.clock.advance(Duration::from_secs(2));
        }
        let mut shaking = Shaking::new(bare.connect()).await;
        let asked = shaking.ask().await.unwrap();
        begun.push((shaking, asked));
    }
    let mut told = Vec::new();
    for (mut shaking, asked) in begun {
        let offered = shaking.take(&asked).await;
        told.push(shaking.finish(&offered, &offered.choose(7), 0).await);
    }
    assert_eq!(told.pop(), Some(DH_GEN_FAIL));
    assert!(told.iter().all(|told| *told == DH_GEN_OK));
    bare.server.clock.advance(Duration::from_secs(59));
    let mut early = Shaking::new(bare.connect()).await;
    assert_eq!(early.ask().await.err(), Some(-429));
    let mut other = Shaking::new(bare.connect_from("192.0.2.2")).await;
    other.agree().await.unwrap();
    bare.server.clock.advance(Duration::from_secs(1));
    let mut late = Shaking::new(bare.connect()).await;
    late.agree().await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_ended() {
    let bare = Bare::new().await;
    let limits = ClientLimits {
        body: Duration::from_millis(200),
        ..ClientLimits::default()
    };
    let listener = Listener::plain("127.0.0.1:0".parse().unwrap()).unwrap();
    let served = serve_dialect(listener, Speaks::Streams(bare.acceptor.clone()), limits);
    // At each step.
    let mut first = Shaking::new(served.connect().await).await;
    first.ask().await.unwrap();
    let begun = Instant::now();
    assert_eq!(until_closed(&mut first.stream).await, "");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let mut second = Shaking::new(served.connect().await).await;
    let asked = second.ask().await.unwrap();
    second.take(&asked).await;
    assert_eq!(until_closed(&mut second.stream).await, "");
    // Nobody else is ended with them.
    let mut third = Shaking::new(served.connect().await).await;
    third.agree().await.unwrap();
}
