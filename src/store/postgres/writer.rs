//! A writer: takes groups of batches from the queue and has the database decide and write them, one after the other.
//!
//! Each writer has a row of its own in the table, its slot. Every group asserts that the slot is as the writer left it and
//! leaves the mark of the group there, in the same transaction. So when a connection is lost and nobody knows whether a
//! group was committed, the slot says so: the writer leaves another mark there on a new connection, if the slot is still as it
//! was before the group. If that succeeds, the group was not committed and cannot be any more, because its assertion does not
//! hold; it is written again. If not, the slot holds the mark of the group, and which of its batches were not applied.
//!
//! A slot that holds neither is something else: the database has lost commits that it had acknowledged. See [`Acknowledgements`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Error;

use super::acknowledgements::Acknowledgements;
use super::connection::{Connector, DatabaseSession, ErrorKind, SessionPurpose, describe, unavailable};
use super::queue::{CommitQueue, QueuedBatch};
use super::slot::Slot;
use super::statement::{FailedBatches, GroupArrays, SlotChange, WriteStatements, failed_in_slot};
use super::versions::VersionSource;
use crate::domain::time::Clock;
use crate::store::{CommitError, StoreError, Version};

/// What all writers of a store share.
pub(super) struct WriterContext {
    pub(super) connector: Arc<Connector>,
    pub(super) queue: CommitQueue,
    pub(super) versions: VersionSource,
    pub(super) acknowledgements: Arc<Acknowledgements>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counts: CommitCounts,
    /// How many slots were made.
    pub(super) slots: AtomicU32,
}

/// What was done since the store was opened.
#[derive(Default)]
pub(super) struct CommitCounts {
    pub(super) commits: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) groups: AtomicU64,
}

/// One writer.
pub(super) struct Writer {
    context: Arc<WriterContext>,
    link: Option<WriteSession>,
    slot: Option<Slot>,
}

/// A connection that is ready to write.
struct WriteSession {
    connection: DatabaseSession,
    statements: WriteStatements,
    /// The slot was found as it was left.
    slot_checked: bool,
}

/// What became of a group whose outcome was in doubt.
enum Resolved {
    Applied(FailedBatches),
    NotApplied,
}

/// Why a group is not decided yet.
enum Undecided {
    /// Nothing was done: another transaction came in its way.
    Serialization,
    /// Nobody knows.
    Lost,
    /// Nothing was done: the server takes no writes.
    WrongServer,
    /// Nothing was done, and nothing will be.
    Refused(StoreError),
}

/// Why a group is not written.
enum GroupError {
    /// Nothing was done: others decide about its keys again and again.
    Contended,
    Store(StoreError),
}

impl Writer {
    pub(super) fn new(context: Arc<WriterContext>) -> Self {
        Self {
            context,
            link: None,
            slot: None,
        }
    }

    /// Writes what is in the queue until it is closed and empty.
    pub(super) async fn run(mut self) {
        loop {
            match timeout(IDLE_CHECK, self.context.queue.next()).await {
                Ok(Some(group)) => self.write(group).await,
                Ok(None) => break,
                Err(_idle) => self.look_after_connection().await,
            }
        }
        self.leave().await;
    }

    async fn write(&mut self, group: Vec<QueuedBatch>) {
        let deadline = Instant::now() + COMMIT_BOUND;
        let outcomes = self.decide(&group, deadline).await;
        self.context
            .queue
            .done(group.iter().map(|waiting| &waiting.batch));
        let counts = &self.context.counts;
        if outcomes.iter().any(Result::is_ok) {
            counts.groups.fetch_add(1, Ordering::Relaxed);
        }
        for (waiting, outcome) in group.into_iter().zip(outcomes) {
            match &outcome {
                Ok(()) => _ = counts.commits.fetch_add(1, Ordering::Relaxed),
                Err(CommitError::Conflict) => _ = counts.conflicts.fetch_add(1, Ordering::Relaxed),
                Err(CommitError::Store(_)) => {}
            }
            let _gone = waiting.answer.send(outcome);
        }
    }

    /// Has the database decide about each batch and write what is to be written: together, or, if that fails because of one
    /// of them, each alone.
    async fn decide(&mut self, group: &[QueuedBatch], deadline: Instant) -> Vec<Result<(), CommitError>> {
        match self.decide_together(group, deadline).await {
            Err(GroupError::Contended) if group.len() > 1 => {
                let mut outcomes = Vec::with_capacity(group.len());
                for waiting in group {
                    let alone = self
                        .decide_together(std::slice::from_ref(waiting), deadline)
                        .await;
                    outcomes.push(outcome_of(&alone, 1));
                }
                outcomes
            }
            together => (1..)
                .zip(group)
                .map(|(number, _)| outcome_of(&together, number))
                .collect(),
        }
    }

    async fn decide_together(
        &mut self,
        group: &[QueuedBatch],
        deadline: Instant,
    ) -> Result<FailedBatches, GroupError> {
        let arrays = GroupArrays::new(group.iter().map(|waiting| &waiting.batch));
        let mut contended = 0;
        loop {
            self.context.acknowledgements.check()?;
            self.ready(deadline).await?;
            let version = self.next_version().await?;
            match self.execute(&arrays, version).await {
                Ok(failed) if failed.contains(&0) => {
                    return Err(self.context.acknowledgements.lost_commits().into());
                }
                Ok(failed) => return Ok(failed),
                Err(Undecided::Serialization) => {
                    contended += 1;
                    let patience = if group.len() > 1 {
                        MAX_TRIES_TOGETHER
                    } else {
                        MAX_TRIES_ALONE
                    };
                    if contended == patience || Instant::now() >= deadline {
                        return Err(GroupError::Contended);
                    }
                    sleep(BACKOFF * 2_u32.pow(contended.min(6))).await;
                }
                Err(Undecided::Lost) => match self.resolve(version, deadline).await {
                    Ok(Resolved::Applied(failed)) => return Ok(failed),
                    Ok(Resolved::NotApplied) => {}
                    Err(error) => {
                        // It may still come, if the database lets it: nothing can be told by this slot any more.
                        self.abandon_slot();
                        return Err(error.into());
                    }
                },
                Err(Undecided::WrongServer) => self.pause(deadline, "it takes no writes").await?,
                Err(Undecided::Refused(error)) => return Err(error.into()),
            }
        }
    }

    /// Runs the statements of a group; without a link, its outcome is in doubt.
    async fn execute(&mut self, arrays: &GroupArrays, version: Version) -> Result<FailedBatches, Undecided> {
        let (Some(link), Some(slot)) = (&self.link, &mut self.slot) else {
            return Err(Undecided::Lost);
        };
        let change = SlotChange {
            key: slot.key(),
            mark: slot.mark(),
            version,
            expires_at: Slot::end(self.context.clock.now()),
        };
        let executed = timeout(
            STATEMENT_BOUND,
            arrays.execute(&link.connection, &link.statements, &change),
        );
        let error = match executed.await {
            Ok(Ok(failed)) => {
                if failed.len() < arrays.len() && !failed.contains(&0) {
                    slot.leave(version);
                    self.context.acknowledgements.acknowledge(slot.key(), version);
                }
                return Ok(failed);
            }
            Ok(Err(error)) => error,
            Err(_elapsed) => {
                tracing::warn!(
                    "the database did not answer a commit within {} s",
                    STATEMENT_BOUND.as_secs()
                );
                self.link = None;
                return Err(Undecided::Lost);
            }
        };
        let kind = ErrorKind::of(&error);
        if kind != ErrorKind::Serialization {
            tracing::warn!("a commit failed, the database said: {}", describe(&error));
            self.link = None;
        }
        Err(match kind {
            ErrorKind::Serialization => Undecided::Serialization,
            ErrorKind::Lost => Undecided::Lost,
            ErrorKind::WrongServer => Undecided::WrongServer,
            ErrorKind::Refused => Undecided::Refused(unavailable(&error)),
        })
    }

    /// Finds out what became of the group with `version`.
    async fn resolve(&mut self, version: Version, deadline: Instant) -> Result<Resolved, StoreError> {
        let mut fences = Vec::new();
        loop {
            self.connect(deadline).await?;
            let Some(mark) = self.slot.as_ref().map(Slot::mark) else {
                return Err(in_doubt());
            };
            match self.read_slot().await {
                Ok(Some((found, value))) if found == version => {
                    self.leave_mark(version);
                    return failed_in_slot(&value).map(Resolved::Applied).ok_or_else(|| {
                        StoreError::Corrupt("a slot holds what no group has left there".into())
                    });
                }
                Ok(Some((found, _))) if fences.contains(&found) => {
                    self.leave_mark(found);
                    return Ok(Resolved::NotApplied);
                }
                Ok(Some((found, _))) if found == mark => {
                    let fence = self.next_version().await?;
                    fences.push(fence);
                    match self.execute(&GroupArrays::mark_only(), fence).await {
                        // Only now is it certain: until then the group could still come.
                        Ok(failed) if failed.is_empty() => return Ok(Resolved::NotApplied),
                        // It came between the look and the fence: look again.
                        Ok(_) => {}
                        Err(Undecided::Refused(error)) => return Err(error),
                        Err(_again) => self.pause(deadline, "a connection was lost").await?,
                    }
                }
                Ok(_) => return Err(self.context.acknowledgements.lost_commits()),
                Err(error) => {
                    self.link = None;
                    self.pause(deadline, &describe(&error)).await?;
                }
            }
        }
    }

    /// Makes sure that there are a connection and a slot, and that the slot is as it was left.
    async fn ready(&mut self, deadline: Instant) -> Result<(), StoreError> {
        loop {
            self.connect(deadline).await?;
            match self.check_slot().await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(self.context.acknowledgements.lost_commits()),
                Err(error) => {
                    self.link = None;
                    self.pause(deadline, &describe(&error)).await?;
                }
            }
        }
    }

    /// Whether the slot is as it was left; makes one if there is none.
    async fn check_slot(&mut self) -> Result<bool, Error> {
        let Some(link) = &mut self.link else {
            return Ok(true);
        };
        let client = &link.connection.client;
        match &self.slot {
            Some(_) if link.slot_checked => return Ok(true),
            Some(slot) => {
                let found = slot.read(client).await?;
                if found.is_none_or(|(found, _)| found != slot.mark()) {
                    return Ok(false);
                }
            }
            None => {
                // Without a version, the next epoch is drawn first.
                if let Some(mark) = self.context.versions.next() {
                    let number = self.context.slots.fetch_add(1, Ordering::Relaxed);
                    let now = self.context.clock.now();
                    self.slot = Some(Slot::make(client, number, mark, now).await?);
                }
            }
        }
        link.slot_checked = true;
        Ok(true)
    }

    async fn read_slot(&self) -> Result<Option<(Version, Vec<u8>)>, Error> {
        match (&self.link, &self.slot) {
            (Some(link), Some(slot)) => slot.read(&link.connection.client).await,
            _ => Ok(None),
        }
    }

    /// Makes sure that there is a connection.
    async fn connect(&mut self, deadline: Instant) -> Result<(), StoreError> {
        while self
            .link
            .as_ref()
            .is_none_or(|link| link.connection.client.is_closed())
        {
            self.link = None;
            let connected = self.context.connector.connect(SessionPurpose::Write).await;
            let why = match connected {
                Ok(connection) => match WriteStatements::prepare(&connection.client).await {
                    Ok(statements) => {
                        self.link = Some(WriteSession {
                            connection,
                            statements,
                            slot_checked: false,
                        });
                        break;
                    }
                    Err(error) => describe(&error),
                },
                Err(error) => error.to_string(),
            };
            self.pause(deadline, &why).await?;
        }
        Ok(())
    }

    async fn next_version(&mut self) -> Result<Version, StoreError> {
        loop {
            if let Some(version) = self.context.versions.next() {
                return Ok(version);
            }
            let link = self.link.as_ref().ok_or_else(in_doubt)?;
            self.context.versions.draw_next(&link.connection.client).await?;
        }
    }

    /// Waits a moment before the next try, as long as there is time for one.
    async fn pause(&self, deadline: Instant, why: &str) -> Result<(), StoreError> {
        if Instant::now() + RECONNECT_PAUSE >= deadline {
            return Err(StoreError::Unavailable(format!(
                "the database cannot be used: {why}"
            )));
        }
        sleep(RECONNECT_PAUSE).await;
        Ok(())
    }

    /// What is done while nothing is to be written: a lost connection is made anew, so that a database that has lost commits
    /// is noticed, and the slot is kept from being taken for one that nobody needs.
    async fn look_after_connection(&mut self) {
        if self.context.queue.is_closed() || self.context.acknowledgements.check().is_err() {
            return;
        }
        let closed = self
            .link
            .as_ref()
            .is_some_and(|link| link.connection.client.is_closed());
        let old = self.slot.as_ref().is_some_and(Slot::is_old);
        if closed || old {
            // One try; the next one comes with the next look.
            let soon = Instant::now() + RECONNECT_PAUSE;
            if let Err(error) = self.ready(soon).await {
                tracing::debug!("{error}");
                return;
            }
        }
        if old && let Ok(version) = self.next_version().await {
            match self.execute(&GroupArrays::mark_only(), version).await {
                Ok(failed) if failed.contains(&0) => _ = self.context.acknowledgements.lost_commits(),
                Ok(_) | Err(Undecided::Serialization | Undecided::WrongServer | Undecided::Refused(_)) => {}
                Err(Undecided::Lost) => self.abandon_slot(),
            }
        }
    }

    /// Removes what only this writer needed. If that fails, it goes in time.
    async fn leave(self) {
        if let (Some(link), Some(slot)) = (&self.link, &self.slot) {
            self.context.acknowledgements.forget(slot.key());
            let _goes_in_time = timeout(STATEMENT_BOUND, slot.remove(&link.connection.client)).await;
        }
    }

    fn abandon_slot(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.context.acknowledgements.forget(slot.key());
        }
    }

    fn leave_mark(&mut self, version: Version) {
        if let Some(slot) = &mut self.slot {
            slot.leave(version);
            self.context.acknowledgements.acknowledge(slot.key(), version);
        }
        if let Some(link) = &mut self.link {
            link.slot_checked = true;
        }
    }
}

impl From<StoreError> for GroupError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What became of the batch with this number.
fn outcome_of(decided: &Result<FailedBatches, GroupError>, number: i32) -> Result<(), CommitError> {
    match decided {
        Ok(failed) if !failed.contains(&number) => Ok(()),
        // Whoever asked reads and decides anew, as after any other conflict.
        Ok(_) | Err(GroupError::Contended) => Err(CommitError::Conflict),
        Err(GroupError::Store(error)) => Err(error.clone().into()),
    }
}

fn in_doubt() -> StoreError {
    StoreError::Unavailable("the connection to the database was lost during a commit".into())
}

/// Within what time a commit is decided, or given up: clients wait some ten seconds.
const COMMIT_BOUND: Duration = Duration::from_secs(10);

/// Within what time a statement is answered; the database gives it up a second before.
pub(super) const STATEMENT_BOUND: Duration = Duration::from_secs(5);

/// How often a group is tried again as a whole, and a batch alone, when others come in its way.
const MAX_TRIES_TOGETHER: u32 = 2;
const MAX_TRIES_ALONE: u32 = 10;

/// Half of the first pause between such tries; each is twice the one before.
const BACKOFF: Duration = Duration::from_millis(1);

/// The pause between tries to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// How often a writer without work looks after its connection.
const IDLE_CHECK: Duration = Duration::from_secs(1);
