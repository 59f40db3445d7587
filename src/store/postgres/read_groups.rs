//! Reads by key that come at the same moment, answered together.
//!
//! A read costs the database and this process far more for being asked than for what is found. So only a few are under way at
//! the same time, each of all the keys that were asked for when it was sent; one that comes alone waits for nobody. What they do
//! not come to within a moment is asked for all the same: a connection whose other end is silent holds up those whose keys went
//! on it, and nobody else while there are other connections.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;

use super::layout::{entry_key, key_of};
use super::pool::{MOMENT, ReadPool};
use super::{column, entry_in};
use crate::store::{Entry, StoreError};

/// Reads that wait for a round trip, and those who do them.
#[derive(Clone)]
pub(super) struct ReadGroups(Arc<ReadQueue>);

struct ReadQueue {
    pool: Arc<ReadPool>,
    connections: usize,
    state: Mutex<ReadState>,
}

#[derive(Default)]
struct ReadState {
    waiting: VecDeque<WaitingRead>,
    /// The readers by their numbers, and since when each is on its round trip.
    under_way: BTreeMap<u64, Instant>,
    next_reader: u64,
}

struct WaitingRead {
    keys: Vec<Vec<u8>>,
    deadline: Instant,
    answer: oneshot::Sender<FoundEntries>,
}

type FoundEntries = Result<Vec<Option<Entry>>, StoreError>;

/// One who does round trips until nothing waits any more, or enough others do them.
struct GroupReader {
    queue: Arc<ReadQueue>,
    number: u64,
    has_read: bool,
    has_left: bool,
}

impl ReadGroups {
    /// Reads of `pool`, of which no more are under way at the same time than it has connections.
    pub(super) fn new(pool: Arc<ReadPool>, connections: usize) -> Self {
        Self(Arc::new(ReadQueue {
            pool,
            connections,
            state: Mutex::default(),
        }))
    }

    /// The entries at `keys`, in their order. All were asked for after this was called.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub(super) async fn get_many(&self, keys: &[Vec<u8>]) -> FoundEntries {
        let queue = &self.0;
        queue.pool.check()?;
        let (answer, answered) = oneshot::channel();
        tokio::pin!(answered);
        let deadline = Instant::now() + queue.pool.bound();
        queue.push(WaitingRead {
            keys: keys.to_vec(),
            deadline,
            answer,
        })?;
        let mut patience = QUICK;
        loop {
            if let Some(reader) = queue.wanted_reader() {
                tokio::spawn(reader.run());
            }
            let until = deadline.min(Instant::now() + patience);
            match timeout_at(until, answered.as_mut()).await {
                Ok(Ok(found)) => return found,
                // It is not asked for at the last moment.
                Ok(Err(_gone)) if Instant::now() + MOMENT < deadline => {
                    return Err(unreadable("whoever read it stopped"));
                }
                // Those who are under way may take for ever.
                Err(_elapsed) if until < deadline => patience = (patience * 2).min(LONGEST_PATIENCE),
                Ok(Err(_)) | Err(_) => {
                    let said = queue.pool.last_failure();
                    return Err(unreadable(said.as_deref().unwrap_or("no answer in time")));
                }
            }
        }
    }
}

impl ReadQueue {
    /// Puts a read behind the others.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when too many wait already.
    fn push(&self, read: WaitingRead) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.waiting.len() >= MAX_WAITING {
            state.waiting.retain(|read| !read.answer.is_closed());
            if state.waiting.len() >= MAX_WAITING {
                return Err(unreadable("too many wait for it"));
            }
        }
        state.waiting.push_back(read);
        Ok(())
    }

    /// Another reader, if some wait and not enough are on a quick round trip.
    fn wanted_reader(self: &Arc<Self>) -> Option<GroupReader> {
        let mut state = self.state();
        let now = Instant::now();
        let wanted =
            !state.waiting.is_empty() && state.quick(now) < FEW && state.under_way.len() < self.connections;
        wanted.then(|| {
            let number = state.next_reader;
            state.next_reader += 1;
            state.under_way.insert(number, now);
            GroupReader {
                queue: Arc::clone(self),
                number,
                has_read: false,
                has_left: false,
            }
        })
    }

    async fn read(&self, group: Vec<WaitingRead>) {
        let deadline = group.iter().map(|read| read.deadline).max();
        let deadline = deadline.unwrap_or_else(Instant::now);
        let mut keys: Vec<Vec<u8>> = group
            .iter()
            .flat_map(|read| read.keys.iter().map(|key| entry_key(key)))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let found = self.pool.query_until(deadline, GET_MANY, &[&keys]).await;
        let found = found.and_then(|rows| rows.iter().map(found_in).collect::<Result<HashMap<_, _>, _>>());
        for WaitingRead { keys, answer, .. } in group {
            let own = |found: &HashMap<Vec<u8>, Result<Entry, StoreError>>| {
                let one = |key: &Vec<u8>| found.get(key).cloned().transpose();
                keys.iter().map(one).collect::<FoundEntries>()
            };
            // Nobody need wait for it any more.
            let _gone = answer.send(found.as_ref().map_err(StoreError::clone).and_then(own));
        }
    }

    fn state(&self) -> MutexGuard<'_, ReadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadState {
    /// How many are on a round trip that may be over soon.
    fn quick(&self, now: Instant) -> usize {
        let begun = self.under_way.values();
        begun.filter(|begun| now - **begun < QUICK).count()
    }

    /// What waits, as far as it goes in one round trip. Nobody waits any more for what is too late to be asked for.
    fn take_group(&mut self, now: Instant) -> Vec<WaitingRead> {
        let mut keys = 0;
        let mut group = Vec::new();
        while keys < MOST_KEYS
            && let Some(read) = self.waiting.pop_front()
        {
            if !read.answer.is_closed() && read.deadline > now + MOMENT {
                keys += read.keys.len();
                group.push(read);
            }
        }
        group
    }
}

impl GroupReader {
    async fn run(mut self) {
        loop {
            // Whoever can run now may want something, too.
            yield_now().await;
            let Some(group) = self.take_group() else {
                break;
            };
            self.queue.read(group).await;
        }
    }

    /// What is to be read next. Without anything this one has left: what comes later finds that out.
    fn take_group(&mut self) -> Option<Vec<WaitingRead>> {
        let mut state = self.queue.state();
        let now = Instant::now();
        state.under_way.remove(&self.number);
        // Others may not have come to it yet, just as this one: whoever leaves must have read something.
        let enough = self.has_read && state.quick(now) >= FEW;
        let group = if enough { Vec::new() } else { state.take_group(now) };
        if group.is_empty() {
            drop(state);
            self.has_left = true;
            return None;
        }
        state.under_way.insert(self.number, now);
        drop(state);
        self.has_read = true;
        Some(group)
    }
}

impl Drop for GroupReader {
    fn drop(&mut self) {
        if !self.has_left {
            // It panicked, or everything ends. If some still wait, they find that nobody reads for them.
            self.queue.state().under_way.remove(&self.number);
        }
    }
}

fn unreadable(why: &str) -> StoreError {
    StoreError::Unavailable(format!("the database cannot be read: {why}"))
}

/// The key and the entry in a row. An entry that cannot be read is a matter of who asked for it.
fn found_in(row: &Row) -> Result<(Vec<u8>, Result<Entry, StoreError>), StoreError> {
    Ok((key_of(column(row, 0)?), entry_in(row, 1)))
}

/// How many round trips there are at the same time while all are quick. So many reads are not made to wait at all.
const FEW: usize = 2;

/// After which time a round trip is not quick.
const QUICK: Duration = Duration::from_millis(20);

/// How long a read waits at the most before it looks again whether another reader is wanted.
const LONGEST_PATIENCE: Duration = Duration::from_millis(100);

/// With how many keys a round trip takes no more reads.
const MOST_KEYS: usize = 256;

/// How many reads may wait. More could not be answered in time.
const MAX_WAITING: usize = 20_000;

pub(super) const GET_MANY: &str =
    "SELECT key, value, version, expires_at FROM countersign_entries WHERE key = ANY($1)";

#[cfg(test)]
mod tests {
    use super::super::bounds::PostgresBounds;
    use super::super::connection::Connector;
    use super::*;
    use crate::store::postgres::PostgresAddress;

    fn queue() -> Arc<ReadQueue> {
        let address = PostgresAddress::parse("postgres://nobody@127.0.0.1:1/none", None).unwrap();
        let connector = Connector::new(address, PostgresBounds::default()).unwrap();
        Arc::new(ReadQueue {
            pool: Arc::new(ReadPool::new(connector, Arc::default(), 1)),
            connections: 4,
            state: Mutex::default(),
        })
    }

    type Answered = oneshot::Receiver<FoundEntries>;

    fn push(queue: &ReadQueue, key: &impl ToString) -> Answered {
        let (answer, answered) = oneshot::channel();
        let pushed = queue.push(WaitingRead {
            keys: vec![key.to_string().into()],
            deadline: Instant::now() + Duration::from_secs(8),
            answer,
        });
        pushed.unwrap();
        answered
    }

    fn keys(group: &[WaitingRead]) -> Vec<&[u8]> {
        group
            .iter()
            .flat_map(|read| &read.keys)
            .map(Vec::as_slice)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_wait_for_nobody_and_the_others_go_together() {
        let queue = queue();
        let mut answers = Vec::new();
        let mut readers = Vec::new();
        for number in 0..10 {
            answers.push(push(&queue, &number));
            readers.extend(queue.wanted_reader());
            assert_eq!(readers.len(), FEW.min(number + 1));
        }
        // Whoever does not wait any longer is not read for.
        answers.remove(3);
        let group = readers[0].take_group().unwrap();
        let expected = ["0", "1", "2", "4", "5", "6", "7", "8", "9"].map(str::as_bytes);
        assert_eq!(keys(&group), expected);
        assert!(readers[1].take_group().is_none());
        assert_eq!(queue.state().under_way.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_take_long_are_made_up_for_while_there_are_connections() {
        let queue = queue();
        let _answers = [0, 1, 2].map(|key| push(&queue, &key));
        let mut readers = Vec::new();
        for number in 1..=3 {
            readers.extend(std::iter::from_fn(|| queue.wanted_reader()));
            assert_eq!(readers.len(), (number * FEW).min(queue.connections));
            tokio::time::advance(QUICK).await;
        }
        // They have been waiting for a processor: although others are under way, one of them reads.
        let more = readers.split_off(FEW);
        assert_eq!(readers[0].take_group().unwrap().len(), 3);
        readers.extend(more);
        drop(readers.pop());
        assert!(queue.wanted_reader().is_none(), "nothing waits");
        // Each reads once, and when all are quick there are soon no more than are wanted.
        for reader in &mut readers[1..] {
            let _more = push(&queue, &"more");
            assert!(reader.take_group().is_some());
        }
        let _more = push(&queue, &"more");
        assert!(readers[2].take_group().is_none());
        assert!(!queue.state().waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_is_bounded_and_holds_nothing_that_is_too_late() {
        let queue = queue();
        let _answers: Vec<_> = (0..=MOST_KEYS).map(|key| push(&queue, &key)).collect();
        let now = Instant::now();
        assert_eq!(queue.state().take_group(now).len(), MOST_KEYS);
        assert_eq!(queue.state().take_group(now).len(), 1);
        let _late = push(&queue, &"late");
        tokio::time::advance(Duration::from_secs(8)).await;
        let _in_time = push(&queue, &"in time");
        let group = queue.state().take_group(Instant::now());
        assert_eq!(keys(&group), [b"in time"]);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_wait_and_those_who_left_do_not_count() {
        let queue = queue();
        let mut answers: Vec<_> = (0..MAX_WAITING).map(|key| push(&queue, &key)).collect();
        let (answer, _answered) = oneshot::channel();
        let one_more = WaitingRead {
            keys: vec![],
            deadline: Instant::now(),
            answer,
        };
        let refused = queue.push(one_more).unwrap_err();
        assert!(refused.to_string().contains("too many"), "{refused}");
        answers.pop();
        answers.push(push(&queue, &"more"));
        assert_eq!(queue.state().waiting.len(), MAX_WAITING);
    }
}
