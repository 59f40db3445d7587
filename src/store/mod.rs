//! The store: an ordered key-value map with versions, expiry and one conditional batch.
//!
//! A flow reads with versions, decides, and commits a [`Batch`] that asserts those versions. The batch applies as
//! a whole or not at all, and when [`Store::commit`] returns `Ok` it is on disk. There are no transaction closures,
//! so nothing here is ever run twice behind a caller's back.
//!
//! To add an engine: implement [`Store`] in a module of its own and name a fixture for it in
//! `contract::contract_tests!`; the suite is the definition of what the trait promises.
//!
//! Between them and everybody else stands [`authentic`], which vouches for every entry that is written and verifies those that
//! are read.
//!
//! Invariant: engines know bytes only. What is stored stands in one table, [`kinds`], which makes the [`keys`]; values are
//! made in [`records`].

pub(crate) mod atomic_histogram;
pub mod authentic;
pub mod counting;
pub mod faulty;
pub mod keys;
pub mod kinds;
pub mod memory;
pub mod postgres;
mod range;
pub mod records;
mod scan;
pub mod sled;
mod statistics;
pub mod transfer;
mod verdict;

#[cfg(test)]
mod contract;
#[cfg(test)]
pub(crate) mod gated;

use std::fmt;

use async_trait::async_trait;

pub use self::scan::{Order, Scan, ScanPage};
pub use self::statistics::Statistics;
pub use self::verdict::KeptVerdict;
use crate::domain::key_ring::KeyNumber;
use crate::domain::store_condition::StoreCondition;
use crate::domain::time::Timestamp;

/// The longest value that a batch may put. Records are far shorter; see [`sled`] for what long ones cost there.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// The longest key that a batch may put or delete: a B-tree index of PostgreSQL takes no row beyond a third of a page.
pub const MAX_KEY_BYTES: usize = 1024;

/// An ordered map from byte keys to byte values.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// The entry at `key`, expired or not: whether an expired entry still counts is the reader's decision.
    ///
    /// # Errors
    /// [`StoreError`] when the engine cannot read, or can no longer promise that what it reads is durable.
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError>;

    /// The entries at `keys`, in the order of the keys, in one round trip: `None` where there is none. A key may come
    /// several times, and expired entries are there as they are in [`Store::get`].
    ///
    /// Each entry is as it was at one moment during the call, but not all at the same one: what two entries say
    /// together holds only for a batch that asserts both versions.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError>;

    /// Up to `limit` entries whose keys begin with `prefix`, in key order.
    ///
    /// Each entry is as it was at one moment during the call, but not all at the same one: what two entries say
    /// together holds only for a batch that asserts both versions.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError>;

    /// The same, as far as one read goes: past a bounded number of entries that somebody else wrote, where entries carry MACs.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn scan_some(&self, scan: Scan) -> Result<ScanPage, StoreError> {
        let entries = self.scan(scan).await?;
        Ok(ScanPage { entries, next: None })
    }

    /// Applies `batch` if all its assertions hold; durable when this returns `Ok`.
    ///
    /// The assertions speak of the state before the batch. Of several puts of one key the last one counts, and a put
    /// wins over a delete of the same key. Dropping the future does not take the batch back.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when an assertion does not hold (nothing was changed), and
    /// [`CommitError::Store`] when the engine failed (the outcome is unknown until the store is opened anew).
    async fn commit(&self, batch: Batch) -> Result<(), CommitError>;

    /// Up to `limit` entries that expired at or before `now`, from the first one on or from where an earlier page ended. Those
    /// of an earlier second come first. A page that ends with a next one may have fewer, if some were not to be had.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError>;

    /// Begins to read all entries as they are at this one moment, in key order, while commits go on.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn export(&self) -> Result<Box<dyn Export>, StoreError>;

    /// Finishes what was queued and releases the engine's files; every later call fails. A second call does nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the last changes could not be made durable; the files are released all the same.
    async fn close(&self) -> Result<(), StoreError>;

    /// What the engine has done since it was opened.
    fn statistics(&self) -> Statistics;

    /// Whether the engine takes changes, as far as it has been found out. Waits for no disk, so it may be asked anywhere; engines
    /// that cannot say work.
    fn condition(&self) -> StoreCondition {
        StoreCondition::Working
    }

    /// Finds out anew what [`Store::condition`] and [`Store::statistics`] say of the disk. Waits for as long as a volume hangs, so
    /// call it on a thread that may wait.
    fn look_at_disk(&self) {}

    /// Whether no other process can use the same store as long as this one has it open. Engines that cannot say so
    /// need not say anything.
    fn is_exclusive(&self) -> bool {
        false
    }

    /// Whether entries that are read often carry a [`KeptVerdict`], so that reading them takes no verifying.
    fn keeps_verdicts(&self) -> bool {
        false
    }

    /// What time it is by the clock that all processes which share the store can ask; `None` where there is none.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    /// Whether the engine has found that changes are gone which it had acknowledged to this process, as when a standby took over
    /// that was behind. It refuses everything then until [`Store::go_on_after_loss`].
    fn has_lost_commits(&self) -> bool {
        false
    }

    /// Notes that somebody has found what [`Store::has_lost_commits`] says: something is older than it was read before, or gone.
    fn report_loss(&self) {}

    /// Ends what [`Store::has_lost_commits`] says: has versions rise above all that any process has given so far, writes at `key`,
    /// under the first of them, what `value` makes of the value that is there, and goes on.
    ///
    /// # Errors
    /// [`StoreError`] when that could not be done, or nothing is lost.
    async fn go_on_after_loss(&self, key: Vec<u8>, value: &ValueAfterLoss<'_>) -> Result<(), StoreError> {
        let _ = (key, value);
        Err(StoreError::Unavailable("it has lost nothing".into()))
    }

    /// Has versions of this process rise above all that were in the store before. Where all processes take theirs from one
    /// place, they do anyway.
    ///
    /// # Errors
    /// [`StoreError`] when that could not be done: this process must not write then.
    async fn raise_versions(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Forgets what this process knows of versions that are over: an epoch has begun in which the store may have older ones.
    fn forget_versions(&self) {}

    /// The entries that somebody else wrote and that were found since this was last asked, each once, so many at the most. None
    /// where entries carry no MACs.
    fn take_forged(&self) -> Vec<ForgedEntry> {
        Vec::new()
    }

    /// How processes that share the store tell each other of changes; `None` where no other process can share it, or nothing
    /// can be told.
    fn announcements(&self) -> Option<Box<dyn Announcements>> {
        None
    }
}

/// Whether there is nothing in `store`.
///
/// # Errors
/// As [`Store::get`].
pub async fn is_empty(store: &dyn Store) -> Result<bool, StoreError> {
    let first = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: 1,
    };
    Ok(store.scan(first).await?.is_empty())
}

/// Makes a value of the one that a store has after it has lost commits; `None` where it has none.
pub type ValueAfterLoss<'a> = dyn Fn(Option<&[u8]>) -> Result<Vec<u8>, StoreError> + Send + Sync + 'a;

/// What processes that share a store tell each other. It may be lost, late or repeated: whoever hears it looks at the store.
#[async_trait]
pub trait Announcements: Send + Sync + fmt::Debug {
    /// Tells all other processes, [`MAX_ANNOUNCEMENT_BYTES`] at the most. What was committed before they can read when they
    /// hear it.
    ///
    /// # Errors
    /// [`StoreError`] when it is not certain that they are told.
    async fn tell(&self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Waits for what another process tells.
    async fn heard(&self) -> Heard;
}

/// What was heard of other processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// What one of them told.
    Told(Vec<u8>),
    /// Something may have been told that was not heard.
    Missed,
}

/// The longest announcement: PostgreSQL takes less than 8000 bytes of text, which this is in base64.
pub const MAX_ANNOUNCEMENT_BYTES: usize = 5100;

/// All entries of one moment, in pieces of bounded size.
#[async_trait]
pub trait Export: Send {
    /// The next entries in key order; `None` behind the last one.
    ///
    /// # Errors
    /// [`StoreError`] when the engine failed, or can no longer tell what the entries of that moment were.
    async fn next(&mut self) -> Result<Option<Vec<(Vec<u8>, Entry)>>, StoreError>;
}

/// An entry that no server of the store wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgedEntry {
    /// Where it is.
    pub key: Vec<u8>,
    /// How it was found out.
    pub why: String,
}

/// Some of what has expired.
#[derive(Clone, Debug, Default)]
pub struct ExpiredPage {
    /// The entries with their keys, in the versions to assert when deleting them.
    pub entries: Vec<(Vec<u8>, Entry)>,
    /// Where the next page begins, if there may be one.
    pub next: Option<ExpiryPosition>,
}

/// How far expired entries were read; only the engine knows what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiryPosition(Vec<u8>);

/// A value as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The stored bytes.
    pub value: Vec<u8>,
    /// What to assert when the decision rests on this value.
    pub version: Version,
    /// When a sweeper may reclaim the entry.
    pub expires_at: Option<Timestamp>,
    /// What is known of these bytes from an earlier read.
    pub verdict: KeptVerdict,
}

impl Entry {
    /// What an engine returns for an entry whose stored form it cannot read, so that others beside it are read: nothing that a
    /// server can have written, which nobody takes for anything else. No batch can assert its version.
    fn unreadable() -> Self {
        Self {
            value: Vec::new(),
            version: Version(0),
            expires_at: None,
            verdict: KeptVerdict::default(),
        }
    }
}

/// Values may hold sealed secrets and tokens' hashes, so only their size is shown.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("bytes", &self.value.len())
            .field("version", &self.version)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The version of an entry: changes with every write of its key and never comes back, deletes in between or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// Assertions and changes that apply together.
#[derive(Clone, Default)]
#[must_use]
pub struct Batch {
    pub(crate) assertions: Vec<Assertion>,
    pub(crate) puts: Vec<Put>,
    pub(crate) deletes: Vec<Vec<u8>>,
    /// The keys that seal what is in it.
    pub(crate) sealed_with: Vec<KeyNumber>,
    /// This process has made the MACs of what it writes.
    pub(crate) vouched: bool,
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
    /// The caller vouches that the key was never used.
    pub(crate) new: bool,
    /// It is read with its neighbours only, so nobody has to have it at hand.
    pub(crate) appended: bool,
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
    pub fn put(self, key: Vec<u8>, value: Vec<u8>) -> Self {
        self.put_one(key, value, None, false)
    }

    /// Writes `value` at `key`, to be reclaimed at `expires_at`.
    pub fn put_until(self, key: Vec<u8>, value: Vec<u8>, expires_at: Timestamp) -> Self {
        self.put_one(key, value, Some(expires_at), false)
    }

    /// Writes `value` at `key`, which was never used before: the caller vouches for that, as for a key that ends in an
    /// identifier just generated. It saves the engine the look for a former entry. It asserts nothing: if there is one
    /// after all, it is overwritten as by [`Batch::put`], and the engine may keep what it noted of its expiry.
    pub fn put_new(self, key: Vec<u8>, value: Vec<u8>) -> Self {
        self.put_one(key, value, None, true)
    }

    /// As [`Batch::put_new`], to be reclaimed at `expires_at`.
    pub fn put_new_until(self, key: Vec<u8>, value: Vec<u8>, expires_at: Timestamp) -> Self {
        self.put_one(key, value, Some(expires_at), true)
    }

    /// Removes the entry at `key`, if there is one.
    pub fn delete(mut self, key: Vec<u8>) -> Self {
        self.deletes.push(key);
        self
    }

    fn put_one(mut self, key: Vec<u8>, value: Vec<u8>, expires_at: Option<Timestamp>, new: bool) -> Self {
        self.puts.push(Put {
            key,
            value,
            expires_at,
            new,
            appended: false,
        });
        self
    }

    /// The keys that it writes.
    pub(crate) fn written_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.puts.iter().map(|put| put.key.as_slice())
    }

    /// Leaves out what it would write at keys that are `dropped`.
    pub(crate) fn drop_puts(&mut self, mut dropped: impl FnMut(&[u8]) -> bool) {
        self.puts.retain(|put| !dropped(&put.key));
    }

    /// The keys that it deletes.
    pub(crate) fn deleted_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.deletes.iter().map(Vec::as_slice)
    }

    /// Whether it asserts that there is an entry at `key`, in some version.
    pub(crate) fn rests_on(&self, key: &[u8]) -> bool {
        let at = |assertion: &Assertion| matches!(assertion, Assertion::At(at, _) if at == key);
        self.assertions.iter().any(at)
    }

    /// Whether committing this batch would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.deletes.is_empty()
    }

    /// Refuses keys and values that no engine has to take; every engine asks before it queues a batch.
    pub(crate) fn check_sizes(&self) -> Result<(), StoreError> {
        let keys = self.puts.iter().map(|put| &put.key).chain(&self.deletes);
        for (what, bytes, limit) in keys.map(|key| ("key", key.len(), MAX_KEY_BYTES)).chain(
            self.puts
                .iter()
                .map(|put| ("value", put.value.len(), MAX_VALUE_BYTES)),
        ) {
            if bytes > limit {
                return Err(StoreError::TooLarge { what, bytes, limit });
            }
        }
        Ok(())
    }
}

/// Keys and values stay out of logs; the counts say enough.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("assertions", &self.assertions.len())
            .field("puts", &self.puts.len())
            .field("deletes", &self.deletes.len())
            .field("sealed_with", &self.sealed_with)
            .finish_non_exhaustive()
    }
}

/// The engine failed; the caller can only refuse.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Stored bytes that this version cannot read.
    #[error("the store holds a record that cannot be read: {0}")]
    Corrupt(String),
    /// An entry that no server of this store wrote as it is.
    #[error("the store holds an entry that was changed by somebody else: {0}")]
    Forged(String),
    /// A batch that no engine takes.
    #[error("a {what} of {bytes} bytes is larger than the store takes ({limit})")]
    TooLarge {
        /// `key` or `value`.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The greatest length allowed.
        limit: usize,
    },
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
