//! Bytes where a record should be, raw or made of a good record by a few changes: what is read is written in one way and
//! read from there as the same, and is no record of another kind. A key leads to one place, or to none.

#![no_main]

use std::sync::LazyLock;

use countersign::domain::access_token::AccessToken;
use countersign::domain::account::{Account, ApiKey};
use countersign::domain::attempt::Attempt;
use countersign::domain::challenge::Challenge;
use countersign::domain::credential::Credential;
use countersign::domain::destination_record::DestinationRecord;
use countersign::domain::entity::Entity;
use countersign::domain::events::OutboxRow;
use countersign::domain::factor::Factor;
use countersign::domain::messaging_configuration::MessagingConfiguration;
use countersign::domain::outbox::DeadLetter;
use countersign::domain::rate_limit::{RateLimit, RateLimitUses};
use countersign::domain::safe_list::SafeNumber;
use countersign::domain::service::Service;
use countersign::domain::text::Identity;
use countersign::domain::toll_fraud::PrefixBlock;
use countersign::domain::toll_fraud::budget::Taken;
use countersign::domain::verification::Verification;
use countersign::domain::webhook::Webhook;
use countersign::store::keys::Place;
use countersign::store::records::{
    ChallengeTimer, CreationRate, DeviceAddress, KINDS, Purge, Record, StoreFormat, VapidKeyRecord,
    VerificationTimer, decode, encode,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    match GOOD.get(usize::from(*choice)) {
        None => {
            check(rest);
            if let Some(place) = Place::parse(rest) {
                assert!(Place::parse(&[rest, b"\0"].concat()).is_none(), "{place}");
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
    let checks: [fn(&[u8]) -> Option<u8>; 28] = [
        check_as::<Account>,
        check_as::<ApiKey>,
        check_as::<Service>,
        check_as::<Webhook>,
        check_as::<AccessToken>,
        check_as::<Identity>,
        check_as::<Entity>,
        check_as::<Factor>,
        check_as::<Challenge>,
        check_as::<DeviceAddress>,
        check_as::<Credential>,
        check_as::<OutboxRow>,
        check_as::<DeadLetter>,
        check_as::<ChallengeTimer>,
        check_as::<Purge>,
        check_as::<CreationRate>,
        check_as::<StoreFormat>,
        check_as::<VapidKeyRecord>,
        check_as::<Verification>,
        check_as::<DestinationRecord>,
        check_as::<Attempt>,
        check_as::<RateLimit>,
        check_as::<RateLimitUses>,
        check_as::<MessagingConfiguration>,
        check_as::<SafeNumber>,
        check_as::<VerificationTimer>,
        check_as::<Taken>,
        check_as::<PrefixBlock>,
    ];
    assert_eq!(checks.len(), KINDS.len(), "a kind of record is not checked");
    let read: Vec<u8> = checks.iter().filter_map(|check| check(bytes)).collect();
    assert!(read.is_empty() || read == [bytes[0]], "read as {read:?}");
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

/// The records of the first release and of this one.
static GOOD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let released = [
        include_str!("../../tests/data/records-v1.json"),
    ];
    let fixtures = released
        .map(|text| serde_json::from_str::<Vec<Value>>(text).expect("a list of records"))
        .concat();
    let bytes = |fixture: &Value| {
        let text = fixture["bytes"].as_str().expect("bytes in hexadecimal");
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits"))
            .collect()
    };
    fixtures.iter().map(bytes).collect()
});
