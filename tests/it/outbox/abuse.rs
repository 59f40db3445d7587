//! What one account sends to receivers that hang keeps no other account's messages waiting.
//!
//! `COUNTERSIGN_ABUSE_TENTHS` sets how many tenths of the abuse there are, and of the places for deliveries, of which there are
//! never more than a server has (1 unless told, 10 for all of it, 20 for twice as much).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign::delivery::DeliveryOutcome;
use countersign::domain::events::OutboxRow;
use countersign::domain::sid::{AccountSid, EventSid};
use countersign::flows::outbox::worker::{Limits, Worker};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::tenant::Tenant;
use crate::support::TestApp;
use crate::support::scripted::Receivers;

/// When what arrived did.
pub(super) type Arrivals = Arc<Mutex<HashMap<EventSid, Instant>>>;

/// The account whose messages are to leave at once.
pub(super) const GOOD: AccountSid = AccountSid::from_bytes([3; 16]);

/// Notes that a row arrived, once.
pub(super) fn arrive(arrivals: &Arrivals, row: &OutboxRow) {
    let mut arrivals = arrivals.lock().unwrap();
    arrivals.entry(row.sid).or_insert_with(Instant::now);
}

fn part(whole: usize) -> usize {
    let tenths = std::env::var("COUNTERSIGN_ABUSE_TENTHS").map_or(1, |tenths| tenths.parse().unwrap());
    whole * tenths / 10
}

/// So many places as there are for this abuse: never more than a server has.
pub(super) fn limits() -> Limits {
    let all = Limits::default();
    let places = |whole: usize| part(whole).min(whole);
    Limits {
        // Often enough within the time of this test that receivers fail, pause and are tried again.
        delivery: Duration::from_secs(2),
        visits: places(all.visits),
        slow_visits: places(all.slow_visits),
        extras: places(all.extras),
        ..all
    }
}

/// How many messages each of two accounts sends to receivers that hang.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) webhooks: usize,
    pub(super) pushes: usize,
    pub(super) mails: usize,
}

/// A server whose worker delivers, and when what it delivered arrived.
pub(super) struct Delivering {
    pub(super) server: TestApp,
    pub(super) worker: Worker,
    pub(super) arrivals: Arrivals,
}

/// Two accounts send to receivers that hang; a third one's messages arrive about as soon as they do at another server, where there are
/// no others. Both are at work at the same time, so that whatever else the machine does makes both slower.
pub(super) async fn prove(beside_others: Delivering, alone: Delivering) {
    let load = Load {
        webhooks: part(3000),
        pushes: part(1500),
        mails: part(400),
    };
    prove_with(load, beside_others, alone).await;
}

/// The same with so many messages.
pub(super) async fn prove_with(load: Load, beside_others: Delivering, alone: Delivering) {
    let (beside_others, alone) = (Running::start(beside_others), Running::start(alone));
    for number in [1, 2] {
        let hostile = beside_others.tenant(AccountSid::from_bytes([number; 16]));
        let webhooks = (0..load.webhooks).map(|number| hostile.webhook(number));
        let pushes = (0..load.pushes).map(|number| hostile.push(number));
        let mails = (0..load.mails).map(|number| hostile.code(number, "mail"));
        hostile.send(webhooks.chain(pushes).chain(mails).collect()).await;
    }
    let (mut sent_beside, mut sent_alone) = (HashMap::new(), HashMap::new());
    for round in 0..100 {
        tokio::join!(
            beside_others.send_good(round, &mut sent_beside),
            alone.send_good(round, &mut sent_alone)
        );
        tokio::time::sleep(Duration::from_millis(60)).await;
        if round % 16 == 0 {
            beside_others.server.wait(1);
            alone.server.wait(1);
        }
    }
    let p99_alone = alone.p99("alone", &sent_alone).await;
    let p99 = beside_others.p99("beside others", &sent_beside).await;
    // Beside two others that have more to be sent, an account's share of the machine is a third.
    let allowed = p99_alone * 3 + SLACK;
    assert!(p99 < allowed, "p99 {p99:?} beside others, {p99_alone:?} alone");
}

/// A server whose worker is at work.
struct Running {
    server: TestApp,
    arrivals: Arrivals,
    stop: oneshot::Sender<()>,
    working: JoinHandle<()>,
}

impl Running {
    fn start(delivering: Delivering) -> Self {
        let (server, worker) = (delivering.server, delivering.worker);
        let (stop, stopped) = oneshot::channel();
        let working = tokio::spawn(worker.run(
            async {
                let _stopped_or_dropped = stopped.await;
            },
            Duration::ZERO,
        ));
        Self {
            server,
            arrivals: delivering.arrivals,
            stop,
            working,
        }
    }

    fn tenant(&self, account: AccountSid) -> Tenant<'_> {
        Tenant {
            server: &self.server,
            account,
            number: account.as_bytes()[0],
        }
    }

    /// A message of each kind, of the account whose receivers take everything.
    async fn send_good(&self, round: usize, sent: &mut HashMap<EventSid, Instant>) {
        let good = self.tenant(GOOD);
        let messages = vec![
            good.webhook(round),
            good.push(round),
            good.code(round, "mail"),
            good.code(1_000_000 + round, "sms"),
        ];
        let before = Instant::now();
        let sids = good.send(messages).await;
        sent.extend(sids.into_iter().map(|sid| (sid, before)));
    }

    /// Within which time 99 of 100 arrived; all that are still on their way are waited for, for a while.
    async fn p99(self, which: &str, sent: &HashMap<EventSid, Instant>) -> Duration {
        let last = Instant::now();
        while !sent
            .keys()
            .all(|sid| self.arrivals.lock().unwrap().contains_key(sid))
            && last.elapsed() < PATIENCE
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stop.send(()).unwrap();
        self.working.await.unwrap();
        let arrived = self.arrivals.lock().unwrap();
        let mut took: Vec<_> = sent
            .iter()
            .map(|(sid, at)| arrived.get(sid).map_or(PATIENCE, |arrived| *arrived - *at))
            .collect();
        took.sort_unstable();
        let p99 = took[took.len() * 99 / 100];
        eprintln!(
            "{which}: {} messages, p50 {:?}, p99 {p99:?}, longest {:?}",
            took.len(),
            took[took.len() / 2],
            took[took.len() - 1],
        );
        p99
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accounts_messages_leave_at_once_while_two_others_have_receivers_by_the_thousand_that_hang() {
    let (beside_others, tried) = delivering().await;
    let arrivals = Arc::clone(&beside_others.arrivals);
    prove(beside_others, delivering().await.0).await;
    assert!(tried.tried().len() > arrivals.lock().unwrap().len());
}

/// A server whose receivers take what the good account sends, and hang otherwise.
async fn delivering() -> (Delivering, Arc<Receivers>) {
    let server = TestApp::new().await;
    let arrivals = Arrivals::default();
    let arrived = Arc::clone(&arrivals);
    let receivers = Receivers::that(move |row| {
        if row.message.account() != GOOD {
            return None;
        }
        arrive(&arrived, row);
        Some(DeliveryOutcome::Delivered)
    });
    let worker = receivers.worker_with(&server.app, limits());
    let delivering = Delivering {
        server,
        worker,
        arrivals,
    };
    (delivering, receivers)
}

/// How much longer messages may take than half as long again as alone: a quarter of the shortest delivery that hangs.
const SLACK: Duration = Duration::from_millis(500);

/// How long messages are waited for that do not arrive.
const PATIENCE: Duration = Duration::from_secs(20);
