//! An account has so many messages in the outbox, and one that has them all is nobody else's problem.

use std::sync::Arc;

use countersign::app::Policy;
use countersign::flows::outbox::count_waiting;
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
    let mut refused = 0;
    for (nth, sid) in made.iter().enumerate() {
        let answer = remove(sid, nth).await;
        if answer.status == 429 {
            answer.refused(429, 20429);
            refused += 1;
        }
    }
    assert_eq!(waiting().await, 2 * MOST, "twice as many, and not one more");
    assert!(refused > 0);

    // A restart counts them, and what is delivered makes room.
    let restarted = server.restarted(server.app.store.clone());
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
    assert_eq!(server.outbox().await.len(), made);
    assert!((MOST..=2 * MOST).contains(&made), "{made}");
}
