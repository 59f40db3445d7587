//! A store's own keys, opened with the master key.
//!
//! Whoever has the store but no master key has none of them. Each is sealed for its place in the ring (whose store, which
//! number, what for), so that none can stand in another's place or come from another store.

use std::fmt;

use aws_lc_rs::aead::LessSafeKey;
use zeroize::Zeroizing;

use super::derived_key;
use super::master_key::MasterKey;
use crate::domain::entropy::Entropy;
use crate::domain::key_ring::{
    DataKeyState, KeyId, KeyNumber, SealedDataKey, SealedKeyRing, StoreIdentity, WrappedKey,
};
use crate::domain::opaque::Sealed;
use crate::domain::time::Timestamp;

/// A store's keys, opened.
pub struct KeyRing {
    master: KeyId,
    lasting: StoreKey,
    data: Vec<(KeyNumber, StoreKey)>,
    active: KeyNumber,
    sealed: SealedKeyRing,
}

/// 32 random bytes. Boxed, so that moving them leaves no copy behind that nobody wipes.
pub(super) type StoreKey = Box<Zeroizing<[u8; 32]>>;

impl KeyRing {
    /// The keys of a new store.
    #[must_use]
    pub fn generate(master: &MasterKey, entropy: &dyn Entropy, now: Timestamp) -> Self {
        let mut identity = [0; 16];
        entropy.fill(&mut identity);
        let store = StoreIdentity::from_bytes(identity);
        let (number, lasting, first) = (KeyNumber(1), random(entropy), random(entropy));
        let wrapping = Wrapping::of(master);
        let sealed = SealedKeyRing {
            store,
            lasting: vec![wrapping.wrap(entropy, store, LASTING, &lasting)],
            data: vec![SealedDataKey {
                number,
                state: DataKeyState::Active,
                since: now,
                wraps: vec![wrapping.wrap(entropy, store, number, &first)],
            }],
        };
        Self {
            master: master.id(),
            lasting,
            data: vec![(number, first)],
            active: number,
            sealed,
        }
    }

    /// Opens the keys of a store. That the record is as it was written is still to be seen: what vouches for it is in it.
    ///
    /// # Errors
    /// [`KeyRingError`].
    pub fn open(sealed: SealedKeyRing, master: &MasterKey) -> Result<Self, KeyRingError> {
        let (store, wrapping) = (sealed.store, Wrapping::of(master));
        let lasting = wrapping.unwrap(store, LASTING, &sealed.lasting)?;
        let mut data = Vec::with_capacity(sealed.data.len());
        let mut active = None;
        for key in &sealed.data {
            if key.state == DataKeyState::Active && active.replace(key.number).is_some() {
                return Err(KeyRingError::Damaged);
            }
            data.push((key.number, wrapping.unwrap(store, key.number, &key.wraps)?));
        }
        Ok(Self {
            master: master.id(),
            lasting,
            data,
            active: active.ok_or(KeyRingError::Damaged)?,
            sealed,
        })
    }

    /// The keys as the store keeps them.
    #[must_use]
    pub fn sealed(&self) -> &SealedKeyRing {
        &self.sealed
    }

    /// Which master key opened it.
    pub(super) fn master(&self) -> KeyId {
        self.master
    }

    pub(super) fn lasting(&self) -> &StoreKey {
        &self.lasting
    }

    pub(super) fn data(&self) -> &[(KeyNumber, StoreKey)] {
        &self.data
    }

    /// The number of the key that what is written is sealed with.
    pub(super) fn active(&self) -> KeyNumber {
        self.active
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({})", self.sealed.store)
    }
}

/// Why a store's keys do not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// The record was changed, or is another store's.
    #[error("its key ring was changed")]
    Damaged,
    /// Another master key seals them.
    #[error("its keys are sealed under another master key ({sealed_under}) than the one given ({ours})")]
    OtherMasterKey {
        /// Which one.
        sealed_under: KeyId,
        /// Which one was given.
        ours: KeyId,
    },
}

/// What a master key wraps keys with.
struct Wrapping {
    id: KeyId,
    key: LessSafeKey,
}

impl Wrapping {
    fn of(master: &MasterKey) -> Self {
        Self {
            id: master.id(),
            key: derived_key::sealing(&master.root(), b"wrapping, AES-256-GCM-SIV"),
        }
    }

    fn wrap(
        &self,
        entropy: &dyn Entropy,
        store: StoreIdentity,
        number: KeyNumber,
        key: &StoreKey,
    ) -> WrappedKey {
        WrappedKey {
            master_key: self.id,
            sealed: Sealed::seal(&self.key, number, entropy, &place(store, number), key.as_slice()),
        }
    }

    fn unwrap(
        &self,
        store: StoreIdentity,
        number: KeyNumber,
        wraps: &[WrappedKey],
    ) -> Result<StoreKey, KeyRingError> {
        let Some(wrap) = wraps.iter().find(|wrap| wrap.master_key == self.id) else {
            let other = wraps.first().ok_or(KeyRingError::Damaged)?;
            return Err(KeyRingError::OtherMasterKey {
                sealed_under: other.master_key,
                ours: self.id,
            });
        };
        if wrap.sealed.key_number() != Some(number) {
            return Err(KeyRingError::Damaged);
        }
        let opened = wrap.sealed.open(&self.key, &place(store, number));
        let opened = opened.map_err(|_| KeyRingError::Damaged)?;
        let mut key = Box::new(Zeroizing::new([0; 32]));
        if opened.len() != key.len() {
            return Err(KeyRingError::Damaged);
        }
        key.copy_from_slice(&opened);
        Ok(key)
    }
}

fn place(store: StoreIdentity, number: KeyNumber) -> Vec<u8> {
    let purpose: &[u8] = if number == LASTING {
        b"lasting key of store "
    } else {
        b"data key of store "
    };
    [purpose, store.as_bytes(), &number.0.to_be_bytes()].concat()
}

#[expect(
    clippy::unnecessary_box_returns,
    reason = "boxed at once, so that no copy is left behind"
)]
fn random(entropy: &dyn Entropy) -> StoreKey {
    let mut key = Box::new(Zeroizing::new([0; 32]));
    entropy.fill(key.as_mut_slice());
    key
}

/// No data key has this number: the key that stays for the store's life stands under it.
pub(super) const LASTING: KeyNumber = KeyNumber(0);

#[cfg(test)]
mod tests {
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
}
