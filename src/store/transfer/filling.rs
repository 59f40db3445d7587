//! Filling a store: in batches, with a mark until it is whole.

use std::fmt;

use super::{EpochAfterImport, hexadecimal};
use crate::domain::time::Timestamp;
use crate::store::records::{self, FillSource, Filling, Stored};
use crate::store::{Batch, CommitError, Store, StoreError, Version, is_empty, keys};

/// Why a store was not filled.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// Another process fills the same store.
    #[error("another process writes to the same store: let it finish, or stop it and begin again")]
    Busy,
    /// What is in it comes from elsewhere.
    #[error("the store takes nothing else yet: {0}")]
    HalfFilled(Filling),
    /// There are entries already.
    #[error("the store already holds entries: fill an empty one")]
    NotEmpty,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store failed while it was written to.
    #[error("it stopped half-way ({0}): run the same command again, and it goes on where it stopped")]
    Stopped(StoreError),
}

/// Puts entries into a store, in batches of which each brings the mark up to date.
pub(super) struct Filler<'s> {
    store: &'s dyn Store,
    filling: Filling,
    /// Of the mark, if there is one by now.
    mark: Option<Version>,
    /// Up to here somebody came before.
    passed: Option<Vec<u8>>,
    batch: Batch,
    bytes: usize,
    batch_bytes: usize,
}

impl<'s> Filler<'s> {
    /// Begins with an empty store, or goes on with one that was half filled from the same source.
    pub(super) async fn begin(
        store: &'s dyn Store,
        source: FillSource,
        batch_bytes: usize,
    ) -> Result<Self, FillError> {
        let (filling, mark) = match records::read(store, &keys::filling()).await? {
            Some(Stored { record, version }) if record.source == source => (record, Some(version)),
            Some(Stored { record, .. }) => return Err(FillError::HalfFilled(record)),
            None if !is_empty(store).await? => return Err(FillError::NotEmpty),
            None => {
                let filling = Filling {
                    source,
                    entries: 0,
                    last_key: Vec::new(),
                };
                (filling, None)
            }
        };
        Ok(Self {
            store,
            passed: mark.map(|_| filling.last_key.clone()),
            filling,
            mark,
            batch: Batch::new(),
            bytes: 0,
            batch_bytes,
        })
    }

    /// Whether the entry at `key` was written by whoever began. Keys come in order.
    pub(super) fn has_passed(&self, key: &[u8]) -> bool {
        self.passed
            .as_ref()
            .is_some_and(|passed| key <= passed.as_slice())
    }

    /// What the mark says from now on is counted from the first entry.
    pub(super) fn rewind(&mut self) {
        self.filling.entries = 0;
        self.filling.last_key.clear();
        self.passed = None;
    }

    /// Writes an entry behind all others.
    pub(super) async fn put(
        &mut self,
        key: Vec<u8>,
        value: Vec<u8>,
        expires_at: Option<Timestamp>,
    ) -> Result<(), FillError> {
        self.make_room().await?;
        self.bytes += key.len() + value.len();
        self.keep(&key);
        let batch = std::mem::take(&mut self.batch);
        self.batch = match expires_at {
            Some(moment) => batch.put_until(key, value, moment),
            None => batch.put(key, value),
        };
        Ok(())
    }

    /// Counts an entry that is there already.
    pub(super) fn keep(&mut self, key: &[u8]) {
        self.filling.entries += 1;
        self.filling.last_key.clear();
        self.filling.last_key.extend_from_slice(key);
    }

    /// Removes what the source does not have.
    pub(super) async fn delete(&mut self, key: Vec<u8>) -> Result<(), FillError> {
        self.make_room().await?;
        self.bytes += key.len();
        self.batch = std::mem::take(&mut self.batch).delete(key);
        Ok(())
    }

    /// Writes what is left, and leaves the mark.
    pub(super) async fn flush(&mut self) -> Result<(), FillError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.commit_with_mark().await
    }

    /// Writes what is left, begins an epoch behind it, and takes the mark away with that: what is in the store is older than
    /// the epoch, whatever versions it got here.
    pub(super) async fn finish_in_new_epoch(mut self, epoch: EpochAfterImport<'_>) -> Result<(), FillError> {
        self.commit_with_mark().await?;
        self.store.raise_versions().await.map_err(FillError::Stopped)?;
        let copied = self.store.get(keys::store_epoch().bytes()).await;
        let begins = epoch.begin(copied.map_err(FillError::Stopped)?);
        let begins = begins.map_err(FillError::Stopped)?;
        self.batch.puts.extend(begins.puts);
        self.finish().await
    }

    /// Writes what is left, and takes the mark away.
    pub(super) async fn finish(mut self) -> Result<(), FillError> {
        let batch = std::mem::take(&mut self.batch);
        let batch = if self.mark.is_some() {
            batch.delete(keys::filling().into_bytes())
        } else {
            batch
        };
        self.commit(batch).await
    }

    /// Commits before a change that is still to come, so that the last ones of an import go with the mark.
    async fn make_room(&mut self) -> Result<(), FillError> {
        if self.bytes < self.batch_bytes {
            return Ok(());
        }
        self.commit_with_mark().await
    }

    async fn commit_with_mark(&mut self) -> Result<(), FillError> {
        let batch = std::mem::take(&mut self.batch);
        let batch = batch.put_record(keys::filling(), &self.filling)?;
        self.commit(batch).await?;
        self.bytes = 0;
        let read = records::read(self.store, &keys::filling()).await;
        match read.map_err(FillError::Stopped)? {
            Some(Stored { record, version }) if record == self.filling => {
                self.mark = Some(version);
                Ok(())
            }
            _ => Err(FillError::Busy),
        }
    }

    /// Applies only if nobody else has written since.
    async fn commit(&self, batch: Batch) -> Result<(), FillError> {
        let mark = keys::filling().into_bytes();
        let batch = match self.mark {
            Some(version) => batch.assert_at(mark, version),
            // A server that begins with an empty store notes its format there.
            None => batch
                .assert_absent(mark)
                .assert_absent(keys::store_format().into_bytes()),
        };
        self.store.commit(batch).await.map_err(|error| match error {
            CommitError::Conflict => FillError::Busy,
            CommitError::Store(error) => FillError::Stopped(error),
        })
    }
}

/// What is the matter, and what to do.
impl fmt::Display for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, entries, .. } = self;
        write!(
            f,
            "{source} stopped after {entries} entries; run it again, and it goes on where it stopped"
        )
    }
}

impl fmt::Display for FillSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conversion { store } => {
                write!(f, "`countersign store convert` from the store {store}")
            }
            Self::Import { sha256 } => write!(
                f,
                "`countersign store import` of the export whose last line says {}",
                hexadecimal(sha256)
            ),
        }
    }
}

/// How many bytes of keys and values go into one commit.
pub(super) const BATCH_BYTES: usize = 256 * 1024;
