//! What a store's keys are for: sealing secrets, vouching for entries, hashing tokens, naming data without showing it, and
//! vouching for tokens that the server handed out itself.
//!
//! Each purpose has its own key, derived from one of the store's own keys ([`KeyRing`]). What is sealed, and the entries
//! themselves, are under the data key that is active; what is presented or compared for as long as a store lives is under
//! the one that stays.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::derived_key;
use super::key_ring::{KeyRing, KeyRingError, StoreKey, Wrapping};
use super::sealed::SealError;
use crate::domain::entropy::Entropy;
use crate::domain::key_ring::{DataKeyState, KeyId, KeyNumber, SealedKeyRing, StoreIdentity};
use crate::domain::opaque::{Fingerprint, Sealed, TokenHash};
use crate::domain::sealing::SealedField;

/// The keys derived from a store's own.
pub struct Vault {
    store: StoreIdentity,
    lasting: LastingKeys,
    /// Changed at once when the store has other data keys.
    ring: ArcSwap<DataKeys>,
}

/// What is derived from the key that stays.
struct LastingKeys {
    pepper: hmac::Key,
    fingerprints: hmac::Key,
    access_tokens: hmac::Key,
    rings: hmac::Key,
}

/// What is derived from the data keys, as a store has them at one moment.
#[derive(Clone)]
pub struct DataKeys {
    master: KeyId,
    /// For the keys that the store has later.
    wrapping: Arc<Wrapping>,
    sealed: SealedKeyRing,
    /// Where the ring was read.
    place: RingPlace,
    /// The active one.
    active: Arc<DataKey>,
    /// Those that only read.
    reading: Vec<Arc<DataKey>>,
}

/// In what state of its store a ring was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingPlace {
    /// The store has none yet.
    Absent,
    /// In this version of its entry.
    At(u64),
    /// Its entry may have been written since.
    Unknown,
}

struct DataKey {
    number: KeyNumber,
    sealing: LessSafeKey,
    entries: hmac::Key,
}

impl Vault {
    /// Derives what seals, vouches and hashes.
    #[must_use]
    pub fn new(ring: &KeyRing) -> Self {
        let root = derived_key::root(b"countersign lasting key 1", ring.lasting().as_slice());
        Self {
            store: ring.sealed().store,
            lasting: LastingKeys {
                pepper: derived_key::mac(&root, b"token pepper"),
                fingerprints: derived_key::mac(&root, b"fingerprint"),
                access_tokens: derived_key::mac(&root, b"access token"),
                rings: derived_key::mac(&root, b"key ring"),
            },
            ring: ArcSwap::from_pointee(DataKeys::of(ring, RingPlace::Unknown)),
        }
    }

    /// Goes on with these data keys, which the same store has by now and which were read there; whether they are of the same
    /// store.
    #[must_use]
    pub fn renew(&self, ring: &KeyRing, place: RingPlace) -> bool {
        let same = ring.sealed().store == self.store;
        if same {
            self.ring.store(DataKeys::of(ring, place).into());
        }
        same
    }

    /// What is derived from the data keys of a ring of this store, which is about to be written.
    #[must_use]
    pub fn keys_of(ring: &KeyRing) -> DataKeys {
        DataKeys::of(ring, RingPlace::Unknown)
    }

    /// Notes where the keys were read, as which they are known.
    pub fn place_keys(&self, place: RingPlace) {
        let keys = DataKeys::clone(&self.ring.load());
        self.ring.store(DataKeys { place, ..keys }.into());
    }

    /// The data keys as they are now.
    #[must_use]
    pub fn data_keys(&self) -> Arc<DataKeys> {
        self.ring.load_full()
    }

    /// Opens a ring of the store with the master key that opened these keys.
    ///
    /// # Errors
    /// [`KeyRingError`].
    pub fn open_ring(&self, sealed: SealedKeyRing) -> Result<KeyRing, KeyRingError> {
        let wrapping = Arc::clone(&self.ring.load().wrapping);
        KeyRing::unwrap(sealed, wrapping)
    }

    /// Whose keys these are.
    #[must_use]
    pub fn store_identity(&self) -> StoreIdentity {
        self.store
    }

    /// Which master key opened them.
    #[must_use]
    pub fn master_key(&self) -> KeyId {
        self.ring.load().master
    }

    /// The keys as the store keeps them.
    #[must_use]
    pub fn sealed_ring(&self) -> SealedKeyRing {
        self.ring.load().sealed.clone()
    }

    /// Seals `plain` for this field of the record at `key`, with AES-256-GCM-SIV (RFC 8452) and a random nonce. Should a nonce
    /// ever repeat, it shows whether two secrets of the same place are equal, and nothing else.
    #[must_use]
    pub fn seal(&self, entropy: &dyn Entropy, key: &[u8], field: SealedField, plain: &[u8]) -> Sealed {
        let ring = self.ring.load();
        let DataKey { number, sealing, .. } = ring.active.as_ref();
        Sealed::seal(sealing, *number, entropy, &place(key, field), plain)
    }

    /// Opens what was sealed for this field of the record at `key`.
    ///
    /// # Errors
    /// When none of the store's keys sealed it, it was sealed for another place, or any of its bytes was changed.
    pub fn open(
        &self,
        key: &[u8],
        field: SealedField,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let number = sealed.require_key_number()?;
        let ring = self.ring.load();
        let data_key = ring.key(number).ok_or(SealError::UnknownKey(number))?;
        sealed.open(&data_key.sealing, &place(key, field))
    }

    /// The number of the key that vouches for entries now.
    #[must_use]
    pub fn entry_key(&self) -> KeyNumber {
        self.ring.load().active.number
    }

    /// Whether the key of this number made the tag for these bytes; none if the store has no such key.
    #[must_use]
    pub fn entry_tag_matches(&self, number: KeyNumber, tag: &EntryTag, parts: &[&[u8]]) -> Option<bool> {
        self.ring.load().entry_tag_matches(number, tag, parts)
    }

    /// Vouches, with the key that stays, for an entry that no change of the data keys writes anew.
    #[must_use]
    pub fn lasting_tag(&self, parts: &[&[u8]]) -> EntryTag {
        short_mac(&self.lasting.rings, parts)
    }

    /// Whether [`Vault::lasting_tag`] made the tag for these bytes.
    #[must_use]
    pub fn lasting_tag_matches(&self, tag: &EntryTag, parts: &[&[u8]]) -> bool {
        self.lasting_tag(parts).ct_eq(tag).into()
    }

    /// The hash of a token that an account or API key (`owner`: the bytes of its SID) presents. It is keyed, so that a
    /// stolen store does not even allow to try guesses, and bound to the owner, so that a hash moved to another
    /// owner's record opens nothing. Tokens have 128 random bits and more: no slow password hash is needed.
    #[must_use]
    pub fn token_hash(&self, owner: &[u8; 16], token: &str) -> TokenHash {
        TokenHash(mac(&self.lasting.pepper, &[owner, token.as_bytes()]))
    }

    /// Whether this is the owner's token. Takes the same time for every wrong token.
    #[must_use]
    pub fn token_matches(&self, owner: &[u8; 16], token: &str, hash: &TokenHash) -> bool {
        self.token_hash(owner, token).0.ct_eq(&hash.0).into()
    }

    /// Does what [`token_matches`](Self::token_matches) does, for an owner that does not exist: the time that an
    /// answer takes must not tell which owners do.
    pub fn spend_token_check(&self, owner: &[u8; 16], token: &str) {
        black_box(self.token_matches(owner, token, black_box(&TokenHash([0; 32]))));
    }

    /// A keyed name for `data`: equal data have equal fingerprints within one `context`, and without the key nobody
    /// can tell which data one belongs to.
    #[must_use]
    pub fn fingerprint(&self, context: &[u8], data: &[u8]) -> Fingerprint {
        // The length in front keeps ("ab", "c") and ("a", "bc") apart.
        let length = (context.len() as u64).to_be_bytes();
        let full = mac(&self.lasting.fingerprints, &[&length, context, data]);
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        Fingerprint(short)
    }

    /// Vouches for a message that will come back from a client (HMAC-SHA256).
    #[must_use]
    pub fn mac(&self, purpose: Purpose, message: &[u8]) -> [u8; 32] {
        mac(self.mac_key_of(purpose), &[message])
    }

    /// Whether [`mac`](Self::mac) made `tag` for this purpose and message. Constant time.
    #[must_use]
    pub fn mac_matches(&self, purpose: Purpose, message: &[u8], tag: &[u8]) -> bool {
        self.mac(purpose, message).as_slice().ct_eq(tag).into()
    }

    fn mac_key_of(&self, purpose: Purpose) -> &hmac::Key {
        match purpose {
            Purpose::AccessToken => &self.lasting.access_tokens,
        }
    }
}

impl DataKeys {
    fn of(ring: &KeyRing, place: RingPlace) -> Self {
        let active = ring.active();
        let (mut ours, mut reading) = (None, Vec::new());
        for (number, key) in ring.data() {
            let data_key = Arc::new(DataKey::of(*number, key));
            if *number == active {
                ours = Some(data_key);
            } else {
                reading.push(data_key);
            }
        }
        Self {
            master: ring.master(),
            wrapping: Arc::clone(ring.wrapping()),
            sealed: ring.sealed().clone(),
            place,
            active: ours.expect("a ring opens with its active key only"),
            reading,
        }
    }

    /// The keys as the store keeps them.
    #[must_use]
    pub fn sealed(&self) -> &SealedKeyRing {
        &self.sealed
    }

    /// Where they were read.
    #[must_use]
    pub fn place(&self) -> RingPlace {
        self.place
    }

    /// The number of the key that seals and vouches for what is written.
    #[must_use]
    pub fn active(&self) -> KeyNumber {
        self.active.number
    }

    /// Whether there is no other one.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.reading.is_empty()
    }

    /// Whether there is one of this number.
    #[must_use]
    pub fn has(&self, number: KeyNumber) -> bool {
        self.key(number).is_some()
    }

    /// Whether what the key of this number seals may be written.
    #[must_use]
    pub fn takes(&self, number: KeyNumber) -> bool {
        let mut keys = self.sealed.data.iter();
        keys.any(|key| key.number == number && key.state != DataKeyState::Leaving)
    }

    /// Vouches for an entry, whose bytes these are: with which key, and the tag (HMAC-SHA256, the first half).
    #[must_use]
    pub fn entry_tag(&self, parts: &[&[u8]]) -> (KeyNumber, EntryTag) {
        let DataKey { number, entries, .. } = self.active.as_ref();
        (*number, short_mac(entries, parts))
    }

    /// Whether the key of this number made the tag for these bytes; none if there is no such key.
    #[must_use]
    pub fn entry_tag_matches(&self, number: KeyNumber, tag: &EntryTag, parts: &[&[u8]]) -> Option<bool> {
        let key = self.key(number)?;
        Some(short_mac(&key.entries, parts).ct_eq(tag).into())
    }

    fn key(&self, number: KeyNumber) -> Option<&DataKey> {
        let mut keys = std::iter::once(&self.active).chain(&self.reading);
        keys.find(|key| key.number == number).map(Arc::as_ref)
    }
}

impl DataKey {
    fn of(number: KeyNumber, key: &StoreKey) -> Self {
        let root = derived_key::root(b"countersign data key 1", key.as_slice());
        Self {
            number,
            sealing: derived_key::sealing(&root, b"sealing, AES-256-GCM-SIV"),
            entries: derived_key::mac(&root, b"entry"),
        }
    }
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DataKeys({} and {} more)",
            self.active.number,
            self.reading.len()
        )
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.store)
    }
}

/// What vouches for an entry.
pub type EntryTag = [u8; 16];

/// What a [`Vault::mac`] is for; each purpose has its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The token that lets an app enrol one factor.
    AccessToken,
}

/// What is associated with a sealed value. The key of a record says whose it is: it holds the account, or what belongs to one.
fn place(key: &[u8], field: SealedField) -> Vec<u8> {
    [&[field as u8], key].concat()
}

fn short_mac(key: &hmac::Key, parts: &[&[u8]]) -> EntryTag {
    let full = mac(key, parts);
    let mut short = [0; 16];
    short.copy_from_slice(&full[..16]);
    short
}

fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 32];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

#[cfg(test)]
mod tests;
