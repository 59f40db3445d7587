//! One group of batches: decides each in the order of arrival, and gathers the changes of all that apply.
//!
//! The whole group becomes one batch of sled. sled writes a marker and rolls its buffer around every batch it applies,
//! so one for all costs a fraction of one for each, and a crash keeps the whole group or none of it.

use std::collections::{BTreeSet, HashMap};

use quick_cache::DefaultHashBuilder;
use sled::{IVec, Tree};

use super::export::Snapshot;
use super::index::NewRows;
use super::layout::{self, EntryHead};
use super::recent::{KeptEntry, Recent};
use crate::store::{Assertion, Batch, StoreError};

/// What the committer sees of the tree.
#[derive(Clone, Copy)]
pub(super) struct TreeView<'a> {
    pub(super) tree: &'a Tree,
    /// What is kept beside it.
    pub(super) recent: &'a Recent,
}

/// Batches that will be applied and made durable together.
#[derive(Default)]
pub(super) struct CommitGroup {
    /// What is known of keys: as it is in the tree, or as the group's batches leave it.
    heads: HashMap<IVec, Option<EntryHead>, DefaultHashBuilder>,
    changes: sled::Batch,
    /// What the group's batches add to the index of expiries.
    expiries: NewRows,
    /// The tree's keys that the group leaves deleted.
    deleted: BTreeSet<IVec>,
    last_version: Option<u64>,
    /// What becomes of entries, in the order of the changes.
    written: Vec<(IVec, Option<KeptEntry>)>,
    buffer: Vec<u8>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupDecision {
    /// Its changes are part of the group.
    Accepted,
    /// An assertion did not hold.
    Conflict,
}

/// What the group asks of the tree.
pub(super) struct Changes {
    pub(super) batch: sled::Batch,
    pub(super) deleted: BTreeSet<IVec>,
    pub(super) last_version: u64,
    pub(super) written: Vec<(IVec, Option<KeptEntry>)>,
}

impl CommitGroup {
    /// Decides `batch`, and takes up its changes at `version` if it applies. The version is used up if
    /// [`CommitGroup::last_version`] says so afterwards.
    ///
    /// # Errors
    /// The tree cannot be read, or holds an entry that cannot be; nothing of the batch was taken up.
    pub(super) fn add(
        &mut self,
        view: TreeView<'_>,
        snapshot: &mut Option<Snapshot>,
        batch: Batch,
        version: u64,
    ) -> Result<GroupDecision, AddError> {
        for assertion in &batch.assertions {
            let holds = match assertion {
                Assertion::Absent(key) => self.head(view, key)?.1.is_none(),
                Assertion::At(key, at) => self.head(view, key)?.1.is_some_and(|head| head.version == at.0),
            };
            if !holds {
                return Ok(GroupDecision::Conflict);
            }
        }
        if batch.is_empty() {
            return Ok(GroupDecision::Accepted);
        }
        // Everything that can fail comes before the first change.
        let deleted = batch.deletes.iter().map(|key| (key, false));
        for (key, new) in deleted.chain(batch.puts.iter().map(|put| (&put.key, put.new))) {
            let data_key = if new {
                self.vouched(key)
            } else {
                self.head(view, key)?.0
            };
            if let Some(snapshot) = snapshot {
                snapshot.preserve(view.tree, &data_key)?;
            }
        }
        self.last_version = Some(version);
        for key in batch.deletes {
            let (data_key, head) = self.head(view, &key)?;
            if head.is_some() {
                self.changes.remove(data_key.clone());
                self.deleted.insert(data_key.clone());
                self.written.push((data_key.clone(), None));
                self.heads.insert(data_key, None);
            }
        }
        for put in batch.puts {
            let (data_key, old) = self.head(view, &put.key)?;
            let head = EntryHead {
                version,
                expires_at: put.expires_at.map(crate::domain::time::Timestamp::millis),
            };
            if let Some(moment) = head.expires_at {
                // An entry that keeps its expiry is named by a row already.
                if old.and_then(|old| old.expires_at) != Some(moment) {
                    self.expiries.note(moment, &put.key);
                }
            }
            let stored = IVec::from(layout::encode(&mut self.buffer, head, &put.value));
            self.changes.insert(data_key.clone(), stored.clone());
            self.deleted.remove(&data_key);
            // A reader can have found nothing there that it might keep.
            if !(put.appended && old.is_none()) {
                self.written
                    .push((data_key.clone(), Some(KeptEntry::new(stored, batch.vouched))));
            }
            self.heads.insert(data_key, Some(head));
        }
        Ok(GroupDecision::Accepted)
    }

    /// Drops those rows of the index of expiries that have no valid name. That uses up `version`, as a batch does.
    ///
    /// # Errors
    /// The tree cannot be read. A row that cannot be understood stays.
    pub(super) fn drop_rows(
        &mut self,
        view: TreeView<'_>,
        rows: Vec<IVec>,
        version: u64,
    ) -> sled::Result<()> {
        for row_key in rows {
            match self.is_needed(view, &row_key) {
                Ok(true) | Err(AddError::Entry(_)) => {}
                Ok(false) => {
                    self.changes.remove(row_key);
                    self.last_version = Some(version);
                }
                Err(AddError::Database(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// The version of the last batch that changes anything.
    pub(super) fn last_version(&self) -> Option<u64> {
        self.last_version
    }

    /// What to apply; `None` if the group changes nothing.
    pub(super) fn into_changes(mut self) -> Option<Changes> {
        let last_version = self.last_version?;
        for (row_key, row) in self.expiries.rows(last_version) {
            self.changes.insert(row_key, row);
        }
        Some(Changes {
            last_version,
            batch: self.changes,
            deleted: self.deleted,
            written: self.written,
        })
    }

    fn head(&mut self, view: TreeView<'_>, key: &[u8]) -> Result<(IVec, Option<EntryHead>), AddError> {
        let data_key = layout::data_key(&mut self.buffer, key);
        if let Some((data_key, head)) = self.heads.get_key_value(data_key) {
            return Ok((data_key.clone(), *head));
        }
        let stored = match view.recent.peek(data_key) {
            Some(stored) => Some(stored),
            None => view.tree.get(data_key)?,
        };
        let head = stored.map(|stored| layout::head(&stored));
        let data_key = IVec::from(data_key);
        self.heads.insert(data_key.clone(), head);
        Ok((data_key, head))
    }

    /// Whether the row at `row_key` has a valid name.
    fn is_needed(&mut self, view: TreeView<'_>, row_key: &IVec) -> Result<bool, AddError> {
        let row = view.tree.get(row_key)?.unwrap_or_default();
        for name in layout::names(row_key, &row) {
            let (moment, key) = name?;
            let (_, head) = self.head(view, key)?;
            if head.and_then(|head| head.expires_at) == Some(moment) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Believes that no entry has `key`, unless more is known.
    fn vouched(&mut self, key: &[u8]) -> IVec {
        let data_key = layout::data_key(&mut self.buffer, key);
        if let Some((data_key, _)) = self.heads.get_key_value(data_key) {
            return data_key.clone();
        }
        let data_key = IVec::from(data_key);
        self.heads.insert(data_key.clone(), None);
        data_key
    }
}

/// Why a batch could not be decided.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddError {
    /// The database failed: so will all that follow.
    #[error(transparent)]
    Database(#[from] sled::Error),
    /// An entry is unreadable: only batches that touch it fail.
    #[error(transparent)]
    Entry(#[from] StoreError),
}
