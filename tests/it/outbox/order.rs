//! The events of one factor arrive in the order in which they happened, whatever fails in between.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign::delivery::DeliveryOutcome;

use super::{event, names, subscribe};
use crate::support::scripted::{Receivers, retry};
use crate::support::{TestApp, User};

/// Everything happens within one millisecond, and the clock is set back, too.
#[tokio::test]
async fn the_events_of_one_factor_arrive_in_their_order_though_many_tries_fail() {
    let server = TestApp::new().await;
    let client = server.client();
    let first = User::create(&client).await;
    let webhook = subscribe(&client, &first, &["*"]).await;
    let mut expected: HashMap<String, Vec<&str>> = HashMap::new();
    for number in 0..20 {
        let user = first.service.user(&format!("user-{number:04}"));
        let device = user.device(&server, &client).await;
        for answer in ["approved", "denied", "approved"] {
            let challenge = user.push_challenge(&client, &device).await;
            device.answer(&server, &challenge, answer).await.ok();
        }
        server.set_clock(-number);
        client.delete(device.path()).await.ok();
        let events = [
            "factor.created",
            "factor.verified",
            "challenge.approved",
            "challenge.denied",
            "challenge.approved",
            "factor.deleted",
        ];
        expected.insert(device.factor.clone(), events.to_vec());
    }

    let count = AtomicU64::new(0);
    let receivers = Receivers::that(move |_| {
        let fails = count.fetch_add(1, Ordering::SeqCst).is_multiple_of(3);
        Some(if fails {
            retry("status 500")
        } else {
            DeliveryOutcome::Delivered
        })
    });
    let mut worker = receivers.worker(&server.app);
    for _ in 0..1000 {
        worker.run_due().await;
        server.wait(1);
        if server.outbox().await.is_empty() {
            break;
        }
    }
    let mut heard: HashMap<String, Vec<&str>> = HashMap::new();
    for row in receivers.delivered() {
        assert_eq!(row.message.receiver().to_string(), webhook);
        let (name, factor) = event(&row);
        heard.entry(factor).or_default().push(name);
    }
    assert_eq!(heard, expected);
    let tally = server.app.memory.deliveries.counts();
    assert_eq!(
        (tally.delivered, tally.given_up, tally.waiting_lanes),
        (120, 0, 0)
    );
    assert!(tally.failed >= 40, "{tally:?}");
}

#[tokio::test]
async fn a_row_that_fails_holds_up_its_factor_and_no_other() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    subscribe(&client, &user, &["*"]).await;
    let held_up = user.totp(&server, &client).await;
    let other = user.device(&server, &client).await;
    let sid = held_up.sid.clone();
    let receivers = Receivers::that(move |row| {
        let (name, factor) = event(row);
        let fails = factor == sid && name == "factor.created";
        Some(if fails {
            retry("status 503")
        } else {
            DeliveryOutcome::Delivered
        })
    });
    let mut worker = receivers.worker(&server.app);
    worker.run_due().await;
    let delivered = receivers.delivered();
    assert_eq!(names(&delivered), ["factor.created", "factor.verified"]);
    assert!(delivered.iter().all(|row| event(row).1 == other.factor));
    assert_eq!(
        names(&receivers.tried()).len(),
        3,
        "what waits behind is not tried"
    );

    receivers.now(|_| Some(DeliveryOutcome::Delivered));
    server.wait(1);
    worker.run_due().await;
    let delivered = receivers.delivered();
    assert_eq!(names(&delivered[2..]), ["factor.created", "factor.verified"]);
    assert!(delivered[2..].iter().all(|row| event(row).1 == held_up.sid));
    assert_eq!(server.outbox().await.len(), 0);
}
