//! Keys that know what is stored there; the table in [`kinds`] says how they are made.

pub use super::kinds::functions::*;
pub use super::kinds::{KeyParts, Owner};

use std::marker::PhantomData;

use super::kinds;
use super::records::Record;
use crate::domain::events::OutboxRow;
use crate::domain::outbox::Lane;
use crate::domain::sid::{AccountSid, ServiceSid};

/// A key whose record is a `T`.
pub struct Key<T>(Vec<u8>, PhantomData<fn() -> T>);

impl<T> Key<T> {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes, PhantomData)
    }

    /// The key as it stands in the store.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same for batches, which own their keys.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What all keys of one listing begin with; each ends in the 16 bytes of an identifier.
pub struct Prefix<T>(Vec<u8>, PhantomData<fn() -> T>);

impl<T> Prefix<T> {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes, PhantomData)
    }

    /// The prefix as it stands in the store.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key of one item of the listing.
    #[must_use]
    pub fn key(&self, sid: &[u8; 16]) -> Key<T> {
        Key::new([&self.0, &sid[..]].concat())
    }
}

/// The lane that the key of an outbox row is in; `None` if it is another key.
#[must_use]
pub fn lane_of(key: &[u8]) -> Option<Lane> {
    // Asked for every key that is written, so it reads no more than it needs.
    let rest = key.strip_prefix(&[OutboxRow::KIND])?;
    Lane::from_bytes(rest.first_chunk().filter(|_| rest.len() == 49)?)
}

/// Where the lanes of an account are.
pub fn lanes_of(account: AccountSid) -> impl Iterator<Item = Vec<u8>> {
    Lane::beginnings(account).map(|beginning| [lanes().as_slice(), &beginning].concat())
}

/// Where everything is that goes with a service.
pub fn below_service(service: ServiceSid) -> impl Iterator<Item = Vec<u8>> {
    kinds::below_service(service)
}

/// The identifier that a key of a listing ends in.
#[must_use]
pub fn last_sid(key: &[u8]) -> Option<[u8; 16]> {
    key.last_chunk().copied()
}
