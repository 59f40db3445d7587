//! A file to import, raw or with the right last line behind whatever comes before: one that is refused changes nothing,
//! one that is taken is exported as it was imported.

#![no_main]

use std::io::Cursor;

use aws_lc_rs::digest::{SHA256, digest};
use countersign::store::memory::MemoryStore;
use countersign::store::transfer::{export, import};
use countersign::store::{Order, Scan, Store};
use countersign_fuzz::at_once;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    check(file);
    check(&with_last_line(file));
});

fn check(file: &[u8]) {
    let store = MemoryStore::new();
    match at_once(import(&store, &mut Cursor::new(file), None, None)) {
        Err(error) => {
            assert_eq!(entries(&store), 0, "{error}");
            assert!(!error.to_string().contains('\n'));
        }
        Ok(count) => {
            assert_eq!(entries(&store), usize::try_from(count).expect("a small number"));
            let exported = exported(&store);
            let copy = MemoryStore::new();
            at_once(import(&copy, &mut Cursor::new(&exported), None, None)).expect("an export is imported");
            assert_eq!(self::exported(&copy), exported);
            assert!(at_once(import(&copy, &mut Cursor::new(file), None, None)).is_err() || count == 0);
        }
    }
}

/// The file with the number of its entries and its digest, as if it had been written so.
fn with_last_line(file: &[u8]) -> Vec<u8> {
    let lines = file.iter().filter(|byte| **byte == b'\n').count();
    let digest = digest(&SHA256, file);
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let last = format!(
        "{{\"entries\":{},\"sha256\":\"{digest}\"}}\n",
        lines.saturating_sub(1)
    );
    [file, last.as_bytes()].concat()
}

fn exported(store: &MemoryStore) -> Vec<u8> {
    let mut file = Vec::new();
    at_once(export(store, None, &mut file)).expect("memory is exported");
    file
}

fn entries(store: &MemoryStore) -> usize {
    let everything = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    at_once(store.scan(everything)).expect("memory is read").len()
}
