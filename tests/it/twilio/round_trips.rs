//! How often a request asks the store. Each time is a round trip when a network lies between.
//!
//! All of a request is counted, the authentication, too: what an operation is going to need is read together with the
//! account, as far as the request names it. A device is looked up first, and so is an API key.

use std::sync::Arc;

use countersign::app::Policy;
use countersign::domain::fraud::settings::Settings;
use countersign::domain::price::{Currency, Price};
use countersign::store::counting::{CountingStore, RoundTrips};
use countersign::store::memory::MemoryStore;

use crate::support::messages::another_code;
use crate::support::world::answer;
use crate::support::{Client, Service, TestApp, User, wrong_code};

struct Counted {
    store: Arc<CountingStore<MemoryStore>>,
    server: TestApp,
}

impl Counted {
    async fn new() -> Self {
        Self::with(crate::doubles::policy()).await
    }

    async fn with(policy: Policy) -> Self {
        let store = Arc::new(CountingStore::new(MemoryStore::new()));
        let server = TestApp::with(store.clone(), policy).await;
        Self { store, server }
    }

    /// How many times it read, one way or another, and committed since the last call.
    fn reads_and_commits(&self) -> (usize, usize) {
        let trips = self.store.take();
        let RoundTrips { commit, .. } = trips;
        (trips.reads(), commit)
    }
}

#[tokio::test]
async fn a_code_on_creation_takes_two_reads_and_a_commit() {
    let counted = Counted::new().await;
    let (server, client) = (&counted.server, counted.server.client());
    let totp = User::create(&client).await.totp(server, &client).await;
    counted.reads_and_commits();
    for code in [wrong_code(server, &totp.app, 0), totp.app.code(server)] {
        totp.check(&client, &code).await.ok();
        // The account, the service and the entity; the factor.
        assert_eq!(counted.reads_and_commits(), (2, 1));
    }
    let key = server.api_key().await;
    server.wait(30);
    counted.reads_and_commits();
    totp.check(&server.client_of(&key), &totp.app.code(server))
        .await
        .ok();
    assert_eq!(
        counted.reads_and_commits(),
        (1 + 2, 1),
        "whose key it is comes first"
    );
}

#[tokio::test]
async fn a_code_that_verifies_a_factor_takes_two_reads_and_a_commit() {
    let counted = Counted::new().await;
    let (server, client) = (&counted.server, counted.server.client());
    let user = User::create(&client).await;
    counted.reads_and_commits();
    let totp = user.unverified_totp(&client, "app", &[]).await;
    // The account with the service and the entity; the factors that there are.
    assert_eq!(counted.reads_and_commits(), (2, 1));
    for code in [wrong_code(server, &totp.app, 0), totp.app.code(server)] {
        totp.verify(&client, &code).await.ok();
        assert_eq!(counted.reads_and_commits(), (2, 1));
    }
}

/// Which factor it is about only the challenge says, so an account needs one read more than a device.
#[tokio::test]
async fn an_accounts_answer_takes_three_reads_and_a_commit() {
    let counted = Counted::new().await;
    let (server, client) = (&counted.server, counted.server.client());
    let totp = User::create(&client).await.totp(server, &client).await;
    let challenge = totp.challenge(&client).await;
    counted.reads_and_commits();
    for code in [wrong_code(server, &totp.app, 0), totp.app.code(server)] {
        answer(&client, &challenge, &code).await.ok();
        assert_eq!(counted.reads_and_commits(), (3, 1));
    }
}

/// However many challenges wait already: what became of them is read together.
#[tokio::test]
async fn a_push_takes_three_reads_and_a_commit_and_a_devices_answer_two() {
    let counted = Counted::new().await;
    let (server, client) = (&counted.server, counted.server.client());
    let user = User::create(&client).await;
    let device = user.device(server, &client).await;
    let mut challenges = Vec::new();
    counted.reads_and_commits();
    for remembered in [false, true, true, true] {
        challenges.push(user.push_challenge(&client, &device).await);
        assert_eq!(counted.reads_and_commits(), (2 + usize::from(remembered), 1));
    }
    for (challenge, status) in challenges.iter().zip(["approved", "denied"]) {
        let signed = device.signed(server, challenge, status).await;
        counted.reads_and_commits();
        answer(&device.on(server), challenge, &signed).await.ok();
        // The device; its account, service, entity and factor with the challenge.
        assert_eq!(counted.reads_and_commits(), (2, 1));
    }
}

/// Waiting, one look at what a fetch would answer is all that an answer takes that is there already.
#[tokio::test]
async fn a_wait_that_is_over_at_once_reads_what_a_fetch_reads() {
    let counted = Counted::new().await;
    let (server, client) = (&counted.server, counted.server.client());
    let totp = User::create(&client).await.totp(server, &client).await;
    let challenge = totp.challenge(&client).await;
    answer(&client, &challenge, &totp.app.code(server)).await.ok();
    for query in ["", "?Wait=5"] {
        counted.reads_and_commits();
        client.get(format!("{challenge}{query}")).await.ok();
        assert_eq!(counted.reads_and_commits(), (2, 0), "{query}");
    }
}

/// All guards against toll fraud.
fn guarded() -> Policy {
    let mut policy = crate::doubles::policy();
    policy.toll_fraud = Settings {
        country_per_day: Some(100),
        service_per_day: Some(100),
        spend_per_day: Some(Price {
            micros: 1_000_000,
            currency: Currency::parse("eur").unwrap(),
        }),
        ..Settings::default()
    };
    policy
}

/// Starts a verification of `to`, with a value for a rate limit if there is one.
async fn start(client: &Client<'_>, service: &Service, to: &str, limit: Option<&str>) -> String {
    let channel = if to.contains('@') { "email" } else { "sms" };
    let mut form = vec![("To", to), ("Channel", channel)];
    let values = limit.map(|name| format!("{{\"{name}\": \"s-1\"}}"));
    form.extend(values.as_deref().map(|values| ("RateLimits", values)));
    let path = format!("{}/Verifications", service.path);
    client.post(&path, &form).await.text("sid")
}

/// The account with the service and all that is known of the destination; the verification that waits; the rate limits;
/// budgets of which this process has nothing at hand.
#[tokio::test]
async fn a_start_takes_four_reads_at_the_most_and_a_commit() {
    for (to, reads) in [("+4915112345678", [2, 3, 4]), ("ada@example.com", [2, 3, 4])] {
        let counted = Counted::with(guarded()).await;
        let client = counted.server.client();
        let service = Service::create(&client).await;
        let limits = format!("{}/RateLimits", service.path);
        let limit = client
            .post(&limits, &[("UniqueName", "session")])
            .await
            .text("sid");
        let buckets = format!("{limits}/{limit}/Buckets");
        client
            .post(&buckets, &[("Max", "100"), ("Interval", "60")])
            .await
            .ok();
        for (nth, limit) in [None, None, Some("session")].into_iter().enumerate() {
            counted.reads_and_commits();
            start(&client, &service, to, limit).await;
            assert_eq!(counted.reads_and_commits(), (reads[nth], 1), "{to}, {nth}");
        }
    }
}

#[tokio::test]
async fn a_check_takes_three_reads_at_the_most_and_a_commit() {
    for to in ["+4915112345678", "ada@example.com"] {
        let counted = Counted::with(guarded()).await;
        let client = counted.server.client();
        let service = Service::create(&client).await;
        let sid = start(&client, &service, to, None).await;
        let code = counted.server.message_code(&sid).await;
        let path = format!("{}/VerificationCheck", service.path);
        let wrong = another_code(&code);
        // By its SID the verification is read with the account, by where its code went it is only named there.
        for (name, value, given, reads) in [
            ("VerificationSid", sid.as_str(), &wrong, 2),
            ("To", to, &wrong, 3),
            ("To", to, &code, 3),
        ] {
            counted.reads_and_commits();
            client.post(&path, &[(name, value), ("Code", given)]).await.ok();
            assert_eq!(counted.reads_and_commits(), (reads, 1), "{to} {name}");
        }
    }
}

#[tokio::test]
async fn a_verification_is_shown_after_three_reads() {
    let counted = Counted::new().await;
    let client = counted.server.client();
    let service = Service::create(&client).await;
    let sid = start(&client, &service, "+4915112345678", None).await;
    let path = format!("{}/Verifications/{sid}", service.path);
    counted.reads_and_commits();
    client.get(&path).await.ok();
    // The third tells until when no code for its destination is looked at, which the second names.
    assert_eq!(counted.reads_and_commits(), (3, 0));
    client.post(&path, &[("Status", "canceled")]).await.ok();
    assert_eq!(counted.reads_and_commits(), (2, 1));
}

/// Nobody learns from the time which devices there are: a signature is looked at in any case, and no more is read until it
/// holds.
#[tokio::test]
async fn an_unknown_device_is_looked_for_as_a_known_one_is() {
    let counted = Counted::new().await;
    let (server, client) = (&counted.server, counted.server.client());
    let user = User::create(&client).await;
    let device = user.device(server, &client).await;
    let thief = device.imitated();
    let mut unknown = device.imitated();
    unknown.credential = "CR0123456789abcdef0123456789abcdef".into();
    for imitation in [thief, unknown] {
        counted.reads_and_commits();
        imitation.on(server).get(device.path()).await.refused(401, 20003);
        assert_eq!(counted.reads_and_commits(), (1, 0));
    }
}
