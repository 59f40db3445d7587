//! Two processes on one store, whose clocks are five minutes apart: what is told of one thing is told in the order in which
//! it was committed, by whichever process.

use std::sync::Arc;
use std::time::Duration;

use countersign::delivery::DeliveryOutcome;
use countersign::domain::events::{OutboxMessage, OutboxRow};
use countersign::domain::time::Clock as _;
use countersign::store::memory::MemoryStore;
use countersign::store::{Batch, keys};

use super::{names, subscribe};
use crate::support::scripted::{Receivers, retry};
use crate::support::world::{sid_of, with_many_pushes};
use crate::support::{Device, Service, TestApp, User};

/// The process whose clock is right, and one whose clock is five minutes behind.
async fn fast_and_slow() -> (TestApp, TestApp) {
    let store = Arc::new(MemoryStore::new());
    let fast = TestApp::with(store.clone(), with_many_pushes()).await;
    let slow = fast.restarted(store);
    slow.set_clock(-300);
    (fast, slow)
}

/// A user whose webhook hears everything.
async fn heard_user(server: &TestApp) -> User {
    let user = User::create(&server.client()).await;
    subscribe(&server.client(), &user, &["*"]).await;
    user
}

/// What each row tells: the event, and the challenge if it is about one.
fn told(rows: &[OutboxRow]) -> Vec<(&'static str, String)> {
    let told = rows.iter().map(|row| match &row.message {
        OutboxMessage::Webhook { event, .. } => {
            let challenge = event.challenge.map(|challenge| challenge.to_string());
            (event.event_type.name(), challenge.unwrap_or_default())
        }
        other => panic!("{other:?}"),
    });
    told.collect()
}

/// Lets the two processes change the same factor in turn; what is to be told of it, in the order of the commits.
async fn changes(fast: &TestApp, slow: &TestApp, user: &User) -> Vec<(&'static str, String)> {
    let device = user.device(fast, &fast.client()).await;
    let mut expected = vec![
        ("factor.created", String::new()),
        ("factor.verified", String::new()),
    ];
    for (creator, answerer, answer) in [
        (fast, slow, "approved"),
        (slow, slow, "denied"),
        (fast, fast, "approved"),
        (fast, slow, "denied"),
        (slow, slow, "approved"),
        (fast, fast, "denied"),
    ] {
        let challenge = user.push_challenge(&creator.client(), &device).await;
        device.answer(answerer, &challenge, answer).await.ok();
        let event = match answer {
            "approved" => "challenge.approved",
            _ => "challenge.denied",
        };
        expected.push((event, sid_of(&challenge).to_owned()));
    }
    expected.extend(report(fast, slow, user, &device).await);
    slow.client().delete(device.path()).await.ok();
    expected.push(("factor.deleted", String::new()));
    expected
}

/// One commit that tells three things.
async fn report(fast: &TestApp, slow: &TestApp, user: &User, device: &Device) -> [(&'static str, String); 3] {
    let challenge = user.push_challenge(&fast.client(), device).await;
    device.report(slow, &challenge).await.ok();
    let sid = sid_of(&challenge).to_owned();
    [
        ("challenge.denied", sid.clone()),
        ("challenge.reported", sid),
        ("factor.locked", String::new()),
    ]
}

#[tokio::test]
async fn a_webhook_hears_of_a_factor_in_the_order_of_the_commits_whichever_process_delivers() {
    for slow_delivers in [false, true] {
        let (fast, slow) = fast_and_slow().await;
        let user = heard_user(&fast).await;
        let expected = changes(&fast, &slow, &user).await;
        let receivers = Receivers::good();
        let server = if slow_delivers { &slow } else { &fast };
        // What the fast one wrote is due by its clock.
        slow.wait(300);
        receivers.worker(&server.app).run_due().await;
        assert_eq!(told(&receivers.delivered()), expected, "{slow_delivers}");
    }
}

#[tokio::test]
async fn two_processes_that_deliver_in_turn_and_often_in_vain_keep_the_order_too() {
    let (fast, slow) = fast_and_slow().await;
    let user = heard_user(&fast).await;
    let expected = changes(&fast, &slow, &user).await;
    let count = std::sync::atomic::AtomicU64::new(0);
    let receivers = Receivers::that(move |_| {
        let tried = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Some(if tried.is_multiple_of(2) {
            retry("status 500")
        } else {
            DeliveryOutcome::Delivered
        })
    });
    let mut workers = [receivers.worker(&fast.app), receivers.worker(&slow.app)];
    for _ in 0..1000 {
        for worker in &mut workers {
            worker.run_due().await;
        }
        fast.wait(60);
        slow.wait(60);
        if fast.outbox().await.is_empty() {
            break;
        }
    }
    assert_eq!(told(&receivers.delivered()), expected);
}

#[tokio::test]
async fn the_codes_of_a_verification_are_rows_in_the_order_of_the_commits() {
    let (fast, slow) = fast_and_slow().await;
    // A verification that began more than a minute ahead is another one's.
    slow.set_clock(-50);
    let service = Service::create(&fast.client()).await;
    let path = format!("{}/Verifications", service.path);
    let form = [("To", "+32470123456"), ("Channel", "sms")];
    for server in [&fast, &slow, &fast, &slow] {
        server.client().post(&path, &form).await.ok();
    }
    let rows = fast.outbox().await;
    let sendings: Vec<u8> = rows.iter().map(sending).collect();
    assert_eq!(sendings, [0, 1, 2, 3]);
    assert!(rows.is_sorted_by(|earlier, later| earlier.sid < later.sid));
}

/// Which sending of its verification a row carries.
fn sending(row: &OutboxRow) -> u8 {
    match &row.message {
        OutboxMessage::Code(code) => code.send,
        other => panic!("{other:?}"),
    }
}

/// A node that is killed while it delivers, and one whose clock is so many seconds ahead of its.
async fn killed_and_ahead(ahead: i64) -> (TestApp, TestApp, OutboxRow) {
    let store = Arc::new(MemoryStore::new());
    let killed = TestApp::on(store.clone()).await;
    let other = killed.restarted(store);
    other.set_clock(ahead);
    let user = heard_user(&killed).await;
    user.unverified_totp(&killed.client(), "one", &[]).await;
    let hanging = Receivers::that(|_| None);
    let mut worker = hanging.worker(&killed.app);
    let under_way = async {
        while hanging.tried().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = worker.run_due() => panic!("it hangs"),
        () = under_way => {}
    }
    let row = killed.outbox().await.pop().unwrap();
    (killed, other, row)
}

/// A delivery takes 20 seconds at the most.
#[tokio::test]
async fn what_is_under_way_is_not_delivered_by_a_node_whose_clock_is_ahead() {
    for ahead in [0, 10, 20] {
        let (killed, other, row) = killed_and_ahead(ahead).await;
        let receivers = Receivers::good();
        let mut worker = receivers.worker(&other.app);
        worker.run_due().await;
        other.wait(19);
        worker.run_due().await;
        assert_eq!(receivers.tried().len(), 0, "{ahead} seconds ahead");
        // Nothing comes of it: the next node has it some 40 seconds after the one that was killed took it.
        let taken_at = killed.clock.now();
        assert!(row.lease.unwrap() <= taken_at + Duration::from_secs(40));
        other.clock.set(row.lease.unwrap());
        worker.run_due().await;
        assert_eq!(names(&receivers.delivered()), ["factor.created"]);
    }
}

#[tokio::test]
async fn what_follows_a_row_that_another_node_delivers_waits_for_no_lease() {
    let (killed, other, row) = killed_and_ahead(0).await;
    let mut next = row.clone();
    next.sid = countersign::domain::sid::EventSid::generate_after(
        Some(row.sid),
        other.app.clock.now(),
        other.app.sids.as_ref(),
    );
    next.lease = None;
    put(&other, &next).await;
    let receivers = Receivers::good();
    let mut worker = receivers.worker(&other.app);
    worker.run_due().await;
    assert_eq!(receivers.tried().len(), 0, "the first one is under way");
    // As whoever delivers it does behind the delivery.
    let key = keys::outbox_row(row.message.lane(), row.sid).into_bytes();
    killed.app.store.commit(Batch::new().delete(key)).await.unwrap();
    other.wait(1);
    worker.run_due().await;
    let delivered: Vec<_> = receivers.delivered().iter().map(|row| row.sid).collect();
    assert_eq!(delivered, [next.sid]);
}

#[tokio::test]
async fn what_a_killed_node_put_into_a_lane_that_rests_here_is_found_soon() {
    let store = Arc::new(MemoryStore::new());
    let killed = TestApp::on(store.clone()).await;
    let other = killed.restarted(store);
    let user = heard_user(&killed).await;
    user.unverified_totp(&killed.client(), "one", &[]).await;
    let mut waits = killed.outbox().await.pop().unwrap();
    waits.next_at = killed.app.clock.now() + Duration::from_hours(1);
    put(&killed, &waits).await;
    let receivers = Receivers::good();
    let mut worker = receivers.worker(&other.app);
    worker.run_due().await;
    user.unverified_totp(&killed.client(), "two", &[]).await;
    other.wait(10);
    worker.run_due().await;
    let delivered = receivers.delivered();
    assert_eq!(names(&delivered), ["factor.created"]);
    assert_ne!(delivered[0].sid, waits.sid);
}

/// Writes a row as it is.
async fn put(server: &TestApp, row: &OutboxRow) {
    let key = keys::outbox_row(row.message.lane(), row.sid);
    let batch = Batch::new().put_record(key, row).unwrap();
    server.app.store.commit(batch).await.unwrap();
}
