//! What one account sends to receivers that hang keeps no other account's messages waiting.
//!
//! `COUNTERSIGN_ABUSE_TENTHS` sets how many tenths of the abuse, and of the places for deliveries, there are (1 unless told,
//! 10 for all of it).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign::delivery::DeliveryOutcome;
use countersign::domain::entity::EntityScope;
use countersign::domain::events::{Event, EventType, OutboxMessage, OutboxRow, QueuedCode};
use countersign::domain::factor::FactorType;
use countersign::domain::outbox::Lane;
use countersign::domain::sender_name::SenderName;
use countersign::domain::sid::{
    AccountSid, AttemptSid, ChallengeSid, EntitySid, EventSid, FactorSid, ServiceSid, VerificationSid,
    WebhookSid,
};
use countersign::domain::text::Identity;
use countersign::flows::outbox::worker::Limits;
use countersign::store::{Batch, keys};

use crate::support::TestApp;
use crate::support::scripted::Receivers;

/// What rows of one account are addressed with.
struct Tenant<'a> {
    server: &'a TestApp,
    account: AccountSid,
    number: u8,
}

impl Tenant<'_> {
    fn sid(&self, number: usize) -> [u8; 16] {
        let mut sid = [self.number; 16];
        sid[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
        sid
    }

    fn scope(&self) -> EntityScope {
        EntityScope {
            account: self.account,
            service: ServiceSid::from_bytes([self.number; 16]),
            identity: Identity::parse("user-0001").unwrap(),
            entity: EntitySid::from_bytes([self.number; 16]),
        }
    }

    fn webhook(&self, number: usize) -> OutboxMessage {
        let now = self.server.app.clock.now();
        let factor = FactorSid::from_bytes(self.sid(number));
        OutboxMessage::Webhook {
            webhook: WebhookSid::from_bytes(self.sid(number)),
            event: Event::new(
                EventType::FactorCreated,
                now,
                &self.scope(),
                factor,
                FactorType::Totp,
            ),
        }
    }

    fn push(&self, number: usize) -> OutboxMessage {
        let scope = self.scope();
        OutboxMessage::Push {
            service: scope.service,
            identity: scope.identity,
            entity: scope.entity,
            factor: FactorSid::from_bytes(self.sid(number)),
            challenge: ChallengeSid::from_bytes(self.sid(number)),
            expires_at: self.server.app.clock.now() + Duration::from_mins(10),
            account: self.account,
            credential: None,
        }
    }

    fn code(&self, number: usize, sender: &str) -> OutboxMessage {
        OutboxMessage::Code(QueuedCode {
            account: self.account,
            service: self.scope().service,
            verification: VerificationSid::from_bytes(self.sid(number)),
            send: 0,
            attempt: AttemptSid::from_bytes(self.sid(number)),
            sender: SenderName::parse(sender).unwrap(),
            expires_at: self.server.app.clock.now() + Duration::from_mins(10),
            refused: Vec::new(),
        })
    }

    /// Writes the rows, and has the worker look at them.
    async fn send(&self, messages: Vec<OutboxMessage>) -> Vec<EventSid> {
        let app = &self.server.app;
        let (mut batch, mut sids, mut lanes) = (Batch::new(), Vec::new(), Vec::<Lane>::new());
        for message in messages {
            let sid = EventSid::generate(app.clock.now(), app.sids.as_ref());
            let row = OutboxRow::new(sid, app.clock.now(), message);
            let key = keys::outbox_row(row.message.lane(), sid);
            batch = match row.message.reclaimed_at() {
                Some(until) => batch.put_record_until(key, &row, until).unwrap(),
                None => batch.put_record(key, &row).unwrap(),
            };
            sids.push(sid);
            lanes.push(row.message.lane());
        }
        app.store.commit(batch).await.unwrap();
        app.memory.wakeups.wake(lanes);
        sids
    }
}

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
