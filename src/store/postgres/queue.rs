//! The queue before the writers: batches wait in it, and those that do not come in each other's way leave it together.
//!
//! Two batches come in each other's way when one writes a key that the other one asserts or writes. They are never under
//! way at the same time, within a group or in two: the database would make one of them wait and then refuse it. So what this
//! process decides about one key, it decides in the order in which it was asked, and only other processes are raced with.
//!
//! What waits and rests on what was just overwritten is refused at once, without asking the database: it would be in vain.
//!
//! Each key has a line of those that use it. A batch may go when it is its turn in all its lines, however many wait in others.
//!
//! Groups go one after the other, too, as long as the database is quick: what comes meanwhile is one group then, which costs
//! the database less than two, and two at once come in each other's way there. One that takes long holds nobody up.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use crate::store::{Assertion, Batch, CommitError, StoreError, Version};

/// Batches that wait, and the keys of those that are under way.
#[derive(Default)]
pub(super) struct CommitQueue {
    state: Mutex<QueueState>,
    changed: Notify,
}

#[derive(Default)]
struct QueueState {
    lines: HashMap<Vec<u8>, KeyLine>,
    waiting: HashMap<Ticket, WaitingBatch>,
    /// Those that may go, in the order in which they came.
    ready: BTreeSet<Ticket>,
    /// What the puts of those that wait hold.
    waiting_bytes: usize,
    next_ticket: Ticket,
    /// Groups that have not ended, by the first ticket of each, and since when.
    under_way: BTreeMap<Ticket, Instant>,
    /// Until when somebody waits for a group to end or to have taken long.
    watched: Option<Instant>,
    closed: bool,
}

type Ticket = u64;
type AnswerSender = oneshot::Sender<Result<(), CommitError>>;

struct WaitingBatch {
    batch: Batch,
    answer: AnswerSender,
    deadline: Instant,
    /// In how many lines it is not its turn.
    blocked_in: usize,
}

/// Those that use a key, in the order in which they came: it is the turn of the first, and, if that only asserts, of those
/// behind it that do the same.
#[derive(Default)]
struct KeyLine {
    places: VecDeque<LinePlace>,
    writers: usize,
}

struct LinePlace {
    ticket: Ticket,
    writes: bool,
    has_turn: bool,
}

/// Batches that left the queue together.
pub(super) struct TakenGroup {
    pub(super) batches: Vec<TakenBatch>,
    /// While it lives, the next group waits a little.
    pub(super) pass: GroupPass,
}

/// A group that is under way, until this is dropped.
pub(super) struct GroupPass {
    queue: Arc<CommitQueue>,
    group: Ticket,
}

/// Whoever waits for groups that are under way, until a moment. One is enough.
struct Watch<'q>(&'q CommitQueue, Instant);

/// One who waits for a group. If this is dropped before it has one, whatever woke it is told to another one.
struct IdleWriter<'q> {
    queue: &'q CommitQueue,
    is_served: bool,
}

/// A batch that left the queue. Others wait for its keys until it is answered, or dropped.
pub(super) struct TakenBatch {
    queue: Arc<CommitQueue>,
    ticket: Ticket,
    batch: Batch,
    answer: Option<AnswerSender>,
    deadline: Instant,
}

impl CommitQueue {
    /// Puts a batch behind the others, which is refused if no writer has taken it by `deadline`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store is closed, or too many wait already.
    pub(super) fn push(
        &self,
        batch: Batch,
        answer: AnswerSender,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.closed {
            return Err(closed());
        }
        if state.waiting.len() >= MAX_WAITING || state.waiting_bytes >= MAX_WAITING_BYTES {
            return Err(StoreError::Unavailable(
                "too many commits wait for the database".into(),
            ));
        }
        state.add(batch, answer, deadline);
        // Whoever watches will see it.
        let next_at = state.next_group_at(Instant::now());
        let is_seen = next_at.is_some_and(|at| state.watched.is_some_and(|watched| watched <= at));
        drop(state);
        if !is_seen {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// The next batches that go together; `None` when the queue is closed and empty. It may be dropped while it waits.
    pub(super) async fn next(self: &Arc<Self>) -> Option<TakenGroup> {
        let mut writer = IdleWriter {
            queue: self,
            is_served: false,
        };
        loop {
            // Whoever can run now may have something that goes with it.
            yield_now().await;
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let watch = {
                let mut state = self.state();
                let now = Instant::now();
                match state.next_group_at(now) {
                    None => {
                        if let Some(group) = state.take_group(self, now) {
                            // What may not go with it waits for it, or for its end.
                            let more = !state.ready.is_empty();
                            drop(state);
                            if more {
                                self.changed.notify_one();
                            }
                            writer.is_served = true;
                            return Some(group);
                        }
                        if state.closed && state.waiting.is_empty() {
                            // The next writer is told of it, too.
                            return None;
                        }
                        None
                    }
                    Some(at) if state.watched.is_some_and(|watched| watched <= at) => None,
                    // Whoever watches already looks later than that.
                    Some(at) => {
                        state.watched = Some(at);
                        Some((Watch(self, at), at))
                    }
                }
            };
            match watch {
                None => changed.await,
                Some((_watch, until)) => _ = timeout_at(until, changed).await,
            }
        }
    }

    /// Takes no more batches. Those that wait are still written.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        // What is done under the lock cannot leave it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn add(&mut self, batch: Batch, answer: AnswerSender, deadline: Instant) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let mut blocked_in = 0;
        for (key, writes) in keys_used(&batch) {
            let line = self.lines.entry(key.to_vec()).or_default();
            let has_turn = line.places.is_empty() || (!writes && line.writers == 0);
            blocked_in += usize::from(!has_turn);
            line.writers += usize::from(writes);
            line.places.push_back(LinePlace {
                ticket,
                writes,
                has_turn,
            });
        }
        if blocked_in == 0 {
            self.ready.insert(ticket);
        }
        self.waiting_bytes += bytes_of(&batch);
        let waiting = WaitingBatch {
            batch,
            answer,
            deadline,
            blocked_in,
        };
        self.waiting.insert(ticket, waiting);
    }

    /// Until when another group need not go, unless those that are under way end before; nothing if one may go now.
    fn next_group_at(&self, now: Instant) -> Option<Instant> {
        if self.ready.is_empty() {
            return None;
        }
        let last = self.under_way.values().max()?;
        let alone = if self.ready.len() < MAX_GROUP {
            ALONE
        } else {
            ALONE_BEFORE_A_FULL_ONE
        };
        let until = *last + alone;
        (until > now).then_some(until)
    }

    /// Takes what may go now, in order. What has waited too long is refused instead.
    fn take_group(&mut self, queue: &Arc<CommitQueue>, now: Instant) -> Option<TakenGroup> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < MAX_GROUP && bytes < MAX_GROUP_BYTES {
            let Some(ticket) = self.ready.pop_first() else {
                break;
            };
            let Some(waiting) = self.waiting.remove(&ticket) else {
                continue;
            };
            let size = bytes_of(&waiting.batch);
            self.waiting_bytes -= size;
            if waiting.deadline <= now {
                self.release(ticket, &waiting.batch);
                let _gone = waiting.answer.send(Err(too_late().into()));
                continue;
            }
            bytes += size;
            group.push(TakenBatch {
                queue: Arc::clone(queue),
                ticket,
                batch: waiting.batch,
                answer: Some(waiting.answer),
                deadline: waiting.deadline,
            });
        }
        let first = group.first()?.ticket;
        self.under_way.insert(first, now);
        Some(TakenGroup {
            batches: group,
            pass: GroupPass {
                queue: Arc::clone(queue),
                group: first,
            },
        })
    }

    /// Takes out what waits and rests on another version of what `batch` has written as `version`.
    fn take_refused(&mut self, batch: &Batch, version: Version) -> Vec<AnswerSender> {
        let mut refused = BTreeSet::new();
        for (key, _) in keys_used(batch).into_iter().filter(|(_, writes)| *writes) {
            let is_gone = !batch.written_keys().any(|put| put == key);
            let places = self.lines.get(key).map(|line| &line.places);
            for place in places.into_iter().flatten() {
                let waiting = self.waiting.get(&place.ticket);
                if waiting.is_some_and(|waiting| waiting.is_in_vain(key, is_gone, version)) {
                    refused.insert(place.ticket);
                }
            }
        }
        let mut answers = Vec::with_capacity(refused.len());
        for ticket in refused {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                self.ready.remove(&ticket);
                self.waiting_bytes -= bytes_of(&waiting.batch);
                self.release(ticket, &waiting.batch);
                answers.push(waiting.answer);
            }
        }
        answers
    }

    /// Leaves all lines. Whose turn it is then, may go; whether there is one.
    fn release(&mut self, ticket: Ticket, batch: &Batch) -> bool {
        let mut freed = false;
        for (key, _) in keys_used(batch) {
            let Some(line) = self.lines.get_mut(key) else {
                continue;
            };
            let Some(left) = line.leave(ticket) else {
                continue;
            };
            if line.places.is_empty() {
                self.lines.remove(key);
                continue;
            }
            for next in line.new_turns(&left) {
                if let Some(waiting) = self.waiting.get_mut(&next) {
                    waiting.blocked_in -= 1;
                    if waiting.blocked_in == 0 {
                        freed |= self.ready.insert(next);
                    }
                }
            }
        }
        freed
    }
}

impl WaitingBatch {
    /// Whether it rests on the entry at `key` as it was before that was written as `version`, or deleted.
    fn is_in_vain(&self, key: &[u8], is_gone: bool, version: Version) -> bool {
        self.batch.assertions.iter().any(|assertion| match assertion {
            Assertion::Absent(at) => !is_gone && at == key,
            Assertion::At(at, seen) => at == key && (is_gone || *seen != version),
        })
    }
}

impl KeyLine {
    fn leave(&mut self, ticket: Ticket) -> Option<LinePlace> {
        let place = self.places.iter().position(|place| place.ticket == ticket);
        let gone = self.places.remove(place?)?;
        self.writers -= usize::from(gone.writes);
        Some(gone)
    }

    /// Gives those their turn who have it now that one has left, and did not before. If that one had it, and the first has it,
    /// nothing is new.
    fn new_turns(&mut self, left: &LinePlace) -> Vec<Ticket> {
        let mut new = Vec::new();
        if left.has_turn && self.places.front().is_some_and(|first| first.has_turn) {
            return new;
        }
        for (number, place) in self.places.iter_mut().enumerate() {
            if place.writes && number > 0 {
                break;
            }
            if !place.has_turn {
                place.has_turn = true;
                new.push(place.ticket);
            }
            if place.writes {
                break;
            }
        }
        new
    }
}

impl TakenBatch {
    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// When whoever asked does not wait any longer.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Lets go of its keys, and says what became of it: the version of what it wrote. How many others are refused by that.
    pub(super) fn answer(mut self, outcome: Result<Version, CommitError>) -> u64 {
        let answer = self.answer.take();
        let refused = match &outcome {
            Ok(version) => self.queue.state().take_refused(&self.batch, *version),
            Err(_) => Vec::new(),
        };
        if !refused.is_empty() {
            // Whoever waited behind those may go.
            self.queue.changed.notify_one();
        }
        drop(self);
        // Nobody need wait for it any more.
        if let Some(answer) = answer {
            let _gone = answer.send(outcome.map(drop));
        }
        let count = refused.len() as u64;
        for answer in refused {
            let _gone = answer.send(Err(CommitError::Conflict));
        }
        count
    }
}

impl Drop for TakenBatch {
    fn drop(&mut self) {
        let freed = self.queue.state().release(self.ticket, &self.batch);
        if freed {
            self.queue.changed.notify_one();
        }
    }
}

impl Drop for GroupPass {
    fn drop(&mut self) {
        self.queue.state().under_way.remove(&self.group);
        // The writer that came last: the database's process behind it has at hand what it needs.
        self.queue.changed.notify_last();
    }
}

impl Drop for IdleWriter<'_> {
    fn drop(&mut self) {
        if !self.is_served {
            self.queue.changed.notify_one();
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        // Another one may have taken over.
        if state.watched == Some(self.1) {
            state.watched = None;
        }
    }
}

pub(super) fn asserted_key(assertion: &Assertion) -> &[u8] {
    match assertion {
        Assertion::Absent(key) | Assertion::At(key, _) => key,
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

fn too_late() -> StoreError {
    StoreError::Unavailable("the database did not come to it in time".into())
}

/// Each key of a batch once, and whether it is written.
fn keys_used(batch: &Batch) -> HashMap<&[u8], bool> {
    let asserted = batch
        .assertions
        .iter()
        .map(|assertion| (asserted_key(assertion), false));
    let written = batch
        .written_keys()
        .chain(batch.deleted_keys())
        .map(|key| (key, true));
    // The later ones count.
    asserted.chain(written).collect()
}

fn bytes_of(batch: &Batch) -> usize {
    let size = |put: &crate::store::Put| put.key.len() + put.value.len();
    batch.puts.iter().map(size).sum()
}

/// How many batches one group has at the most: a group that is refused for one of them is tried again for all.
const MAX_GROUP: usize = 64;

/// How long a group goes alone: longer than a database nearby takes for one. Serializable transactions that overlap are
/// refused now and then for having read pages of an index that the other one wrote, whatever rows they were about.
const ALONE: Duration = Duration::from_millis(20);

/// How long a group goes alone when the next one cannot become larger.
const ALONE_BEFORE_A_FULL_ONE: Duration = Duration::from_millis(5);

/// With how many bytes a group takes no more batches.
const MAX_GROUP_BYTES: usize = 512 * 1024;

/// How many batches may wait: at a few thousand commits a second, more could not be answered in time.
const MAX_WAITING: usize = 20_000;

/// With how many bytes that wait no more batches are taken.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests;
