//! A ring opens with its master keys only, and changes one step at a time.

use super::*;
use crate::doubles::SeededEntropy;

fn master(byte: &str) -> MasterKey {
    MasterKey::parse(&byte.repeat(32)).unwrap()
}

fn ring(seed: u64) -> SealedKeyRing {
    let entropy = SeededEntropy::new(seed);
    let ring = KeyRing::generate(&master("42"), &entropy, Timestamp::from_seconds(1));
    ring.sealed().clone()
}

#[test]
fn a_ring_opens_with_its_master_key_only() {
    let ours = KeyRing::open(ring(1), &master("42")).unwrap();
    assert_eq!((ours.data().len(), ours.active()), (1, KeyNumber(1)));
    let refused = KeyRing::open(ring(1), &master("43")).unwrap_err();
    assert_eq!(
        refused,
        KeyRingError::OtherMasterKey {
            sealed_under: master("42").id(),
            ours: master("43").id()
        }
    );
    assert!(refused.to_string().contains(&master("42").id().to_string()));
}

/// Two masters may agree in four bytes.
#[test]
fn a_name_of_a_master_key_opens_nothing() {
    let mut renamed = ring(1);
    renamed.lasting[0].master_key = master("43").id();
    renamed.data[0].wraps[0].master_key = master("43").id();
    let refused = KeyRing::open(renamed, &master("43")).unwrap_err();
    assert_eq!(refused, KeyRingError::Damaged);
}

#[test]
fn no_key_stands_in_anothers_place() {
    let damaged = |change: &dyn Fn(&mut SealedKeyRing)| {
        let mut changed = ring(1);
        change(&mut changed);
        assert_eq!(
            KeyRing::open(changed, &master("42")).unwrap_err(),
            KeyRingError::Damaged
        );
    };
    damaged(&|ring| ring.data[0].wraps = ring.lasting.clone());
    damaged(&|ring| ring.lasting = ring.data[0].wraps.clone());
    damaged(&|changed| changed.data = ring(2).data);
    damaged(&|changed| changed.lasting = ring(2).lasting);
    damaged(&|ring| ring.store = StoreIdentity::from_bytes([7; 16]));
    damaged(&|ring| ring.data[0].number = KeyNumber(2));
    damaged(&|ring| ring.data[0].state = DataKeyState::Reading);
    damaged(&|ring| ring.data.push(ring.data[0].clone()));
    damaged(&|ring| ring.data.clear());
    damaged(&|ring| ring.lasting.clear());
}

#[test]
fn two_stores_under_one_master_key_have_no_key_in_common() {
    let one = KeyRing::open(ring(1), &master("42")).unwrap();
    let two = KeyRing::open(ring(2), &master("42")).unwrap();
    assert_ne!(one.lasting().as_slice(), two.lasting().as_slice());
    assert_ne!(one.data()[0].1.as_slice(), two.data()[0].1.as_slice());
    assert_ne!(one.sealed().store, two.sealed().store);
}

fn opened(sealed: SealedKeyRing, byte: &str) -> Result<KeyRing, KeyRingError> {
    KeyRing::open(sealed, &master(byte))
}

#[test]
fn a_new_key_seals_at_once_and_the_old_one_can_go() {
    let (entropy, later) = (SeededEntropy::new(9), Timestamp::from_seconds(2));
    let first = opened(ring(1), "42").unwrap();
    assert_eq!(first.leaving(KeyNumber(1), later), Err(RingChangeError::Active));
    let (sealed, number) = first.rotated(&entropy, later).unwrap();
    assert_eq!((number, sealed.generation), (KeyNumber(2), 2));
    let both = opened(sealed, "42").unwrap();
    assert_eq!((both.active(), both.data().len()), (number, 2));
    assert_ne!(both.data()[0].1.as_slice(), both.data()[1].1.as_slice());
    assert_eq!(both.sealed().data[0].state, DataKeyState::Reading);
    assert_eq!(both.sealed().data[0].since, later);
    let unknown = Err(RingChangeError::Unknown(KeyNumber(3)));
    assert_eq!(both.leaving(KeyNumber(3), later), unknown);
    assert_eq!(both.without_leaving().unwrap().data.len(), 2);
    let leaving = opened(both.leaving(KeyNumber(1), later).unwrap(), "42").unwrap();
    assert_eq!(leaving.data().len(), 2, "it still reads");
    let alone = opened(leaving.without_leaving().unwrap(), "42").unwrap();
    assert_eq!((alone.data().len(), alone.sealed().generation), (1, 4));
    assert_eq!(alone.lasting().as_slice(), first.lasting().as_slice());
    // No number comes again.
    let (_, next) = alone.rotated(&entropy, later).unwrap();
    assert_eq!(next, KeyNumber(3));
}

#[test]
fn there_are_only_so_many_keys_at_a_time() {
    let (entropy, now) = (SeededEntropy::new(9), Timestamp::from_seconds(2));
    let mut keys = opened(ring(1), "42").unwrap();
    for _ in 1..MOST_KEYS {
        keys = opened(keys.rotated(&entropy, now).unwrap().0, "42").unwrap();
    }
    let refused = keys.rotated(&entropy, now).map(drop);
    assert_eq!(refused, Err(RingChangeError::TooManyKeys));
}

#[test]
fn two_master_keys_open_a_ring_until_one_is_taken_away() {
    let entropy = SeededEntropy::new(9);
    let old = opened(ring(1), "42").unwrap();
    let both = old.wrapped_for(&master("43"), &entropy).unwrap();
    assert_eq!(
        old.wrapped_for(&master("42"), &entropy),
        Err(RingChangeError::TwoMasters)
    );
    let (by_old, by_new) = (opened(both.clone(), "42").unwrap(), opened(both, "43").unwrap());
    assert_eq!(by_old.masters(), [master("42").id(), master("43").id()]);
    for ring in [&by_old, &by_new] {
        assert_eq!(ring.lasting().as_slice(), old.lasting().as_slice());
        assert_eq!(ring.data()[0].1.as_slice(), old.data()[0].1.as_slice());
        let now = Timestamp::from_seconds(3);
        let refused = ring.rotated(&entropy, now).map(drop);
        assert_eq!(refused, Err(RingChangeError::TwoMasters));
    }
    let new_only = by_new.for_this_master_only().unwrap();
    assert!(matches!(
        opened(new_only.clone(), "42"),
        Err(KeyRingError::OtherMasterKey { .. })
    ));
    let alone = opened(new_only, "43").unwrap();
    assert_eq!(alone.masters(), [master("43").id()]);
    assert_eq!(alone.for_this_master_only(), Err(RingChangeError::OneMaster));
}
