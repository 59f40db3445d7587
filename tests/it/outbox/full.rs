//! An account has so many messages in the outbox, and one that has them all is nobody else's problem.

use std::sync::Arc;
use std::time::Duration;

use countersign::app::Policy;
use countersign::delivery::DeliveryOutcome;
use countersign::flows::Fault;
use countersign::flows::outbox::count_waiting;
use countersign::flows::outbox::dead_letters::{Disposal, decide_all, list_dead_letters};
use countersign::flows::page::{Cursor, Order, PageRequest};
use countersign::store::memory::MemoryStore;

use super::subscribe;
use crate::support::scripted::Receivers;
use crate::support::world::answer;
use crate::support::{TestApp, User, all_at_once};

const MOST: usize = 100;

async fn begin() -> (TestApp, User) {
    let policy = Policy {
        outbox_rows_per_account: MOST,
        ..crate::doubles::policy()
    };
    let server = TestApp::with(Arc::new(MemoryStore::new()), policy).await;
    let user = User::create(&server.client()).await;
    (server, user)
}

const FORM: [(&str, &str); 2] = [("FriendlyName", "x"), ("FactorType", "totp")];

#[tokio::test]
async fn what_begins_is_refused_first_then_everything_and_other_accounts_never() {
    let (server, user) = begin().await;
    let client = server.client();
    let totp = user.totp(&server, &client).await;
    let challenge = totp.challenge(&client).await;
    subscribe(&client, &user, &["*"]).await;
    // Each creation is an event. Users have 100 factors at most, so some are another user's.
    let other = user.service.user("user-0002");
    let mut made = Vec::new();
    for nth in 0..MOST {
        let of = if nth < 50 { &user } else { &other };
        made.push(
            client
                .post(format!("{}/Factors", of.path), &FORM)
                .await
                .text("sid"),
        );
    }
    assert_eq!(server.outbox().await.len(), MOST);
    let ours = server.outbox().await[0].message.lane().account;
    let before = server.dump().await;
    let factors = format!("{}/Factors", user.path);
    client.post(&factors, &FORM).await.refused(429, 20429);
    let form = [("FactorSid", totp.sid.as_str())];
    client.post(&totp.challenges, &form).await.refused(429, 20429);
    user.service
        .send(&client, "+4915112345678", &[])
        .await
        .refused(429, 20429);
    assert_eq!(server.dump().await, before, "nothing is half-written");

    // Another account does not notice.
    let stranger = server.another_account().await;
    let theirs = server.client_of(&stranger);
    let them = User::create(&theirs).await;
    subscribe(&theirs, &them, &["*"]).await;
    them.totp(&server, &theirs).await.challenge(&theirs).await;

    // What has begun goes on.
    server.wait(30);
    let answered = answer(&client, &challenge, &totp.app.code(&server)).await.ok();
    assert_eq!(answered["status"], "approved");
    let remove = |sid: &String, nth: usize| {
        let of = if nth < 50 { &user } else { &other };
        client.delete(format!("{}/Factors/{sid}", of.path))
    };
    let waiting = async || {
        let rows = server.outbox().await.into_iter();
        rows.filter(|row| row.message.lane().account == ours).count()
    };
    for (nth, sid) in made.iter().enumerate() {
        assert_eq!(remove(sid, nth).await.status, 204, "{nth}");
    }
    assert_eq!(waiting().await, 2 * MOST, "twice as many, and not one more");

    // A restart counts them, and what is delivered makes room.
    let restarted = server.restarted(server.app.engine.clone());
    count_waiting(&restarted.app).await.unwrap();
    restarted.client().post(&factors, &FORM).await.refused(429, 20429);
    let mut worker = Receivers::good().worker(&restarted.app);
    for _ in 0..1000 {
        worker.run_due().await;
        restarted.wait(1);
        if restarted.outbox().await.is_empty() {
            break;
        }
    }
    restarted.client().post(&factors, &FORM).await.ok();
}

/// However many come at once, there are never more than twice as many.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_requests_get_no_more() {
    let (server, user) = begin().await;
    let client = server.client();
    subscribe(&client, &user, &["*"]).await;
    let mut creations = Vec::new();
    for nth in 0..8 {
        let factors = format!("{}/Entities/user-{nth:04}/Factors", user.service.path);
        creations.extend((0..40).map(|_| client.posting(&factors, &FORM)));
    }
    let answers = all_at_once(creations).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(made >= MOST, "{made}");
    assert_eq!(server.outbox().await.len(), made.min(2 * MOST));
}

/// A full outbox is no way around the limit of guesses, and keeps no device from saying that it was not its holder.
#[tokio::test]
async fn what_is_decided_counts_though_nobody_can_be_told() {
    let (server, user) = begin().await;
    let client = server.client();
    let device = user.device(&server, &client).await;
    let push = user.push_challenge(&client, &device).await;
    let to = "+4915112345678";
    let verification = user.service.send(&client, to, &[]).await.ok();
    let made = fill(&server, &user).await;
    let check = format!("{}/VerificationCheck", user.service.path);
    let guess = [("To", to), ("Code", "00000")];
    for _ in 0..5 {
        client.post(&check, &guess).await.ok();
    }
    for _ in 0..20 {
        client.post(&check, &guess).await.refused(429, 60202);
    }
    assert_eq!(
        device.answer(&server, &push, "denied").await.ok()["status"],
        "denied"
    );
    // What closed can be opened.
    let canceled = format!(
        "{}/Verifications/{}",
        user.service.path,
        verification["sid"].as_str().unwrap()
    );
    client.post(&canceled, &[("Status", "canceled")]).await.ok();
    assert_eq!(server.outbox().await.len(), made);
}

/// A dead letter is all that there is of its message.
#[tokio::test]
async fn what_is_put_back_without_room_stays_a_dead_letter() {
    let (server, user) = begin().await;
    let client = server.client();
    subscribe(&client, &user, &["*"]).await;
    user.unverified_totp(&client, "app", &[]).await;
    let receivers = Receivers::that(|_| {
        Some(DeliveryOutcome::Refused {
            why: "status 410".to_owned(),
        })
    });
    receivers.worker(&server.app).run_due().await;
    let letters = async || {
        let request = PageRequest {
            size: 1000,
            cursor: Cursor::Start,
            order: Order::Ascending,
        };
        list_dead_letters(&server.app, request).await.unwrap().items.len()
    };
    let given_up = letters().await;
    assert!(given_up > 0);
    fill(&server, &user).await;
    let full = decide_all(&server.app, None, Disposal::PutBack).await;
    assert_eq!(full, Err(Fault::OutboxFull));
    assert_eq!(letters().await, given_up);
    assert_eq!(
        decide_all(&server.app, None, Disposal::Dropped).await,
        Ok(given_up as u64)
    );
}

/// Makes as many messages wait as can be told at all.
async fn fill(server: &TestApp, user: &User) -> usize {
    let client = server.client();
    let spare = user.service.user("user-spare");
    let mut made = Vec::new();
    for _ in 0..50 {
        made.push(
            client
                .post(format!("{}/Factors", spare.path), &FORM)
                .await
                .text("sid"),
        );
    }
    subscribe(&client, user, &["*"]).await;
    subscribe(&client, user, &["*"]).await;
    subscribe(&client, user, &["*"]).await;
    subscribe(&client, user, &["*"]).await;
    for sid in made {
        assert_eq!(
            client
                .delete(format!("{}/Factors/{sid}", spare.path))
                .await
                .status,
            204
        );
    }
    let rows = server.outbox().await.len();
    assert_eq!(rows, 2 * MOST);
    rows
}

/// One process makes what another one delivers, and the other way round.
#[tokio::test]
async fn another_process_that_delivers_makes_room() {
    let (server, user) = begin().await;
    subscribe(&server.client(), &user, &["*"]).await;
    let other = server.restarted(server.app.engine.clone());
    for round in 0..6 {
        let (makes, delivers) = if round % 2 == 0 {
            (&server, &other)
        } else {
            (&other, &server)
        };
        let of = user.service.user(&format!("user-{round:04}"));
        for nth in 0..MOST {
            let factors = format!("{}{}/Factors", of.path, nth / 50);
            let made = makes.client().post(&factors, &FORM).await;
            assert_eq!(made.status, 201, "round {round}, {nth}");
        }
        let mut worker = Receivers::good().worker(&delivers.app);
        while !delivers.outbox().await.is_empty() {
            worker.run_due().await;
            delivers.wait(1);
        }
        // As much time as there is between two counts of an account that seems to have too many.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
