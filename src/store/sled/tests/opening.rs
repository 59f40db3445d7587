//! What opening survives, and what it refuses.

use std::collections::BTreeMap;
use std::fs;

use super::*;

/// Found by killing the process in each of the three writes of a snapshot: all three left a store that sled alone
/// refuses for good, with every acknowledged write in it.
#[tokio::test]
async fn startup_kill_leaves_a_generating_snapshot_and_the_store_still_opens() {
    let directory = TempDir::new().unwrap();
    for round in 0..3 {
        let store = open(directory.path());
        for number in 0..50 {
            store
                .commit(put(&format!("{round}/{number}"), "value"))
                .await
                .unwrap();
        }
        store.close().await.unwrap();
    }
    for eighths in [0, 1, 4, 7] {
        let (name, bytes) = newest_snapshot(directory.path());
        let position = u64::from_str_radix(name.strip_prefix("snap.").unwrap(), 16).unwrap();
        let unfinished = directory
            .path()
            .join(format!("snap.{:016X}.generating", position + 1));
        fs::write(&unfinished, &bytes[..bytes.len() * eighths / 8]).unwrap();
        let bare = ::sled::Config::new()
            .path(directory.path())
            .flush_every_ms(None)
            .open();
        // Without this the rest would prove nothing.
        assert!(matches!(bare, Err(::sled::Error::Corruption { .. })));

        let store = open(directory.path());
        assert!(!unfinished.exists());
        for round in 0..3 {
            for number in 0..50 {
                assert_eq!(
                    value(&store, &format!("{round}/{number}")).await.as_deref(),
                    Some("value")
                );
            }
        }
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_second_opening_is_refused_in_one_line() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let error = SledStore::open(&options(directory.path())).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }));
    let message = error.to_string();
    assert!(
        message.starts_with("another countersign has this data directory open"),
        "{message}"
    );
    assert!(!message.contains('\n'));
    store.commit(put("key", "value")).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_directory_that_sled_alone_has_open_is_in_use_too() {
    let directory = TempDir::new().unwrap();
    open(directory.path()).close().await.unwrap();
    let _other = ::sled::Config::new()
        .path(directory.path())
        .flush_every_ms(None)
        .open()
        .unwrap();
    let error = SledStore::open(&options(directory.path())).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
}

#[tokio::test]
async fn opening_works_at_once_after_closing() {
    let directory = TempDir::new().unwrap();
    for round in 0..20 {
        let store = open(directory.path());
        assert_eq!(
            value(&store, "key").await,
            (round > 0).then(|| (round - 1).to_string())
        );
        store.commit(put("key", &round.to_string())).await.unwrap();
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_directory_is_kept_and_the_error_says_how_to_go_on() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    store.commit(put("key", "value")).await.unwrap();
    store.close().await.unwrap();
    open(directory.path()).close().await.unwrap();
    let (name, mut bytes) = newest_snapshot(directory.path());
    bytes[0] ^= 0xff;
    fs::write(directory.path().join(&name), &bytes).unwrap();
    let before = contents(directory.path());

    let error = SledStore::open(&options(directory.path())).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("store import") && !message.contains('\n'),
        "{message}"
    );
    assert_eq!(contents(directory.path()), before);
    // Refused, not left locked.
    assert!(matches!(
        SledStore::open(&options(directory.path())),
        Err(OpenError::Damaged { .. })
    ));
}

#[test]
fn another_database_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let other = ::sled::Config::new()
        .path(directory.path())
        .flush_every_ms(None)
        .open()
        .unwrap();
    other.insert("theirs", "value").unwrap();
    other.flush().unwrap();
    drop(other);
    wait_until_released(directory.path()).unwrap();
    let error = SledStore::open(&options(directory.path())).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn another_format_is_refused() {
    let directory = TempDir::new().unwrap();
    open(directory.path()).close().await.unwrap();
    let bare = ::sled::Config::new()
        .path(directory.path())
        .flush_every_ms(None)
        .open()
        .unwrap();
    bare.insert(layout::FORMAT_KEY, &[9]).unwrap();
    bare.flush().unwrap();
    drop(bare);
    wait_until_released(directory.path()).unwrap();
    let error = SledStore::open(&options(directory.path())).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Format {
                found: 9,
                expected: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_path_that_is_no_directory_is_an_error() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = SledStore::open(&options(&file)).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_directory_is_made_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let nested = directory.path().join("a/b");
    open(&nested).close().await.unwrap();
    assert_eq!(fs::metadata(&nested).unwrap().permissions().mode() & 0o777, 0o700);
}

fn newest_snapshot(directory: &Path) -> (String, Vec<u8>) {
    let (name, bytes) = contents(directory)
        .into_iter()
        .rfind(|(name, _)| name.starts_with("snap."))
        .unwrap();
    (name, bytes)
}

fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.is_file());
    let named = files.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(path).unwrap();
        (name, bytes)
    });
    named.collect()
}
