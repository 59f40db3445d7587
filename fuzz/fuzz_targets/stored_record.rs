//! Bytes where a record should be, raw or made of a good record by a few changes: what is read is written in one way and
//! read from there as the same, and is no record of another kind. A key is read in one way, or in none.

#![no_main]

use std::sync::LazyLock;

use countersign::store::kinds::{KeyParts, RecordVisitor, visit_records};
use countersign::store::records::{Record, decode, encode};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    match GOOD.get(usize::from(*choice)) {
        None => {
            check(rest);
            if let Some(parts) = KeyParts::parse(rest) {
                assert!(KeyParts::parse(&[rest, b"\0"].concat()).is_none(), "{parts}");
            }
        }
        Some(good) => {
            let mut changed = good.clone();
            for change in rest.chunks_exact(3) {
                let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % changed.len();
                changed[at] = change[2];
            }
            check(&changed);
        }
    }
});

fn check(bytes: &[u8]) {
    struct Check<'b>(&'b [u8], Vec<u8>);
    impl RecordVisitor for Check<'_> {
        fn record<T: Record>(&mut self) {
            self.1.extend(check_as::<T>(self.0));
        }
    }
    let mut check = Check(bytes, Vec::new());
    visit_records(&mut check);
    assert!(
        check.1.is_empty() || check.1 == [bytes[0]],
        "read as {:?}",
        check.1
    );
}

/// Reads a record; its kind, if it is one.
fn check_as<T: Record>(bytes: &[u8]) -> Option<u8> {
    let record: T = decode(bytes).ok()?;
    let written = encode(&record).expect("what was read is written");
    let again: T = decode(&written).expect("what was written is read");
    assert_eq!(encode(&again).expect("it is written"), written);
    assert_eq!(value_of(&again), value_of(&record));
    Some(T::KIND)
}

fn value_of<T: Record>(record: &T) -> Value {
    serde_json::to_value(record).expect("a record is a value")
}

/// A record of each kind and form.
static GOOD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let text = include_str!("../../tests/data/records-v1.json");
    let fixtures: Vec<Value> = serde_json::from_str(text).expect("a list of records");
    let bytes = |fixture: &Value| {
        let text = fixture["bytes"].as_str().expect("bytes in hexadecimal");
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits"))
            .collect()
    };
    fixtures.iter().map(bytes).collect()
});
