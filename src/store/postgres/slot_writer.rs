//! Writing groups so that what became of one can be found out.
//!
//! Each writer has a row of its own in the table, its slot. Every group asserts that the slot is as it was last seen and
//! leaves the mark of the group there, in the same transaction. So when a connection is lost and nobody knows whether a
//! group was committed, the slot says so: it holds the mark of the group, and which of its batches were not applied, or it
//! is as it was before.
//!
//! Neither is an answer yet. In the one case the group may be on its way; in the other, what is seen need not be on the
//! standby. So the writer leaves another mark that rests on what it saw: once that is acknowledged, a group that has not come
//! cannot come any more, and one that has come is as durable as the mark is.
//!
//! A slot that holds none of the marks that it can hold is something else: the database has lost commits that it had
//! acknowledged. See [`Acknowledgements`](super::acknowledgements::Acknowledgements).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::error::SqlState;

use super::connection::{DatabaseSession, ErrorKind, SessionPurpose, StatementFailure, within};
use super::slot::Slot;
use super::statement::{FailedBatches, GroupArrays, SlotChange, WriteStatements, failed_in_slot};
use super::writer::WriterContext;
use crate::store::{StoreError, Version};

/// A connection to write on, and a slot. Either is made when it is needed.
pub(super) struct SlotWriter {
    context: Arc<WriterContext>,
    link: Option<WriteSession>,
    slot: Option<Slot>,
    /// The era of the database's memory in which the slot was made.
    era: u64,
    /// How often in a row something was not done.
    failures: u32,
    /// What the database said last, of those failures that it said anything of.
    said: Option<String>,
}

/// A connection that is ready to write.
struct WriteSession {
    connection: DatabaseSession,
    statements: WriteStatements,
    /// The slot was seen on it.
    slot_seen: bool,
}

/// What became of a group.
pub(super) struct DecidedGroup {
    /// Of all that it wrote.
    pub(super) version: Version,
    pub(super) failed: FailedBatches,
}

/// Why a group is not written.
#[derive(Debug)]
pub(super) enum GroupError {
    /// Nothing was done: others decide about its keys again and again.
    Contended,
    Store(StoreError),
}

impl SlotWriter {
    pub(super) fn new(context: Arc<WriterContext>) -> Self {
        Self {
            context,
            link: None,
            slot: None,
            era: 0,
            failures: 0,
            said: None,
        }
    }

    /// Has the database decide about a group and write it. It is tried `patience` times while others come in its way.
    pub(super) async fn apply(
        &mut self,
        arrays: &GroupArrays,
        patience: u32,
        deadline: Instant,
    ) -> Result<DecidedGroup, GroupError> {
        let mut contended = 0;
        loop {
            self.context.acknowledgements.check()?;
            let version = self.ready(deadline).await?;
            let failure = match self.execute(arrays, version).await {
                // What was in doubt has come after all: that is seen first, and then this is tried anew.
                Ok(failed) if failed.contains(&0) => {
                    StatementFailure::new(ErrorKind::TooSlow, "the slot moved")
                }
                Ok(failed) => return Ok(DecidedGroup { version, failed }),
                Err(failure) => failure,
            };
            match failure.kind {
                ErrorKind::Serialization => {
                    contended += 1;
                    if contended >= patience || Instant::now() >= deadline {
                        return Err(GroupError::Contended);
                    }
                    sleep(BACKOFF * 2_u32.pow(contended.min(6))).await;
                }
                ErrorKind::Lost => {
                    if let Some(failed) = self.resolve(version, deadline).await? {
                        return Ok(DecidedGroup { version, failed });
                    }
                }
                ErrorKind::OutOfStep => return Err(in_doubt().into()),
                ErrorKind::Refused => return Err(failure.unavailable().into()),
                ErrorKind::TooSlow | ErrorKind::WrongSession => self.pause(deadline, &failure).await?,
            }
        }
    }

    /// Runs the statements of a group.
    async fn execute(
        &mut self,
        arrays: &GroupArrays,
        version: Version,
    ) -> Result<FailedBatches, StatementFailure> {
        let expires_at = Slot::end(self.context.clock.now());
        let (Some(link), Some(slot)) = (&mut self.link, &mut self.slot) else {
            return Err(StatementFailure::new(
                ErrorKind::WrongSession,
                "there is no connection",
            ));
        };
        slot.send(version);
        let change = SlotChange {
            key: slot.key(),
            mark: slot.current(),
            version,
            expires_at,
        };
        let warnings = link.connection.warnings();
        let asked = arrays.execute(&link.connection, &link.statements, &change);
        let failure = match within(self.context.connector.bounds().statement, asked).await {
            Ok(failed) if failed.contains(&0) => {
                slot.withdraw(version);
                link.slot_seen = false;
                return Ok(failed);
            }
            Ok(failed) if failed.len() == arrays.len() => {
                slot.withdraw(version);
                return Ok(failed);
            }
            Ok(failed) if link.connection.warnings() == warnings => {
                self.failures = 0;
                self.said = None;
                slot.acknowledge(version);
                // Whatever acknowledged it, perhaps an old primary, is not what is used now.
                let acknowledgements = &self.context.acknowledgements;
                if acknowledgements.acknowledge(self.era, slot.key(), version) {
                    return Ok(failed);
                }
                return Err(StatementFailure::new(
                    ErrorKind::OutOfStep,
                    "it is of before a loss",
                ));
            }
            Ok(_) => StatementFailure::new(ErrorKind::Lost, "it warned of the commit"),
            Err(failure) => failure,
        };
        if !matches!(failure.kind, ErrorKind::Lost | ErrorKind::OutOfStep) {
            slot.withdraw(version);
        }
        if failure.kind != ErrorKind::Serialization {
            tracing::warn!("a commit failed: {failure}");
        }
        if !matches!(failure.kind, ErrorKind::Serialization | ErrorKind::TooSlow) {
            self.link = None;
        }
        Err(failure)
    }

    /// Finds out what became of the group with `version`: which of its batches were not applied, or nothing if all of it came
    /// to nothing.
    async fn resolve(
        &mut self,
        version: Version,
        deadline: Instant,
    ) -> Result<Option<FailedBatches>, StoreError> {
        // The marks that were sent here, and what became of the group if they are seen.
        let mut fences: Vec<(Version, Option<FailedBatches>)> = Vec::new();
        let era = self.era;
        loop {
            let fence = self.ready_unseen(deadline).await?;
            if self.era != era {
                // The slot that would tell is not looked at any more.
                return Err(in_doubt());
            }
            let failure = match self.see_slot().await {
                Ok((found, value)) => {
                    let outcome = if found == version {
                        Some(failed_in_slot(&value).ok_or_else(|| {
                            StoreError::Corrupt("a slot holds what no group has left there".into())
                        })?)
                    } else {
                        let sent = fences.iter().find(|(fence, _)| *fence == found);
                        sent.and_then(|(_, outcome)| outcome.clone())
                    };
                    fences.push((fence, outcome.clone()));
                    match self.execute(&GroupArrays::mark_only(), fence).await {
                        Ok(failed) if failed.is_empty() => return Ok(outcome),
                        // Something came between the look and the mark: look again.
                        Ok(_) => continue,
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            self.context.acknowledgements.check()?;
            self.step_back(&failure, deadline).await?;
        }
    }

    /// Makes sure that there are a connection and a slot that was seen on it; the version of what is written next.
    async fn ready(&mut self, deadline: Instant) -> Result<Version, StoreError> {
        loop {
            let version = self.ready_unseen(deadline).await?;
            if self.link.as_ref().is_some_and(|link| link.slot_seen) {
                return Ok(version);
            }
            if let Err(failure) = self.see_slot().await {
                self.context.acknowledgements.check()?;
                self.step_back(&failure, deadline).await?;
            }
        }
    }

    /// As [`Self::ready`], without a look at the slot if it had been made before.
    async fn ready_unseen(&mut self, deadline: Instant) -> Result<Version, StoreError> {
        loop {
            self.connect(deadline).await?;
            match self.make_slot().await {
                Ok(version) => return Ok(version),
                Err(failure) => self.step_back(&failure, deadline).await?,
            }
        }
    }

    /// Makes the slot if there is none, and draws the next version.
    async fn make_slot(&mut self) -> Result<Version, StatementFailure> {
        let context = &self.context;
        let era = context.acknowledgements.era();
        let link = self.link.as_mut().ok_or_else(no_connection)?;
        let client = &link.connection.client;
        let bound = context.connector.bounds().statement;
        loop {
            let Some(version) = context.versions.next() else {
                within(bound, context.versions.draw_next(client)).await?;
                continue;
            };
            if self.slot.is_some() {
                return Ok(version);
            }
            let number = context.slots.fetch_add(1, Ordering::Relaxed);
            let warnings = link.connection.warnings();
            let made = Slot::make(client, number, version, context.clock.now());
            let made = within(bound, async { Ok::<_, StatementFailure>(made.await) }).await?;
            match made {
                // A slot that the standby has not would be missed after it took over. Nobody needs this one.
                Ok(_) if link.connection.warnings() != warnings => {
                    return Err(StatementFailure::new(ErrorKind::TooSlow, "it warned of the slot"));
                }
                Ok(slot) => {
                    self.slot = Some(slot);
                    self.era = era;
                    link.slot_seen = true;
                }
                // Another process was given this epoch, too: the database has forgotten that this one was.
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                    let error = context.acknowledgements.lost_commits();
                    return Err(StatementFailure::new(ErrorKind::Refused, error.to_string()));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads the slot. If it holds what it cannot hold, commits are lost.
    async fn see_slot(&mut self) -> Result<(Version, Vec<u8>), StatementFailure> {
        let link = self.link.as_mut().ok_or_else(no_connection)?;
        let slot = self.slot.as_mut().ok_or_else(no_connection)?;
        let bound = self.context.connector.bounds().statement;
        match within(bound, slot.read(&link.connection.client)).await? {
            Some((found, value)) if slot.see(found) => {
                link.slot_seen = true;
                Ok((found, value))
            }
            _ => {
                let error = self.context.acknowledgements.lost_commits();
                Err(StatementFailure::new(ErrorKind::Refused, error.to_string()))
            }
        }
    }

    /// Makes sure that there is a connection.
    async fn connect(&mut self, deadline: Instant) -> Result<(), StoreError> {
        if self.slot.is_some() && self.era != self.context.acknowledgements.era() {
            // Both are of a database that is not used any more, or not as it was.
            (self.link, self.slot) = (None, None);
        }
        while !self.is_connected() {
            self.link = None;
            let bound = deadline.saturating_duration_since(Instant::now());
            let connector = Arc::clone(&self.context.connector);
            let acknowledgements = Arc::clone(&self.context.acknowledgements);
            let connected = within(bound, async {
                let connection = connector.connect(SessionPurpose::Write).await?;
                let prepared = WriteStatements::prepare(&connection.client);
                let statements = within(connector.bounds().statement, prepared).await?;
                // What another writer was acknowledged may be gone, though its own slot is as it was.
                let verified = acknowledgements.verify(&connection.client);
                let verified = async { Ok::<_, StatementFailure>(verified.await?) };
                within(connector.bounds().statement, verified).await?;
                Ok::<_, StatementFailure>(WriteSession {
                    connection,
                    statements,
                    slot_seen: false,
                })
            });
            match connected.await {
                Ok(link) => {
                    self.context.acknowledgements.check()?;
                    self.link = Some(link);
                }
                // The table is missing: that is no matter of time.
                Err(failure) if failure.kind == ErrorKind::Refused => return Err(failure.unavailable()),
                Err(failure) => self.pause(deadline, &failure).await?,
            }
        }
        Ok(())
    }

    fn is_connected(&self) -> bool {
        let link = self.link.as_ref();
        link.is_some_and(|link| !link.connection.client.is_closed())
    }

    /// Gets ready for another try after something was not done.
    async fn step_back(&mut self, failure: &StatementFailure, deadline: Instant) -> Result<(), StoreError> {
        match failure.kind {
            ErrorKind::Refused => return Err(failure.unavailable()),
            ErrorKind::Serialization | ErrorKind::TooSlow => {}
            ErrorKind::Lost | ErrorKind::OutOfStep | ErrorKind::WrongSession => self.link = None,
        }
        self.pause(deadline, failure).await
    }

    /// Waits a moment before the next try, as long as there is time for one.
    async fn pause(&mut self, deadline: Instant, failure: &StatementFailure) -> Result<(), StoreError> {
        let pause = FIRST_PAUSE * 2_u32.pow(self.failures);
        let pause = pause.min(LONGEST_PAUSE);
        self.failures = (self.failures + 1).min(6);
        if failure.kind != ErrorKind::Lost || self.said.is_none() {
            self.said = Some(failure.to_string());
        }
        if Instant::now() + pause >= deadline {
            // That it did not answer in the last moment is not the reason, if it gave one before.
            let said = self.said.take().unwrap_or_default();
            return Err(StoreError::Unavailable(format!(
                "the database cannot be used: {said}"
            )));
        }
        sleep(pause).await;
        Ok(())
    }

    /// What is done while nothing is to be written: a lost connection is made anew, so that a database that has lost commits
    /// is noticed, and the slot is kept from being taken for one that nobody needs.
    pub(super) async fn look_after(&mut self) {
        let Some(slot) = &self.slot else {
            return;
        };
        if self.context.acknowledgements.check().is_err() {
            return;
        }
        let old = slot.is_old();
        // One try; the next one comes with the next look.
        let deadline = Instant::now() + self.context.connector.bounds().connect;
        let looked = async {
            let version = self.ready(deadline).await?;
            if old {
                let marked = self.execute(&GroupArrays::mark_only(), version).await;
                marked.map_err(|failure| failure.unavailable())?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = looked.await {
            tracing::debug!("{error}");
        }
    }

    /// Removes what only this writer needed. If that fails, it goes in time.
    pub(super) async fn leave(&mut self) {
        if let (Some(link), Some(slot)) = (&self.link, &self.slot) {
            self.context.acknowledgements.forget(slot.key());
            let bound = self.context.connector.bounds().statement;
            let _goes_in_time = timeout(bound, slot.remove(&link.connection.client)).await;
        }
    }

    /// Goes on after a panic, with what is known of the slot: what was being sent then is in doubt.
    pub(super) fn start_over(&mut self) {
        self.link = None;
    }
}

impl From<StoreError> for GroupError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn no_connection() -> StatementFailure {
    StatementFailure::new(ErrorKind::WrongSession, "there is no connection")
}

fn in_doubt() -> StoreError {
    StoreError::Unavailable("the connection to the database was lost during a commit".into())
}

/// Half of the first pause between tries to write what others come in the way of; each is twice the one before.
pub(super) const BACKOFF: Duration = Duration::from_millis(1);

/// The pause before another try after other failures: each in a row is twice the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
