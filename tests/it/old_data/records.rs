//! Records, byte by byte.
//!
//! Each line of a file is a record: what it is, its bytes, and what they say. A later version may read more into old
//! bytes (fields with defaults), never something else.

use std::collections::BTreeSet;

use countersign::domain::time::Timestamp;
use countersign::store::StoreError;
use countersign::store::kinds::{Holds, KINDS, RecordVisitor, visit_records};
use countersign::store::records::{self, Purge, Record, decode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{files, samples, store};

#[test]
fn every_released_record_still_opens() {
    let files = files::all("records", "json");
    assert!(!files.is_empty());
    for (path, text) in files {
        let fixtures: Vec<Fixture> = serde_json::from_str(&text).unwrap();
        for fixture in fixtures {
            let bytes = from_hex(&fixture.bytes);
            let context = format!("{}: {}", path.display(), fixture.name);
            let read = reread(&bytes).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert!(
                says(&read.value, &fixture.value),
                "{context}: {} is not {}",
                read.value,
                fixture.value
            );
        }
    }
}

#[tokio::test]
async fn what_is_written_today_is_what_was_released() {
    let lines: Vec<String> = samples::all()
        .iter()
        .map(|sample| {
            json!({"name": sample.name, "bytes": to_hex(&sample.bytes), "value": sample.value}).to_string()
        })
        .collect();
    let today = format!("[\n{}\n]\n", lines.join(",\n"));
    if files::all("records", "json")
        .last()
        .is_none_or(|(_, newest)| *newest != today)
    {
        files::add("records", "json", &today);
    }
    // For each format there is a store that was written in it.
    if files::all("store", "jsonl").len() < files::all("records", "json").len() {
        files::add("store", "jsonl", &store::write().await);
    }
}

#[test]
fn every_kind_of_record_has_a_sample_and_makes_the_round_trip() {
    let mut kinds = BTreeSet::new();
    for sample in samples::all() {
        kinds.insert(sample.bytes[0]);
        let read = reread(&sample.bytes).unwrap();
        assert_eq!(read.value, sample.value, "{}", sample.name);
        assert_eq!(read.bytes, sample.bytes, "{}", sample.name);
    }
    assert_eq!(kinds, letters());
}

/// How a record grows: the new field comes last and has a default.
#[test]
fn a_field_that_was_added_has_its_default_in_old_records() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Grown {
        since: Timestamp,
        #[serde(default)]
        reason: Option<String>,
        #[serde(default)]
        tries: u32,
    }
    impl Record for Grown {
        const KIND: u8 = Purge::KIND;
    }
    let since = Timestamp::from_seconds(1_790_000_000);
    let old = records::encode(&Purge { since }).unwrap();
    let grown: Grown = decode(&old).unwrap();
    assert_eq!(
        (grown.since, grown.reason.as_deref(), grown.tries),
        (since, None, 0)
    );
    // The version before does not take what it would have to drop.
    let grown = Grown {
        reason: Some("gone".to_owned()),
        ..grown
    };
    assert!(decode::<Purge>(&records::encode(&grown).unwrap()).is_err());
}

/// Without names, a field too many could be anything: it is refused, not guessed at.
#[test]
fn a_field_of_a_later_version_is_refused() {
    for sample in samples::all() {
        let Some(longer) = with_one_field_more(&sample.bytes) else {
            assert_eq!(sample.name, "identity", "every other record has fields");
            continue;
        };
        assert!(reread(&longer).is_err(), "{}", sample.name);
    }
}

#[test]
fn a_later_format_is_refused_and_says_so() {
    for sample in samples::all() {
        for version in [0, 2, 255] {
            let mut later = sample.bytes.clone();
            later[1] = version;
            let message = reread(&later).unwrap_err().to_string();
            let expected = format!("format version {version} is not one that this program knows");
            assert!(message.contains(&expected), "{}: {message}", sample.name);
        }
    }
}

#[test]
fn a_record_is_no_record_of_another_kind() {
    for sample in samples::all() {
        for kind in letters().into_iter().filter(|kind| *kind != sample.bytes[0]) {
            let message = read_as(kind, &sample.bytes).unwrap_err().to_string();
            let expected = format!("found kind {}", char::from(sample.bytes[0]));
            assert!(message.contains(&expected), "{}: {message}", sample.name);
        }
    }
}

#[test]
fn a_record_cut_short_anywhere_is_refused() {
    for sample in samples::all() {
        for length in 0..sample.bytes.len() {
            let read = read_as(sample.bytes[0], &sample.bytes[..length]);
            assert!(read.is_err(), "{} at {length}", sample.name);
        }
    }
}

#[test]
fn no_changed_byte_panics() {
    for sample in samples::all() {
        for position in 2..sample.bytes.len() {
            for byte in [0, 0x7f, 0x80, 0x9f, 0xc0, 0xc6, 0xdd, 0xdf, 0xff] {
                let mut changed = sample.bytes.clone();
                changed[position] = byte;
                // Some are records still: a changed letter of a name, say. They are written as they were read.
                if let Ok(read) = reread(&changed) {
                    assert_eq!(reread(&read.bytes).unwrap().value, read.value, "{}", sample.name);
                }
            }
        }
    }
}

#[test]
fn a_value_that_changed_is_told_from_one_that_grew() {
    let old = json!({"a": [1, {"b": null}], "c": "text"});
    for (new, same) in [
        (json!({"a": [1, {"b": null}], "c": "text"}), true),
        (
            json!({"a": [1, {"b": null, "new": 1}], "c": "text", "new": []}),
            true,
        ),
        (json!({"a": [1, {"b": 0}], "c": "text"}), false),
        (json!({"a": [1, {"b": null}, 2], "c": "text"}), false),
        (json!({"a": [1, {}], "c": "text"}), false),
    ] {
        assert_eq!(says(&new, &old), same, "{new}");
    }
}

#[test]
fn one_field_more_is_counted_in_lists_of_any_length() {
    let list = |fields: u16| {
        let bytes = [
            &b"?\x01"[..],
            &rmp_serde::to_vec(&vec![(); fields.into()]).unwrap(),
        ];
        bytes.concat()
    };
    for fields in [0, 1, 14, 15, 16, 17, 255, 256] {
        assert_eq!(
            with_one_field_more(&list(fields)),
            Some(list(fields + 1)),
            "{fields}"
        );
    }
    assert_eq!(with_one_field_more(b"?\x01\xa1n"), None);
}

/// A line of a file.
#[derive(Deserialize)]
struct Fixture {
    name: String,
    bytes: String,
    value: Value,
}

/// What was read, and how it would be written.
#[derive(Debug)]
struct Read {
    value: Value,
    bytes: Vec<u8>,
}

/// Whether `new` says everything that `old` says. Only objects may have grown.
fn says(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => old
            .iter()
            .all(|(name, old)| new.get(name).is_some_and(|new| says(new, old))),
        (Value::Array(new), Value::Array(old)) => {
            new.len() == old.len() && new.iter().zip(old).all(|(new, old)| says(new, old))
        }
        _ => new == old,
    }
}

fn reread(bytes: &[u8]) -> Result<Read, StoreError> {
    read_as(bytes[0], bytes)
}

fn read_as(kind: u8, bytes: &[u8]) -> Result<Read, StoreError> {
    struct As<'b>(u8, &'b [u8], Option<Result<Read, StoreError>>);
    impl RecordVisitor for As<'_> {
        fn record<T: Record>(&mut self) {
            if T::KIND == self.0 {
                self.2 = Some(read::<T>(self.1));
            }
        }
    }
    let mut visit = As(kind, bytes, None);
    visit_records(&mut visit);
    visit.2.unwrap_or_else(|| panic!("no record has kind {kind}"))
}

/// The letters of all kinds of records.
fn letters() -> BTreeSet<u8> {
    let holding = KINDS
        .iter()
        .filter(|kind| matches!(kind.holds, Holds::Record { .. }));
    holding.map(|kind| kind.letter).collect()
}

fn read<T: Record>(bytes: &[u8]) -> Result<Read, StoreError> {
    let record: T = decode(bytes)?;
    Ok(Read {
        value: serde_json::to_value(&record).unwrap(),
        bytes: records::encode(&record)?,
    })
}

/// The record with one more field behind the others; none if it is no list of fields.
fn with_one_field_more(bytes: &[u8]) -> Option<Vec<u8>> {
    // A list of up to 15 fields begins with 0x90 plus their number, a longer one with 0xdc and the number in two bytes.
    // 0xc0 is nil, which most fields would take.
    const SHORT_LIST: u8 = 0x90;
    const LONG_LIST: u8 = 0xdc;
    let (fields, rest) = match &bytes[2..] {
        [first @ SHORT_LIST..=0x9f, rest @ ..] => (u16::from(first - SHORT_LIST), rest),
        [LONG_LIST, high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return None,
    };
    let head = match u8::try_from(fields + 1) {
        Ok(fields @ 0..=15) => vec![SHORT_LIST + fields],
        _ => [&[LONG_LIST][..], &(fields + 1).to_be_bytes()].concat(),
    };
    Some([&bytes[..2], &head, rest, &[0xc0]].concat())
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |index: usize| u8::from_str_radix(&text[index..index + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}
