//! The queue before the writers: batches wait in it, and those that do not come in each other's way leave it together.
//!
//! Two batches come in each other's way when one writes a key that the other one asserts or writes. They are never under
//! way at the same time, within a group or in two: the database would make one of them wait and then refuse it. So what this
//! process decides about one key, it decides in the order in which it was asked, and only other processes are raced with.
//! A batch that waits for another one keeps its place before those behind it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::store::{Assertion, Batch, CommitError, StoreError};

/// Batches that wait, and the keys of those that are under way.
#[derive(Default)]
pub(super) struct CommitQueue {
    state: Mutex<QueueState>,
    changed: Notify,
}

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<QueuedBatch>,
    under_way: KeysInUse,
    closed: bool,
}

/// A batch and who waits for what becomes of it.
pub(super) struct QueuedBatch {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<(), CommitError>>,
}

/// Keys that are written, and how many batches assert each of the others.
#[derive(Default)]
struct KeysInUse {
    written: HashSet<Vec<u8>>,
    asserted: HashMap<Vec<u8>, usize>,
}

impl CommitQueue {
    /// Puts a batch behind the others.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store is closed, or too many wait already.
    pub(super) fn push(&self, waiting: QueuedBatch) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.closed {
            return Err(closed());
        }
        if state.waiting.len() >= MAX_WAITING {
            return Err(StoreError::Unavailable(
                "too many commits wait for the database".into(),
            ));
        }
        state.waiting.push_back(waiting);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next batches that go together; `None` when the queue is closed and empty. They are under way until
    /// [`CommitQueue::done`] is told of them.
    pub(super) async fn next(&self) -> Option<Vec<QueuedBatch>> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                let group = state.take_group();
                if !group.is_empty() {
                    let more = !state.waiting.is_empty();
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

    /// Lets go of the keys of `batches`, which were one group.
    pub(super) fn done<'b>(&self, batches: impl Iterator<Item = &'b Batch>) {
        let mut state = self.state();
        for batch in batches {
            state.under_way.remove(batch);
        }
        drop(state);
        self.changed.notify_one();
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
    /// Takes what may go now, in order, looking past those that have to wait.
    fn take_group(&mut self) -> Vec<QueuedBatch> {
        let mut group = Vec::new();
        let mut bytes = 0;
        // What those that have to wait will use: nobody behind them may take it away from them.
        let mut promised = KeysInUse::default();
        let mut passed = VecDeque::new();
        while let Some(waiting) = self.waiting.pop_front() {
            if self.under_way.is_free_for(&waiting.batch) && promised.is_free_for(&waiting.batch) {
                self.under_way.add(&waiting.batch);
                bytes += waiting
                    .batch
                    .puts
                    .iter()
                    .map(|put| put.key.len() + put.value.len())
                    .sum::<usize>();
                group.push(waiting);
            } else {
                promised.add(&waiting.batch);
                passed.push_back(waiting);
            }
            if group.len() == MAX_GROUP || bytes >= MAX_GROUP_BYTES || passed.len() == MAX_PASSED {
                break;
            }
        }
        while let Some(waiting) = passed.pop_back() {
            self.waiting.push_front(waiting);
        }
        group
    }
}

impl KeysInUse {
    fn is_free_for(&self, batch: &Batch) -> bool {
        let written = |key: &[u8]| self.written.contains(key);
        !batch
            .assertions
            .iter()
            .any(|assertion| written(asserted_key(assertion)))
            && !keys_changed(batch).any(|key| written(key) || self.asserted.contains_key(key))
    }

    fn add(&mut self, batch: &Batch) {
        for assertion in &batch.assertions {
            *self.asserted.entry(asserted_key(assertion).to_vec()).or_default() += 1;
        }
        self.written.extend(keys_changed(batch).map(<[u8]>::to_vec));
    }

    fn remove(&mut self, batch: &Batch) {
        for assertion in &batch.assertions {
            let key = asserted_key(assertion);
            if let Some(count) = self.asserted.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.asserted.remove(key);
                }
            }
        }
        for key in keys_changed(batch) {
            self.written.remove(key);
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

fn keys_changed(batch: &Batch) -> impl Iterator<Item = &[u8]> {
    batch.written_keys().chain(batch.deleted_keys())
}

/// How many batches one group has at the most: a group that is refused for one of them is tried again for all.
const MAX_GROUP: usize = 64;

/// With how many bytes a group takes no more batches.
const MAX_GROUP_BYTES: usize = 512 * 1024;

/// Past how many that have to wait others are looked for.
const MAX_PASSED: usize = 256;

/// How many batches may wait: at a few thousand commits a second, more could not be answered in time.
const MAX_WAITING: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Version;

    fn push(queue: &CommitQueue, batch: Batch) -> oneshot::Receiver<Result<(), CommitError>> {
        let (answer, answered) = oneshot::channel();
        queue.push(QueuedBatch { batch, answer }).unwrap();
        answered
    }

    fn put(key: &str) -> Batch {
        Batch::new().put(key.into(), vec![])
    }

    fn written(group: &[QueuedBatch]) -> Vec<String> {
        let key = |waiting: &QueuedBatch| String::from_utf8(waiting.batch.puts[0].key.clone()).unwrap();
        group.iter().map(key).collect()
    }

    #[tokio::test]
    async fn batches_about_one_key_go_one_after_the_other() {
        let queue = CommitQueue::default();
        let _answers = ["a", "b", "a"].map(|key| push(&queue, put(key)));
        let first = queue.next().await.unwrap();
        assert_eq!(written(&first), ["a", "b"]);
        let _last = push(&queue, put("c"));
        let second = queue.next().await.unwrap();
        assert_eq!(written(&second), ["c"], "nobody waits for a key that is not his");
        queue.done(first.iter().map(|waiting| &waiting.batch));
        assert_eq!(written(&queue.next().await.unwrap()), ["a"]);
    }

    #[tokio::test]
    async fn what_one_asserts_the_other_does_not_write_meanwhile() {
        let queue = CommitQueue::default();
        let asserting = |key: &str| put(key).assert_at(b"account".to_vec(), Version(1));
        let _answers = [
            push(&queue, asserting("a")),
            push(&queue, put("account")),
            push(&queue, asserting("b")),
        ];
        let first = queue.next().await.unwrap();
        assert_eq!(written(&first), ["a"], "whoever came first keeps its place");
        queue.done(first.iter().map(|waiting| &waiting.batch));
        let second = queue.next().await.unwrap();
        assert_eq!(written(&second), ["account"]);
        queue.done(second.iter().map(|waiting| &waiting.batch));
        assert_eq!(written(&queue.next().await.unwrap()), ["b"]);
    }

    #[tokio::test]
    async fn many_assert_one_key_together() {
        let queue = CommitQueue::default();
        let asserting = |key: &str| put(key).assert_at(b"account".to_vec(), Version(1));
        let _answers = [push(&queue, asserting("a")), push(&queue, asserting("b"))];
        assert_eq!(written(&queue.next().await.unwrap()), ["a", "b"]);
    }

    #[tokio::test]
    async fn a_closed_queue_is_emptied_and_then_ends() {
        let queue = CommitQueue::default();
        let _answer = push(&queue, put("a"));
        queue.close();
        assert_eq!(written(&queue.next().await.unwrap()), ["a"]);
        assert!(queue.next().await.is_none());
        assert!(queue.next().await.is_none());
    }
}
