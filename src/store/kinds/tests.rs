//! Every kind of key has exactly its bytes, and is read as what it was written for and as nothing else.

mod samples;

use std::collections::BTreeSet;

use proptest::prelude::*;

use self::samples::*;
use super::functions::*;
use super::*;
use crate::domain::country::Country;
use crate::domain::destination::EmailAddress;
use crate::domain::outbox::Receiver;
use crate::store::keys;

#[test]
fn every_kind_of_key_has_these_bytes() {
    for Sample { key, bytes, parts } in samples() {
        assert_eq!(hex(&key), bytes, "{parts}");
    }
    let sampled: BTreeSet<u8> = samples()
        .iter()
        .map(|sample| sample.parts.kind().letter)
        .collect();
    let letters: BTreeSet<u8> = KINDS.iter().map(|kind| kind.letter).collect();
    assert_eq!(sampled, letters);
    assert_eq!(letters.len(), KINDS.len(), "two kinds share a letter");
}

#[test]
fn every_key_leads_back_to_its_parts() {
    for Sample { key, parts, .. } in samples() {
        assert_eq!(KeyParts::parse(&key).as_ref(), Some(&parts), "{parts}");
        assert_eq!(parts.to_key(), key, "{parts}");
    }
}

#[test]
fn keys_have_no_room_to_spare() {
    for Sample { key, parts, .. } in samples() {
        let text = matches!(
            parts,
            KeyParts::Destination(..) | KeyParts::MessagingConfiguration(..) | KeyParts::WrongCodes(..)
        );
        assert!(text || key.capacity() == key.len(), "{parts}");
    }
}

#[test]
fn listings_are_the_beginning_of_their_keys() {
    let (s, sid) = (scope(), [4; 16]);
    let begin = |prefix: &[u8], key: Vec<u8>| key.strip_prefix(prefix).map(<[u8]>::len);
    let receiver = Receiver::Factor(FactorSid::from_bytes(sid));
    let lane = Lane {
        account: s.account,
        receiver,
    };
    let event = EventSid::from_bytes(sid);
    for found in [
        begin(accounts().bytes(), account(s.account).into_bytes()),
        begin(
            services(s.account).bytes(),
            service(s.account, s.service).into_bytes(),
        ),
        begin(
            factors(&s).bytes(),
            factor(&s, FactorSid::from_bytes(sid)).into_bytes(),
        ),
        begin(outbox(lane).bytes(), outbox_row(lane, event).into_bytes()),
    ] {
        assert_eq!(found, Some(16));
    }
    let pending = pending(&s, FactorSid::from_bytes(sid)).key(&sid);
    let same = pending_challenge(&s, FactorSid::from_bytes(sid), ChallengeSid::from_bytes(sid));
    assert_eq!(pending.bytes(), same.bytes());
    assert_eq!(keys::lane_of(outbox_row(lane, event).bytes()), Some(lane));
    assert_eq!(keys::lane_of(dead_letter(event).bytes()), None);
}

#[test]
fn these_bytes_mean_this() {
    let (one, two) = ("01".repeat(16), "02".repeat(16));
    let three = "03".repeat(16);
    let user = "757365722d30303100";
    for (key, expected) in [
        (format!("61{one}"), format!("account AC{one}")),
        (
            format!("62{one}{two}"),
            format!("API key SK{two} in the list of AC{one}"),
        ),
        (format!("73{one}{two}"), format!("service VA{two} of AC{one}")),
        (format!("65{two}{user}"), format!("entity user-001 of VA{two}")),
        (
            format!("65{two}{user}{three}66{one}"),
            format!("factor YF{one} of YE{three} of VA{two}"),
        ),
        (
            format!("65{two}{user}{three}63{one}"),
            format!("challenge YC{one} of YE{three} of VA{two}"),
        ),
        ("6d".to_owned(), "format of the store".to_owned()),
    ] {
        let bytes: Vec<u8> = (0..key.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&key[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(KeyParts::parse(&bytes).unwrap().to_string(), expected);
    }
}

#[test]
fn what_a_service_takes_along_lies_below_it() {
    let service = scope().service;
    let prefixes: Vec<_> = below_service(service).collect();
    for Sample { key, parts, .. } in samples() {
        let below = prefixes.iter().any(|prefix| key.starts_with(prefix));
        assert_eq!(below, parts.service() == Some(service), "{parts}");
    }
    // Entities go first: their factors say which devices go with them.
    assert_eq!(prefixes[0][0], Entity::KIND);
}

#[test]
fn shortened_and_lengthened_keys_are_no_keys() {
    for Sample { key, parts, .. } in samples() {
        for length in 0..key.len() {
            // An entity's key is what its children's keys begin with.
            let found = KeyParts::parse(&key[..length]);
            let entity = matches!(found, Some(KeyParts::Entity(..)));
            // A text at the end may be shorter, and is another one then.
            let kind = |parts: &KeyParts| parts.kind().letter;
            let text = ends_in_text(&parts) && found.as_ref().map(kind) == Some(kind(&parts));
            assert!(found.is_none() || entity || text, "{parts}: {length}");
        }
        let longer = [key.as_slice(), &[b'x'; 5]].concat();
        let found = KeyParts::parse(&longer);
        assert!(found.is_none() || ends_in_text(&parts), "{parts}");
    }
}

fn ends_in_text(parts: &KeyParts) -> bool {
    matches!(
        parts,
        KeyParts::Destination(..)
            | KeyParts::PrefixBlock(..)
            | KeyParts::SafeNumber(..)
            | KeyParts::WrongCodes(..)
    )
}

#[test]
fn what_lies_below_an_entity_lies_nowhere_else() {
    for Sample { key, parts, .. } in samples() {
        let elsewhere = [&[parts.kind().letter][..], &key[1..]].concat();
        if parts.kind().home == Home::Entity {
            assert_eq!(KeyParts::parse(&elsewhere), None, "{parts}");
        } else {
            let scope = [entity(scope().service, &scope().identity).bytes(), &[3; 16]].concat();
            assert_eq!(
                KeyParts::parse(&[scope.as_slice(), &key].concat()),
                None,
                "{parts}"
            );
        }
    }
}

#[test]
fn an_identity_is_no_prefix_of_a_longer_one() {
    let short = entity(scope().service, &Identity::parse("user-001").unwrap());
    let long = entity(scope().service, &Identity::parse("user-0011").unwrap());
    assert!(!long.bytes().starts_with(short.bytes()));
}

#[test]
fn an_identity_that_no_caller_may_give_is_no_key() {
    for identity in ["@user", "a user", "", "user-\u{e9}01", &"x".repeat(65)] {
        let key = [b"e".as_slice(), &[2; 16], identity.as_bytes(), b"\0"].concat();
        assert_eq!(KeyParts::parse(&key), None, "{identity}");
    }
}

#[test]
fn every_record_is_visited_with_the_letter_of_its_kind() {
    struct Letters(Vec<u8>);
    impl RecordVisitor for Letters {
        fn record<T: Record>(&mut self) {
            self.0.push(T::KIND);
        }
    }
    let mut visited = Letters(Vec::new());
    visit_records(&mut visited);
    let holding = KINDS
        .iter()
        .filter(|kind| matches!(kind.holds, Holds::Record { .. }));
    let letters: Vec<u8> = holding.map(|kind| kind.letter).collect();
    assert_eq!(visited.0, letters);
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_as_the_same_bytes(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut samples = samples();
        let mut key = samples.swap_remove(which.index(samples.len())).key;
        for (place, byte) in changes {
            let place = place.index(key.len());
            key[place] = byte;
        }
        if let Some(parts) = KeyParts::parse(&key) {
            prop_assert_eq!(parts.to_key(), key);
        }
    }
}
