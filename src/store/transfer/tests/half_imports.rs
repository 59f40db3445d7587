//! What becomes of an import that stops half-way.

use std::io::Cursor;

use tempfile::TempDir;

use super::super::filling::Filler;
use super::super::import::import_in_batches;
use super::*;
use crate::store::faulty::FaultyStore;
use crate::store::keys;
use crate::store::records::{FillSource, Filling};

#[tokio::test]
async fn an_import_that_stops_anywhere_goes_on_where_it_stopped() {
    let file = many().await;
    let mut marks = 0;
    for succeeding in 0.. {
        let store = FaultyStore::new(MemoryStore::new());
        store.fail_after(succeeding);
        if in_batches(&store, &file).await.is_ok() {
            // Reads and commits alike were visited.
            assert!(succeeding > 20 && marks > 10, "{succeeding} {marks}");
            return;
        }
        let store = store.inner();
        let before = versions(store).await;
        match mark(store).await {
            None => assert!(before.is_empty()),
            Some(Filling {
                entries, last_key, ..
            }) => {
                marks += 1;
                // The mark is one more, and lies in front of the others.
                assert_eq!(usize::try_from(entries).unwrap() + 1, before.len());
                assert_eq!(before.last().map(|(key, _)| key), Some(&last_key));
                let refused = export(store, None, &mut Vec::new()).await.unwrap_err();
                assert!(matches!(refused, ExportError::HalfFilled(_)), "{refused}");
            }
        }
        assert_eq!(in_batches(store, &file).await.unwrap(), 100);
        assert_eq!(exported(store).await, file);
        let after = versions(store).await;
        let again = before.iter().filter(|entry| !after.contains(entry));
        assert!(
            again.count() <= 1,
            "only the mark is gone, nothing was written twice"
        );
    }
}

#[tokio::test]
async fn half_an_import_on_disk_is_still_one_after_a_restart() {
    let file = many().await;
    let directory = TempDir::new().unwrap();
    let open = || SledStore::open(&Options::new(directory.path())).unwrap();
    let mut stopped = 0;
    loop {
        let store = FaultyStore::new(open());
        // A new batch, the look at its mark, and the end.
        store.fail_after(5);
        let imported = in_batches(&store, &file).await;
        store.close().await.unwrap();
        if imported.is_ok() {
            break;
        }
        let store = open();
        assert!(mark(&store).await.is_some());
        store.close().await.unwrap();
        stopped += 1;
    }
    assert!(stopped > 3, "{stopped}");
    let store = open();
    assert_eq!(exported(&store).await, file);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_half_filled_takes_nothing_else() {
    let (file, other) = (many().await, small().await);
    let store = FaultyStore::new(MemoryStore::new());
    store.fail_after(6);
    in_batches(&store, &file).await.unwrap_err();
    let before = versions(&store).await;
    let error = imported(&store, &other).await.unwrap_err();
    assert!(matches!(error, ImportError::Fill(FillError::HalfFilled(_))));
    let said = error.to_string();
    let sha256 = sha256_of(&file);
    assert!(said.contains("store import") && said.contains(&sha256), "{said}");
    assert_eq!(versions(&store).await, before);

    // A copy that was changed is refused before the store is looked at.
    let mut damaged = file.clone();
    damaged[60] ^= 1;
    imported(&store, &damaged).await.unwrap_err();
    assert_eq!(versions(&store).await, before);
}

#[tokio::test]
async fn an_export_with_a_mark_in_it_is_refused() {
    let header = format!("{{\"format\":\"{FORMAT}\",\"version\":1}}\n");
    let row = Row {
        key: keys::filling().into_bytes(),
        value: Vec::new(),
        expires_at: None,
    };
    let above = format!("{header}{}\n", serde_json::to_string(&row).unwrap());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, above.as_bytes());
    let sha256 = hexadecimal(digest.as_ref());
    let error = refused(format!("{above}{{\"entries\":1,\"sha256\":\"{sha256}\"}}\n").as_bytes()).await;
    assert!(matches!(error, ImportError::Line { line: 2, .. }), "{error}");
}

#[tokio::test]
async fn of_two_that_fill_one_store_one_goes_on() {
    let store = MemoryStore::new();
    let source = FillSource::Import { sha256: [1; 32] };
    let mut fillers = Vec::new();
    for _ in 0..2 {
        fillers.push(Filler::begin(&store, source.clone(), 1).await.unwrap());
    }
    let mut written = Vec::new();
    for filler in &mut fillers {
        filler.put(vec![1], vec![1], None).await.unwrap();
        // Commits the one before.
        written.push(filler.put(vec![2], vec![2], None).await);
    }
    assert!(
        matches!(written[..], [Ok(()), Err(FillError::Busy)]),
        "{written:?}"
    );
    fillers.swap_remove(0).finish().await.unwrap();
    assert_eq!(versions(&store).await.len(), 2);
}

#[tokio::test]
async fn a_store_that_a_server_began_meanwhile_is_not_filled() {
    let store = MemoryStore::new();
    let source = FillSource::Import { sha256: [1; 32] };
    let mut filler = Filler::begin(&store, source, 1000).await.unwrap();
    filler.put(vec![1], vec![1], None).await.unwrap();
    let format = keys::store_format().into_bytes();
    store.commit(Batch::new().put(format, vec![])).await.unwrap();
    let error = filler.finish().await.unwrap_err();
    assert!(matches!(error, FillError::Busy), "{error}");
    assert_eq!(versions(&store).await.len(), 1);
}

/// An export of 100 entries behind the key of the mark, which make a dozen batches or more.
async fn many() -> Vec<u8> {
    let store = MemoryStore::new();
    let mut batch = Batch::new();
    for number in 0..100_u8 {
        let end = Timestamp::from_millis(u64::from(number));
        let (key, value) = (vec![b'a', number], vec![number; 30]);
        batch = if number % 3 == 0 {
            batch.put_until(key, value, end)
        } else {
            batch.put(key, value)
        };
    }
    store.commit(batch).await.unwrap();
    exported(&store).await
}

async fn in_batches(store: &dyn Store, file: &[u8]) -> Result<u64, ImportError> {
    import_in_batches(store, &mut Cursor::new(file), None, None, 256).await
}

/// What the last line of an export says.
fn sha256_of(file: &[u8]) -> String {
    let text = str::from_utf8(file).unwrap();
    let trailer: Trailer = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    trailer.sha256
}
