//! Keys change while the store is in use, and nothing is lost.

mod gone;
mod meanwhile;
mod sealed;

use std::sync::Arc;

use super::*;
use crate::crypto::vault::Vault;
use crate::domain::text::FriendlyName;
use crate::doubles::{SeededEntropy, TestParts};
use crate::flows::check_store::check_store;
use crate::flows::{account, store_format};
use crate::store::authentic::key_of;
use crate::store::memory::MemoryStore;
use crate::store::{CommitError, Order, Scan, Store};

fn master() -> MasterKey {
    MasterKey::generate(&SeededEntropy::new(1))
}

/// A server with keys of its own reading.
async fn server(engine: &Arc<dyn Store>) -> App {
    let parts = TestParts::default();
    let now = parts.clock.now();
    let keys = store_format::open_keys(engine.as_ref(), &master(), &SeededEntropy::new(5), now).await;
    let parts = TestParts {
        store: Arc::clone(engine),
        vault: Arc::new(keys.unwrap().vault),
        ..parts
    };
    let app = parts.wire();
    store_format::check(&app).await.unwrap();
    app
}

fn engine() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

async fn add_account(app: &App, name: &str) {
    account::create(app, FriendlyName::parse(name).unwrap())
        .await
        .unwrap();
}

/// The numbers of the keys that vouch for entries.
async fn keys_in_use(app: &App) -> Vec<u16> {
    let everything = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let entries = app.engine.scan(everything).await.unwrap();
    let numbers = entries.iter().filter_map(|(_, entry)| key_of(&entry.value));
    let mut numbers: Vec<u16> = numbers.map(|number| number.0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

async fn walk_to_the_end(app: &App) -> KeyState {
    for _ in 0..1000 {
        let state = go_on(app, std::time::Duration::from_millis(50)).await.unwrap();
        if !state.is_under_way() {
            return state;
        }
    }
    panic!("it does not end");
}

/// Makes a key, and takes the one before it away.
pub(in crate::flows) async fn replace_key(app: &App) {
    let new = rotate(app).await.unwrap();
    walk_to_the_end(app).await;
    retire(app, KeyNumber(new.0 - 1)).await.unwrap();
    walk_to_the_end(app).await;
}

#[tokio::test]
async fn a_key_is_made_used_everywhere_and_the_old_one_goes() {
    let app = server(&engine()).await;
    for number in 0..600 {
        add_account(&app, &format!("account {number}")).await;
    }
    assert_eq!(keys_in_use(&app).await, [0, 1]);
    assert_eq!(rotate(&app).await.unwrap(), KeyNumber(2));
    assert_eq!(retire(&app, KeyNumber(1)).await, Err(KeyChangeError::StillInUse));
    add_account(&app, "of the new key").await;
    assert_eq!(keys_in_use(&app).await, [0, 1, 2]);
    let state = walk_to_the_end(&app).await;
    let walk = state.walk.unwrap();
    assert!(walk.is_done && walk.written > 600, "{walk:?}");
    assert_eq!(keys_in_use(&app).await, [0, 2]);
    assert_eq!(
        retire(&app, KeyNumber(2)).await,
        Err(KeyChangeError::Ring(RingChangeError::Active))
    );
    retire(&app, KeyNumber(1)).await.unwrap();
    let state = walk_to_the_end(&app).await;
    let left: Vec<_> = state.ring.data.iter().map(|key| key.number.0).collect();
    assert_eq!(left, [2]);
    let report = check_store(&app).await.unwrap();
    assert!(report.is_healthy(), "{report}");
    // Another start knows nothing else.
    let later = server(&app.engine).await;
    assert_eq!(account::list(&later).await.unwrap().len(), 601);
}

#[tokio::test]
async fn two_servers_that_change_keys_at_once_make_two() {
    let engine = engine();
    let (one, two) = (server(&engine).await, server(&engine).await);
    let (first, second) = tokio::join!(rotate(&one), rotate(&two));
    let mut numbers = [first.unwrap().0, second.unwrap().0];
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3]);
}

/// A server that has not heard of other keys writes nothing with the old ones, and reads what is written with the new ones.
#[tokio::test]
async fn a_server_that_was_not_told_follows() {
    let engine = engine();
    let (one, two) = (server(&engine).await, server(&engine).await);
    add_account(&two, "before").await;
    rotate(&one).await.unwrap();
    add_account(&one, "with the new key").await;
    assert_eq!(two.vault.entry_key(), KeyNumber(1));
    assert_eq!(
        account::list(&two).await.unwrap().len(),
        2,
        "it reads the new one"
    );
    assert_eq!(two.vault.entry_key(), KeyNumber(2));
    rotate(&one).await.unwrap();
    walk_to_the_end(&one).await;
    retire(&one, KeyNumber(1)).await.unwrap();
    retire(&one, KeyNumber(2)).await.unwrap_err();
    walk_to_the_end(&one).await;
    retire(&one, KeyNumber(2)).await.unwrap();
    walk_to_the_end(&one).await;
    // All that it knows is gone. It writes without reading anything first.
    add_account(&two, "after").await;
    assert_eq!(keys_in_use(&one).await, [0, 3]);
    assert_eq!(two.store.statistics().forged, 0);
    assert!(check_store(&one).await.unwrap().is_healthy());
}

/// What was sealed before a key changed, and is written after its key has gone, is not written: nobody could open it.
#[tokio::test]
async fn what_was_sealed_with_a_key_that_is_gone_is_not_written() {
    let engine = engine();
    let (one, two) = (server(&engine).await, server(&engine).await);
    add_account(&one, "ada").await;
    let sid = account::list(&two).await.unwrap()[0].sid;
    let key = keys::account(sid);
    let stored = crate::store::records::read(two.store.as_ref(), &key)
        .await
        .unwrap()
        .unwrap();
    rotate(&one).await.unwrap();
    walk_to_the_end(&one).await;
    retire(&one, KeyNumber(1)).await.unwrap();
    for server in [&one, &two] {
        let write = || {
            Batch::new()
                .put_record(keys::account(sid), &stored.record)
                .unwrap()
        };
        for _ in 0..3 {
            let refused = server.store.commit(write()).await;
            assert!(matches!(refused, Err(CommitError::Conflict)), "{refused:?}");
        }
    }
    walk_to_the_end(&one).await;
    let again = Batch::new()
        .put_record(keys::account(sid), &stored.record)
        .unwrap();
    assert!(matches!(
        two.store.commit(again).await,
        Err(CommitError::Conflict)
    ));
    assert!(check_store(&two).await.unwrap().is_healthy());
    let now = two.clock.now();
    crate::flows::webhook_secret::rotate(&two, sid, std::time::Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(now, two.clock.now());
}

/// Whoever wrote a copy of the ring back, and so a key that was retired, gets nothing for it while servers run.
#[tokio::test(start_paused = true)]
async fn an_older_ring_is_refused() {
    let engine = engine();
    let (one, two) = (server(&engine).await, server(&engine).await);
    add_account(&two, "ada").await;
    let key = keys::key_ring().into_bytes();
    let old = engine.get(&key).await.unwrap().unwrap();
    rotate(&one).await.unwrap();
    add_account(&two, "bob").await;
    engine
        .commit(Batch::new().put(key.clone(), old.value))
        .await
        .unwrap();
    for server in [&one, &two] {
        // It looks again.
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        let refused = account::create(server, FriendlyName::parse("eve").unwrap()).await;
        assert!(matches!(refused, Err(Fault::Forged(_))), "{refused:?}");
        assert!(server.vault.entry_key() == KeyNumber(2));
    }
    assert!(matches!(
        rotate(&one).await,
        Err(KeyChangeError::Fault(Fault::Forged(_)))
    ));
}

#[tokio::test]
async fn the_master_key_is_changed_without_a_record_being_written_anew() {
    let engine = engine();
    let app = server(&engine).await;
    add_account(&app, "ada").await;
    let new = MasterKey::generate(&SeededEntropy::new(2));
    assert_eq!(
        retire_other_masters(&app, app.vault.master_key()).await,
        Err(KeyChangeError::Ring(RingChangeError::OneMaster))
    );
    add_master(&app, &new).await.unwrap();
    let twice = Err(KeyChangeError::Ring(RingChangeError::TwoMasters));
    assert_eq!(
        add_master(&app, &MasterKey::generate(&SeededEntropy::new(3))).await,
        twice
    );
    assert_eq!(rotate(&app).await.map(drop), twice);
    let opened = |master: MasterKey| {
        let engine = Arc::clone(&engine);
        async move {
            let now = crate::domain::time::Timestamp::from_seconds(9);
            store_format::open_keys(engine.as_ref(), &master, &SeededEntropy::new(5), now).await
        }
    };
    assert!(opened(master()).await.is_ok());
    let vault: Vault = opened(new).await.unwrap().vault;
    let parts = TestParts {
        vault: Arc::new(vault),
        ..TestParts::of(&app)
    };
    let later = parts.wire();
    let (ours, kept) = (master().id(), later.vault.master_key());
    assert_eq!(
        retire_other_masters(&app, kept).await,
        Err(KeyChangeError::OtherMaster { kept, ours })
    );
    retire_other_masters(&later, kept).await.unwrap();
    assert!(opened(master()).await.is_err());
    assert_eq!(account::list(&later).await.unwrap().len(), 1);
    // Whoever has only the old one changes nothing any more.
    let refused = account::create(&app, FriendlyName::parse("eve").unwrap()).await;
    assert!(refused.is_err());
    rotate(&later).await.unwrap();
    walk_to_the_end(&later).await;
    assert!(check_store(&later).await.unwrap().is_healthy());
}
