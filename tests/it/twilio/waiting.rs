//! Long polls. Time is tokio's and stands still: it only moves when nobody has anything left to do, so that a wait that
//! takes no time at all was ended by what it waited for.

use std::time::Duration;

use serde_json::Value;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::Instant;

use crate::support::world::sid_of;
use crate::support::{Answer, Device, Interleaved, TestApp, User};
use countersign::app::Policy;
use countersign::flows::{account, api_key};

struct Scene {
    server: TestApp,
    user: User,
    device: Device,
    /// Where a pending challenge is awaited.
    list: String,
}

impl Scene {
    async fn set() -> Self {
        Self::set_on(TestApp::in_memory().await).await
    }

    async fn set_on(server: TestApp) -> Self {
        let user = User::create(&server.client()).await;
        let device = user.device(&server, &server.client()).await;
        let list = format!("{}/Challenges?Status=pending&Wait=30", user.path);
        Self {
            server,
            user,
            device,
            list,
        }
    }

    async fn challenge(&self) -> String {
        self.user
            .push_challenge(&self.server.client(), &self.device)
            .await
    }

    /// A wait of the account's that has begun.
    async fn waiting(&self, path: &str) -> JoinHandle<Answer> {
        self.begun(self.server.client().getting(path)).await
    }

    async fn begun(&self, request: impl Future<Output = Answer> + Send + 'static) -> JoinHandle<Answer> {
        let number = self.server.app.memory.waiters.waiting();
        let request = tokio::spawn(request);
        self.server.until_waiting(number + 1).await;
        request
    }
}

fn sids(listed: &Value) -> Vec<&str> {
    let listed = listed["challenges"].as_array().unwrap();
    listed.iter().map(|one| one["sid"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_is_answered_as_soon_as_a_challenge_arrives() {
    let scene = Scene::set().await;
    let began = Instant::now();
    let waits = [
        scene.waiting(&scene.list).await,
        scene
            .waiting(&format!("{}&FactorSid={}", scene.list, scene.device.factor))
            .await,
        scene
            .begun(scene.device.on(&scene.server).getting(&scene.list))
            .await,
    ];
    let challenge = scene.challenge().await;
    for wait in waits {
        assert_eq!(sids(&wait.await.unwrap().ok()), [sid_of(&challenge)]);
    }
    // One that waits already is an answer at once.
    let listed = scene.server.client().get(&scene.list).await.ok();
    assert_eq!(sids(&listed), [sid_of(&challenge)]);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(scene.server.app.memory.waiters.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_nothing_arrives_for_is_empty_when_the_time_is_over() {
    let scene = Scene::set().await;
    let sibling = scene.user.device(&scene.server, &scene.server.client()).await;
    let began = Instant::now();
    let wait = scene
        .begun(scene.device.on(&scene.server).getting(&scene.list))
        .await;
    let theirs = scene.user.push_challenge(&scene.server.client(), &sibling).await;
    assert!(sids(&wait.await.unwrap().ok()).is_empty());
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    let listed = sibling.on(&scene.server).get(&scene.list).await.ok();
    assert_eq!(sids(&listed), [sid_of(&theirs)]);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_answered_as_soon_as_it_is_decided() {
    let scene = Scene::set().await;
    for status in ["approved", "denied"] {
        let challenge = scene.challenge().await;
        let path = format!("{challenge}?Wait=60");
        let began = Instant::now();
        let waits = [
            scene.waiting(&path).await,
            scene.begun(scene.device.on(&scene.server).getting(&path)).await,
        ];
        let answered = scene.device.answer(&scene.server, &challenge, status).await.ok();
        for wait in waits {
            assert_eq!(wait.await.unwrap().ok(), answered);
        }
        // One that is decided already is an answer at once.
        let fetched = scene.server.client().get(&path).await;
        assert_eq!(fetched.text("status"), status);
        assert!(fetched.headers.contains_key("twilio-verify-signature-fields"));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_challenge_that_expires_is_an_answer_and_one_that_stays_pending_is_one_later() {
    let scene = Scene::set().await;
    let challenge = scene.challenge().await;
    let began = Instant::now();
    let fetched = scene.server.client().get(format!("{challenge}?Wait=7")).await;
    assert_eq!(fetched.text("status"), "pending");
    assert_eq!(began.elapsed(), Duration::from_secs(7));
    scene.server.wait(298);
    let wait = scene.waiting(&format!("{challenge}?Wait=60")).await;
    let began = Instant::now();
    scene.server.wait(2);
    assert_eq!(wait.await.unwrap().text("status"), "expired");
    // Nobody wakes it: it set its alarm by the challenge.
    let elapsed = began.elapsed();
    assert!(
        elapsed > Duration::from_secs(1) && elapsed < Duration::from_secs(3),
        "{elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wrong_code_wakes_nobody_for_good_and_the_right_one_does() {
    let server = TestApp::in_memory().await;
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(&server, &client).await;
    let form = [("FactorSid", totp.sid.as_str())];
    let challenge = client.post(&totp.challenges, &form).await.text("sid");
    let challenge = format!("{}/{challenge}", totp.challenges);
    let wait = tokio::spawn(client.getting(&format!("{challenge}?Wait=60")));
    server.until_waiting(1).await;
    let wrong = crate::support::wrong_code(&server, &totp.app, 0);
    client.post(&challenge, &[("AuthPayload", &wrong)]).await.ok();
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(!wait.is_finished());
    let right = totp.app.code(&server);
    client.post(&challenge, &[("AuthPayload", &right)]).await.ok();
    assert_eq!(wait.await.unwrap().text("status"), "approved");
}

/// Whenever the change comes: before the waiter registers, between that and its look, or behind both. The store gives way
/// at each access, and the change begins one step later in each round. A waiter that missed it would look again after
/// some time, and time shows.
#[tokio::test(start_paused = true)]
async fn no_change_is_missed_wherever_it_falls() {
    let store = Interleaved::store();
    let scene = Scene::set_on(TestApp::on(store).await).await;
    let began = Instant::now();
    let mut waited = [0; 2];
    for round in 0..1000 {
        let list = tokio::spawn(scene.device.on(&scene.server).getting(&scene.list));
        for _ in 0..round % 50 {
            yield_now().await;
        }
        waited[0] += usize::from(scene.server.app.memory.waiters.waiting() > 0);
        let challenge = scene.challenge().await;
        assert_eq!(sids(&list.await.unwrap().ok()), [sid_of(&challenge)]);

        let signed = scene.device.signed(&scene.server, &challenge, "approved").await;
        let decision = tokio::spawn(scene.server.client().getting(&format!("{challenge}?Wait=30")));
        for _ in 0..round % 50 {
            yield_now().await;
        }
        waited[1] += usize::from(scene.server.app.memory.waiters.waiting() > 0);
        let form = [("AuthPayload", signed.as_str())];
        scene.device.on(&scene.server).post(&challenge, &form).await.ok();
        assert_eq!(decision.await.unwrap().text("status"), "approved");
        assert_eq!(began.elapsed(), Duration::ZERO, "round {round}");
    }
    // It began on both sides of the change, often.
    let both_sides = |waited: usize| (200..=950).contains(&waited);
    assert!(waited.into_iter().all(both_sides), "{waited:?}");
}

/// The same with threads, which fall where they like.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_missed_in_parallel() {
    let scene = Scene::set_on(TestApp::new().await).await;
    for _ in 0..300 {
        let challenge = scene.challenge().await;
        let signed = scene.device.signed(&scene.server, &challenge, "approved").await;
        let form = [("AuthPayload", signed.as_str())];
        let began = Instant::now();
        let wait = scene.server.client().getting(&format!("{challenge}?Wait=60"));
        let deny = scene.device.on(&scene.server).posting(&challenge, &form);
        let requests: [std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>; 2] =
            [Box::pin(wait), Box::pin(deny)];
        for answer in crate::support::all_at_once(requests).await {
            assert_eq!(answer.ok()["status"], "approved");
        }
        // Half of the time after which everybody looks again.
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_waits_no_longer() {
    let scene = Scene::set().await;
    let challenge = scene.challenge().await;
    let wait = scene.waiting(&format!("{challenge}?Wait=60")).await;
    wait.abort();
    wait.await.unwrap_err();
    assert_eq!(scene.server.app.memory.waiters.waiting(), 0);
}

/// What holds when a request comes may not hold when it is answered.
#[tokio::test(start_paused = true)]
async fn whoever_may_not_know_any_more_is_not_told() {
    type Path = fn(&Scene) -> String;
    type Refused = (u16, u32);
    type Change = fn(&Scene, String) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>>;
    let deleted: Change = |scene, path| {
        Box::pin(async move {
            scene.server.client().delete(path).await.ok();
        })
    };
    let suspended: Change = |scene, _| {
        Box::pin(async move {
            let account = scene.server.account.user.parse().unwrap();
            account::suspend(&scene.server.app, account).await.unwrap();
        })
    };
    let kinds: [(Path, Change, Refused, Refused); 4] = [
        (|scene| scene.device.path(), deleted, (0, 0), (401, 20003)),
        (
            |scene| scene.user.path.clone(),
            deleted,
            (404, 20404),
            (401, 20003),
        ),
        (
            |scene| scene.user.service.path.clone(),
            deleted,
            (404, 20404),
            (401, 20003),
        ),
        (|_| String::new(), suspended, (401, 20003), (401, 20003)),
    ];
    for (path, change, to_account, to_device) in kinds {
        let scene = Scene::set().await;
        let sibling = scene.user.device(&scene.server, &scene.server.client()).await;
        let challenge = scene.challenge().await;
        let decision = format!("{challenge}?Wait=60");
        let theirs = format!("{}&FactorSid={}", scene.list, sibling.factor);
        let began = Instant::now();
        let waits = [
            (scene.waiting(&decision).await, to_account),
            (scene.waiting(&theirs).await, to_account),
            (
                scene
                    .begun(scene.device.on(&scene.server).getting(&decision))
                    .await,
                to_device,
            ),
        ];
        change(&scene, path(&scene)).await;
        for (wait, (status, code)) in waits {
            if status == 0 {
                // A factor's deletion takes nothing from its backend.
                assert!(!wait.is_finished());
                wait.abort();
                continue;
            }
            wait.await.unwrap().refused(status, code);
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_is_not_told() {
    let scene = Scene::set().await;
    let key = scene.server.api_key().await;
    let wait = scene
        .begun(scene.server.client_of(&key).getting(&scene.list))
        .await;
    let began = Instant::now();
    api_key::revoke(&scene.server.app, key.user.parse().unwrap())
        .await
        .unwrap();
    wait.await.unwrap().refused(401, 20003);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// A wait ends with the JWT that it was begun with, and is answered: it was in time.
#[tokio::test(start_paused = true)]
async fn no_wait_outlives_its_jwt() {
    let scene = Scene::set().await;
    let client = scene.device.on(&scene.server);
    // The device's JWT lasts for ten minutes, and clocks may differ by one.
    scene.server.wait(655);
    let wait = scene.begun(client.getting(&scene.list)).await;
    let began = Instant::now();
    scene.server.wait(5);
    assert!(sids(&wait.await.unwrap().ok()).is_empty());
    assert!(began.elapsed() < Duration::from_secs(6));
    client.get(&scene.list).await.refused(401, 20003);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_answered_when_the_server_stops() {
    let scene = Scene::set().await;
    let challenge = scene.challenge().await;
    let began = Instant::now();
    let wait = scene.waiting(&format!("{challenge}?Wait=60")).await;
    scene.server.app.memory.waiters.close();
    assert_eq!(wait.await.unwrap().text("status"), "pending");
    // Who comes while the server stops does not wait.
    let fetched = scene.server.client().get(format!("{challenge}?Wait=60")).await;
    assert_eq!(fetched.text("status"), "pending");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_wait_for_the_same_and_altogether() {
    let policy = Policy {
        max_waiters: 10,
        ..crate::doubles::policy()
    };
    let scene = Scene::set_on(TestApp::in_memory().await.with_policy(policy)).await;
    let sibling = scene.user.device(&scene.server, &scene.server.client()).await;
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(
            scene
                .begun(scene.device.on(&scene.server).getting(&scene.list))
                .await,
        );
    }
    let refused = scene.device.on(&scene.server).get(&scene.list).await;
    assert_eq!(refused.refused(429, 20429).retry_after(), 5);
    for _ in 0..2 {
        waits.push(scene.begun(sibling.on(&scene.server).getting(&scene.list)).await);
    }
    sibling
        .on(&scene.server)
        .get(&scene.list)
        .await
        .refused(429, 20429);
    // Who does not wait is answered as always.
    let list = format!("{}/Challenges?Status=pending", scene.user.path);
    sibling.on(&scene.server).get(list).await.ok();
    waits.pop().unwrap().abort();
    scene.server.until_waiting(9).await;
    scene.begun(sibling.on(&scene.server).getting(&scene.list)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_waited_for_and_for_how_long_is_checked() {
    let scene = Scene::set().await;
    let client = scene.server.client();
    let challenge = scene.challenge().await;
    let list = format!("{}/Challenges", scene.user.path);
    let began = Instant::now();
    for bad in ["61", "-1", "1.5", "x", "%201", "99999999999", "30s"] {
        for path in [
            format!("{challenge}?Wait={bad}"),
            format!("{list}?Status=pending&Wait={bad}"),
        ] {
            client.get(path).await.refused(400, 60300).naming("Wait");
        }
    }
    for other in ["", "Status=approved&"] {
        let refused = client.get(format!("{list}?{other}Wait=1")).await;
        refused.refused(400, 60300).naming("Status=pending");
    }
    for none in ["Wait=0", "Wait="] {
        let fetched = client.get(format!("{challenge}?{none}")).await;
        assert_eq!(fetched.text("status"), "pending");
        client.get(format!("{list}?Status=denied&{none}")).await.ok();
    }
    // The same as without: nobody waits for what is none of theirs.
    let device = scene.device.on(&scene.server);
    let made_up = format!("{list}/YC0123456789abcdef0123456789abcdef?Wait=60");
    client.get(&made_up).await.refused(404, 20404);
    device.get(&made_up).await.refused(404, 20404);
    scene.server.stranger().get(&made_up).await.refused(401, 20003);
    let theirs = format!("{}&FactorSid=YF0123456789abcdef0123456789abcdef", scene.list);
    device.get(theirs).await.refused(403, 20403);
    // Nowhere else does the parameter mean anything.
    client.get(format!("{}?Wait=x", scene.device.path())).await.ok();
    assert_eq!(began.elapsed(), Duration::ZERO);
    // Neighbouring pages are no waits.
    let page = client.get(format!("{}&PageSize=1", scene.list)).await.ok();
    assert!(!page["meta"]["url"].as_str().unwrap().contains("Wait"));
}
