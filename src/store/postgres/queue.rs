//! The queue before the writers: batches wait in it, and those that do not come in each other's way leave it together.
//!
//! Two batches come in each other's way when one writes a key that the other one asserts or writes. They are never under
//! way at the same time, within a group or in two: the database would make one of them wait and then refuse it. So what this
//! process decides about one key, it decides in the order in which it was asked, and only other processes are raced with.
//!
//! Each key has a line of those that use it. A batch may go when it is its turn in all its lines, however many wait in others.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::store::{Assertion, Batch, CommitError, StoreError};

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
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next batches that go together; `None` when the queue is closed and empty.
    pub(super) async fn next(self: &Arc<Self>) -> Option<Vec<TakenBatch>> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                let group = state.take_group(self);
                if !group.is_empty() {
                    let more = !state.ready.is_empty();
                    drop(state);
                    if more {
                        self.changed.notify_one();
                    }
                    return Some(group);
                }
                if state.closed && state.waiting.is_empty() {
                    // The next writer is to see it, too.
                    self.changed.notify_one();
                    return None;
                }
            }
            changed.await;
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

    /// Takes what may go now, in order. What has waited too long is refused instead.
    fn take_group(&mut self, queue: &Arc<CommitQueue>) -> Vec<TakenBatch> {
        let now = Instant::now();
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
        group
    }

    /// Leaves all lines. Whose turn it is then, may go.
    fn release(&mut self, ticket: Ticket, batch: &Batch) {
        for (key, _) in keys_used(batch) {
            let Some(line) = self.lines.get_mut(key) else {
                continue;
            };
            line.leave(ticket);
            if line.places.is_empty() {
                self.lines.remove(key);
                continue;
            }
            for next in line.new_turns() {
                if let Some(waiting) = self.waiting.get_mut(&next) {
                    waiting.blocked_in -= 1;
                    if waiting.blocked_in == 0 {
                        self.ready.insert(next);
                    }
                }
            }
        }
    }
}

impl KeyLine {
    fn leave(&mut self, ticket: Ticket) {
        let place = self.places.iter().position(|place| place.ticket == ticket);
        if let Some(gone) = place.and_then(|place| self.places.remove(place)) {
            self.writers -= usize::from(gone.writes);
        }
    }

    /// Gives those their turn who have it now, and did not before. Whoever leaves a line had it: so if the first has it,
    /// nothing is new.
    fn new_turns(&mut self) -> Vec<Ticket> {
        let mut new = Vec::new();
        if self.places.front().is_some_and(|first| first.has_turn) {
            return new;
        }
        for (number, place) in self.places.iter_mut().enumerate() {
            if place.writes && number > 0 {
                break;
            }
            place.has_turn = true;
            new.push(place.ticket);
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

    /// Lets go of its keys, and says what became of it.
    pub(super) fn answer(mut self, outcome: Result<(), CommitError>) {
        let answer = self.answer.take();
        drop(self);
        if let Some(answer) = answer {
            // Nobody need wait for it any more.
            let _gone = answer.send(outcome);
        }
    }
}

impl Drop for TakenBatch {
    fn drop(&mut self) {
        self.queue.state().release(self.ticket, &self.batch);
        self.queue.changed.notify_one();
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

/// With how many bytes a group takes no more batches.
const MAX_GROUP_BYTES: usize = 512 * 1024;

/// How many batches may wait: at a few thousand commits a second, more could not be answered in time.
const MAX_WAITING: usize = 20_000;

/// With how many bytes that wait no more batches are taken.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::Version;

    type Answered = oneshot::Receiver<Result<(), CommitError>>;

    fn push(queue: &CommitQueue, batch: Batch) -> Answered {
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + Duration::from_mins(1);
        queue.push(batch, answer, deadline).unwrap();
        answered
    }

    fn put(key: &str) -> Batch {
        Batch::new().put(key.into(), vec![])
    }

    fn written(group: &[TakenBatch]) -> Vec<String> {
        let key = |taken: &TakenBatch| String::from_utf8(taken.batch.puts[0].key.clone()).unwrap();
        group.iter().map(key).collect()
    }

    #[tokio::test]
    async fn batches_about_one_key_go_one_after_the_other() {
        let queue = Arc::new(CommitQueue::default());
        let _answers = ["a", "b", "a"].map(|key| push(&queue, put(key)));
        let first = queue.next().await.unwrap();
        assert_eq!(written(&first), ["a", "b"]);
        let _last = push(&queue, put("c"));
        let second = queue.next().await.unwrap();
        assert_eq!(written(&second), ["c"], "nobody waits for a key that is not his");
        drop(first);
        assert_eq!(written(&queue.next().await.unwrap()), ["a"]);
    }

    #[tokio::test]
    async fn what_one_asserts_the_other_does_not_write_meanwhile() {
        let queue = Arc::new(CommitQueue::default());
        let asserting = |key: &str| put(key).assert_at(b"account".to_vec(), Version(1));
        let _answers = [
            push(&queue, asserting("a")),
            push(&queue, put("account")),
            push(&queue, asserting("b")),
        ];
        let first = queue.next().await.unwrap();
        assert_eq!(written(&first), ["a"], "whoever came first keeps its place");
        drop(first);
        let second = queue.next().await.unwrap();
        assert_eq!(written(&second), ["account"]);
        drop(second);
        assert_eq!(written(&queue.next().await.unwrap()), ["b"]);
    }

    #[tokio::test]
    async fn many_assert_one_key_together() {
        let queue = Arc::new(CommitQueue::default());
        let asserting = |key: &str| put(key).assert_at(b"account".to_vec(), Version(1));
        let _answers = [push(&queue, asserting("a")), push(&queue, asserting("b"))];
        assert_eq!(written(&queue.next().await.unwrap()), ["a", "b"]);
    }

    #[tokio::test]
    async fn however_many_wait_for_one_key_the_others_go() {
        let queue = Arc::new(CommitQueue::default());
        let mut answers: Vec<Answered> = (0..5_000).map(|_| push(&queue, put("hot"))).collect();
        answers.push(push(&queue, put("cold")));
        assert_eq!(written(&queue.next().await.unwrap()), ["hot", "cold"]);
    }

    #[tokio::test]
    async fn a_batch_that_is_dropped_lets_go_of_its_keys() {
        let queue = Arc::new(CommitQueue::default());
        let first = push(&queue, put("a"));
        let _second = push(&queue, put("a"));
        drop(queue.next().await.unwrap());
        assert!(first.await.is_err(), "nobody will answer it");
        assert_eq!(written(&queue.next().await.unwrap()), ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_waited_too_long_is_refused_and_not_written() {
        let queue = Arc::new(CommitQueue::default());
        let late = push(&queue, put("a"));
        tokio::time::advance(Duration::from_secs(61)).await;
        let _in_time = push(&queue, put("a"));
        let group = queue.next().await.unwrap();
        assert_eq!(group.len(), 1);
        assert!(matches!(late.await.unwrap(), Err(CommitError::Store(_))));
    }

    #[tokio::test]
    async fn no_more_wait_than_can_be_answered() {
        let queue = CommitQueue::default();
        let _answers: Vec<Answered> = (0..MAX_WAITING)
            .map(|key| push(&queue, put(&key.to_string())))
            .collect();
        let refused = queue.push(put("more"), oneshot::channel().0, Instant::now());
        assert!(refused.unwrap_err().to_string().contains("too many"));
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes() {
        let queue = CommitQueue::default();
        let big = || Batch::new().put(b"key".to_vec(), vec![0; MAX_WAITING_BYTES / 4]);
        let _answers = [(); 4].map(|()| push(&queue, big()));
        let refused = queue.push(put("more"), oneshot::channel().0, Instant::now());
        assert!(refused.unwrap_err().to_string().contains("too many"));
    }

    #[tokio::test]
    async fn a_closed_queue_is_emptied_and_then_ends() {
        let queue = Arc::new(CommitQueue::default());
        let _answer = push(&queue, put("a"));
        queue.close();
        assert_eq!(written(&queue.next().await.unwrap()), ["a"]);
        assert!(queue.next().await.is_none());
        assert!(queue.next().await.is_none());
    }
}
