//! What is sealed opens in its place only, what is vouched for verifies, and the first release's keys stay.

use std::collections::HashSet;

use super::*;
use crate::crypto::master_key::MasterKey;
use crate::domain::entropy::SystemEntropy;
use crate::domain::key_ring::{DataKeyState, SealedDataKey, WrappedKey};
use crate::domain::time::Timestamp;
use crate::doubles::SeededEntropy;

fn ring(seed: u64) -> KeyRing {
    let entropy = SeededEntropy::new(seed);
    KeyRing::generate(
        &MasterKey::generate(&entropy),
        &entropy,
        Timestamp::from_seconds(1),
    )
}

fn vault(seed: u64) -> Vault {
    Vault::new(&ring(seed))
}

#[test]
fn what_was_sealed_opens() {
    let (vault, entropy) = (vault(1), SeededEntropy::new(9));
    for plain in [b"".as_slice(), b"x", &[7; 4096]] {
        let sealed = vault.seal(&entropy, b"place", FIELD, plain);
        assert_eq!(sealed.as_bytes().len(), 1 + 2 + 12 + plain.len() + 16);
        assert_eq!(vault.open(b"place", FIELD, &sealed).unwrap().as_slice(), plain);
        assert_eq!(sealed.key_number(), Some(KeyNumber(1)));
    }
}

#[test]
fn an_envelope_opens_only_in_its_place() {
    let (vault, entropy) = (vault(1), SeededEntropy::new(9));
    let mine = vault.seal(&entropy, b"factor 1", FIELD, b"secret one");
    let yours = vault.seal(&entropy, b"factor 2", FIELD, b"secret two");
    assert_eq!(
        vault.open(b"factor 1", FIELD, &yours),
        Err(SealError::NotAuthentic)
    );
    assert_eq!(
        vault.open(b"factor 2", FIELD, &mine),
        Err(SealError::NotAuthentic)
    );
    assert_eq!(vault.open(b"", FIELD, &mine), Err(SealError::NotAuthentic));
}

#[test]
fn no_flipped_bit_opens() {
    let vault = vault(1);
    let sealed = vault.seal(&SeededEntropy::new(9), b"place", FIELD, b"twenty secret bytes!");
    for bit in 0..sealed.as_bytes().len() * 8 {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = vault
            .open(b"place", FIELD, &Sealed::from_bytes(bytes))
            .unwrap_err();
        match bit / 8 {
            0 => assert!(matches!(error, SealError::UnknownFormat(_)), "{bit}: {error}"),
            1..3 => assert!(matches!(error, SealError::UnknownKey(_)), "{bit}: {error}"),
            _ => assert_eq!(error, SealError::NotAuthentic, "{bit}"),
        }
    }
}

#[test]
fn no_shortened_or_lengthened_envelope_opens() {
    let vault = vault(1);
    let sealed = vault.seal(&SeededEntropy::new(9), b"place", FIELD, b"secret");
    for length in 0..sealed.as_bytes().len() {
        let cut = Sealed::from_bytes(sealed.as_bytes()[..length].to_vec());
        assert!(vault.open(b"place", FIELD, &cut).is_err(), "{length}");
    }
    let longer = Sealed::from_bytes([sealed.as_bytes(), b"\0"].concat());
    assert_eq!(vault.open(b"place", FIELD, &longer), Err(SealError::NotAuthentic));
}

#[test]
fn no_field_of_a_record_opens_in_anothers_place() {
    let (vault, entropy) = (vault(1), SeededEntropy::new(9));
    let code = vault.seal(&entropy, b"place", SealedField::Code, b"123456");
    let opened = vault.open(b"place", SealedField::SubmittedCode, &code);
    assert_eq!(opened, Err(SealError::NotAuthentic));
}

#[test]
fn what_another_store_sealed_does_not_open() {
    let (ours, theirs) = (vault(1), vault(2));
    let sealed = theirs.seal(&SeededEntropy::new(9), b"place", FIELD, b"secret");
    assert_eq!(ours.open(b"place", FIELD, &sealed), Err(SealError::NotAuthentic));
    let (number, tag) = theirs.data_keys().entry_tag(&[b"entry"]);
    assert_eq!(ours.entry_tag_matches(number, &tag, &[b"entry"]), Some(false));
    assert!(!ours.renew(&ring(2), RingPlace::At(1)));
    assert!(ours.renew(&ring(1), RingPlace::At(1)));
}

#[test]
fn an_entry_is_vouched_for_by_one_key() {
    let vault = vault(1);
    let (number, tag) = vault.data_keys().entry_tag(&[b"one ", b"entry"]);
    assert_eq!(vault.entry_tag_matches(number, &tag, &[b"one entry"]), Some(true));
    assert_eq!(
        vault.entry_tag_matches(number, &tag, &[b"one entrY"]),
        Some(false)
    );
    assert_eq!(vault.entry_tag_matches(KeyNumber(2), &tag, &[b"one entry"]), None);
    assert_ne!(vault.lasting_tag(&[b"one entry"]), tag);
    assert!(vault.lasting_tag_matches(&vault.lasting_tag(&[b"ring"]), &[b"ring"]));
}

/// Computed with another implementation of HKDF, HMAC and AES-GCM-SIV: whatever a release has stored must open
/// and match forever.
#[test]
fn keys_and_format_of_the_first_release_stay() {
    let master = MasterKey::parse(&"42".repeat(32)).unwrap();
    assert_eq!(master.id().to_string(), "0c9705a9");
    let wraps = |text: &str| {
        vec![WrappedKey {
            master_key: master.id(),
            sealed: Sealed::from_bytes(hex(text)),
        }]
    };
    let sealed = SealedKeyRing {
        generation: 1,
        store: StoreIdentity::from_bytes([1; 16]),
        lasting: wraps(concat!(
            "010000000102030405060708090a0b5acabb385fe128679071390f22bf7e8efb",
            "c123000982dd134ce7590029d2ba1c3b2a0ffcee68929d5ea097dc2f7ca7ad"
        )),
        data: vec![SealedDataKey {
            number: KeyNumber(1),
            state: DataKeyState::Active,
            since: Timestamp::from_seconds(1),
            wraps: wraps(concat!(
                "010001000102030405060708090a0ba881c5a6431ecd487051949ade92ed0d2d",
                "f76819f377779c6f6a77475db191286b388549a8e8d7f11982a133bc0c9696"
            )),
        }],
    };
    let vault = Vault::new(&KeyRing::open(sealed, &master).unwrap());
    let sealed = hex("010001000102030405060708090a0b70919f4a5d3223bb4e8a8ec4e0597baa19bcbb0b0f88");
    let opened = vault.open(b"place", FIELD, &Sealed::from_bytes(sealed)).unwrap();
    assert_eq!(opened.as_slice(), b"secret");
    let tag = hex("f813576624f07cd460ff8e62e0ef1496");
    assert_eq!(vault.data_keys().entry_tag(&[b"entry"]).1.as_slice(), tag);
    let tag = hex("96cfd9a86d8a3fb04275b3ebf635f8ec");
    assert_eq!(vault.lasting_tag(&[b"ring"]).as_slice(), tag);
    let token = vault.token_hash(&[1; 16], "token").0;
    assert_eq!(
        token.as_slice(),
        hex("268d241edfcd6a09a2498cea6336e498c18e3e09aebec715b022a2ee910be07f")
    );
    let access = vault.mac(Purpose::AccessToken, b"message");
    assert_eq!(
        access.as_slice(),
        hex("9917e2f314b7542bdeca992f55e2baf2ecbe92e9298fd8c8213177fd941acc5d")
    );
    let fingerprint = vault.fingerprint(b"ab", b"c");
    assert_eq!(
        fingerprint.as_bytes().as_slice(),
        hex("7eb88d5390a23ed79e1de01bbc91b6ac")
    );
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |index: usize| u8::from_str_radix(&text[index..index + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// SECURITY.md, row 26: of a million seals no two have the same nonce, though several servers seal under one key and none knows of
/// the others; and for those of one record none has.
#[test]
fn of_a_million_seals_by_two_servers_no_two_share_a_nonce() {
    const EACH: usize = 500_000;
    let seal_many = || -> Vec<[u8; 12]> {
        let vault = vault(1);
        let nonce = |_| {
            let sealed = vault.seal(&SystemEntropy, b"place", FIELD, b"the same");
            sealed.as_bytes()[3..15].try_into().unwrap()
        };
        (0..EACH).map(nonce).collect()
    };
    let nonces = std::thread::scope(|scope| {
        let servers = [scope.spawn(seal_many), scope.spawn(seal_many)];
        servers.map(|server| server.join().unwrap()).concat()
    });
    let distinct: HashSet<[u8; 12]> = nonces.into_iter().collect();
    assert_eq!(distinct.len(), 2 * EACH);
}

#[test]
fn a_token_belongs_to_one_owner_and_one_vault() {
    let (ours, theirs) = (vault(1), vault(2));
    let (alice, bob) = ([1; 16], [2; 16]);
    let hash = ours.token_hash(&alice, "token");
    assert!(ours.token_matches(&alice, "token", &hash));
    assert!(!ours.token_matches(&bob, "token", &hash));
    assert!(!ours.token_matches(&alice, "Token", &hash));
    assert!(!ours.token_matches(&alice, "", &hash));
    assert!(!theirs.token_matches(&alice, "token", &hash));
    ours.spend_token_check(&alice, "token");
}

#[test]
fn fingerprints_are_keyed_and_keep_context_and_data_apart() {
    let (ours, theirs) = (vault(1), vault(2));
    let name = ours.fingerprint(b"ab", b"c");
    assert_eq!(name, ours.fingerprint(b"ab", b"c"));
    assert_ne!(name, ours.fingerprint(b"a", b"bc"));
    assert_ne!(name, theirs.fingerprint(b"ab", b"c"));
}

#[test]
fn a_mac_holds_for_one_purpose_and_one_message() {
    let vault = vault(1);
    let tag = vault.mac(Purpose::AccessToken, b"message");
    assert!(vault.mac_matches(Purpose::AccessToken, b"message", &tag));
    assert!(!vault.mac_matches(Purpose::AccessToken, b"messagE", &tag));
    assert!(!vault.mac_matches(Purpose::AccessToken, b"message", &tag[..31]));
    assert!(!vault.mac_matches(Purpose::AccessToken, b"message", b""));
}

#[test]
fn hashes_keep_their_bytes_through_the_record_format() {
    let vault = vault(1);
    let hash = vault.token_hash(&[1; 16], "token");
    let bytes = rmp_serde::to_vec(&hash).unwrap();
    assert_eq!(bytes.len(), 2 + 32);
    let back: TokenHash = rmp_serde::from_slice(&bytes).unwrap();
    assert!(vault.token_matches(&[1; 16], "token", &back));
    assert!(rmp_serde::from_slice::<Fingerprint>(&bytes).is_err());
    let sealed = vault.seal(&SeededEntropy::new(9), b"place", FIELD, b"secret");
    let back: Sealed = rmp_serde::from_slice(&rmp_serde::to_vec(&sealed).unwrap()).unwrap();
    assert_eq!(back, sealed);
}

#[test]
fn debug_shows_lengths_and_key_ids_only() {
    let vault = vault(1);
    let sealed = vault.seal(&SeededEntropy::new(9), b"place", FIELD, b"secret");
    assert_eq!(format!("{sealed:?}"), "Sealed(37 bytes)");
    assert_eq!(format!("{vault:?}"), format!("Vault({})", vault.store_identity()));
    assert_eq!(format!("{:?}", vault.token_hash(&[1; 16], "t")), "TokenHash(..)");
    assert_eq!(format!("{:?}", vault.fingerprint(b"", b"")), "Fingerprint(..)");
}

const FIELD: SealedField = SealedField::TotpSecret;
