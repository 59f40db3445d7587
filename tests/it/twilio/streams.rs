//! The event stream of a factor. Time is tokio's and stands still, as with the long polls.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::time::Instant;

use crate::support::world::sid_of;
use crate::support::{Client, Device, Events, TestApp, User};
use countersign::flows::{account, api_key};

struct Scene {
    server: TestApp,
    user: User,
    device: Device,
    path: String,
}

impl Scene {
    async fn set() -> Self {
        let server = TestApp::in_memory().await;
        let user = User::create(&server.client()).await;
        let device = user.device(&server, &server.client()).await;
        let path = format!("{}/Events", device.path());
        Self {
            server,
            user,
            device,
            path,
        }
    }

    async fn challenge(&self) -> String {
        self.user
            .push_challenge(&self.server.client(), &self.device)
            .await
    }

    async fn of_device(&self) -> Events {
        self.device.on(&self.server).events(&self.path, &ACCEPT).await
    }

    async fn of_account(&self) -> Events {
        self.server.client().events(&self.path, &ACCEPT).await
    }

    async fn since(&self, last: &str) -> Events {
        let headers = [ACCEPT[0], ("last-event-id", sid_of(last))];
        self.device.on(&self.server).events(&self.path, &headers).await
    }
}

const ACCEPT: [(&str, &str); 1] = [("accept", "text/event-stream")];

#[tokio::test(start_paused = true)]
async fn a_stream_tells_what_happens_to_the_factors_challenges() {
    let scene = Scene::set().await;
    let (mut own, mut backends) = (scene.of_device().await, scene.of_account().await);
    let sibling = scene.user.device(&scene.server, &scene.server.client()).await;
    scene.user.push_challenge(&scene.server.client(), &sibling).await;
    let began = Instant::now();
    for status in ["approved", "denied"] {
        let challenge = scene.challenge().await;
        let shown = scene.server.client().get(&challenge).await.ok();
        assert_eq!(own.expect("created", &challenge).await, shown);
        assert_eq!(backends.expect("created", &challenge).await, shown);
        let answered = scene.device.answer(&scene.server, &challenge, status).await.ok();
        assert_eq!(own.expect(status, &challenge).await, answered);
        assert_eq!(backends.expect(status, &challenge).await, answered);
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    let challenge = scene.challenge().await;
    own.expect("created", &challenge).await;
    scene.server.wait(300);
    assert_eq!(own.expect("expired", &challenge).await["status"], "expired");
}

#[tokio::test(start_paused = true)]
async fn a_stream_says_to_proxies_and_clients_what_it_is() {
    let scene = Scene::set().await;
    let mut events = scene.of_device().await;
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("x-accel-buffering", "no"),
        ("connection", "close"),
    ] {
        assert_eq!(events.headers[name], value);
    }
    let retry = events.block().await.unwrap().retry.unwrap();
    assert!((2000..7000).contains(&retry), "{retry}");
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(events.block().await.unwrap().comment, "still here");
        assert_eq!(began.elapsed(), Duration::from_secs(20));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_with_what_waits_already() {
    let scene = Scene::set().await;
    let [first, second, third] = [
        scene.challenge().await,
        scene.challenge().await,
        scene.challenge().await,
    ];
    scene.device.answer(&scene.server, &second, "denied").await.ok();
    let mut events = scene.of_device().await;
    for sid in [sid_of(&first), sid_of(&third)] {
        assert_eq!(events.next().await.unwrap().id, sid);
    }
    let fourth = scene.challenge().await;
    events.expect("created", &fourth).await;
}

/// The slack is for challenges that became visible late; clients know the repeats by their ids.
#[tokio::test(start_paused = true)]
async fn a_stream_is_resumed_behind_the_last_event_with_some_slack() {
    let scene = Scene::set().await;
    let mut challenges = Vec::new();
    for _ in 0..4 {
        challenges.push(scene.challenge().await);
        scene.server.wait(20);
    }
    let [first, second, third, fourth] = &challenges[..] else {
        panic!()
    };
    let query = format!("{}?LastEventId={}", scene.path, sid_of(third));
    for mut events in [
        scene.since(third).await,
        scene.device.on(&scene.server).events(&query, &ACCEPT).await,
    ] {
        for again in [second, third, fourth] {
            events.expect("created", again).await;
        }
    }
    // Of what it knows it is told the end all the same.
    let mut events = scene.since(fourth).await;
    for again in [third, fourth] {
        events.expect("created", again).await;
    }
    scene.device.answer(&scene.server, first, "approved").await.ok();
    events.expect("approved", first).await;
    // The clock was set back: newer challenges have lower identifiers than the last one.
    scene.server.set_clock(0);
    let mut events = scene.since(fourth).await;
    for again in [second, third, fourth] {
        events.expect("created", again).await;
    }
    let client = scene.server.client();
    for bad in ["x", "YC01", "YF0123456789abcdef0123456789abcdef"] {
        let query = format!("{}?LastEventId={bad}", scene.path);
        client.get(query).await.refused(400, 60300).naming("LastEventId");
        let request = client.begin("GET", &scene.path).header("last-event-id", bad);
        let refused = scene
            .server
            .send(request.body(axum::body::Body::empty()).unwrap())
            .await;
        refused.refused(400, 60300).naming("Last-Event-ID");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_jwt_that_it_was_begun_with() {
    let scene = Scene::set().await;
    let mut events = scene.of_device().await;
    let mut backends = scene.of_account().await;
    scene.server.wait(659);
    events.block().await.unwrap().retry.unwrap();
    assert_eq!(events.block().await.unwrap().comment, "still here");
    scene.server.wait(1);
    let began = Instant::now();
    assert_eq!(events.block().await, None);
    assert!(began.elapsed() < Duration::from_secs(2));
    backends.block().await.unwrap().retry.unwrap();
    assert_eq!(backends.block().await.unwrap().comment, "still here");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_once_with_what_it_rests_on() {
    for what in ["factor", "entity", "service", "account", "key", "server"] {
        let scene = Scene::set().await;
        let key = scene.server.api_key().await;
        let mut own = scene.of_device().await;
        let mut backends = scene.server.client_of(&key).events(&scene.path, &ACCEPT).await;
        let challenge = scene.challenge().await;
        own.expect("created", &challenge).await;
        backends.expect("created", &challenge).await;
        let began = Instant::now();
        let (app, client) = (&scene.server.app, scene.server.client());
        match what {
            "factor" => drop(client.delete(scene.device.path()).await.ok()),
            "entity" => drop(client.delete(&scene.user.path).await.ok()),
            "service" => drop(client.delete(&scene.user.service.path).await.ok()),
            "account" => account::suspend(app, scene.server.account.user.parse().unwrap())
                .await
                .unwrap(),
            "key" => api_key::revoke(app, key.user.parse().unwrap()).await.unwrap(),
            _ => app.memory.waiters.close(),
        }
        assert_eq!(backends.next().await, None, "{what}");
        if what == "key" {
            // Somebody else's.
            scene
                .device
                .answer(&scene.server, &challenge, "denied")
                .await
                .ok();
            own.expect("denied", &challenge).await;
        } else {
            assert_eq!(own.next().await, None, "{what}");
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "{what}");
        drop((own, backends));
        assert_eq!(app.memory.waiters.waiting(), 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_factor_and_its_account_may_listen_and_only_so_often() {
    let scene = Scene::set().await;
    let client = scene.server.client();
    let sibling = scene.user.device(&scene.server, &client).await;
    let stranger = scene.server.another_account().await;
    sibling
        .on(&scene.server)
        .get(&scene.path)
        .await
        .refused(403, 20403);
    let theirs = scene.server.client_of(&stranger);
    theirs.get(&scene.path).await.refused(404, 20404);
    scene.server.stranger().get(&scene.path).await.refused(401, 20003);
    let made_up = format!(
        "{}/Factors/YF0123456789abcdef0123456789abcdef/Events",
        scene.user.path
    );
    client.get(&made_up).await.refused(404, 20404);
    assert_eq!(scene.server.app.memory.waiters.waiting(), 0);
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(scene.of_device().await);
    }
    let refused = client.get(&scene.path).await.refused(429, 20429);
    assert_eq!(refused.retry_after(), 5);
    streams.pop();
    scene.of_account().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_stream_is_not_to_be_had() {
    let scene = Scene::set().await;
    let client = scene.server.client();
    let asked = |accept: &str| {
        let request = client.begin("GET", &scene.path).header("accept", accept);
        scene
            .server
            .send(request.body(axum::body::Body::empty()).unwrap())
    };
    for other in ["application/json", "application/x-www-form-urlencoded", ""] {
        asked(other).await.refused(406, 20406).naming("text/event-stream");
    }
    for fine in ["*/*", "application/json, Text/Event-Stream;q=0.5", "text/*"] {
        asked(fine).await.ok();
    }
    client.get(&scene.path).await.ok();
}

/// Several backends ask at once; a device that comes again and again, each time behind the last event that it has, hears
/// of every challenge. Each backend waits for its answer: one that was not heard of would stay pending.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_that_comes_again_and_again_misses_nothing() {
    const BACKENDS: usize = 4;
    const QUESTIONS: usize = 25;
    let scene = Arc::new(Scene::set().await);
    let barrier = Arc::new(Barrier::new(BACKENDS));
    let backends: Vec<_> = (0..BACKENDS)
        .map(|_| {
            let (scene, barrier) = (Arc::clone(&scene), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                for _ in 0..QUESTIONS {
                    let challenge = scene.challenge().await;
                    let decided = scene.server.client().get(format!("{challenge}?Wait=60")).await;
                    assert_eq!(decided.text("status"), "approved");
                }
            })
        })
        .collect();
    let mut events = scene.of_device().await;
    let mut answered = 0;
    while answered < BACKENDS * QUESTIONS {
        let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
        let event = event.expect("nothing is missed").unwrap();
        if event.name != "challenge.created" {
            continue;
        }
        let challenge = format!("{}/Challenges/{}", scene.user.path, event.id);
        answered += usize::from(approve(&scene, &challenge).await);
        if answered % 3 == 0 {
            events = scene.since(&challenge).await;
        }
    }
    for backend in backends {
        backend.await.unwrap();
    }
}

/// Whether the challenge was still to be answered.
async fn approve(scene: &Scene, challenge: &str) -> bool {
    let client: Client<'_> = scene.device.on(&scene.server);
    if client.get(challenge).await.text("status") != "pending" {
        return false;
    }
    scene
        .device
        .answer(&scene.server, challenge, "approved")
        .await
        .ok();
    true
}
