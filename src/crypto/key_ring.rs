//! A store's own keys, opened with the master key.
//!
//! Whoever has the store but no master key has none of them. Each is sealed for its place in the ring (whose store, which
//! number, what for), so that none can stand in another's place or come from another store.

use std::fmt;
use std::sync::Arc;

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
    /// Of the master key that opened it.
    wrapping: Arc<Wrapping>,
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
        let wrapping = Arc::new(Wrapping::of(master));
        let sealed = SealedKeyRing {
            store,
            generation: 1,
            lasting: vec![wrapping.wrap(entropy, store, LASTING, &lasting)],
            data: vec![SealedDataKey {
                number,
                state: DataKeyState::Active,
                since: now,
                wraps: vec![wrapping.wrap(entropy, store, number, &first)],
            }],
        };
        Self {
            wrapping,
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
        Self::unwrap(sealed, Arc::new(Wrapping::of(master)))
    }

    pub(super) fn unwrap(sealed: SealedKeyRing, wrapping: Arc<Wrapping>) -> Result<Self, KeyRingError> {
        let store = sealed.store;
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
            wrapping,
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

    /// The same with one more data key, which is the one that what is written is sealed with from then on. Its number.
    ///
    /// # Errors
    /// [`RingChangeError::TwoMasters`], for the key could be sealed under one of them only; [`RingChangeError::NoNumbers`];
    /// [`RingChangeError::TooManyKeys`].
    pub fn rotated(
        &self,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<(SealedKeyRing, KeyNumber), RingChangeError> {
        if self.masters().len() > 1 {
            return Err(RingChangeError::TwoMasters);
        }
        if self.data.len() >= MOST_KEYS {
            return Err(RingChangeError::TooManyKeys);
        }
        let number = KeyNumber(
            self.last_number()
                .checked_add(1)
                .ok_or(RingChangeError::NoNumbers)?,
        );
        let mut changed = self.next()?;
        for key in changed
            .data
            .iter_mut()
            .filter(|key| key.state == DataKeyState::Active)
        {
            (key.state, key.since) = (DataKeyState::Reading, now);
        }
        let wrap = self
            .wrapping
            .wrap(entropy, changed.store, number, &random(entropy));
        changed.data.push(SealedDataKey {
            number,
            state: DataKeyState::Active,
            since: now,
            wraps: vec![wrap],
        });
        Ok((changed, number))
    }

    /// The same, with nothing being written any more that the key of this number seals.
    ///
    /// # Errors
    /// [`RingChangeError::Unknown`], [`RingChangeError::Active`].
    pub fn leaving(&self, number: KeyNumber, now: Timestamp) -> Result<SealedKeyRing, RingChangeError> {
        let mut changed = self.next()?;
        let key = changed.data.iter_mut().find(|key| key.number == number);
        let key = key.ok_or(RingChangeError::Unknown(number))?;
        if key.state == DataKeyState::Active {
            return Err(RingChangeError::Active);
        }
        (key.state, key.since) = (DataKeyState::Leaving, now);
        Ok(changed)
    }

    /// The same without the keys that are leaving. Whatever is still sealed with them is lost.
    ///
    /// # Errors
    /// [`RingChangeError::NoNumbers`].
    pub fn without_leaving(&self) -> Result<SealedKeyRing, RingChangeError> {
        let mut changed = self.next()?;
        changed.data.retain(|key| key.state != DataKeyState::Leaving);
        Ok(changed)
    }

    /// The same, which another master key opens as well.
    ///
    /// # Errors
    /// [`RingChangeError::TwoMasters`].
    pub fn wrapped_for(
        &self,
        other: &MasterKey,
        entropy: &dyn Entropy,
    ) -> Result<SealedKeyRing, RingChangeError> {
        if self.masters().len() > 1 || self.wrapping.id == other.id() {
            return Err(RingChangeError::TwoMasters);
        }
        let wrapping = Wrapping::of(other);
        let mut changed = self.next()?;
        let store = changed.store;
        changed
            .lasting
            .push(wrapping.wrap(entropy, store, LASTING, &self.lasting));
        for (sealed, (number, key)) in changed.data.iter_mut().zip(&self.data) {
            sealed.wraps.push(wrapping.wrap(entropy, store, *number, key));
        }
        Ok(changed)
    }

    /// The same, which only the master key opens that opened this one.
    ///
    /// # Errors
    /// [`RingChangeError::OneMaster`].
    pub fn for_this_master_only(&self) -> Result<SealedKeyRing, RingChangeError> {
        if self.masters().len() == 1 {
            return Err(RingChangeError::OneMaster);
        }
        let mut changed = self.next()?;
        let ours = |wrap: &WrappedKey| wrap.master_key == self.wrapping.id;
        changed.lasting.retain(ours);
        for key in &mut changed.data {
            key.wraps.retain(ours);
        }
        Ok(changed)
    }

    /// The master keys that open it.
    #[must_use]
    pub fn masters(&self) -> Vec<KeyId> {
        self.sealed.lasting.iter().map(|wrap| wrap.master_key).collect()
    }

    fn next(&self) -> Result<SealedKeyRing, RingChangeError> {
        let mut changed = self.sealed.clone();
        changed.generation = changed
            .generation
            .checked_add(1)
            .ok_or(RingChangeError::NoNumbers)?;
        Ok(changed)
    }

    /// The greatest number that a key had: the active one has it, for every new one is active and the active one does not go.
    fn last_number(&self) -> u16 {
        self.active.0
    }

    /// Which master key opened it.
    pub(super) fn master(&self) -> KeyId {
        self.wrapping.id
    }

    pub(super) fn wrapping(&self) -> &Arc<Wrapping> {
        &self.wrapping
    }

    pub(super) fn lasting(&self) -> &StoreKey {
        &self.lasting
    }

    pub(super) fn data(&self) -> &[(KeyNumber, StoreKey)] {
        &self.data
    }

    /// The number of the key that what is written is sealed with.
    #[must_use]
    pub fn active(&self) -> KeyNumber {
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

/// Why a ring is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingChangeError {
    /// It is the one that what is written is sealed with.
    #[error("it is the active key: make another one with `countersign keys rotate` first")]
    Active,
    /// There have been too many of them, or changes.
    #[error("the store has no numbers for keys left")]
    NoNumbers,
    /// Only one master key opens the ring.
    #[error("only one master key opens the store, and that one stays")]
    OneMaster,
    /// Whoever reads has to look through all of them.
    #[error(
        "the store has {MOST_KEYS} data keys: retire older ones with `countersign keys retire NUMBER` first"
    )]
    TooManyKeys,
    /// The store is on its way from one master key to another.
    #[error(
        "two master keys open the store: start all servers with the new one, and end the change with `countersign keys retire \
         --master`"
    )]
    TwoMasters,
    /// There is none.
    #[error("the store has no data key {0}")]
    Unknown(KeyNumber),
}

/// The most data keys of a store at a time.
const MOST_KEYS: usize = 8;

/// What a master key wraps keys with.
pub(super) struct Wrapping {
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
mod tests;
