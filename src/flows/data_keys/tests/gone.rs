//! A change of the keys is gone, or what keeps a key from going comes back: it is found out, and says what to do.

use std::time::Duration;

use super::*;
use crate::domain::destination::Destination;
use crate::domain::factor::DriftLimit;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::AccountSid;
use crate::domain::store_epoch::StoreEpoch;
use crate::store::StoreError;
use crate::store::faulty::FaultyStore;
use crate::store::gated::{GatedStore, StoreOperation};

fn put(value: u8) -> Batch {
    Batch::new().put(b"y1".to_vec(), vec![value])
}

/// That another change came first is known, whatever becomes of the look at what it was.
#[tokio::test(start_paused = true)]
async fn a_look_at_the_keys_that_fails_does_not_hide_the_conflict() {
    let faulty = Arc::new(FaultyStore::new(MemoryStore::new()));
    let engine: Arc<dyn Store> = Arc::clone(&faulty) as _;
    let (one, two) = (server(&engine).await, server(&engine).await);
    two.store.commit(put(1)).await.unwrap();
    rotate(&one).await.unwrap();
    faulty.fail_after(1);
    let refused = two.store.commit(put(2)).await;
    assert!(matches!(refused, Err(CommitError::Conflict)), "{refused:?}");
    tokio::time::advance(Duration::from_secs(1)).await;
    two.store.commit(put(3)).await.unwrap();
    assert_eq!(two.vault.entry_key(), KeyNumber(2));
}

/// Two servers know of a change that the standby which took over has not heard of. Neither has lost what it wrote itself, so they
/// cannot tell that from a ring that somebody put back: nothing is written before somebody starts them anew, or an epoch begins.
#[tokio::test(start_paused = true)]
async fn a_change_that_a_fail_over_lost_says_what_to_do_and_is_healed_by_an_epoch() {
    let memory = Arc::new(MemoryStore::new());
    let engine: Arc<dyn Store> = Arc::clone(&memory) as _;
    let (one, two) = (server(&engine).await, server(&engine).await);
    add_account(&two, "ada").await;
    let standby = memory.copy();
    rotate(&one).await.unwrap();
    two.store.get(keys::key_walk().bytes()).await.unwrap();
    assert_eq!(two.vault.entry_key(), KeyNumber(2));
    memory.put_back(standby);
    tokio::time::advance(Duration::from_secs(1)).await;
    let create = async |app: &App, name: &str| account::create(app, FriendlyName::parse(name).unwrap()).await;
    let refused = create(&two, "eve").await.unwrap_err().to_string();
    assert!(
        refused.contains("start every server of this store anew and change the keys again"),
        "{refused}"
    );

    // What it says does it.
    let later = server(&engine).await;
    create(&later, "bob").await.unwrap();
    // And an epoch lets those go on that were not started anew.
    let epoch = StoreEpoch::FIRST.next(later.clock.now(), DriftLimit::OFF);
    let begins = Batch::new().put_record(keys::store_epoch(), &epoch).unwrap();
    later.store.commit(begins).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    create(&two, "eve").await.unwrap_err();
    tokio::time::advance(Duration::from_secs(1)).await;
    create(&two, "eve").await.unwrap();
    assert_eq!(
        (two.vault.entry_key(), keys_in_use(&two).await),
        (KeyNumber(1), vec![0, 1])
    );
    assert_eq!(rotate(&two).await.unwrap(), KeyNumber(2));
}

/// A standby takes over while somebody looks which keys there are, and an epoch begins: what was read before that does not count as
/// a look at what is there now, or this server would never write again.
#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_loss_is_no_look_at_what_is_left() {
    let memory = Arc::new(MemoryStore::new());
    let engine: Arc<dyn Store> = Arc::clone(&memory) as _;
    let gate = Arc::new(GatedStore::new(Arc::clone(&engine)));
    let one = server(&engine).await;
    let gated: Arc<dyn Store> = Arc::clone(&gate) as _;
    let two = server(&gated).await;
    let standby = memory.copy();
    rotate(&one).await.unwrap();
    let (behind, told) = (Arc::clone(&memory), two.clone());
    gate.at_next(StoreOperation::Get, async move {
        behind.put_back(standby);
        told.store.forget_versions();
    });
    // It has not heard, so it looks, and finds what is gone by then; and looks again.
    two.store.commit(put(1)).await.unwrap();
    assert!(gate.is_open() && two.vault.entry_key() == KeyNumber(1));
    // That was the look: a ring from before it is refused again.
    rotate(&two).await.unwrap();
    let older = memory.copy();
    rotate(&two).await.unwrap();
    memory.put_back(older);
    assert!(matches!(
        two.store.get(keys::key_ring().bytes()).await,
        Err(StoreError::Forged(_))
    ));
}

/// What this server refuses because it is older than it was may be what another one takes, so its key must not go.
#[tokio::test]
async fn what_is_refused_as_older_keeps_its_key_and_is_named() {
    let memory = Arc::new(MemoryStore::new());
    let engine: Arc<dyn Store> = Arc::clone(&memory) as _;
    let app = server(&engine).await;
    let phone = PhoneNumber::try_from("+32470123456".to_owned()).unwrap();
    let key = keys::wrong_codes(AccountSid::from_bytes([7; 16]), &Destination::Phone(phone)).into_bytes();
    let mut old = None;
    for value in [1, 2] {
        let write = Batch::new().put(key.clone(), vec![value]);
        app.store.commit(write).await.unwrap();
        app.store.get(&key).await.unwrap();
        old = old.or_else(|| memory.copy().remove(&key));
    }
    let mut all = memory.copy();
    all.insert(key.clone(), old.unwrap());
    memory.put_back(all);
    assert!(matches!(app.store.get(&key).await, Err(StoreError::Forged(_))));
    rotate(&app).await.unwrap();
    walk_to_the_end(&app).await;
    retire(&app, KeyNumber(1)).await.unwrap();
    for _ in 0..3 {
        let state = go_on(&app, Duration::from_millis(20)).await.unwrap();
        assert!(state.is_under_way() && state.ring.data.len() == 2);
        let held = state.walk.unwrap().still_held;
        assert_eq!((held.count, held.first[0].as_slice()), (1, key.as_slice()));
    }
    // A new start knows nothing of what came after it.
    let later = server(&engine).await;
    assert_eq!(walk_to_the_end(&later).await.ring.data.len(), 1);
    assert_eq!(later.store.get(&key).await.unwrap().unwrap().value, [1]);
}
