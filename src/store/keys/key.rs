//! Keys that know what is stored there.

use std::marker::PhantomData;

use super::joined;

/// A key whose record is a `T`.
pub struct Key<T>(Vec<u8>, PhantomData<fn() -> T>);

impl<T> Key<T> {
    /// The key with these bytes.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes, PhantomData)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What all keys of one listing begin with; each ends in the 16 bytes of an identifier.
pub struct Prefix<T>(pub(super) Vec<u8>, pub(super) PhantomData<fn() -> T>);

impl<T> Prefix<T> {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key of one item of the listing.
    #[must_use]
    pub fn key(&self, sid: &[u8; 16]) -> Key<T> {
        Key::new(joined(&self.0, &[sid]))
    }
}

/// Stands for records of no content: the key says it all.
pub struct Marker;
