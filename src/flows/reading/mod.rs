//! What one decision has read, and the one door to commit.
//!
//! A [`Reading`] lives as long as one attempt to decide: it reads each record once, remembers in which version, and lets
//! the commit apply only if everything that the decision rests on is still as it was read. A new attempt begins a new one.

mod audit_entry;
mod audit_refusal;
mod audit_scope;
mod contention;
mod decision_line;
mod epoch;
mod outbox_room;
mod prior;
mod scans;

pub(super) use self::epoch::DecisionEpoch;
pub use self::prior::{Admitted, Foreseen, Prior};

use std::collections::BTreeSet;

pub use self::audit_entry::NOBODY;
pub(in crate::flows) use self::audit_entry::{AuditParts, account_of};
pub(in crate::flows) use self::audit_refusal::{MOST_REASON, record_refusal, write_entries, write_entry};
pub use self::audit_scope::{AuditScope, carried, note_author, note_dialect, within};
pub(in crate::flows) use self::audit_scope::{CodedDecision, with_asker};
pub(crate) use self::audit_scope::{decide, note_decided_challenge, note_entity, note_factor, note_subject};
use self::contention::Contestable;
pub(in crate::flows) use self::decision_line::decision_line;
pub(crate) use self::outbox_room::COUNTED_AT_ONCE;
use self::outbox_room::{OutboxChange, drop_events, recount};
use super::{Error, Fault};
use crate::app::App;
use crate::domain::refusal::AreaRefusal;
use crate::domain::sid::AccountSid;
use crate::domain::store_epoch::StoreEpoch;
use crate::domain::time::Timestamp;
use crate::memory::Memory;
use crate::store::keys::{self, Key, Prefix};
use crate::store::records::Record;
use crate::store::{Batch, Entry, ForgedEntry, Order, Scan, Store, StoreError, Version};

/// What becomes of a commit for whose messages there is no room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WithoutRoom {
    /// Webhooks do not hear of it.
    LeavesEventsOut,
    Refuses,
}

/// The records that a decision has seen so far.
pub struct Reading<'a> {
    store: &'a dyn Store,
    memory: &'a Memory,
    /// The most messages of one account that a commit lets wait in the outbox.
    most_waiting: usize,
    epoch: DecisionEpoch,
    /// A handful in most flows, so looking through them is quicker than keeping them in order.
    seen: Vec<Seen>,
    /// What a scan has found, of which the decision rests on this version.
    found: Vec<(Vec<u8>, Version)>,
    /// What its entry in the audit log is made with; none is made if there is nothing.
    audit: Option<AuditParts<'a>>,
}

/// What was found at a key, once.
#[derive(Debug)]
struct Seen {
    key: Vec<u8>,
    entry: Option<Entry>,
    /// Whether the decision rests on it.
    decisive: bool,
}

/// Why a record that has to be there was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// There is none.
    Absent,
    /// The store could not say.
    Failed(Fault),
}

impl<'a> Reading<'a> {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(app: &'a App) -> Self {
        let audit = Some(AuditParts::of(app));
        Self {
            audit,
            ..Self::of(
                app.store.as_ref(),
                &app.memory,
                app.policy.outbox_rows_per_account,
            )
        }
    }

    fn of(store: &'a dyn Store, memory: &'a Memory, outbox_rows: usize) -> Self {
        Self {
            store,
            memory,
            most_waiting: outbox_rows.saturating_mul(2),
            epoch: DecisionEpoch::of(&memory.epoch),
            seen: Vec::new(),
            found: Vec::new(),
            audit: None,
        }
    }

    /// Reads what is at `keys` in one round trip, for whoever asks for one of them afterwards. The decision does not rest
    /// on what nobody asks for.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub async fn prefetch<'k>(&mut self, keys: impl IntoIterator<Item = &'k [u8]>) -> Result<(), Fault> {
        let mut unknown: Vec<Vec<u8>> = Vec::new();
        for key in keys {
            if self.position(key).is_none() && !unknown.iter().any(|other| other == key) {
                unknown.push(key.to_vec());
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let entries = match self.store.get_many(&unknown).await {
            // Whoever asks for that one is refused; all others go on.
            Err(StoreError::Forged(_)) => return Ok(()),
            entries => entries?,
        };
        let pairs = unknown.into_iter().zip(entries);
        self.seen.extend(pairs.map(|(key, entry)| Seen::new(key, entry)));
        Ok(())
    }

    /// The record at `key`. The decision rests on it, or on there being none.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub async fn get<T: Record>(&mut self, key: &Key<T>) -> Result<Option<T>, Fault> {
        let epoch = self.epoch;
        self.decisive(key.bytes()).await?.record(epoch)
    }

    /// The record at `key`, which has to be there. The decision rests on it.
    ///
    /// # Errors
    /// [`NotRead::Absent`], which becomes a flow's refusal by itself; [`NotRead::Failed`].
    pub async fn require<T: Record>(&mut self, key: &Key<T>) -> Result<T, NotRead> {
        self.get(key).await?.ok_or(NotRead::Absent)
    }

    /// Whether there is something at `key`, whatever it says. The decision rests on that.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub async fn contains<T>(&mut self, key: &Key<T>) -> Result<bool, Fault> {
        Ok(self.decisive(key.bytes()).await?.entry.is_some())
    }

    /// The record at `key`, which may change before the commit without changing the decision.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub async fn glance<T: Record>(&mut self, key: &Key<T>) -> Result<Option<T>, Fault> {
        let epoch = self.epoch;
        self.see(key.bytes()).await?.record(epoch)
    }

    /// Whether there is something at `key`, whatever it says, which may change before the commit without changing the
    /// decision.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub async fn glimpse<T>(&mut self, key: &Key<T>) -> Result<bool, Fault> {
        Ok(self.see(key.bytes()).await?.entry.is_some())
    }

    /// The first `limit` records of a listing, in the order of their creation, in one round trip. The decision rests on
    /// those that are asked for by [`Reading::get`] afterwards, which costs none: not on the others, nor on there being no
    /// more.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub async fn list<T: Record>(&mut self, prefix: &Prefix<T>, limit: usize) -> Result<Vec<T>, Fault> {
        let scan = Scan {
            prefix: prefix.bytes().to_vec(),
            after: None,
            order: Order::Ascending,
            limit,
        };
        let entries = self.store.scan(scan).await?;
        let mut records = Vec::with_capacity(entries.len());
        for (key, entry) in entries {
            records.push(self.epoch.record(&entry)?);
            // What was seen before stays as it was then: if it has changed, the commit notices.
            if self.position(&key).is_none() {
                self.seen.push(Seen::new(key, Some(entry)));
            }
        }
        Ok(records)
    }

    /// What time it is by the clock that all who share the store can ask; `None` where there is none.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    pub async fn store_clock(&self) -> Result<Option<Timestamp>, Fault> {
        Ok(self.store.clock().await?)
    }

    /// Counts anew how many messages of the account wait, unless that was done a moment ago.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    pub(crate) async fn recount(self, account: AccountSid) -> Result<(), Fault> {
        recount(self.store, &self.memory.backlog, account).await.map(drop)
    }

    /// The epoch in which an entry of this `version` is void, as far as its kind can be.
    pub(in crate::flows) fn voids(&self, version: Version) -> Option<StoreEpoch> {
        self.epoch.voids(version)
    }

    /// What was found since this was last asked that no server of this store wrote.
    pub(in crate::flows) fn take_forged(&self) -> Vec<ForgedEntry> {
        self.store.take_forged()
    }

    /// The decision rests on what a scan has found at `key`, which was in this version.
    pub fn rest_on(&mut self, key: Vec<u8>, version: Version) {
        self.found.push((key, version));
    }

    /// Commits what the audit log need not tell of: what ends in time, what the log itself consists of.
    ///
    /// # Errors
    /// As [`Reading::commit`].
    pub(crate) async fn commit_unaudited(mut self, batch: Batch) -> Result<(), Fault> {
        self.audit = None;
        self.commit(batch).await
    }

    /// Commits `batch` if everything that the decision rests on is still as it was read, and wakes the worker for what it
    /// writes into the outbox. A batch that changes nothing is not committed, whatever it asserts.
    ///
    /// Where an account has twice as many messages in the outbox as it may, its webhooks do not hear of this: what was decided
    /// is committed all the same, or a full outbox would make wrong codes uncounted, and reports and locks unsaid.
    ///
    /// # Errors
    /// [`Fault::Conflict`] if another change came first, [`Fault::OutboxFull`] if an account would have more than that of codes
    /// and pushes: nothing was changed. [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub async fn commit(self, batch: Batch) -> Result<(), Fault> {
        self.commit_and_wake(batch, WithoutRoom::LeavesEventsOut).await
    }

    /// The same for messages that are stored nowhere else: where there is no room for them, nothing is committed.
    ///
    /// # Errors
    /// As [`Reading::commit`]; [`Fault::OutboxFull`] also for what webhooks are told.
    pub async fn commit_whole(self, batch: Batch) -> Result<(), Fault> {
        self.commit_and_wake(batch, WithoutRoom::Refuses).await
    }

    async fn commit_and_wake(self, batch: Batch, without_room: WithoutRoom) -> Result<(), Fault> {
        let lanes: BTreeSet<_> = batch.written_keys().filter_map(keys::lane_of).collect();
        let (memory, most) = (self.memory, self.most_waiting);
        self.commit_up_to(batch, most, without_room).await?;
        if !lanes.is_empty() {
            memory.wakeups.wake(lanes);
        }
        Ok(())
    }

    /// The same for the worker itself, who knows what it writes into the outbox, and writes no more than it takes out.
    ///
    /// # Errors
    /// As [`Reading::commit`], without [`Fault::OutboxFull`].
    pub async fn commit_without_waking(self, batch: Batch) -> Result<(), Fault> {
        self.commit_up_to(batch, usize::MAX, WithoutRoom::Refuses).await
    }

    async fn commit_up_to(
        self,
        batch: Batch,
        most_waiting: usize,
        without_room: WithoutRoom,
    ) -> Result<(), Fault> {
        if batch.is_empty() {
            return Ok(());
        }
        let contestable = Contestable::of(self.store, &self.seen, &batch);
        let owner = account_of(self.seen.iter().map(|seen| seen.key.as_slice()));
        let found = self.found.into_iter();
        let batch = found.fold(batch, |batch, (key, version)| batch.assert_at(key, version));
        let decisive = self.seen.into_iter().filter(|seen| seen.decisive);
        let batch = decisive.fold(batch, |batch, Seen { key, entry, .. }| match entry {
            Some(entry) => batch.assert_at(key, entry.version),
            None => batch.assert_absent(key),
        });
        // What it rests on is known by now: what is written over what was read is a change, anything else is new.
        let (batch, to_tell) = match self.audit {
            Some(audit) => audit.add_entry(batch, owner)?,
            None => (batch, None),
        };
        let mut batch = self.epoch.require(batch, self.store);
        let mut change = OutboxChange::of(&batch);
        if change.is_none() {
            let committed = contestable.commit(self.store, batch).await;
            epoch::heed(self.store, self.memory, committed).await?;
            if let Some(told) = to_tell {
                told.tell(self.memory);
            }
            return Ok(());
        }
        let backlog = &self.memory.backlog;
        let mut added = backlog.try_add(&change.more, most_waiting);
        if added.is_none() {
            for account in change.more.keys() {
                // Said as seldom as it is counted.
                if recount(self.store, backlog, *account).await? && backlog.of(*account) >= most_waiting {
                    tracing::warn!(
                        "account {account} has so many messages in the outbox that its webhooks do not hear of what happens \
                         now; `countersign outbox list` says which receiver takes none"
                    );
                }
            }
            added = backlog.try_add(&change.more, most_waiting);
        }
        // Others may take meanwhile what room there is: then these events get none.
        for gets_room in [true, false] {
            if added.is_none() && without_room == WithoutRoom::LeavesEventsOut {
                let most = if gets_room { most_waiting } else { 0 };
                let room = |account: &AccountSid| (*account, most.saturating_sub(backlog.of(*account)));
                let room = change.more.keys().map(room);
                drop_events(&mut batch, room.collect());
                change = OutboxChange::of(&batch);
                added = backlog.try_add(&change.more, most_waiting);
            }
        }
        let Some(added) = added else {
            return Err(Fault::OutboxFull);
        };
        let committed = contestable.commit(self.store, batch).await;
        let committed = epoch::heed(self.store, self.memory, committed).await;
        match &committed {
            Ok(()) => {
                drop(added);
                backlog.take(&change.fewer);
                if let Some(told) = to_tell {
                    told.tell(self.memory);
                }
            }
            Err(Fault::Conflict(_)) => added.withdraw(),
            // Of what else goes wrong it is not known whether it was written.
            Err(_) => drop(added),
        }
        committed
    }

    async fn decisive(&mut self, key: &[u8]) -> Result<&Seen, Fault> {
        let seen = self.see(key).await?;
        seen.decisive = true;
        Ok(seen)
    }

    async fn see(&mut self, key: &[u8]) -> Result<&mut Seen, Fault> {
        let position = if let Some(position) = self.position(key) {
            position
        } else {
            let entry = self.store.get(key).await?;
            self.seen.push(Seen::new(key.to_vec(), entry));
            self.seen.len() - 1
        };
        Ok(&mut self.seen[position])
    }

    fn position(&self, key: &[u8]) -> Option<usize> {
        self.seen.iter().position(|seen| seen.key == key)
    }
}

impl Seen {
    fn new(key: Vec<u8>, entry: Option<Entry>) -> Self {
        Self {
            key,
            entry,
            decisive: false,
        }
    }

    fn record<T: Record>(&self, epoch: DecisionEpoch) -> Result<Option<T>, Fault> {
        let entry = self.entry.as_ref();
        Ok(entry.map(|entry| epoch.record(entry)).transpose()?)
    }
}

impl From<Fault> for NotRead {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl<R: AreaRefusal> From<NotRead> for Error<R> {
    fn from(reason: NotRead) -> Self {
        match reason {
            NotRead::Absent => Self::Refused(R::NOT_FOUND),
            NotRead::Failed(fault) => Self::Failed(fault),
        }
    }
}

#[cfg(test)]
mod tests;
