//! A disk that is full.

use super::*;

/// What is said of the disk is what was found last, and both who writes and who looks find out anew.
#[tokio::test]
async fn the_condition_is_what_was_found_last() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    assert!(store.statistics().disk_bytes > 0);
    for renewed_by_a_commit in [false, true] {
        assert_eq!(store.condition(), StoreCondition::Working);
        let low = store.space.look_with(|| Ok(0)).unwrap();
        assert_eq!(store.condition(), StoreCondition::Full(low));
        if renewed_by_a_commit {
            store.commit(put("a", "1")).await.unwrap();
        } else {
            store.look_at_disk();
        }
    }
    assert_eq!(store.condition(), StoreCondition::Working);
    assert_eq!(value(&store, "a").await.as_deref(), Some("1"));
    store.close().await.unwrap();
    store.look_at_disk();
}
