//! What is written anew when the data keys change: everything, as it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::doubles::TestParts;
use crate::old_data::store::{master_key, newest};
use countersign::app::App;
use countersign::domain::key_ring::KeyNumber;
use countersign::domain::opaque::Sealed;
use countersign::domain::time::Timestamp;
use countersign::flows::check_store::check_store;
use countersign::flows::{data_keys, store_format};
use countersign::store::authentic::{MAC_BYTES, key_of, verified};
use countersign::store::keys::{self, KeyParts};
use countersign::store::kinds::{Holds, KINDS};
use countersign::store::{Batch, Order, Scan};

/// All entries as the engine has them.
async fn entries(app: &App) -> Vec<(Vec<u8>, Vec<u8>, Option<Timestamp>)> {
    let everything = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let found = app.engine.scan(everything).await.unwrap();
    let parts = found
        .into_iter()
        .map(|(key, entry)| (key, entry.value, entry.expires_at));
    parts.collect()
}

/// What is in the store, each sealed value opened.
async fn content(app: &App) -> BTreeMap<Vec<u8>, (Vec<u8>, Option<Timestamp>)> {
    let mut content = BTreeMap::new();
    for (key, value, end) in entries(app).await {
        let mut value = value[MAC_BYTES..].to_vec();
        let parts = KeyParts::parse(&key).unwrap();
        // They tell of the change itself.
        if matches!(
            parts,
            KeyParts::KeyRing() | KeyParts::KeyWalk() | KeyParts::AuditEntry(..) | KeyParts::Node(_)
        ) {
            continue;
        }
        if let Holds::Record {
            write_anew: Some(write),
            ..
        } = parts.kind().holds
        {
            let open = &mut |field, sealed: &mut Sealed| {
                let plain = app.vault.open(&key, field, sealed).unwrap();
                *sealed = Sealed::from_bytes(plain.to_vec());
            };
            value = write(&value, None, open).unwrap();
        }
        content.insert(key, (value, end));
    }
    content
}

async fn walk(app: &App) {
    for _ in 0..1000 {
        if !data_keys::go_on(app, Duration::from_millis(50))
            .await
            .unwrap()
            .is_under_way()
        {
            return;
        }
    }
    panic!("it does not end");
}

/// Another start on the same store.
async fn started(app: &App) -> App {
    let (master, now) = (master_key(), app.clock.now());
    let keys = store_format::open_keys(app.engine.as_ref(), &master, app.entropy.as_ref(), now).await;
    TestParts {
        vault: Arc::new(keys.unwrap().vault),
        ..TestParts::of(app)
    }
    .wire()
}

/// A store with an entry of every kind.
#[tokio::test]
async fn everything_is_written_anew_as_it_was() {
    let (app, _) = newest().await;
    store_format::check(&app).await.unwrap();
    let before = content(&app).await;
    data_keys::rotate(&app).await.unwrap();
    walk(&app).await;
    for number in [1, 2] {
        data_keys::retire(&app, KeyNumber(number)).await.unwrap();
        walk(&app).await;
    }
    let app = started(&app).await;
    store_format::check(&app).await.unwrap();
    assert_eq!(app.vault.data_keys().sealed().data.len(), 1);
    for (key, value, _) in entries(&app).await {
        let number = key_of(&value).unwrap().0;
        assert!(
            number == 3 || number == 0,
            "{:?} is of key {number}",
            KeyParts::parse(&key)
        );
        if let Holds::Record {
            sealed: Some(look), ..
        } = KeyParts::parse(&key).unwrap().kind().holds
        {
            let mut look_at = |sealed: &Sealed| assert_eq!(sealed.key_number(), Some(KeyNumber(3)));
            look(&value[MAC_BYTES..], &mut look_at).unwrap();
        }
    }
    assert!(content(&app).await == before, "something is not as it was");
    let report = check_store(&app).await.unwrap();
    assert!(report.is_healthy(), "{report}");
}

/// What the table says of sealed values is true: what looks like one in an entry is one, and there are all kinds of them.
#[tokio::test]
async fn the_table_of_kinds_knows_where_something_is_sealed() {
    let (app, _) = newest().await;
    let mut kinds = Vec::new();
    for (key, value, _) in entries(&app).await {
        let kind = KeyParts::parse(&key).unwrap().kind();
        let Holds::Record { sealed, .. } = kind.holds else {
            continue;
        };
        // The ring holds keys that are sealed with the master key.
        if matches!(KeyParts::parse(&key), Some(KeyParts::KeyRing())) {
            continue;
        }
        // The format, the number of a key that the store has, and as many bytes as an envelope has at least.
        let envelopes = value
            .windows(34)
            .filter(|window| matches!(window, [0xc4, length, 1, 0, 1 | 2, ..] if usize::from(*length) > 31));
        let mut known = 0;
        if let Some(look) = sealed {
            look(&value[MAC_BYTES..], &mut |_| known += 1).unwrap();
            kinds.push(kind.letter);
        }
        assert!(envelopes.count() <= known, "{:?}", KeyParts::parse(&key));
    }
    let sealed = KINDS
        .iter()
        .filter(|kind| matches!(kind.holds, Holds::Record { sealed: Some(_), .. }));
    for kind in sealed {
        assert!(kinds.contains(&kind.letter), "there is none of {}", kind.name);
    }
}

/// What somebody else wrote stays as it is, and holds nothing up.
#[tokio::test]
async fn forged_entries_are_not_vouched_for() {
    let (app, _) = newest().await;
    store_format::check(&app).await.unwrap();
    let mut forged = Vec::new();
    for (key, mut value, end) in entries(&app).await {
        let parts = KeyParts::parse(&key).unwrap();
        if matches!(
            parts,
            KeyParts::Factor(..) | KeyParts::ApiKey(_) | KeyParts::Account(_)
        ) {
            *value.last_mut().unwrap() ^= 1;
            let batch = match end {
                Some(end) => Batch::new().put_until(key.clone(), value.clone(), end),
                None => Batch::new().put(key.clone(), value.clone()),
            };
            app.engine.commit(batch).await.unwrap();
            forged.push((key, value));
        }
    }
    // And such as no server can have written.
    let garbage = keys::account(countersign::domain::sid::AccountSid::from_bytes([9; 16])).into_bytes();
    for value in [vec![], vec![0], vec![0, 1], vec![0, 1, 7], vec![0xff; 64]] {
        app.engine
            .commit(Batch::new().put(garbage.clone(), value))
            .await
            .unwrap();
        data_keys::rotate(&app).await.unwrap();
        walk(&app).await;
    }
    assert!(forged.len() > 3);
    for (key, value) in forged {
        let entry = app.engine.get(&key).await.unwrap().unwrap();
        assert_eq!(entry.value, value);
        assert!(verified(&app.vault, &key, entry).is_err());
    }
}
