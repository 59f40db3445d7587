//! What keeps keys, and what does not.

use std::time::Duration;

use countersign::dialect::telegram::schema::{BAD_SERVER_SALT, HELP_GET_CONFIG};
use countersign::dialect::telegram::settings::LoginSettings;
use countersign::domain::client_key::KeyLives;
use tokio::io::AsyncWriteExt as _;

use super::raw::{Bare, RawClient, ping, settings};
use super::server::KEY_LIFE;
use crate::support::TestApp;

/// One whose keys live for an hour without a login.
async fn bare() -> Bare {
    let settings = LoginSettings {
        key_lives: KeyLives {
            logged_in: KEY_LIFE,
            otherwise: Duration::from_hours(1),
        },
        ..settings()
    };
    Bare::with(TestApp::new().await, settings).await
}

fn wait(bare: &Bare, minutes: u64) {
    bare.server.wait(minutes * 60);
}

/// Whether the server knows the client's key.
async fn knows(bare: &Bare, client: &mut RawClient) -> bool {
    client.last = i64::try_from(bare.server.seconds() << 32).unwrap();
    client.send(true, &ping()).await;
    let frame = client.frame().await.expect("it is answered");
    frame != (-404i32).to_le_bytes()
}

#[tokio::test]
async fn whoever_has_only_seen_the_name_of_a_key_does_not_keep_it_alive() {
    let bare = bare().await;
    let mut owner = bare.greeted(5).await;
    drop(owner.stream);
    for _ in 0..6 {
        wait(&bare, 11);
        let mut stranger = bare.client(6).await;
        let (id, seqno) = stranger.next(true);
        let mut framed = stranger.framed(id, seqno, &ping());
        let last = framed.len() - 1;
        framed[last] ^= 1;
        stranger.stream.write_all(&framed).await.unwrap();
        // The name is known at first, and nothing is said of it.
        let _closed_or_unknown = stranger.frame().await;
    }
    owner = bare.client(5).await;
    assert!(!knows(&bare, &mut owner).await);
}

#[tokio::test]
async fn a_connection_that_is_kept_open_keeps_its_key_and_so_do_calls() {
    for calls in [false, true] {
        let bare = bare().await;
        let mut client = bare.greeted(5).await;
        for _ in 0..9 {
            wait(&bare, 20);
            assert!(knows(&bare, &mut client).await);
            if calls {
                client.send(true, &HELP_GET_CONFIG.to_le_bytes()).await;
                client.receive().await;
            }
        }
        let mut other = bare.client(6).await;
        assert!(knows(&bare, &mut other).await, "{calls}");
        wait(&bare, 61);
        assert!(
            !knows(&bare, &mut client).await,
            "its time is over on this connection, too"
        );
    }
}

#[tokio::test]
async fn a_message_of_another_time_is_a_use_as_well() {
    let bare = bare().await;
    let mut client = bare.greeted(5).await;
    for _ in 0..3 {
        wait(&bare, 50);
        client.last = i64::try_from(bare.server.seconds() << 32).unwrap();
        client.salt = 7;
        client.send(true, &ping()).await;
        assert_eq!(client.receive().await[0].constructor(), BAD_SERVER_SALT);
    }
}
