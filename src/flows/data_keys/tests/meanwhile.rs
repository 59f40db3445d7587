//! The keys change between what the store does and whoever has asked for it.

use std::io::Cursor;
use std::time::Duration;

use tokio::sync::oneshot;

use super::*;
use crate::domain::time::Timestamp;
use crate::flows::webhook_secret;
use crate::store::gated::{GatedStore, StoreOperation};
use crate::store::transfer::{self, Sieve};

fn gate(inner: &Arc<dyn Store>) -> Arc<GatedStore> {
    Arc::new(GatedStore::new(Arc::clone(inner)))
}

async fn server_on(gate: &Arc<GatedStore>) -> App {
    let engine: Arc<dyn Store> = Arc::clone(gate) as _;
    server(&engine).await
}

/// The entry of an account, and of something that ends at once.
async fn some_entries(app: &App) -> [Vec<u8>; 2] {
    add_account(app, "ada").await;
    let account = keys::account(account::list(app).await.unwrap()[0].sid).into_bytes();
    let ending = b"y1".to_vec();
    let batch = Batch::new().put_until(ending.clone(), vec![1], Timestamp::from_seconds(1));
    app.store.commit(batch).await.unwrap();
    [account, ending]
}

/// What a key vouched for is written anew before the key goes: a read that was under way finds that, and calls nothing forged.
#[tokio::test]
async fn what_is_read_while_its_key_goes_is_read_again() {
    let all = [
        StoreOperation::Get,
        StoreOperation::GetMany,
        StoreOperation::Scan,
        StoreOperation::Expired,
    ];
    for (operation, is_exclusive) in all.into_iter().flat_map(|one| [(one, false), (one, true)]) {
        let memory = engine();
        let (gate, changer) = if is_exclusive {
            (Arc::new(GatedStore::exclusive(memory)), None)
        } else {
            (gate(&memory), Some(server(&memory).await))
        };
        let reader = server_on(&gate).await;
        let [account, ending] = some_entries(&reader).await;
        let (other, key) = (reader.clone(), account.clone());
        gate.at_next(operation, async move {
            replace_key(changer.as_ref().unwrap_or(&other)).await;
            // It knows by now.
            other.store.get(&key).await.unwrap();
            assert!(other.vault.data_keys().is_single() && other.vault.entry_key() == KeyNumber(2));
        });
        let store = &reader.store;
        let found = match operation {
            StoreOperation::Get => store.get(&account).await.unwrap().is_some(),
            StoreOperation::GetMany => store.get_many(&[account]).await.unwrap()[0].is_some(),
            StoreOperation::Expired => {
                let page = store.expired(Timestamp::MAX, None, 9).await.unwrap();
                page.entries.iter().any(|(key, _)| *key == ending)
            }
            _ => {
                let scan = Scan {
                    prefix: account,
                    after: None,
                    order: Order::Ascending,
                    limit: 9,
                };
                store.scan(scan).await.unwrap().len() == 1
            }
        };
        let what = format!("{operation:?}, exclusive: {is_exclusive}");
        assert!(gate.is_open() && found, "{what}");
        assert_eq!(store.statistics().forged, 0, "{what}");
    }
}

/// Whoever has the store to itself asserts no ring: should memory and store differ, nobody would find out.
#[tokio::test]
async fn a_change_that_is_given_up_is_carried_to_its_end() {
    let memory = engine();
    let gate = Arc::new(GatedStore::exclusive(Arc::clone(&memory)));
    let app = server_on(&gate).await;
    let [account, ending] = some_entries(&app).await;
    let (release, released) = oneshot::channel();
    gate.at_next(StoreOperation::Commit, async move { released.await.unwrap() });
    let under_way = async {
        while !gate.is_open() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        changed = rotate(&app) => panic!("{changed:?}"),
        () = under_way => {}
    }
    // Nobody waits for it any more. What is written next is of the keys that the store has then.
    let write = app.store.commit(Batch::new().put(ending.clone(), vec![2]));
    let (written, ()) = tokio::join!(write, async { release.send(()).unwrap() });
    written.unwrap();
    assert_eq!(app.vault.entry_key(), KeyNumber(2));
    let raw = memory.get(&ending).await.unwrap().unwrap();
    assert_eq!(key_of(&raw.value), Some(KeyNumber(2)));
    assert!(app.store.get(&account).await.unwrap().is_some());
    assert_eq!(server(&memory).await.vault.entry_key(), KeyNumber(2));
}

/// Beside servers that take a key away: what it sealed was sealed anew since the moment that is checked.
#[tokio::test]
async fn a_check_blames_nothing_for_a_key_that_goes_meanwhile() {
    for operation in [StoreOperation::Export, StoreOperation::Piece] {
        let memory = engine();
        let gate = gate(&memory);
        let (changer, checker) = (server(&memory).await, server_on(&gate).await);
        add_account(&changer, "ada").await;
        let sid = account::list(&changer).await.unwrap()[0].sid;
        webhook_secret::rotate(&changer, sid, Duration::ZERO)
            .await
            .unwrap();
        let told = checker.clone();
        gate.at_next(operation, async move {
            replace_key(&changer).await;
            let key = keys::account(sid).into_bytes();
            told.store.get(&key).await.unwrap();
        });
        let report = check_store(&checker).await.unwrap();
        assert!(report.is_healthy(), "{report}");
        assert!(gate.is_open() && checker.vault.entry_key() == KeyNumber(2));
    }
}

/// Of the keys that are there when an export begins, one may be newer than whoever exports, and gone when it is written.
#[tokio::test]
async fn an_export_of_before_a_key_goes_is_imported_after_it() {
    let memory = engine();
    let gate = gate(&memory);
    let (changer, exporter) = (server(&memory).await, server_on(&gate).await);
    add_account(&changer, "of key 1").await;
    let sieve = Sieve::new(Arc::clone(&exporter.vault), Timestamp::from_seconds(1)).unwrap();
    rotate(&changer).await.unwrap();
    add_account(&changer, "of key 2").await;
    let (other, told) = (changer.clone(), exporter.clone());
    gate.at_next(StoreOperation::Piece, async move {
        walk_to_the_end(&other).await;
        retire(&other, KeyNumber(1)).await.unwrap();
        walk_to_the_end(&other).await;
        replace_key(&other).await;
        account::list(&told).await.unwrap();
        assert!(!told.vault.data_keys().has(KeyNumber(2)));
    });
    let mut file = Vec::new();
    let summary = transfer::export(exporter.store.as_ref(), Some(&sieve), &mut file).await;
    assert!(gate.is_open() && summary.unwrap().left_out.is_nothing());
    assert_eq!(keys_in_use(&changer).await, [0, 3]);

    let mut file = Cursor::new(file);
    let vault = Arc::new(transfer::keys_of_export(&mut file, &master()).unwrap());
    let sieve = Sieve::new(vault, Timestamp::from_seconds(1)).unwrap();
    assert!(transfer::verify_export(&mut file, &sieve).unwrap().is_nothing());
    let copy = engine();
    transfer::import(copy.as_ref(), &mut file, Some(&sieve), None)
        .await
        .unwrap();
    let later = server(&copy).await;
    assert_eq!(keys_in_use(&later).await, [0, 1, 2]);
    assert_eq!(account::list(&later).await.unwrap().len(), 2);
    replace_key(&later).await;
    assert!(check_store(&later).await.unwrap().is_healthy());
}

/// A server may be far behind: what goes with the ring into one commit is vouched for with the keys of that ring.
#[tokio::test]
async fn a_change_is_vouched_for_with_the_keys_that_it_brings() {
    let engine = engine();
    let (one, two) = (server(&engine).await, server(&engine).await);
    let of = async |key: Vec<u8>| key_of(&engine.get(&key).await.unwrap().unwrap().value);
    for (changer, number) in [(&one, 2), (&two, 3)] {
        assert_eq!(two.vault.entry_key(), KeyNumber(1), "it has not heard");
        assert_eq!(rotate(changer).await.unwrap(), KeyNumber(number));
        assert_eq!(of(keys::key_walk().into_bytes()).await, Some(KeyNumber(number)));
        assert_eq!(of(keys::key_ring().into_bytes()).await, Some(KeyNumber(0)));
    }
    assert_eq!(two.vault.entry_key(), KeyNumber(3));
    for server in [&one, &two] {
        assert_eq!(list(server).await.unwrap().ring.data.len(), 3);
    }
}

/// Whoever is served has at least as much of the store as the walk has.
#[tokio::test(start_paused = true)]
async fn the_walk_leaves_half_of_the_store_to_others() {
    let latency = Duration::from_millis(10);
    let slow = Arc::new(GatedStore::slow(engine(), latency));
    let app = server_on(&slow).await;
    for number in 0..600 {
        add_account(&app, &format!("account {number}")).await;
    }
    rotate(&app).await.unwrap();
    let (began, before) = (tokio::time::Instant::now(), slow.busy());
    let state = go_on(&app, Duration::from_mins(10)).await.unwrap();
    let (took, busy) = (began.elapsed(), slow.busy().saturating_sub(before));
    assert!(!state.is_under_way() && busy > latency * 40, "{busy:?}");
    // But for what it looks at in the end.
    assert!(took + latency * 8 >= busy * 2, "{busy:?} of {took:?}");
}

/// The ring itself is read while it is changed, and once more while it is read again: it is refused to nobody.
#[tokio::test]
async fn a_ring_that_is_changed_twice_while_it_is_read_is_read_again() {
    let memory = engine();
    let gate = gate(&memory);
    let (changer, reader) = (server(&memory).await, server_on(&gate).await);
    let known = async |app: &App, generation: u16| {
        app.store.get(keys::key_walk().bytes()).await.unwrap();
        assert_eq!(app.vault.entry_key(), KeyNumber(generation));
    };
    let (told, again) = (reader.clone(), Arc::clone(&gate));
    gate.at_next(StoreOperation::Get, async move {
        rotate(&changer).await.unwrap();
        known(&told, 2).await;
        let other = told.clone();
        again.at_next(StoreOperation::Get, async move {
            rotate(&changer).await.unwrap();
            known(&other, 3).await;
        });
    });
    let found = reader.store.get(keys::key_ring().bytes()).await.unwrap();
    assert!(found.is_some() && gate.is_open());
    assert_eq!(reader.vault.entry_key(), KeyNumber(3));
    assert_eq!(reader.store.statistics().forged, 0);
}
