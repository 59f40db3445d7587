//! Reads by key that come at the same moment, answered together.
//!
//! A read costs the database and this process far more for being asked than for what is found. So only a few are under way at
//! the same time, each of all the keys that were asked for when it was sent; one that comes alone waits for nobody. What they do
//! not come to within a moment is asked for all the same: a connection whose other end is silent holds up nobody else.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::Row;

use super::layout::{entry_key, key_of};
use super::pool::ReadPool;
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
    under_way: usize,
}

struct WaitingRead {
    keys: Vec<Vec<u8>>,
    deadline: Instant,
    answer: oneshot::Sender<FoundEntries>,
}

type FoundEntries = Result<Vec<Option<Entry>>, StoreError>;

/// One who does round trips until nothing waits any more.
struct GroupReader(Arc<ReadQueue>);

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
        self.0.pool.check()?;
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + self.0.pool.bound();
        let waiting = WaitingRead {
            keys: keys.to_vec(),
            deadline,
            answer,
        };
        if self.0.push(waiting) {
            tokio::spawn(GroupReader(Arc::clone(&self.0)).run());
        }
        tokio::pin!(answered);
        let quick = timeout(QUICK, answered.as_mut()).await;
        let given_up = match quick {
            Ok(answered) => Ok(answered),
            Err(_elapsed) => {
                if self.0.begin_another() {
                    tokio::spawn(GroupReader(Arc::clone(&self.0)).run());
                }
                // Whoever reads gives up at this moment, too, and says why.
                timeout_at(deadline + MOMENT, answered).await
            }
        };
        let ended = |why: &str| StoreError::Unavailable(format!("the database cannot be read: {why}"));
        match given_up {
            Ok(Ok(found)) => found,
            Ok(Err(_gone)) => Err(ended("whoever read it stopped")),
            Err(_elapsed) => Err(ended("others were not answered in time")),
        }
    }
}

impl ReadQueue {
    /// Puts a read behind the others. Whether another reader is wanted.
    fn push(&self, read: WaitingRead) -> bool {
        let mut state = self.state();
        state.waiting.push_back(read);
        let wanted = state.under_way < FEW.min(self.connections);
        state.under_way += usize::from(wanted);
        wanted
    }

    /// Whether another reader is wanted, because those that are under way take long and some wait.
    fn begin_another(&self) -> bool {
        let mut state = self.state();
        let wanted = !state.waiting.is_empty() && state.under_way < self.connections;
        state.under_way += usize::from(wanted);
        wanted
    }

    fn take_group(&self) -> Vec<WaitingRead> {
        let mut state = self.state();
        let mut keys = 0;
        let mut group = Vec::new();
        while keys < MOST_KEYS
            && let Some(read) = state.waiting.pop_front()
        {
            if !read.answer.is_closed() {
                keys += read.keys.len();
                group.push(read);
            }
        }
        group
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

impl GroupReader {
    async fn run(self) {
        loop {
            // Whoever can run now may want something, too.
            yield_now().await;
            let group = self.0.take_group();
            if group.is_empty() {
                break;
            }
            self.0.read(group).await;
        }
    }
}

impl Drop for GroupReader {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        // What came since this one looked; or it panicked, and others still wait.
        if !state.waiting.is_empty()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            state.under_way += 1;
            runtime.spawn(GroupReader(Arc::clone(&self.0)).run());
        }
    }
}

/// The key and the entry in a row. An entry that cannot be read is a matter of who asked for it.
fn found_in(row: &Row) -> Result<(Vec<u8>, Result<Entry, StoreError>), StoreError> {
    Ok((key_of(column(row, 0)?), entry_in(row, 1)))
}

/// How many round trips there are at the same time while all are quick. So many reads are not made to wait at all.
const FEW: usize = 2;

/// After which time a round trip is not quick.
const QUICK: Duration = Duration::from_millis(20);

/// With how many keys a round trip takes no more reads.
const MOST_KEYS: usize = 256;

/// How much longer one waits than whoever reads.
const MOMENT: Duration = Duration::from_millis(100);

const GET_MANY: &str = "SELECT key, value, version, expires_at FROM countersign_entries WHERE key = ANY($1)";

#[cfg(test)]
mod tests {
    use super::super::bounds::PostgresBounds;
    use super::super::connection::Connector;
    use super::*;
    use crate::store::postgres::PostgresAddress;

    fn queue() -> ReadQueue {
        let address = PostgresAddress::parse("postgres://nobody@127.0.0.1:1/none", None).unwrap();
        let connector = Connector::new(address, PostgresBounds::default()).unwrap();
        ReadQueue {
            pool: Arc::new(ReadPool::new(connector, Arc::default(), 1)),
            connections: 4,
            state: Mutex::default(),
        }
    }

    fn read(key: &str) -> (WaitingRead, oneshot::Receiver<FoundEntries>) {
        let (answer, answered) = oneshot::channel();
        let read = WaitingRead {
            keys: vec![key.into()],
            deadline: Instant::now(),
            answer,
        };
        (read, answered)
    }

    fn keys(group: &[WaitingRead]) -> Vec<&[u8]> {
        group
            .iter()
            .flat_map(|read| &read.keys)
            .map(Vec::as_slice)
            .collect()
    }

    #[tokio::test]
    async fn a_few_wait_for_nobody_and_the_others_go_together() {
        let queue = queue();
        let mut answers = Vec::new();
        for number in 0..10 {
            let (read, answered) = read(&number.to_string());
            answers.push(answered);
            assert_eq!(queue.push(read), number < FEW, "{number}");
        }
        // Whoever does not wait any longer is not read for.
        answers.remove(3);
        let group = queue.take_group();
        let expected = ["0", "1", "2", "4", "5", "6", "7", "8", "9"].map(str::as_bytes);
        assert_eq!(keys(&group), expected);
        assert!(queue.take_group().is_empty());
    }

    #[tokio::test]
    async fn a_group_is_bounded() {
        let queue = queue();
        let reads: Vec<_> = (0..=MOST_KEYS).map(|number| read(&number.to_string())).collect();
        let (reads, _answers): (Vec<_>, Vec<_>) = reads.into_iter().unzip();
        for read in reads {
            queue.push(read);
        }
        assert_eq!(queue.take_group().len(), MOST_KEYS);
        assert_eq!(queue.take_group().len(), 1);
    }

    #[tokio::test]
    async fn who_waits_for_long_gets_another_connection_while_there_are_some() {
        let queue = queue();
        let (reads, _answers): (Vec<_>, Vec<_>) = ["0", "1", "2"].map(read).into_iter().unzip();
        for read in reads {
            queue.push(read);
        }
        assert_eq!(queue.state().under_way, FEW);
        assert_eq!([(); 3].map(|()| queue.begin_another()), [true, true, false]);
        assert_eq!(queue.take_group().len(), 3);
        queue.state().under_way = FEW;
        assert!(!queue.begin_another(), "nothing waits");
    }
}
