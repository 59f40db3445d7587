//! A file that is not what was written is refused whole: nothing of it is in the store.

use std::fs;

use countersign::crypto::age::AgeIdentity;
use countersign::domain::time::Timestamp;
use countersign::flows::store_format;
use countersign::store::memory::MemoryStore;
use countersign::store::transfer::NotVerified;
use countersign::store::{Order, Scan, Store as _};

use super::{back_up, identity, master_key, restore};
use crate::support::{TestApp, User};

/// Why a file is refused, by whoever has these keys. Nothing was written.
async fn refused(file: &[u8], identity: AgeIdentity, key: u64) -> NotVerified {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backup");
    fs::write(&path, file).unwrap();
    let store = MemoryStore::new();
    let now = Timestamp::from_seconds(1_900_000_000);
    let error = restore(&store, &path, identity, &master_key(key), now)
        .await
        .unwrap_err();
    let all = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: 1,
    };
    assert!(store.scan(all).await.unwrap().is_empty());
    error
}

async fn sample(recipient: u64) -> Vec<u8> {
    let server = TestApp::in_memory().await;
    store_format::check(&server.app).await.unwrap();
    let client = server.client();
    let user = User::create(&client).await;
    for number in 0..20 {
        user.unverified_totp(&client, &format!("app {number}"), &[]).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backup");
    back_up(
        server.app.engine.as_ref(),
        &path,
        &[identity(recipient).recipient()],
    )
    .await;
    fs::read(path).unwrap()
}

#[tokio::test]
async fn a_backup_that_is_cut_short_or_changed_is_refused_whole() {
    let file = sample(0).await;
    let places: Vec<usize> = (0..250)
        .chain((250..file.len()).step_by(file.len() / 40))
        .collect();
    for place in places {
        refused(&file[..place], identity(0), 0).await;
        let mut changed = file.clone();
        changed[place] ^= 1;
        refused(&changed, identity(0), 0).await;
    }
    let more = refused(&[file.as_slice(), b"more"].concat(), identity(0), 0).await;
    assert!(
        more.to_string().contains("was changed after it was written"),
        "{more}"
    );
    let none = refused(
        b"{\"format\":\"countersign-export\",\"version\":1}\n",
        identity(0),
        0,
    )
    .await;
    assert!(none.to_string().contains("no file of the age format"), "{none}");
}

#[tokio::test]
async fn a_backup_of_another_master_key_is_refused_whole() {
    let file = sample(0).await;
    let other = refused(&file, identity(5), 5).await;
    assert!(other.to_string().contains("sealed for another key"), "{other}");
    // Whoever can open it, and has another master key, could not use what is in it.
    let other = refused(&file, identity(0), 5).await;
    assert!(
        matches!(&other, NotVerified::Keys(_)) && other.to_string().contains("master key"),
        "{other}"
    );
    let for_recipient = sample(3).await;
    let other = refused(&for_recipient, identity(0), 0).await;
    assert!(other.to_string().contains("sealed for another key"), "{other}");
}
