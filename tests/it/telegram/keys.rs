//! What keeps keys, and what does not.

use std::time::Duration;

use countersign::dialect::telegram::schema::{BAD_MSG_NOTIFICATION, BAD_SERVER_SALT, HELP_GET_CONFIG, PONG};
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
    loop {
        client.send(true, &ping()).await;
        let frame = client.frame().await.expect("it is answered");
        if frame == (-404i32).to_le_bytes() {
            return false;
        }
        let told = client.opened(&frame);
        if told[0].constructor() != BAD_SERVER_SALT {
            return true;
        }
        // Salts change; a client goes on with the one that it is told.
        client.salt = i64::from_le_bytes(told[0].body[20..28].try_into().unwrap());
    }
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
async fn whoever_has_recorded_a_message_does_not_keep_its_key_alive() {
    let bare = bare().await;
    let mut owner = bare.greeted(5).await;
    let (id, seqno) = owner.next(true);
    let recorded = owner.framed(id, seqno, &ping());
    drop(owner.stream);
    for told in [
        PONG,
        BAD_MSG_NOTIFICATION,
        BAD_MSG_NOTIFICATION,
        BAD_MSG_NOTIFICATION,
    ] {
        let mut stranger = bare.client(6).await;
        stranger.stream.write_all(&recorded).await.unwrap();
        assert_eq!(stranger.receive().await.pop().unwrap().constructor(), told);
        wait(&bare, 19);
    }
    owner = bare.client(5).await;
    assert!(!knows(&bare, &mut owner).await, "it was used 76 minutes ago");
}
