//! The store: an ordered key-value map with versions, expiry and one conditional batch.
//!
//! A flow reads with versions, decides, and commits a [`Batch`] that asserts those versions. The batch applies as
//! a whole or not at all, and when [`Store::commit`] returns `Ok` it is on disk. There are no transaction closures,
//! so nothing here is ever run twice behind a caller's back.
//!
//! To add an engine: implement [`Store`] in a module of its own and call `contract::suite` from its tests; the
//! suite is the definition of what the trait promises.
//!
//! Invariant: engines know bytes only; keys are made in [`keys`], values in [`records`].

pub mod keys;
pub mod memory;
pub mod records;
pub mod sled;

#[cfg(test)]
mod contract;

use std::fmt;

use async_trait::async_trait;

use crate::domain::time::Timestamp;

/// An ordered map from byte keys to byte values.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// The entry at `key`, expired or not: whether an expired entry still counts is the reader's decision.
    ///
    /// # Errors
    /// [`StoreError`] when the engine cannot read, or can no longer promise that what it reads is durable.
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError>;

    /// Up to `limit` entries whose keys begin with `prefix`, in key order.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError>;

    /// Applies `batch` if all its assertions hold; durable when this returns `Ok`.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when an assertion does not hold (nothing was changed), and
    /// [`CommitError::Store`] when the engine failed (the outcome is unknown until the store is opened anew).
    async fn commit(&self, batch: Batch) -> Result<(), CommitError>;

    /// Up to `limit` entries that expired at or before `now`, earliest first, with the versions to assert when
    /// deleting them.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn expired(&self, now: Timestamp, limit: usize) -> Result<Vec<(Vec<u8>, Version)>, StoreError>;
}

/// A value as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The stored bytes.
    pub value: Vec<u8>,
    /// What to assert when the decision rests on this value.
    pub version: Version,
    /// When a sweeper may reclaim the entry.
    pub expires_at: Option<Timestamp>,
}

/// Values may hold sealed secrets and tokens' hashes, so only their size is shown.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("bytes", &self.value.len())
            .field("version", &self.version)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// The version of an entry: changes with every write of its key and never comes back, deletes in between or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// Which entries to read.
#[derive(Clone, Debug)]
pub struct Scan {
    /// What the keys begin with.
    pub prefix: Vec<u8>,
    /// Begin behind this key (before it, when descending). It need not exist, but must begin with `prefix`.
    pub after: Option<Vec<u8>>,
    /// The direction.
    pub order: Order,
    /// How many entries at the most.
    pub limit: usize,
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

/// Assertions and changes that apply together.
#[derive(Clone, Default)]
#[must_use]
pub struct Batch {
    pub(crate) assertions: Vec<Assertion>,
    pub(crate) puts: Vec<Put>,
    pub(crate) deletes: Vec<Vec<u8>>,
}

/// What must hold for a batch to apply.
#[derive(Clone)]
pub(crate) enum Assertion {
    /// No entry has this key.
    Absent(Vec<u8>),
    /// The entry at this key has this version.
    At(Vec<u8>, Version),
}

/// An entry to write.
#[derive(Clone)]
pub(crate) struct Put {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Batch {
    /// A batch that asserts and changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires that no entry has `key`.
    pub fn assert_absent(mut self, key: Vec<u8>) -> Self {
        self.assertions.push(Assertion::Absent(key));
        self
    }

    /// Requires that the entry at `key` still has `version`.
    pub fn assert_at(mut self, key: Vec<u8>, version: Version) -> Self {
        self.assertions.push(Assertion::At(key, version));
        self
    }

    /// Writes `value` at `key`.
    pub fn put(mut self, key: Vec<u8>, value: Vec<u8>) -> Self {
        self.puts.push(Put {
            key,
            value,
            expires_at: None,
        });
        self
    }

    /// Writes `value` at `key`, to be reclaimed at `expires_at`.
    pub fn put_until(mut self, key: Vec<u8>, value: Vec<u8>, expires_at: Timestamp) -> Self {
        self.puts.push(Put {
            key,
            value,
            expires_at: Some(expires_at),
        });
        self
    }

    /// Removes the entry at `key`, if there is one.
    pub fn delete(mut self, key: Vec<u8>) -> Self {
        self.deletes.push(key);
        self
    }

    /// Whether committing this batch would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.deletes.is_empty()
    }
}

/// The engine failed; the caller can only refuse.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Stored bytes that this version cannot read.
    #[error("the store holds a record that cannot be read: {0}")]
    Corrupt(String),
    /// The engine cannot read or write, or is closed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

/// Why a batch was not committed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// An assertion did not hold: read again and decide again.
    #[error("another change came first")]
    Conflict,
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
