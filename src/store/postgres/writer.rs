//! A writer: takes groups of batches from the queue and has the database decide and write them, one after the other.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::acknowledgements::Acknowledgements;
use super::connection::Connector;
use super::queue::{CommitQueue, TakenBatch, TakenGroup};
use super::slot_writer::{BACKOFF, DecidedGroup, GroupError, SlotWriter};
use super::statement::GroupArrays;
use super::versions::VersionSource;
use crate::domain::histogram::GroupSizes;
use crate::domain::time::Clock;
use crate::store::atomic_histogram::AtomicHistogram;
use crate::store::{CommitError, Version};

/// What all writers of a store share.
pub(super) struct WriterContext {
    pub(super) connector: Arc<Connector>,
    pub(super) queue: Arc<CommitQueue>,
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
    pub(super) group_sizes: AtomicHistogram<GroupSizes>,
}

/// One writer.
pub(super) struct Writer {
    context: Arc<WriterContext>,
    slot_writer: SlotWriter,
}

impl Writer {
    pub(super) fn new(context: Arc<WriterContext>) -> Self {
        Self {
            slot_writer: SlotWriter::new(Arc::clone(&context)),
            context,
        }
    }

    /// Writes what is in the queue until it is closed and empty. A panic ends one group, whose outcome is not known then; the
    /// next ones are written all the same.
    pub(super) async fn run(mut self) {
        while self.write_or_panic().await.is_err() {
            tracing::error!("a writer panicked; it goes on with the next group");
            self.slot_writer.start_over();
        }
        self.slot_writer.leave().await;
    }

    async fn write_or_panic(&mut self) -> std::thread::Result<()> {
        let mut written = pin!(self.write_all());
        poll_fn(
            |context| match catch_unwind(AssertUnwindSafe(|| written.as_mut().poll(context))) {
                Ok(polled) => polled.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            },
        )
        .await
    }

    async fn write_all(&mut self) {
        loop {
            match timeout(IDLE_CHECK, self.context.queue.next()).await {
                Ok(Some(group)) => self.write(group).await,
                Ok(None) => break,
                Err(_idle) if self.context.queue.is_closed() => {}
                Err(_idle) => self.slot_writer.look_after().await,
            }
        }
    }

    /// Has the database decide about each batch and write what is to be written: together, or, if others come in the way of
    /// one of them, in ever smaller parts, so that its neighbours do not wait for that one.
    async fn write(&mut self, group: TakenGroup) {
        let TakenGroup { batches, pass: _pass } = group;
        let now = Instant::now();
        let last = batches.iter().map(TakenBatch::deadline).max().unwrap_or(now);
        let deadline = last.max(now + self.context.connector.bounds().statement);
        let mut parts = vec![batches];
        let mut contended = Vec::new();
        while let Some(mut part) = parts.pop() {
            let patience = if part.len() > 1 { MAX_TRIES_TOGETHER } else { 1 };
            match self.decide(&part, patience, deadline).await {
                Err(GroupError::Contended) if part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
                Err(GroupError::Contended) => contended.append(&mut part),
                decided => self.answer(part, &decided),
            }
        }
        // In turns, so that none waits for all tries of another one.
        for tried in 1..=MAX_TRIES_ALONE {
            for batch in std::mem::take(&mut contended) {
                let alone = vec![batch];
                match self.decide(&alone, 1, deadline).await {
                    Err(GroupError::Contended) if tried < MAX_TRIES_ALONE => contended.extend(alone),
                    decided => self.answer(alone, &decided),
                }
            }
            if contended.is_empty() {
                break;
            }
            sleep(BACKOFF * 2_u32.pow(tried.min(6))).await;
        }
    }

    async fn decide(
        &mut self,
        group: &[TakenBatch],
        patience: u32,
        deadline: Instant,
    ) -> Result<DecidedGroup, GroupError> {
        let arrays = GroupArrays::new(group.iter().map(TakenBatch::batch));
        self.slot_writer.apply(&arrays, patience, deadline).await
    }

    fn answer(&self, group: Vec<TakenBatch>, decided: &Result<DecidedGroup, GroupError>) {
        let counts = &self.context.counts;
        let outcomes: Vec<_> = (1..)
            .zip(&group)
            .map(|(number, _)| outcome_of(decided, number))
            .collect();
        let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        if made > 0 {
            counts.groups.fetch_add(1, Ordering::Relaxed);
            counts.group_sizes.count(made as u64);
        }
        for (batch, outcome) in group.into_iter().zip(outcomes) {
            match &outcome {
                Ok(_) => _ = counts.commits.fetch_add(1, Ordering::Relaxed),
                Err(CommitError::Conflict) => _ = counts.conflicts.fetch_add(1, Ordering::Relaxed),
                Err(CommitError::Store(_)) => {}
            }
            let refused = batch.answer(outcome);
            counts.conflicts.fetch_add(refused, Ordering::Relaxed);
        }
    }
}

/// What became of the batch with this number: the version of what it wrote.
fn outcome_of(decided: &Result<DecidedGroup, GroupError>, number: i32) -> Result<Version, CommitError> {
    match decided {
        Ok(group) if !group.failed.contains(&number) => Ok(group.version),
        // Whoever asked reads and decides anew, as after any other conflict.
        Ok(_) | Err(GroupError::Contended) => Err(CommitError::Conflict),
        Err(GroupError::Store(error)) => Err(error.clone().into()),
    }
}

/// How often a group is tried as a whole, and a batch alone, when others come in its way.
const MAX_TRIES_TOGETHER: u32 = 2;
const MAX_TRIES_ALONE: u32 = 10;

/// How often a writer without work looks after its connection.
const IDLE_CHECK: Duration = Duration::from_secs(1);
