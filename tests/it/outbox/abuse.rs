//! What one account sends to receivers that hang keeps no other account's messages waiting.
//!
//! `COUNTERSIGN_ABUSE_TENTHS` sets how many tenths of the abuse, and of the places for deliveries, there are (1 unless told,
//! 10 for all of it).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign::delivery::DeliveryOutcome;
use countersign::domain::sid::AccountSid;
use countersign::flows::outbox::worker::Limits;

use super::tenant::Tenant;
use crate::support::TestApp;
use crate::support::scripted::Receivers;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accounts_messages_leave_at_once_while_two_others_have_receivers_by_the_thousand_that_hang() {
    let tenths = std::env::var("COUNTERSIGN_ABUSE_TENTHS").map_or(1, |tenths| tenths.parse().unwrap());
    let part = |whole: usize| whole * tenths / 10;
    let all = Limits::default();
    let limits = Limits {
        // Often enough within the time of this test that receivers fail, pause and are tried again.
        delivery: Duration::from_secs(2),
        visits: part(all.visits),
        slow_visits: part(all.slow_visits),
        extras: part(all.extras),
        ..all
    };
    let server = TestApp::new().await;
    let tenant = |number: u8| Tenant {
        server: &server,
        account: AccountSid::from_bytes([number; 16]),
        number,
    };
    let good = tenant(3);
    let (account, arrived) = (good.account, Arc::new(Mutex::new(HashMap::new())));
    let arrivals = Arc::clone(&arrived);
    let receivers = Receivers::that(move |row| {
        if row.message.account() != account {
            return None;
        }
        arrivals
            .lock()
            .unwrap()
            .entry(row.sid)
            .or_insert_with(Instant::now);
        Some(DeliveryOutcome::Delivered)
    });
    let worker = receivers.worker_with(&server.app, limits);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let working = tokio::spawn(worker.run(
        async {
            let _stopped_or_dropped = stopped.await;
        },
        Duration::ZERO,
    ));
    for number in [1, 2] {
        let hostile = tenant(number);
        let webhooks = (0..part(3000)).map(|number| hostile.webhook(number));
        let pushes = (0..part(1500)).map(|number| hostile.push(number));
        let mails = (0..part(400)).map(|number| hostile.code(number, "mail"));
        hostile.send(webhooks.chain(pushes).chain(mails).collect()).await;
    }
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
    let arrived = arrived.lock().unwrap();
    let mut took: Vec<_> = sent
        .iter()
        .map(|(sid, at)| arrived.get(sid).map_or(Duration::MAX, |arrived| *arrived - *at))
        .collect();
    took.sort_unstable();
    let p99 = took[took.len() * 99 / 100];
    eprintln!(
        "{} messages: p50 {:?}, p99 {p99:?}, longest {:?}; {} tries of what hangs",
        took.len(),
        took[took.len() / 2],
        took[took.len() - 1],
        receivers.tried().len() - arrived.len()
    );
    assert!(p99 < Duration::from_secs(1), "p99 {p99:?}");
}
