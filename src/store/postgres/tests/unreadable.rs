//! Rows with numbers that no server writes: those beside them do not notice.

use super::*;
use crate::store::authentic::AuthenticStore;
use crate::store::authentic::tests::vault;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_fails_alone() {
    let EmptyStore { store, database } = or_return!(EmptyStore::new().await);
    let store = AuthenticStore::new(Arc::new(store), vault(1));
    for (change, is_read) in [
        ("version = -1", false),
        ("version = -9223372036854775808", false),
        // It is a version like any other.
        ("version = 9223372036854775807", true),
        ("expires_at = -5", false),
        ("expires_at = 9223372036854775807", false),
    ] {
        let batch = ["y1", "y2", "y3"].iter().fold(Batch::new(), |batch, key| {
            batch.put_until(key.as_bytes().to_vec(), b"v".to_vec(), Timestamp::from_seconds(5))
        });
        store.commit(batch).await.unwrap();
        database.psql(&format!(
            "UPDATE countersign_entries SET {change} WHERE key = 'dy2'"
        ));
        let expected = if is_read { b"123".to_vec() } else { b"13".to_vec() };
        let read = store.get(b"y2").await;
        assert_eq!(read.is_ok(), is_read, "{change}: {read:?}");
        assert!(is_read || matches!(read, Err(StoreError::Forged(_))), "{change}");
        let scan = Scan {
            prefix: b"y".to_vec(),
            after: None,
            order: Order::Ascending,
            limit: 9,
        };
        let found = store.scan(scan).await.unwrap();
        let keys = |found: &[(Vec<u8>, Entry)]| found.iter().map(|(key, _)| key[1]).collect::<Vec<_>>();
        assert_eq!(keys(&found), expected, "{change}");
        let mut due = Vec::new();
        let mut after = None;
        loop {
            let page = store.expired(Timestamp::MAX, after.as_ref(), 1).await.unwrap();
            due.extend(page.entries);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        due.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(keys(&due), expected, "{change}");
        let mut exported = Vec::new();
        let mut export = store.export().await.unwrap();
        while let Some(piece) = export.next().await.unwrap() {
            exported.extend(piece);
        }
        assert_eq!(keys(&exported), *b"123", "{change}");
        // It can be written over.
        store.commit(put("y2", "new")).await.unwrap();
        assert_eq!(store.get(b"y2").await.unwrap().unwrap().value, b"new", "{change}");
    }
}
