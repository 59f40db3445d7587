//! Entries that somebody else wrote, or that a disk has spoilt, in a way that no server writes them: those beside them do not
//! notice.

use super::*;
use crate::store::authentic::AuthenticStore;
use crate::store::authentic::tests::vault;

/// What becomes of a stored form.
type Spoiling = fn(&mut Vec<u8>);

/// Changes the stored form of the entry at `key` while the store is closed.
fn spoil(directory: &Path, key: &str, spoil: Spoiling) {
    let db = ::sled::Config::new()
        .path(directory)
        .flush_every_ms(None)
        .open()
        .unwrap();
    let mut data_key = Vec::new();
    let data_key = layout::data_key(&mut data_key, key.as_bytes());
    let mut stored = db.get(data_key).unwrap().unwrap().to_vec();
    spoil(&mut stored);
    db.insert(data_key, stored).unwrap();
    db.flush().unwrap();
    drop(db);
    wait_until_released(directory).unwrap();
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_fails_alone() {
    let cases: [(&str, Spoiling); 6] = [
        ("a version that was never given", |stored| {
            stored[..8].copy_from_slice(&u64::MAX.to_be_bytes());
        }),
        ("one above those that were reserved", |stored| stored[4] ^= 1),
        ("an end that cannot be", |stored| stored[9] = 0xff),
        ("neither an end nor none", |stored| stored[8] = 2),
        ("nothing but a version", |stored| stored.truncate(8)),
        ("nothing", Vec::clear),
    ];
    for (what, change) in cases {
        let directory = TempDir::new().unwrap();
        let vault = vault(1);
        let store = AuthenticStore::new(Arc::new(open(directory.path())), Arc::clone(&vault));
        let batch = ["y1", "y2", "y3"].iter().fold(Batch::new(), |batch, key| {
            batch.put_until(key.as_bytes().to_vec(), b"v".to_vec(), Timestamp::from_seconds(5))
        });
        store.commit(batch).await.unwrap();
        store.close().await.unwrap();
        spoil(directory.path(), "y2", change);

        let store = AuthenticStore::new(Arc::new(open(directory.path())), vault);
        let read = store.get(b"y2").await;
        assert!(matches!(read, Err(StoreError::Forged(_))), "{what}: {read:?}");
        let scan = Scan {
            prefix: b"y".to_vec(),
            after: None,
            order: Order::Ascending,
            limit: 9,
        };
        let found = store.scan(scan).await.unwrap();
        let keys = |found: &[(Vec<u8>, Entry)]| found.iter().map(|(key, _)| key[1]).collect::<Vec<_>>();
        assert_eq!(keys(&found), *b"13", "{what}");
        let due = store.expired(Timestamp::MAX, None, 9).await.unwrap();
        assert_eq!((keys(&due.entries), due.next), (b"13".to_vec(), None), "{what}");
        let mut exported = Vec::new();
        let mut export = store.export().await.unwrap();
        while let Some(piece) = export.next().await.unwrap() {
            exported.extend(piece);
        }
        assert_eq!(keys(&exported), *b"123", "{what}");
        // It can be written over and deleted, as it stands in nobody's way.
        store.commit(put("y2", "new")).await.unwrap();
        assert_eq!(store.get(b"y2").await.unwrap().unwrap().value, b"new", "{what}");
        store.commit(Batch::new().delete(b"y2".to_vec())).await.unwrap();
        assert!(store.get(b"y2").await.unwrap().is_none(), "{what}");
        store.close().await.unwrap();
    }
}
