//! Entries that only this store's servers can have written: each carries a MAC, which every read verifies, unless it is of bytes that
//! the engine has kept in memory since they were [verified or written here](super::KeptVerdict).
//!
//! An entry as an engine has it:
//!
//! ```text
//! key number (2 bytes) | HMAC-SHA256, the first half (16) | value
//! ```
//! The MAC is over the entry's key (which says its kind), its end and its value, under a key that is derived from the data key
//! of that number. So whoever can write the store, or a copy of it, but has no master key can delete entries, but can change
//! none, move none to another key, and bring none from another store. Marks, whose key says it all, carry one like records do.
//!
//! Three entries are special. The key ring and the store's epoch are vouched for under the key that stays for the store's life,
//! whose number is 0: the ring holds all others, and to write an epoch anew would be to begin one. The mark of a store that is
//! not whole has no MAC, for it is written before there are keys; whoever writes one only keeps a store from being used.
//!
//! What does not verify fails alone: a read of it is refused, whether it asks for the record or only whether there is one, and
//! a scan goes past it, as if it were deleted. One read goes past a bounded number of them.
//!
//! Exports hold entries as the engine has them, with their MACs: whoever reads those verifies them with [`verified`].

mod known_versions;
mod opening;
mod ring;
mod scanning;

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;

use self::known_versions::KnownVersions;
use self::ring::RingWatch;
use self::scanning::too_many_forged;
use super::atomic_histogram::AtomicHistogram;
use super::keys;
use super::records::{self, Record};
use super::{
    Announcements, Assertion, Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, ForgedEntry,
    Put, Scan, ScanPage, Statistics, Store, StoreError, ValueAfterLoss, Version,
};
use crate::crypto::vault::{DataKeys, EntryTag, Vault};
use crate::domain::histogram::CommitTimes;
use crate::domain::key_ring::{KeyNumber, SealedKeyRing};
use crate::domain::store_condition::StoreCondition;
use crate::domain::store_epoch::StoreEpoch;
use crate::domain::time::Timestamp;

/// A store whose entries carry MACs, on an engine that knows nothing of them.
pub struct AuthenticStore {
    engine: Arc<dyn Store>,
    vault: Arc<Vault>,
    versions: KnownVersions,
    ring: Arc<RingWatch>,
    forged: AtomicU64,
    reads: AtomicU64,
    committed_bytes: AtomicU64,
    commit_times: AtomicHistogram<CommitTimes>,
    /// For which keys it was said that their entry is forged, by a digest.
    told: Mutex<HashSet<u64>>,
    /// Those of them that nobody has taken since; no more than were told of.
    untold: Mutex<Vec<ForgedEntry>>,
    digests: RandomState,
}

/// Why an entry is not taken for one that this store's servers wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forgery {
    /// It is too short to carry a MAC, or the engine cannot read what is stored of it.
    #[error("it has no MAC, or a version or end that cannot be")]
    NoMac,
    /// It was read or written in a later version before.
    #[error("it is older than it was before; if a standby took over that was behind, start this server anew")]
    Older,
    /// It is a key ring of before the one that is known.
    #[error(
        "it is older than the one that this server knows, so nothing is written with either; if a standby took over that was \
         behind, start every server of this store anew and change the keys again, or else somebody put it back"
    )]
    OlderRing,
    /// The store has no key of the number that it names.
    #[error("its MAC is of key {0}, which the store does not have")]
    UnknownKey(KeyNumber),
    /// It was changed, or moved from another key or another store.
    #[error("its MAC is wrong: it was changed, or is of another key or store")]
    WrongMac,
}

impl AuthenticStore {
    /// A store on `engine`, whose entries the keys in `vault` vouch for.
    #[must_use]
    pub fn new(engine: Arc<dyn Store>, vault: Arc<Vault>) -> Self {
        Self {
            engine,
            vault,
            versions: KnownVersions::default(),
            ring: Arc::default(),
            forged: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            committed_bytes: AtomicU64::new(0),
            commit_times: AtomicHistogram::default(),
            told: Mutex::default(),
            untold: Mutex::default(),
            digests: RandomState::new(),
        }
    }
}

#[async_trait]
impl Store for AuthenticStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        loop {
            let begun = self.begin_read();
            let found = self.engine.get(key).await?;
            self.look_if_lacking(self.lacks_key_of(&found)).await?;
            let opened = found.map(|entry| self.open(key, entry, begun.began)).transpose();
            match opened {
                Err(forgery) if self.is_to_be_read_again(&begun, forgery) => {}
                opened => return opened.map_err(|forgery| self.refuse(key, forgery)),
            }
        }
    }

    /// Fails if one of the entries is forged: whoever wants the others reads them one by one.
    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        loop {
            let begun = self.begin_read();
            let found = self.engine.get_many(keys).await?;
            self.look_if_lacking(self.lacks_key_of(found.iter().flatten()))
                .await?;
            let opened = found.into_iter().zip(keys).map(|(entry, key)| {
                let opened = entry.map(|entry| self.open(key, entry, begun.began));
                opened.transpose().map_err(|forgery| (key, forgery))
            });
            match opened.collect() {
                Err((_, forgery)) if self.is_to_be_read_again(&begun, forgery) => {}
                opened => return opened.map_err(|(key, forgery)| self.refuse(key, forgery)),
            }
        }
    }

    /// Fails behind so many forged entries as one read passes over: whoever can go on behind them asks for
    /// [some](Store::scan_some).
    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        let page = self.scan_some(scan).await?;
        match page.next {
            None => Ok(page.entries),
            Some(last) => Err(too_many_forged(&last)),
        }
    }

    async fn scan_some(&self, scan: Scan) -> Result<ScanPage, StoreError> {
        self.scan_past_forged(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let replaced = self.versions.replaced_by(&batch);
        let bytes = written_bytes(&batch);
        let began = Instant::now();
        self.commit_with_keys(batch).await?;
        self.commit_times.count_time(began.elapsed());
        self.committed_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.versions.note_replaced(replaced);
        Ok(())
    }

    /// Goes past those that are forged: a page of nothing else is empty and has a next one.
    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        loop {
            let begun = self.begin_read();
            let ExpiredPage { entries, next } = self.engine.expired(now, after, limit).await?;
            self.look_if_lacking(self.lacks_key_of(entries.iter().map(|(_, entry)| entry)))
                .await?;
            let Some(opened) = self.open_page(&begun, entries) else {
                continue;
            };
            let entries = opened.into_iter().filter_map(|(key, entry)| match entry {
                Ok(entry) => Some((key, entry)),
                Err(forgery) => {
                    self.refuse(&key, forgery);
                    None
                }
            });
            return Ok(ExpiredPage {
                entries: entries.collect(),
                next,
            });
        }
    }

    /// The entries as the engine has them, with their MACs, all of which are of keys that are known from then on.
    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        let export = self.engine.export().await?;
        self.look_for_keys().await?;
        Ok(export)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.engine.close().await
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            forged: self.forged.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            committed_bytes: self.committed_bytes.load(Ordering::Relaxed),
            commit_times: self.commit_times.counts(),
            ..self.engine.statistics()
        }
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.engine.clock().await
    }

    fn condition(&self) -> StoreCondition {
        self.engine.condition()
    }

    fn look_at_disk(&self) {
        self.engine.look_at_disk();
    }

    fn is_exclusive(&self) -> bool {
        self.engine.is_exclusive()
    }

    fn keeps_verdicts(&self) -> bool {
        self.engine.keeps_verdicts()
    }

    fn has_lost_commits(&self) -> bool {
        self.engine.has_lost_commits()
    }

    fn report_loss(&self) {
        self.engine.report_loss();
    }

    async fn go_on_after_loss(&self, key: Vec<u8>, value: &ValueAfterLoss<'_>) -> Result<(), StoreError> {
        let vouched = {
            let key = key.clone();
            move |found: Option<&[u8]>| {
                // One that is forged says nothing.
                let found = found.and_then(|value| value_of(&self.vault, &key, None, value).ok());
                Ok(vouched_for(
                    &self.vault,
                    &self.vault.data_keys(),
                    &key,
                    None,
                    &value(found)?,
                ))
            }
        };
        self.engine.go_on_after_loss(key, &vouched).await?;
        self.forget_versions();
        Ok(())
    }

    async fn raise_versions(&self) -> Result<(), StoreError> {
        self.engine.raise_versions().await
    }

    fn take_forged(&self) -> Vec<ForgedEntry> {
        std::mem::take(&mut self.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn forget_versions(&self) {
        self.versions.forget();
        self.forget_keys();
    }

    fn announcements(&self) -> Option<Box<dyn Announcements>> {
        self.engine.announcements()
    }
}

impl fmt::Debug for AuthenticStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticStore")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// The entry as it was written, of one as the engine has it.
///
/// # Errors
/// [`Forgery`].
pub fn verified(vault: &Vault, key: &[u8], entry: Entry) -> Result<Entry, Forgery> {
    verified_of(vault, &[], key, entry)
}

/// The same, of a moment at which the store had one of these `keys`, or has those of now.
///
/// # Errors
/// [`Forgery`].
pub fn verified_of(vault: &Vault, keys: &[&DataKeys], key: &[u8], entry: Entry) -> Result<Entry, Forgery> {
    let value = value_of_moment(vault, keys, key, entry.expires_at, &entry.value)?;
    let without = entry.value.len() - value.len();
    Ok(without_front(entry, without))
}

fn without_front(mut entry: Entry, bytes: usize) -> Entry {
    entry.value.drain(..bytes);
    entry
}

/// Whether an entry is as it was written, of a moment at which the store had one of these `keys`, or has those of now.
///
/// # Errors
/// [`Forgery`].
pub fn verify(vault: &Vault, keys: &[&DataKeys], key: &[u8], entry: &Entry) -> Result<(), Forgery> {
    value_of_moment(vault, keys, key, entry.expires_at, &entry.value).map(drop)
}

/// What reading an entry that holds `record` would make of it, with as much work: for one that stands in for an entry that does not
/// exist. Where entries are [kept](Store::keeps_verdicts), who exists was usually verified before.
#[must_use]
pub fn decoy(vault: &Vault, key: &[u8], record: &[u8], kept: bool) -> Vec<u8> {
    let number = vault.entry_key().0.to_be_bytes();
    let tag = EntryTag::default();
    let mut value = [&number[..], &tag, record].concat();
    if !kept {
        // It is wrong, which is found out at the end.
        let _wrong = black_box(value_of(vault, key, None, &value));
    }
    value.drain(..number.len() + tag.len());
    value
}

/// The batch as the engine gets it.
pub(crate) fn vouched(vault: &Vault, batch: Batch) -> Batch {
    vouched_with(vault, &vault.data_keys(), batch)
}

fn vouched_with(vault: &Vault, keys: &DataKeys, mut batch: Batch) -> Batch {
    for put in &mut batch.puts {
        put.value = vouched_for(vault, keys, &put.key, put.expires_at, &put.value);
    }
    batch.vouched = true;
    batch
}

/// How much of keys and values the engine gets to write.
fn written_bytes(batch: &Batch) -> u64 {
    let of = |put: &Put| put.key.len() + MAC_BYTES + put.value.len();
    batch.puts.iter().map(|put| of(put) as u64).sum()
}

/// Which key vouches for an entry as the engine has it; none if it says nothing of one.
#[must_use]
pub fn key_of(value: &[u8]) -> Option<KeyNumber> {
    let number = value.first_chunk()?;
    Some(KeyNumber(u16::from_be_bytes(*number)))
}

/// The record of an entry as the engine has it, before there are keys to verify it with: to find those, and what to say if
/// there are none.
///
/// # Errors
/// [`StoreError::Corrupt`], also if there is no MAC; [`StoreError`] if the engine cannot read.
pub async fn read_unverified<T: Record>(
    engine: &dyn Store,
    key: &keys::Key<T>,
) -> Result<Option<T>, StoreError> {
    let Some(entry) = engine.get(key.bytes()).await? else {
        return Ok(None);
    };
    record_of(&entry.value).map(Some)
}

/// The record in the value of an entry as the engine has it.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn record_of<T: Record>(value: &[u8]) -> Result<T, StoreError> {
    if T::KIND == keys::filling().bytes()[0] {
        return records::decode(value);
    }
    records::decode(value.get(MAC_BYTES..).unwrap_or_default())
}

/// The value, of an entry's as the engine has it.
fn value_of<'v>(
    vault: &Vault,
    key: &[u8],
    expires_at: Option<Timestamp>,
    value: &'v [u8],
) -> Result<&'v [u8], Forgery> {
    value_of_moment(vault, &[], key, expires_at, value)
}

/// The same for an entry of a moment at which the store had one of these `keys`.
fn value_of_moment<'v>(
    vault: &Vault,
    keys: &[&DataKeys],
    key: &[u8],
    expires_at: Option<Timestamp>,
    value: &'v [u8],
) -> Result<&'v [u8], Forgery> {
    let special = Special::of(key);
    if special == Some(Special::Mark) {
        return Ok(value);
    }
    let (number, rest) = value.split_first_chunk().ok_or(Forgery::NoMac)?;
    let (tag, value): (&EntryTag, _) = rest.split_first_chunk().ok_or(Forgery::NoMac)?;
    let number = KeyNumber(u16::from_be_bytes(*number));
    let (front, end) = front_and_end(key, expires_at);
    let parts = [&front[..], key, &end, value];
    let matches = if special == Some(Special::Lasting) {
        number == LASTING && vault.lasting_tag_matches(tag, &parts)
    } else {
        let mut former = keys.iter();
        let matches = vault
            .entry_tag_matches(number, tag, &parts)
            .or_else(|| former.find_map(|keys| keys.entry_tag_matches(number, tag, &parts)));
        matches.ok_or(Forgery::UnknownKey(number))?
    };
    if matches {
        Ok(value)
    } else {
        Err(Forgery::WrongMac)
    }
}

/// The value of an entry as the engine gets it.
fn vouched_for(
    vault: &Vault,
    keys: &DataKeys,
    key: &[u8],
    expires_at: Option<Timestamp>,
    value: &[u8],
) -> Vec<u8> {
    let (front, end) = front_and_end(key, expires_at);
    let parts = [&front[..], key, &end, value];
    let (number, tag) = match Special::of(key) {
        Some(Special::Mark) => return value.to_vec(),
        Some(Special::Lasting) => (LASTING, vault.lasting_tag(&parts)),
        None => keys.entry_tag(&parts),
    };
    [&number.0.to_be_bytes()[..], &tag, value].concat()
}

/// What stands before the key and behind it, so that no two entries have the same bytes.
fn front_and_end(key: &[u8], expires_at: Option<Timestamp>) -> ([u8; 8], [u8; 9]) {
    let mut end = [0; 9];
    if let Some(moment) = expires_at {
        end[0] = 1;
        end[1..].copy_from_slice(&moment.millis().to_be_bytes());
    }
    ((key.len() as u64).to_be_bytes(), end)
}

/// An entry that is not as all others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    /// That the store is not whole.
    Mark,
    /// What no change of the data keys writes anew: those keys, and the epoch.
    Lasting,
}

impl Special {
    fn of(key: &[u8]) -> Option<Self> {
        match key {
            [records::Filling::KIND] => Some(Self::Mark),
            [SealedKeyRing::KIND | StoreEpoch::KIND] => Some(Self::Lasting),
            _ => None,
        }
    }
}

/// Whether the entry at `key` is of none of the data keys, so that it stays as it is when they change.
#[must_use]
pub fn is_of_no_data_key(key: &[u8]) -> bool {
    Special::of(key).is_some()
}

/// The number of the key that stays.
const LASTING: KeyNumber = KeyNumber(0);

/// How much longer an entry is for its MAC.
pub const MAC_BYTES: usize = 2 + size_of::<EntryTag>();

#[cfg(test)]
pub(crate) mod tests;
