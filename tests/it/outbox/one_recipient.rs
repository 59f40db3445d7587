//! What a push provider says of one device is not said of all that it serves.

use std::collections::HashSet;
use std::time::Duration;

use countersign::delivery::DeliveryOutcome;
use countersign::domain::circuit::FailureScope;
use countersign::domain::sid::AccountSid;

use super::tenant::Tenant;
use crate::support::TestApp;
use crate::support::scripted::Receivers;

fn tenant(server: &TestApp) -> Tenant<'_> {
    Tenant {
        server,
        account: AccountSid::from_bytes([1; 16]),
        number: 1,
    }
}

fn failure(about: FailureScope) -> DeliveryOutcome {
    DeliveryOutcome::Retry {
        why: "FCM answered 401 THIRD_PARTY_AUTH_ERROR".to_owned(),
        after: None,
        about,
    }
}

#[tokio::test]
async fn the_pushes_of_one_broken_device_delay_nobody_elses() {
    for broken in [5, 10, 200] {
        let server = TestApp::new().await;
        let tenant = tenant(&server);
        let receivers = Receivers::that(|row| {
            Some(match Tenant::user_of(&row.message) {
                0 => failure(FailureScope::Recipient { status: 401 }),
                _ => DeliveryOutcome::Delivered,
            })
        });
        let mut worker = receivers.worker(&server.app);
        let pushes = (0..broken).map(|challenge| tenant.push_with_credential(0, challenge));
        tenant.send(pushes.collect()).await;
        for round in 0..20 {
            let others = (0..100).map(|number| {
                let number = 1000 + 100 * round + number;
                tenant.push_with_credential(number, number)
            });
            let sids: HashSet<_> = tenant.send(others.collect()).await.into_iter().collect();
            worker.run_due().await;
            let delivered = receivers.delivered();
            let mine = delivered.iter().filter(|row| sids.contains(&row.sid)).count();
            assert_eq!(mine, 100, "{broken}: round {round}");
            server.wait(5);
        }
    }
}

/// Whoever registers many broken devices is one user all the same.
#[tokio::test]
async fn the_same_failure_at_many_users_opens_the_circuit() {
    for (users, opens) in [(9, false), (20, true)] {
        let server = TestApp::new().await;
        let tenant = tenant(&server);
        let about = FailureScope::Recipient { status: 500 };
        let receivers = Receivers::that(move |_| Some(failure(about)));
        let mut worker = receivers.worker(&server.app);
        for round in 0..12 {
            let pushes = (0..users).map(|user| tenant.push_with_credential(user, 1000 * round + user));
            tenant.send(pushes.collect()).await;
            worker.run_due().await;
            server.wait(5);
        }
        let before = receivers.tried().len();
        let pushes = (0..20).map(|user| tenant.push_with_credential(5000 + user, 100_000 + user));
        tenant.send(pushes.collect()).await;
        receivers.now(|_| None);
        let a_while = tokio::time::sleep(Duration::from_millis(500));
        worker.run(a_while, Duration::ZERO).await;
        // One whose circuit is open is asked one by one.
        let under_way = receivers.tried().len() - before;
        assert_eq!(under_way == 1, opens, "{users}: {under_way}");
    }
}

#[tokio::test]
async fn one_device_has_one_push_under_way() {
    let server = TestApp::new().await;
    let tenant = tenant(&server);
    let receivers = Receivers::that(|row| match Tenant::user_of(&row.message) {
        0 => None,
        _ => Some(DeliveryOutcome::Delivered),
    });
    let worker = receivers.worker(&server.app);
    let pushes = (0..100).map(|challenge| tenant.push_with_credential(0, challenge));
    let others = (1..101).map(|number| tenant.push_with_credential(number, 1000 + number));
    tenant.send(pushes.chain(others).collect()).await;
    let all_delivered = async {
        while receivers.delivered().len() < 100 {
            tokio::task::yield_now().await;
        }
    };
    let running = worker.run(all_delivered, Duration::ZERO);
    let done = tokio::time::timeout(Duration::from_secs(30), running).await;
    assert!(done.is_ok());
    assert_eq!(receivers.tried().len(), 101);
}

#[tokio::test]
async fn a_provider_that_has_too_much_to_do_gets_nothing_twice_before_everything_once() {
    let server = TestApp::new().await;
    let tenant = tenant(&server);
    let receivers = Receivers::that(|_| Some(failure(FailureScope::Overload)));
    let mut worker = receivers.worker(&server.app);
    let pushes = (0..100).map(|number| tenant.push_with_credential(number, number));
    tenant.send(pushes.collect()).await;
    worker.run_due().await;
    let burst = receivers.tried().len();
    assert!(burst < 100, "it is slowed: {burst}");
    let mut rounds = 0;
    while receivers.tried().len() < 100 {
        server.wait(31);
        worker.run_due().await;
        rounds += 1;
        assert!(rounds < 200);
    }
    let tried = receivers.tried();
    let first: Vec<_> = tried[..100].iter().map(|row| row.sid).collect();
    let distinct: HashSet<_> = first.iter().collect();
    assert_eq!(distinct.len(), 100, "nothing twice before everything once");
    assert!(first[burst..].is_sorted(), "the oldest first");
}
