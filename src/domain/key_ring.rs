//! The keys of a store, as the store keeps them: sealed under the master key.
//!
//! A store has random keys of its own. The operator's master key opens them and nothing else, so it can be changed without a
//! record being written anew, and two stores under one master key still have nothing in common.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::opaque::Sealed;
use super::time::Timestamp;

/// What tells a store from all others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreIdentity(#[serde(with = "serde_bytes")] [u8; 16]);

/// Which master key: four bytes derived from it that tell keys apart and nothing about them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(#[serde(with = "serde_bytes")] [u8; 4]);

/// Which of a store's data keys. They are counted from 1 and no number comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyNumber(pub u16);

/// The keys of a store, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedKeyRing {
    /// Whose they are.
    pub store: StoreIdentity,
    /// How often they were changed: one that counts less is over.
    pub generation: u32,
    /// The key of what cannot be made anew: whoever presents a token is known by its hash under it. It stays for the store's
    /// life. It also vouches for this record.
    pub lasting: Vec<WrappedKey>,
    /// The keys that seal and vouch for everything else, by their numbers.
    pub data: Vec<SealedDataKey>,
}

/// One of a store's data keys, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct SealedDataKey {
    pub number: KeyNumber,
    pub state: DataKeyState,
    /// Since when it is in that state.
    pub since: Timestamp,
    pub wraps: Vec<WrappedKey>,
}

/// What a data key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataKeyState {
    /// What is written is sealed and vouched for with it; so with one of them.
    Active,
    /// Only what was written with it before.
    Reading,
    /// The same, until what is left of that was written anew; then it goes. Nothing that it seals is written any more.
    Leaving,
}

/// How far entries were written anew since the data keys changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyWalk {
    /// The [generation](SealedKeyRing::generation) of the ring that it is about.
    pub generation: u32,
    /// Behind which entry it goes on.
    #[serde(with = "serde_bytes")]
    pub after: Vec<u8>,
    /// How many entries were looked at.
    pub seen: u64,
    /// How many were written anew.
    pub written: u64,
    /// Whether the round that is under way has found any to write anew: then another one follows.
    pub found: bool,
    /// What the round that is under way has found that keeps a key from going.
    pub held: HeldEntries,
    /// What the round before it found of that.
    pub still_held: HeldEntries,
    /// Whether a whole round has found none.
    pub is_done: bool,
}

/// Entries of a key that is to go, which a server refuses because they are older than they were before: another one, or a new
/// start, may take them, so the key stays for as long as there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldEntries {
    /// How many.
    pub count: u64,
    /// The keys of the first of them.
    pub first: Vec<ByteBuf>,
}

/// A key sealed under one master key. While the master key is changed there are several of the same key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct WrappedKey {
    pub master_key: KeyId,
    pub sealed: Sealed,
}

impl SealedKeyRing {
    /// The number of the key that seals what is written.
    #[must_use]
    pub fn active(&self) -> Option<KeyNumber> {
        let active = self.data.iter().find(|key| key.state == DataKeyState::Active);
        active.map(|key| key.number)
    }

    /// Whether a key is to go.
    #[must_use]
    pub fn has_leaving(&self) -> bool {
        self.data.iter().any(|key| key.state == DataKeyState::Leaving)
    }
}

impl KeyWalk {
    /// One that begins.
    #[must_use]
    pub fn new(generation: u32) -> Self {
        Self {
            generation,
            after: Vec::new(),
            seen: 0,
            written: 0,
            found: false,
            held: HeldEntries::default(),
            still_held: HeldEntries::default(),
            is_done: false,
        }
    }

    /// The end of a round.
    pub fn end_round(&mut self) {
        self.is_done = !self.found && self.held.count == 0;
        (self.found, self.still_held) = (false, std::mem::take(&mut self.held));
        self.after.clear();
    }
}

impl HeldEntries {
    /// One more, with this key.
    pub fn add(&mut self, key: &[u8]) {
        self.count += 1;
        if self.first.len() < MOST_HELD_NAMED {
            self.first.push(ByteBuf::from(key));
        }
    }
}

impl DataKeyState {
    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reading => "reading",
            Self::Leaving => "leaving",
        }
    }
}

impl StoreIdentity {
    /// The one with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl KeyId {
    /// The one with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }
}

/// In hexadecimal.
impl fmt::Display for StoreIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreIdentity({self})")
    }
}

/// In hexadecimal.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl fmt::Display for KeyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many entries that keep a key from going are named.
const MOST_HELD_NAMED: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_print_as_hexadecimal() {
        let id = KeyId::from_bytes([0, 1, 0xab, 0xcd]);
        assert_eq!(
            (id.to_string().as_str(), format!("{id:?}").as_str()),
            ("0001abcd", "KeyId(0001abcd)")
        );
        let store = StoreIdentity::from_bytes([0xa0; 16]);
        assert_eq!(store.to_string(), "a0".repeat(16));
    }
}
