//! What is written verifies; what somebody else wrote fails alone.

use super::scanning::MOST_PASSED_OVER;
use super::*;
use crate::crypto::key_ring::KeyRing;
use crate::crypto::master_key::MasterKey;
use crate::domain::destination::Destination;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::ServiceSid;
use crate::doubles::SeededEntropy;
use crate::store::Order;
use crate::store::contract::expired;
use crate::store::counting::CountingStore;
use crate::store::memory::MemoryStore;
use crate::store::sled::{Options, SledStore};

/// A store of its own, with so many entries: `y`, a number, and a value of the same number.
struct VouchedStore {
    engine: Arc<MemoryStore>,
    store: AuthenticStore,
}

/// Some keys.
pub(crate) fn vault(seed: u64) -> Arc<Vault> {
    let master = MasterKey::parse(&"42".repeat(32)).unwrap();
    let ring = KeyRing::generate(&master, &SeededEntropy::new(seed), Timestamp::from_seconds(1));
    Arc::new(Vault::new(&ring))
}

fn key(number: u8) -> Vec<u8> {
    vec![b'y', number]
}

impl VouchedStore {
    async fn with(count: u8, seed: u64) -> Self {
        let engine = Arc::new(MemoryStore::new());
        let store = AuthenticStore::new(engine.clone(), vault(seed));
        let mut batch = Batch::new();
        for number in 0..count {
            let end = Timestamp::from_seconds(number.into());
            batch = batch.put_until(key(number), vec![number; 9], end);
        }
        if count > 0 {
            store.commit(batch).await.unwrap();
        }
        Self { engine, store }
    }

    async fn raw(&self, number: u8) -> Entry {
        self.engine.get(&key(number)).await.unwrap().unwrap()
    }

    /// Writes past the layer that vouches.
    async fn write(&self, number: u8, value: Vec<u8>, expires_at: Option<Timestamp>) {
        let batch = match expires_at {
            Some(end) => Batch::new().put_until(key(number), value, end),
            None => Batch::new().put(key(number), value),
        };
        self.engine.commit(batch).await.unwrap();
    }

    async fn refused(&self, number: u8) -> String {
        match self.store.get(&key(number)).await {
            Err(StoreError::Forged(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    async fn scanned(&self, after: Option<u8>, order: Order, limit: usize) -> Vec<u8> {
        let scan = Scan {
            prefix: b"y".to_vec(),
            after: after.map(key),
            order,
            limit,
        };
        let found = self.store.scan(scan).await.unwrap();
        found.iter().map(|(key, _)| key[1]).collect()
    }
}

#[tokio::test]
async fn what_is_written_is_read_as_it_was() {
    let world = VouchedStore::with(3, 1).await;
    let entry = world.store.get(&key(2)).await.unwrap().unwrap();
    assert_eq!(entry.value, [2; 9]);
    assert_eq!(entry.expires_at, Some(Timestamp::from_seconds(2)));
    assert_eq!(world.raw(2).await.value.len(), MAC_BYTES + 9);
    let many = world.store.get_many(&[key(1), key(9)]).await.unwrap();
    assert_eq!(many[0].as_ref().unwrap().value, [1; 9]);
    assert!(many[1].is_none());
    assert_eq!(world.scanned(None, Order::Ascending, 9).await, [0, 1, 2]);
    let mark = Batch::new().put(b"b".to_vec(), Vec::new());
    world.store.commit(mark).await.unwrap();
    assert_eq!(world.store.get(b"b").await.unwrap().unwrap().value, b"");
    assert_eq!(world.store.statistics().forged, 0);
}

/// Whoever writes past the layer that vouches changes what is there, not what is known of it.
#[tokio::test]
async fn what_an_engine_keeps_is_verified_once_and_what_somebody_else_writes_anew() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Arc::new(SledStore::open(&Options::new(directory.path())).unwrap());
    let engine = open();
    let store = AuthenticStore::new(engine.clone(), vault(1));
    store.commit(Batch::new().put(key(0), vec![7; 9])).await.unwrap();
    let raw = async |engine: &SledStore| engine.get(&key(0)).await.unwrap().unwrap();
    let own = raw(&engine).await;
    assert!(own.verdict.is_sound(), "it was vouched for here");

    let mut forged = own.value.clone();
    *forged.last_mut().unwrap() ^= 1;
    engine.commit(Batch::new().put(key(0), forged)).await.unwrap();
    for _ in 0..3 {
        assert!(matches!(store.get(&key(0)).await, Err(StoreError::Forged(_))));
        assert!(!raw(&engine).await.verdict.is_sound());
    }

    engine.commit(Batch::new().put(key(0), own.value)).await.unwrap();
    assert!(!raw(&engine).await.verdict.is_sound());
    for _ in 0..3 {
        assert_eq!(store.get(&key(0)).await.unwrap().unwrap().value, [7; 9]);
        assert!(raw(&engine).await.verdict.is_sound());
    }

    store.close().await.unwrap();
    drop((engine, store));
    let engine = open();
    assert!(!raw(&engine).await.verdict.is_sound(), "it is read from the disk");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn no_flipped_bit_and_no_cut_is_read() {
    let world = VouchedStore::with(1, 1).await;
    let whole = world.raw(0).await;
    for bit in 0..whole.value.len() * 8 {
        let mut value = whole.value.clone();
        value[bit / 8] ^= 1 << (bit % 8);
        world.write(0, value, whole.expires_at).await;
        let why = world.refused(0).await;
        let expected = if bit < 16 {
            "does not have"
        } else {
            "its MAC is wrong"
        };
        assert!(why.contains(expected), "{bit}: {why}");
    }
    for length in 0..whole.value.len() {
        world
            .write(0, whole.value[..length].to_vec(), whole.expires_at)
            .await;
        let why = world.refused(0).await;
        let expected = if length < MAC_BYTES {
            "it has no MAC"
        } else {
            "its MAC is wrong"
        };
        assert!(why.contains(expected), "{length}: {why}");
    }
    assert_eq!(world.store.statistics().forged, (whole.value.len() * 9) as u64);
}

#[tokio::test]
async fn neither_key_nor_end_nor_store_can_be_changed() {
    let world = VouchedStore::with(2, 1).await;
    let [first, second] = [world.raw(0).await, world.raw(1).await];
    world.write(0, second.value.clone(), first.expires_at).await;
    assert!(world.refused(0).await.contains("its MAC is wrong"));
    for end in [None, Some(Timestamp::MAX)] {
        world.write(0, first.value.clone(), end).await;
        assert!(world.refused(0).await.contains("its MAC is wrong"));
    }
    let theirs = VouchedStore::with(1, 2).await.raw(0).await;
    world.write(0, theirs.value, theirs.expires_at).await;
    assert!(world.refused(0).await.contains("its MAC is wrong"));
    world.write(0, first.value, first.expires_at).await;
    // It is the older one in a later version: that it was there before does not show.
    assert!(world.store.get(&key(0)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_forged_entry_fails_alone() {
    let world = VouchedStore::with(9, 1).await;
    for number in [0, 3, 4, 8] {
        world.write(number, vec![7; 40], None).await;
    }
    assert_eq!(world.scanned(None, Order::Ascending, 99).await, [1, 2, 5, 6, 7]);
    // Whoever asks for so many gets them, as long as there are more.
    assert_eq!(world.scanned(None, Order::Ascending, 3).await, [1, 2, 5]);
    assert_eq!(world.scanned(Some(5), Order::Ascending, 3).await, [6, 7]);
    assert_eq!(world.scanned(None, Order::Descending, 3).await, [7, 6, 5]);
    assert_eq!(world.scanned(Some(5), Order::Descending, 9).await, [2, 1]);
    assert_eq!(world.scanned(None, Order::Ascending, 0).await, [0; 0]);
    assert!(world.store.get_many(&[key(1), key(3)]).await.is_err());
    assert!(world.store.get(&key(1)).await.unwrap().is_some());
    let due = expired(&world.store, Timestamp::MAX, 99).await.unwrap();
    assert!(!due.is_empty());
}

#[tokio::test]
async fn a_key_ring_is_no_other_entry_and_no_other_entry_is_one() {
    let world = VouchedStore::with(1, 1).await;
    let ring = keys::key_ring().into_bytes();
    let written = records::encode(&world.store.vault.sealed_ring()).unwrap();
    // The entries that are there were written before there was one.
    let batch = Batch::new().put(ring.clone(), written.clone());
    world.store.commit(batch).await.unwrap();
    assert_eq!(world.store.get(&ring).await.unwrap().unwrap().value, written);
    let raw = world.engine.get(&ring).await.unwrap().unwrap();
    assert_eq!(raw.value[..2], [0, 0]);
    let mut other = raw.value.clone();
    other[1] = 1;
    world
        .engine
        .commit(Batch::new().put(ring.clone(), other))
        .await
        .unwrap();
    assert!(world.store.get(&ring).await.is_err());
    world.write(0, raw.value, None).await;
    assert!(
        world
            .refused(0)
            .await
            .contains("key 0, which the store does not have")
    );
}

/// Whether others may have the store open or not.
#[tokio::test]
async fn an_older_version_that_comes_back_is_refused_and_no_sign_of_a_loss() {
    let world = VouchedStore::with(0, 1).await;
    let phone = PhoneNumber::try_from("+32470123456".to_owned()).unwrap();
    let key = keys::destination(ServiceSid::from_bytes([2; 16]), &Destination::Phone(phone)).into_bytes();
    let put = |value: &[u8]| Batch::new().put(key.clone(), value.to_vec());
    world.store.commit(put(b"old")).await.unwrap();
    let old = world.engine.get(&key).await.unwrap().unwrap();
    let read = world.store.get(&key).await.unwrap().unwrap();
    let batch = put(b"new").assert_at(key.clone(), read.version);
    world.store.commit(batch).await.unwrap();
    assert!(world.store.get(&key).await.unwrap().is_some());
    let opened = |began| world.store.open(&key, old.clone(), began);
    assert_eq!(opened(u64::MAX), Err(Forgery::Older));
    assert_eq!(opened(u64::MAX), Err(Forgery::Older), "it stays refused");
    world.store.forget_versions();
    assert!(opened(u64::MAX).is_ok());
}

/// Whoever writes the store can put any number of entries anywhere: one read must not go through all of them.
#[tokio::test]
async fn one_read_goes_past_so_many_forged_entries_and_says_where_to_go_on() {
    let engine = Arc::new(CountingStore::new(MemoryStore::new()));
    let store = AuthenticStore::new(engine.clone(), vault(1));
    let numbered = |number: u32| [b"y", &number.to_be_bytes()[..]].concat();
    let ours = [0, 20_000, 40_001];
    for number in ours {
        let batch = Batch::new().put(numbered(number), vec![1]);
        store.commit(batch).await.unwrap();
    }
    for chunk in (1..20_000)
        .chain(20_001..40_001)
        .collect::<Vec<u32>>()
        .chunks(1000)
    {
        let forge = |batch: Batch, number: &u32| batch.put(numbered(*number), vec![7; 40]);
        let batch = chunk.iter().fold(Batch::new(), forge);
        engine.commit(batch).await.unwrap();
    }
    for (order, limit) in [
        (Order::Ascending, 1),
        (Order::Ascending, 2),
        (Order::Descending, 3),
        (Order::Ascending, usize::MAX),
    ] {
        let mut scan = Scan {
            prefix: b"y".to_vec(),
            after: None,
            order,
            limit,
        };
        let mut found = Vec::new();
        loop {
            engine.take();
            let forged = store.statistics().forged;
            let page = store.scan_some(scan.clone()).await.unwrap();
            let walked = store.statistics().forged - forged;
            assert!(walked <= MOST_PASSED_OVER + 1024, "{walked}");
            assert!(engine.take().scan <= 20, "{order:?} {limit}");
            let count = page.entries.len();
            found.extend(page.entries.into_iter().map(|(key, _)| key));
            scan.after = page.next.clone().or(found.last().cloned());
            if page.next.is_none() && count < limit {
                break;
            }
        }
        let mut expected = ours.map(numbered);
        if order == Order::Descending {
            expected.reverse();
        }
        assert_eq!(found, expected, "{order:?} {limit}");
    }
    // Whoever cannot go on is told why.
    let all = Scan {
        prefix: b"y".to_vec(),
        after: None,
        order: Order::Ascending,
        limit: 2,
    };
    match store.scan(all).await {
        Err(StoreError::Forged(why)) => {
            assert!(why.contains("`countersign store check` names them"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

/// What is read in pieces is all there.
#[tokio::test]
async fn a_scan_for_more_than_the_engine_gives_at_once_has_them_all() {
    let store = AuthenticStore::new(Arc::new(MemoryStore::new()), vault(1));
    let numbered = |number: u16| [b"y", &number.to_be_bytes()[..]].concat();
    let put = |batch: Batch, number| batch.put(numbered(number), vec![1]);
    store.commit((0..2500).fold(Batch::new(), put)).await.unwrap();
    for limit in [1023, 1024, 1025, 2048, 2500, 2501, usize::MAX] {
        let scan = Scan {
            prefix: b"y".to_vec(),
            after: None,
            order: Order::Ascending,
            limit,
        };
        let found = store.scan(scan).await.unwrap();
        let keys: Vec<Vec<u8>> = found.into_iter().map(|(key, _)| key).collect();
        let expected: Vec<Vec<u8>> = (0..2500).take(limit).map(numbered).collect();
        assert!(keys == expected, "{limit}: {}", keys.len());
    }
}

#[tokio::test]
async fn reads_and_what_commits_wrote_are_counted() {
    let VouchedStore { store, .. } = VouchedStore::with(2, 7).await;
    // Two entries of a key of two bytes, a MAC and nine bytes.
    let written = 2 * (2 + MAC_BYTES as u64 + 9);
    assert_eq!(store.statistics().committed_bytes, written);
    let before = store.statistics().reads;
    store.get(&key(0)).await.unwrap().unwrap();
    store.get_many(&[key(0), key(1)]).await.unwrap();
    let all = Scan {
        prefix: b"y".to_vec(),
        after: None,
        order: Order::Ascending,
        limit: 9,
    };
    assert_eq!(store.scan(all).await.unwrap().len(), 2);
    assert_eq!(store.statistics().reads - before, 3);
    let refused = Batch::new().assert_absent(key(0)).put(key(0), vec![1]);
    assert!(matches!(store.commit(refused).await, Err(CommitError::Conflict)));
    assert_eq!(store.statistics().committed_bytes, written);
    store.commit(Batch::new().delete(key(0))).await.unwrap();
    assert_eq!(store.statistics().committed_bytes, written);
}
