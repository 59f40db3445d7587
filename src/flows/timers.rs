//! Timers: whatever is due is taken, of each account in its turn, so that none waits for what another has piled up.

use std::collections::{HashMap, HashSet};
use std::future::Future;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Fault;
use super::reading::Reading;
use crate::app::App;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::store::{Entry, Order, Scan};

/// A timer as it stands in the store.
#[derive(Debug)]
pub(crate) struct Timer<K> {
    pub(crate) due: Timestamp,
    /// Whose turn it takes.
    pub(crate) account: AccountSid,
    /// Its key.
    pub(crate) key: K,
}

/// How many timers are taken before it is looked again whose turn it is: what becomes due meanwhile waits for no more.
const ROUND: usize = 1024;

/// How many are taken at the same time: most of the time each waits for the disk.
const AT_ONCE: usize = 64;

/// How many are read at a time.
const CHUNK: usize = 1000;

/// From how many failures on a call gives up, until the next.
const MOST_FAILURES: usize = 10_000;

/// Takes all timers under `prefix` that are due, those that become due meanwhile too. `read` says what one is; entries that are
/// none are passed over. Timers lie in the order of their times. Returns when the next one is due, if there is one.
///
/// # Errors
/// The last error of `take`; a timer that cannot be taken keeps no other one waiting, and is tried again by the next call.
pub(crate) async fn take_due<K, E, Taking>(
    app: &App,
    prefix: &[u8],
    read: impl Fn(&[u8], &Entry) -> Option<Timer<K>>,
    take: impl Fn(K) -> Taking,
) -> Result<Option<Timestamp>, E>
where
    K: Clone + Eq + std::hash::Hash,
    E: From<Fault>,
    Taking: Future<Output = Result<(), E>>,
{
    let (mut failed, mut last_error) = (HashSet::new(), None);
    loop {
        let (round, next) = turns(app, prefix, &read, |key| !failed.contains(key)).await?;
        if round.is_empty() || failed.len() >= MOST_FAILURES {
            return last_error.map_or(Ok(next), Err);
        }
        let take = &take;
        let taken =
            stream::iter(round).map(|timer| async move { (timer.key.clone(), take(timer.key).await) });
        let mut taken = taken.buffer_unordered(AT_ONCE);
        while let Some((key, outcome)) = taken.next().await {
            if let Err(error) = outcome {
                failed.insert(key);
                last_error = Some(error);
            }
        }
    }
}

/// The timers of which it is the turn, at most [`ROUND`], and when the first one is due that is not yet.
///
/// First comes the first one of each account, then the second one of each, and so on; among them those that are due longest.
async fn turns<K>(
    app: &App,
    prefix: &[u8],
    read: impl Fn(&[u8], &Entry) -> Option<Timer<K>>,
    wanted: impl Fn(&K) -> bool,
) -> Result<(Vec<Timer<K>>, Option<Timestamp>), Fault> {
    let now = app.clock.now();
    let mut counts: HashMap<AccountSid, usize> = HashMap::new();
    let mut turns = Turns::new();
    let mut after = None;
    loop {
        let scan = Scan {
            prefix: prefix.to_vec(),
            after: after.take(),
            order: Order::Ascending,
            limit: CHUNK,
        };
        let chunk = Reading::new(app).scan(scan).await?;
        for (key, entry) in &chunk {
            let Some(timer) = read(key, entry) else {
                continue;
            };
            if timer.due > now {
                return Ok((turns.first(), Some(timer.due)));
            }
            if wanted(&timer.key) {
                let count = counts.entry(timer.account).or_default();
                turns.add(*count, timer);
                *count += 1;
            }
        }
        match chunk.last() {
            Some((key, _)) if chunk.len() == CHUNK => after = Some(key.clone()),
            _ => return Ok((turns.first(), None)),
        }
    }
}

/// Timers in the order of their turns: which one of its account each is, and when it is due.
struct Turns<K>(Vec<(usize, Timer<K>)>);

impl<K> Turns<K> {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn add(&mut self, turn: usize, timer: Timer<K>) {
        self.0.push((turn, timer));
        // However many are due, no more are kept.
        if self.0.len() >= 4 * ROUND {
            self.keep_first();
        }
    }

    fn keep_first(&mut self) {
        self.0.sort_by_key(|(turn, timer)| (*turn, timer.due));
        self.0.truncate(ROUND);
    }

    fn first(mut self) -> Vec<Timer<K>> {
        self.keep_first();
        self.0.into_iter().map(|(_, timer)| timer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_take_turns_however_many_timers_one_has() {
        let of = |nth: u8, due| Timer {
            due: Timestamp::from_seconds(due),
            account: AccountSid::from_bytes([nth; 16]),
            key: (nth, due),
        };
        let mut turns = Turns::new();
        for due in 0..10 * ROUND {
            turns.add(due, of(1, u64::try_from(due).unwrap()));
        }
        for (turn, due) in [(0, 20_000), (1, 20_001)] {
            turns.add(turn, of(2, due));
        }
        let first: Vec<_> = turns.first().into_iter().map(|timer| timer.key).collect();
        assert_eq!(first.len(), ROUND);
        assert_eq!(first[..5], [(1, 0), (2, 20_000), (1, 1), (2, 20_001), (1, 2)]);
    }
}
