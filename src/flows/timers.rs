//! Timers: whatever is due is taken, of each account in its turn, so that none waits for what another has piled up.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::Fault;
use super::reading::Reading;
use super::retry::FlowError;
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

/// Why a timer was not taken.
#[derive(Debug)]
pub(crate) enum Untaken<E> {
    /// It failed; no other one waits for it.
    Alone(E),
    /// Nothing of its account can be taken now: all of that account wait until the next call.
    OfAccount(E),
}

impl<E: FlowError> From<Fault> for Untaken<E> {
    fn from(fault: Fault) -> Self {
        Self::Alone(fault.into())
    }
}

impl<E: FlowError> FlowError for Untaken<E> {
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Alone(error) | Self::OfAccount(error) => error.fault(),
        }
    }
}

/// How many timers are taken before it is looked again whose turn it is: what becomes due meanwhile waits for no more.
const ROUND: usize = 1024;

/// How many are taken at the same time: most of the time each waits for the disk.
const AT_ONCE: usize = 64;

/// How many are read at a time.
const CHUNK: usize = 1000;

/// How many of those that were read are kept for later rounds, about; what accounts have beyond that is read again.
const MOST_KEPT: usize = 32 * ROUND;

/// So many failures with nothing between them are the store's: a call gives up, until the next.
const MOST_IN_A_ROW: usize = 1024;

/// From how many failures on a call gives up whatever is between them.
const MOST_FAILURES: usize = 10_000;

/// Takes all timers under `prefix` that are due, those that become due meanwhile too. `read` says what one is; entries that are
/// none are passed over. Timers lie in the order of their times. Returns when the next one is due, if there is one.
///
/// # Errors
/// The last error of `take`; a timer that cannot be taken keeps no other one waiting, but for those of an account that can take
/// none, and is tried again by the next call.
pub(crate) async fn take_due<K, E, Taking>(
    app: &App,
    prefix: &[u8],
    read: impl Fn(&[u8], &Entry) -> Option<Timer<K>>,
    take: impl Fn(K) -> Taking,
) -> Result<Option<Timestamp>, E>
where
    K: Clone + Eq + std::hash::Hash,
    E: From<Fault>,
    Taking: Future<Output = Result<(), Untaken<E>>>,
{
    let (mut failed, mut resting, mut last_error) = (HashSet::new(), HashSet::new(), None);
    let (mut line, mut in_a_row) = (WaitingTimers::new(), 0);
    loop {
        if line.is_short() {
            line = WaitingTimers::new();
        }
        let wanted = |timer: &Timer<K>| !failed.contains(&timer.key) && !resting.contains(&timer.account);
        let next = line.read_on(app, prefix, &read, wanted).await?;
        let round = line.next_round();
        if round.is_empty() || in_a_row >= MOST_IN_A_ROW || failed.len() >= MOST_FAILURES {
            return last_error.map_or(Ok(next), Err);
        }
        let (mut round, mut taking) = (round.into_iter(), FuturesUnordered::new());
        loop {
            while taking.len() < AT_ONCE
                && let Some(timer) = round.next()
            {
                if !resting.contains(&timer.account) {
                    let taken = take(timer.key.clone());
                    taking.push(async move { (timer, taken.await) });
                }
            }
            let Some((timer, outcome)) = taking.next().await else {
                break;
            };
            let error = match outcome {
                Ok(()) => {
                    in_a_row = 0;
                    continue;
                }
                Err(Untaken::Alone(error)) => {
                    in_a_row += 1;
                    failed.insert(timer.key);
                    error
                }
                Err(Untaken::OfAccount(error)) => {
                    line.leave_out(timer.account);
                    resting.insert(timer.account);
                    error
                }
            };
            last_error = Some(error);
        }
    }
}

/// The timers that were read and wait for their turn.
struct WaitingTimers<K> {
    /// Those of each account that has some, in the order of their times.
    of: HashMap<AccountSid, VecDeque<Timer<K>>>,
    kept: usize,
    /// The accounts that have more than is kept.
    cut: HashSet<AccountSid>,
    /// The key of the last one that was read: what becomes due later lies behind it.
    read_until: Option<Vec<u8>>,
}

impl<K> WaitingTimers<K> {
    fn new() -> Self {
        Self {
            of: HashMap::new(),
            kept: 0,
            cut: HashSet::new(),
            read_until: None,
        }
    }

    /// Whether an account has more, and nothing of it is left here.
    fn is_short(&self) -> bool {
        self.cut.iter().any(|account| !self.of.contains_key(account))
    }

    /// Reads what is due and was not read yet. Returns when the first one is due that is not yet.
    async fn read_on(
        &mut self,
        app: &App,
        prefix: &[u8],
        read: impl Fn(&[u8], &Entry) -> Option<Timer<K>>,
        wanted: impl Fn(&Timer<K>) -> bool,
    ) -> Result<Option<Timestamp>, Fault> {
        let now = app.clock.now();
        loop {
            let scan = Scan {
                prefix: prefix.to_vec(),
                after: self.read_until.clone(),
                order: Order::Ascending,
                limit: CHUNK,
            };
            let chunk = Reading::new(app).scan_past(scan).await?;
            let is_last = chunk.len() < CHUNK;
            for (key, entry) in chunk {
                let timer = read(&key, &entry);
                if let Some(timer) = timer {
                    if timer.due > now {
                        return Ok(Some(timer.due));
                    }
                    if wanted(&timer) {
                        self.add(timer);
                    }
                }
                self.read_until = Some(key);
            }
            if is_last {
                return Ok(None);
            }
        }
    }

    fn add(&mut self, timer: Timer<K>) {
        // What is behind others that are not kept waits for them.
        if self.cut.contains(&timer.account) {
            return;
        }
        self.of.entry(timer.account).or_default().push_back(timer);
        self.kept += 1;
        if self.kept >= 2 * MOST_KEPT {
            self.cut_down();
        }
    }

    /// Keeps the first ones of each account, of all about equally many.
    fn cut_down(&mut self) {
        let kept = |most: usize| self.of.values().map(|own| own.len().min(most)).sum::<usize>();
        let mut most = 1;
        while kept(2 * most) <= MOST_KEPT {
            most *= 2;
        }
        self.kept = kept(most);
        for (account, own) in &mut self.of {
            if own.len() > most {
                own.truncate(most);
                self.cut.insert(*account);
            }
        }
    }

    /// Nothing of this account is taken any more.
    fn leave_out(&mut self, account: AccountSid) {
        self.cut.remove(&account);
        if let Some(own) = self.of.remove(&account) {
            self.kept -= own.len();
        }
    }

    /// The next [`ROUND`] of them: the first one of each account, then the second one of each, and so on; among them those that
    /// are due longest.
    fn next_round(&mut self) -> Vec<Timer<K>> {
        let mut round = Vec::new();
        while round.len() < ROUND && !self.of.is_empty() {
            let mut turn: Vec<_> = self.of.values_mut().filter_map(VecDeque::pop_front).collect();
            turn.sort_by_key(|timer| timer.due);
            let later = turn.split_off(turn.len().min(ROUND - round.len()));
            self.kept -= turn.len();
            round.append(&mut turn);
            for timer in later {
                self.of.entry(timer.account).or_default().push_front(timer);
            }
            self.of.retain(|_, own| !own.is_empty());
        }
        round
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::sid::{ServiceSid, VerificationSid};
    use crate::doubles::{ManualClock, TestParts};
    use crate::store::counting::CountingStore;
    use crate::store::keys::{self, KeyParts};
    use crate::store::memory::MemoryStore;
    use crate::store::records::VerificationTimer;
    use crate::store::{Batch, records};

    const NOW: u64 = 1_800_000_000;

    /// Some timers, each called by its number, and how often the store is asked for them.
    struct Timers {
        app: App,
        store: Arc<CountingStore<MemoryStore>>,
    }

    impl Timers {
        fn new() -> Self {
            let store = Arc::new(CountingStore::new(MemoryStore::new()));
            let parts = TestParts {
                store: store.clone(),
                clock: Arc::new(ManualClock::new(Timestamp::from_seconds(NOW))),
                ..TestParts::default()
            };
            let app = parts.wire();
            Self { app, store }
        }

        /// So many of an account, all due so many seconds ago.
        async fn add(&self, account: u8, numbers: std::ops::Range<u64>, ago: u64) {
            let service = ServiceSid::from_bytes([0; 16]);
            let account = AccountSid::from_bytes([account; 16]);
            let mut batch = Batch::new();
            for number in numbers {
                let verification = VerificationSid::from_bytes(u128::from(number).to_be_bytes());
                let due = Timestamp::from_seconds(NOW - ago);
                let timer = VerificationTimer {
                    account,
                    service,
                    verification,
                    wait: 1,
                };
                batch = batch
                    .put_record(keys::verification_timer(due, verification), &timer)
                    .unwrap();
            }
            self.app.store.commit(batch).await.unwrap();
        }

        async fn take<Taking>(
            &self,
            take: impl Fn(VerificationTimer, Batch) -> Taking,
        ) -> Result<Option<Timestamp>, Fault>
        where
            Taking: Future<Output = Result<(), Untaken<Fault>>>,
        {
            let read = |key: &[u8], entry: &Entry| {
                let Some(KeyParts::VerificationTimer(due, sid)) = KeyParts::parse(key) else {
                    return None;
                };
                let timer: VerificationTimer = records::decode(&entry.value).unwrap();
                let account = timer.account;
                let key = (account, due, sid);
                Some(Timer { due, account, key })
            };
            let take = &take;
            take_due(
                &self.app,
                &keys::verification_timers(),
                read,
                |(account, due, sid)| async move {
                    let timer = VerificationTimer {
                        account,
                        service: ServiceSid::from_bytes([0; 16]),
                        verification: sid,
                        wait: 1,
                    };
                    let taken = Batch::new().delete(keys::verification_timer(due, sid).into_bytes());
                    take(timer, taken).await
                },
            )
            .await
        }

        async fn delete(&self, taken: Batch) -> Result<(), Untaken<Fault>> {
            self.app.store.commit(taken).await.unwrap();
            Ok(())
        }

        async fn left(&self) -> usize {
            let scan = Scan {
                prefix: keys::verification_timers(),
                after: None,
                order: Order::Ascending,
                limit: usize::MAX,
            };
            self.app.store.scan(scan).await.unwrap().len()
        }
    }

    /// Looked through once, and a little for each round: not all of them for each round.
    #[tokio::test]
    async fn many_rounds_are_taken_from_one_reading() {
        let timers = Timers::new();
        timers.add(1, 0..20_000, 10).await;
        timers.store.take();
        let next = timers.take(|_, taken| timers.delete(taken)).await;
        assert_eq!(next, Ok(None));
        let scans = timers.store.take().scan;
        assert!(scans <= 20 + 2 * 20, "{scans} scans for 20 thousand timers");
        assert_eq!(timers.left().await, 0);
    }

    #[tokio::test]
    async fn more_than_is_kept_are_all_taken() {
        let timers = Timers::new();
        let many = 3 * u64::try_from(MOST_KEPT).unwrap();
        timers.add(1, 0..many, 10).await;
        timers.add(2, many..many + 3, 5).await;
        timers.store.take();
        timers.take(|_, taken| timers.delete(taken)).await.unwrap();
        let scans = timers.store.take().scan;
        assert!(scans <= 700, "{scans} scans for 100 thousand timers");
        assert_eq!(timers.left().await, 0);
    }

    #[tokio::test]
    async fn a_store_that_fails_is_left_alone_until_the_next_call() {
        let timers = Timers::new();
        timers.add(1, 0..5000, 10).await;
        timers.add(2, 5000..9000, 10).await;
        timers.store.take();
        let (tried, why) = (AtomicUsize::new(0), || Fault::Unavailable("no disk".to_owned()));
        let failed = timers.take(|_, _| async {
            tried.fetch_add(1, Ordering::SeqCst);
            Err(Untaken::Alone(why()))
        });
        assert_eq!(failed.await, Err(why()));
        assert_eq!(tried.load(Ordering::SeqCst), ROUND);
        assert!(timers.store.take().scan <= 11);
    }

    /// However many of one account fail, those of another one are taken.
    #[tokio::test]
    async fn an_account_that_can_take_none_is_asked_about_once_and_is_in_nobodys_way() {
        let timers = Timers::new();
        timers.add(1, 0..5000, 10).await;
        timers.add(2, 5000..5100, 5).await;
        let full = AccountSid::from_bytes([1; 16]);
        let tried = AtomicUsize::new(0);
        let taken = timers.take(async |timer, taken| {
            if timer.account == full {
                tried.fetch_add(1, Ordering::SeqCst);
                return Err(Untaken::OfAccount(Fault::OutboxFull));
            }
            timers.delete(taken).await
        });
        assert_eq!(taken.await, Err(Fault::OutboxFull));
        assert!(tried.load(Ordering::SeqCst) <= AT_ONCE);
        assert_eq!(timers.left().await, 5000);
    }

    #[test]
    fn accounts_take_turns_however_many_timers_one_has() {
        let of = |nth: u8, due| Timer {
            due: Timestamp::from_seconds(due),
            account: AccountSid::from_bytes([nth; 16]),
            key: (nth, due),
        };
        let mut line = WaitingTimers::new();
        for due in 0..4 * MOST_KEPT {
            line.add(of(1, u64::try_from(due).unwrap()));
        }
        for due in [2_000_000, 2_000_001] {
            line.add(of(2, due));
        }
        let first: Vec<_> = line.next_round().into_iter().map(|timer| timer.key).collect();
        assert_eq!(first.len(), ROUND);
        assert_eq!(
            first[..5],
            [(1, 0), (2, 2_000_000), (1, 1), (2, 2_000_001), (1, 2)]
        );
        let second: Vec<_> = line.next_round().into_iter().map(|timer| timer.key).collect();
        assert_eq!((second.len(), second[0]), (ROUND, (1, 1022)));
    }
}
