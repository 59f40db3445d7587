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

/// Two accounts send to receivers that hang; a third one's messages arrive within a second.
pub(super) async fn prove(server: &TestApp, worker: Worker, arrivals: &Arrivals) {
    let load = Load {
        webhooks: part(3000),
        pushes: part(1500),
        mails: part(400),
    };
    prove_with(load, server, worker, arrivals).await;
}

/// The same with so many messages.
pub(super) async fn prove_with(load: Load, server: &TestApp, worker: Worker, arrivals: &Arrivals) {
    let tenant = |account: AccountSid| Tenant {
        server,
        account,
        number: account.as_bytes()[0],
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let working = tokio::spawn(worker.run(
        async {
            let _stopped_or_dropped = stopped.await;
        },
        Duration::ZERO,
    ));
    for number in [1, 2] {
        let hostile = tenant(AccountSid::from_bytes([number; 16]));
        let webhooks = (0..load.webhooks).map(|number| hostile.webhook(number));
        let pushes = (0..load.pushes).map(|number| hostile.push(number));
        let mails = (0..load.mails).map(|number| hostile.code(number, "mail"));
        hostile.send(webhooks.chain(pushes).chain(mails).collect()).await;
    }
    let good = tenant(GOOD);
    let mut sent = HashMap::new();
    for round in 0..100 {
        let messages = vec![
            good.webhook(round),
            good.push(round),
            good.code(round, "mail"),
            good.code(1_000_000 + round, "sms"),
        ];
        let before = Instant::now();
        let sids = good.send(messages).await;
        sent.extend(sids.into_iter().map(|sid| (sid, before)));
        tokio::time::sleep(Duration::from_millis(60)).await;
        if round % 16 == 0 {
            server.wait(1);
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.send(()).unwrap();
    working.await.unwrap();
    let arrived = arrivals.lock().unwrap();
    let mut took: Vec<_> = sent
        .iter()
        .map(|(sid, at)| arrived.get(sid).map_or(Duration::MAX, |arrived| *arrived - *at))
        .collect();
    took.sort_unstable();
    let p99 = took[took.len() * 99 / 100];
    eprintln!(
        "{} messages: p50 {:?}, p99 {p99:?}, longest {:?}",
        took.len(),
        took[took.len() / 2],
        took[took.len() - 1],
    );
    assert!(p99 < Duration::from_secs(1), "p99 {p99:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accounts_messages_leave_at_once_while_two_others_have_receivers_by_the_thousand_that_hang() {
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
    prove(&server, worker, &arrivals).await;
    assert!(receivers.tried().len() > arrivals.lock().unwrap().len());
}
