//! Copies of whole stores, however often they are interrupted and whatever becomes of the source meanwhile.

use futures_util::FutureExt as _;
use tempfile::TempDir;

use super::super::checksum::Summing;
use super::super::convert::{ConvertSource, convert_in_batches};
use super::super::filling::Filler;
use super::*;
use crate::domain::key_ring::{SealedKeyRing, StoreIdentity};
use crate::store::authentic::MAC_BYTES;
use crate::store::faulty::FaultyStore;
use crate::store::records::{self, FillSource};

#[tokio::test]
async fn a_copy_on_either_engine_has_the_same_entries() {
    let first = source(1).await;
    let directory = TempDir::new().unwrap();
    let second = SledStore::open(&Options::new(directory.path())).unwrap();
    let checksum = convert(&first, &second, None, &mut |_| {}).await.unwrap();
    let third = MemoryStore::new();
    assert_eq!(
        convert(&second, &third, None, &mut |_| {}).await.unwrap(),
        checksum
    );
    let other = TempDir::new().unwrap();
    let fourth = SledStore::open(&Options::new(other.path())).unwrap();
    assert_eq!(
        convert(&second, &fourth, None, &mut |_| {}).await.unwrap(),
        checksum
    );
    assert_eq!(checksum.entries, 301);
    for store in [&second as &dyn Store, &third, &fourth] {
        assert_eq!(exported(store).await, exported(&first).await);
        assert_eq!(expired(store, Timestamp::MAX, 1000).await.unwrap().len(), 100);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_conversion_that_stops_anywhere_goes_on_where_it_stopped() {
    let source = source(1).await;
    let mut marks = 0;
    for succeeding in 0.. {
        let target = FaultyStore::new(MemoryStore::new());
        target.fail_after(succeeding);
        if in_batches(&source, &target).await.is_ok() {
            assert!(succeeding > 20 && marks > 10, "{succeeding} {marks}");
            return;
        }
        let target = target.inner();
        let before = versions(target).await;
        match mark(target).await {
            None => assert!(before.is_empty()),
            Some(Filling { source, .. }) => {
                marks += 1;
                assert!(matches!(source, FillSource::Conversion { .. }));
                let refused = export(target, None, &mut Vec::new()).await.unwrap_err();
                assert!(matches!(refused, ExportError::HalfFilled(_)), "{refused}");
            }
        }
        in_batches(&source, target).await.unwrap();
        assert_eq!(exported(target).await, exported(&source).await);
        let after = versions(target).await;
        let again = before.iter().filter(|entry| !after.contains(entry));
        assert!(
            again.count() <= 1,
            "only the mark is gone, nothing was written twice"
        );
    }
}

#[tokio::test]
async fn a_source_that_fails_anywhere_leaves_a_target_that_can_be_completed() {
    let source = FaultyStore::new(source(1).await);
    let directory = TempDir::new().unwrap();
    let target = SledStore::open(&Options::new(directory.path())).unwrap();
    for succeeding in 0..5 {
        source.fail_after(succeeding);
        let error = in_batches(&source, &target).await.unwrap_err();
        assert!(matches!(error, ConvertError::Source(_)), "{error}");
        // Two looks at what it is and the first reading come before anything is written.
        assert_eq!(mark(&target).await.is_some(), succeeding > 3, "{succeeding}");
    }
    source.fail_after(5);
    in_batches(&source, &target).await.unwrap();
    assert_eq!(exported(&target).await, exported(source.inner()).await);
    target.close().await.unwrap();
}

#[tokio::test]
async fn half_a_conversion_on_disk_goes_on_after_each_restart() {
    let source = source(1).await;
    let directory = TempDir::new().unwrap();
    let open = || SledStore::open(&Options::new(directory.path())).unwrap();
    let mut stopped = 0;
    loop {
        let target = FaultyStore::new(open());
        target.fail_after(6 + stopped);
        let converted = in_batches(&source, &target).await;
        target.close().await.unwrap();
        if converted.is_ok() {
            break;
        }
        stopped += 1;
    }
    assert!(stopped > 3, "{stopped}");
    let target = open();
    assert_eq!(exported(&target).await, exported(&source).await);
    target.close().await.unwrap();
}

#[tokio::test]
async fn what_changed_in_the_source_after_an_interruption_is_copied_anew() {
    for succeeding in [5, 20, 60] {
        let (source, target) = (source(1).await, FaultyStore::new(MemoryStore::new()));
        target.fail_after(succeeding);
        in_batches(&source, &target).await.unwrap_err();
        assert!(mark(&target).await.is_some());
        // Before and behind what was copied by then.
        let mut batch = Batch::new();
        for number in [1_u16, 150, 298] {
            let number_after = number + 1;
            batch = batch
                .put(key(number), b"changed".to_vec())
                .put_until(
                    key(number_after),
                    vec![1; 30],
                    Timestamp::from_millis(u64::from(number)),
                )
                .delete(key(number - 1))
                .put([key(number), vec![0]].concat(), b"new".to_vec());
        }
        let batch = batch.put(b"0".to_vec(), b"first".to_vec());
        source
            .commit(batch.put(b"z".to_vec(), b"last".to_vec()))
            .await
            .unwrap();
        in_batches(&source, &target).await.unwrap();
        assert_eq!(exported(&target).await, exported(&source).await);
        assert_eq!(
            expired(&target, Timestamp::MAX, 1000).await.unwrap().len(),
            expired(&source, Timestamp::MAX, 1000).await.unwrap().len()
        );
    }
}

#[tokio::test]
async fn what_a_source_loses_entirely_is_not_in_the_target_either() {
    let (source, target) = (source(1).await, FaultyStore::new(MemoryStore::new()));
    target.fail_after(60);
    in_batches(&source, &target).await.unwrap_err();
    let gone = (0..300).fold(Batch::new(), |batch, number| batch.delete(key(number)));
    source.commit(gone).await.unwrap();
    assert_eq!(in_batches(&source, &target).await.unwrap().entries, 1);
    assert_eq!(exported(&target).await, exported(&source).await);
}

#[tokio::test]
async fn a_source_that_is_written_to_meanwhile_is_noticed() {
    for stage in [
        ConvertStage::Reading,
        ConvertStage::Copying,
        ConvertStage::Verifying,
    ] {
        let (source, target) = (source(1).await, MemoryStore::new());
        let mut changed = false;
        let mut change = |progress: Progress| {
            if progress.stage == stage && !changed {
                let batch = Batch::new().put(key(7), b"used".to_vec());
                source.commit(batch).now_or_never().unwrap().unwrap();
                changed = true;
            }
        };
        let error = convert(&source, &target, None, &mut change).await.unwrap_err();
        assert!(matches!(error, ConvertError::Changing), "{stage:?}: {error}");
        assert!(mark(&target).await.is_some());
        convert(&source, &target, None, &mut |_| {}).await.unwrap();
        assert_eq!(exported(&target).await, exported(&source).await);
    }
}

#[tokio::test]
async fn a_target_that_does_not_hold_what_was_written_is_not_released() {
    for lost in [
        Batch::new().delete(key(7)),
        Batch::new().put(key(8), b"flipped".to_vec()),
        Batch::new().put(b"zzz".to_vec(), vec![]),
        Batch::new().put_until(key(9), vec![9; 30], Timestamp::MAX),
    ] {
        let (source, target) = (source(1).await, MemoryStore::new());
        let mut damage = Some(lost);
        let mut lose = |progress: Progress| {
            // Nothing is left to be written, but the last batch.
            if progress.stage == ConvertStage::Copying {
                let mut done = Batch::new();
                std::mem::swap(&mut done, damage.as_mut().unwrap());
                target.commit(done).now_or_never().unwrap().unwrap();
            }
        };
        let error = convert_in_batches(whole(&source), &target, &mut lose, 1)
            .await
            .unwrap_err();
        assert!(matches!(error, ConvertError::Differs), "{error}");
        assert!(mark(&target).await.is_some());
        convert(&source, &target, None, &mut |_| {}).await.unwrap();
        assert_eq!(exported(&target).await, exported(&source).await);
    }
}

#[tokio::test]
async fn a_target_that_is_not_empty_is_refused_and_unchanged() {
    let source = source(1).await;
    let served = self::source(1).await;
    let before = versions(&served).await;
    let error = in_batches(&source, &served).await.unwrap_err();
    assert!(
        matches!(error, ConvertError::Target(FillError::NotEmpty)),
        "{error}"
    );
    assert_eq!(versions(&served).await, before);

    for of_others in [
        FillSource::Import { sha256: [1; 32] },
        FillSource::Conversion {
            store: StoreIdentity::from_bytes([2; 16]),
        },
    ] {
        let target = MemoryStore::new();
        let mut filler = Filler::begin(&target, of_others, 1).await.unwrap();
        for number in 0..2 {
            filler.put(key(number), vec![1], None).await.unwrap();
        }
        let before = versions(&target).await;
        let error = in_batches(&source, &target).await.unwrap_err();
        let refused = matches!(error, ConvertError::Target(FillError::HalfFilled(_)));
        assert!(refused, "{error}");
        assert_eq!(versions(&target).await, before);
    }
}

#[tokio::test]
async fn what_is_no_whole_store_is_no_source() {
    let (half, target) = (FaultyStore::new(MemoryStore::new()), MemoryStore::new());
    half.fail_after(20);
    in_batches(&source(1).await, &half).await.unwrap_err();
    let error = in_batches(&half, &target).await.unwrap_err();
    assert!(matches!(error, ConvertError::HalfFilled(_)), "{error}");
    let error = in_batches(&sample().await, &target).await.unwrap_err();
    assert!(matches!(error, ConvertError::NoKeys), "{error}");
    assert_eq!(count(&target).await, 0);
}

#[tokio::test]
async fn progress_is_told_in_order_and_up_to_the_end() {
    let mut told: Vec<Progress> = Vec::new();
    let directory = TempDir::new().unwrap();
    let target = SledStore::open(&Options::new(directory.path())).unwrap();
    let checksum = convert(&source(1).await, &target, None, &mut |progress| {
        told.push(progress);
    })
    .await
    .unwrap();
    assert!(told.is_sorted_by_key(|told| (told.stage, told.entries, told.bytes)));
    let last = |stage| *told.iter().rfind(|told| told.stage == stage).unwrap();
    let whole = Progress {
        stage: ConvertStage::Reading,
        entries: checksum.entries,
        bytes: checksum.bytes,
        of_bytes: None,
    };
    assert_eq!(last(ConvertStage::Reading), whole);
    let (stage, of_bytes) = (ConvertStage::Copying, Some(checksum.bytes));
    assert_eq!(
        last(stage),
        Progress {
            stage,
            of_bytes,
            ..whole
        }
    );
    let verified = last(ConvertStage::Verifying);
    assert_eq!(
        (verified.entries, Some(verified.bytes)),
        (2 * checksum.entries, verified.of_bytes)
    );
    target.close().await.unwrap();
}

#[test]
fn the_checksum_is_byte_exact() {
    let mut summing = Summing::new();
    for (key, value, expires_at) in [
        (&b"factor"[..], &b"sealed"[..], None),
        (b"token", b"", Some(Timestamp::from_millis(1_750_000_000_000))),
    ] {
        let entry = crate::store::Entry {
            value: value.to_vec(),
            version: Version(7),
            expires_at,
            verdict: crate::store::KeptVerdict::default(),
        };
        summing.add(key, &entry);
    }
    let checksum = summing.finish();
    assert_eq!((checksum.entries, checksum.bytes), (2, 17));
    // Computed with Python's hashlib and struct.
    assert_eq!(hexadecimal(checksum.sha256()), CHECKSUM);
}

/// A store of 300 entries, of which 100 end, and its key ring.
async fn source(number: u8) -> MemoryStore {
    let store = MemoryStore::new();
    let ring = SealedKeyRing {
        generation: 1,
        store: StoreIdentity::from_bytes([number; 16]),
        lasting: Vec::new(),
        data: Vec::new(),
    };
    let value = [&[0; MAC_BYTES][..], &records::encode(&ring).unwrap()];
    let mut batch = Batch::new().put(keys::key_ring().into_bytes(), value.concat());
    for number in 0..300_u16 {
        let value = number.to_le_bytes().repeat(15);
        batch = if number % 3 == 0 {
            batch.put_until(key(number), value, Timestamp::from_millis(u64::from(number)))
        } else {
            batch.put(key(number), value)
        };
    }
    store.commit(batch).await.unwrap();
    store
}

/// Some lie before the mark, most behind it.
fn key(number: u16) -> Vec<u8> {
    let first = if number < 50 { b'A' } else { b'a' };
    [&[first][..], &number.to_be_bytes()].concat()
}

async fn in_batches(from: &dyn Store, to: &dyn Store) -> Result<Checksum, ConvertError> {
    convert_in_batches(whole(from), to, &mut |_| {}, 256).await
}

const CHECKSUM: &str = "0dd2815e8cbbcab8eeef4e931a899bc337b6434f9c201b60ffd93c87cf40fb7f";

fn whole(from: &dyn Store) -> ConvertSource<'_> {
    ConvertSource { from, sieve: None }
}
