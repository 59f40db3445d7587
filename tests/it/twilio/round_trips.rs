//! How often a request asks the store. Each time is a round trip when a network lies between.
//!
//! All of a request is counted: an account's authentication is one read, a device's are two.

use std::sync::Arc;

use countersign::store::counting::{CountingStore, RoundTrips};
use countersign::store::memory::MemoryStore;

use crate::support::world::answer;
use crate::support::{TestApp, User, wrong_code};

struct Counted {
    store: Arc<CountingStore<MemoryStore>>,
    server: TestApp,
}

impl Counted {
    async fn new() -> Self {
        let store = Arc::new(CountingStore::new(MemoryStore::new()));
        let server = TestApp::on(store.clone()).await;
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
async fn a_code_on_creation_takes_two_reads_and_a_commit_besides_the_accounts() {
    let counted = Counted::new().await;
    let (server, client) = (&counted.server, counted.server.client());
    let totp = User::create(&client).await.totp(server, &client).await;
    counted.reads_and_commits();
    for code in [wrong_code(server, &totp.app, 0), totp.app.code(server)] {
        totp.check(&client, &code).await.ok();
        assert_eq!(counted.reads_and_commits(), (1 + 2, 1));
    }
}

#[tokio::test]
async fn a_code_that_verifies_a_factor_takes_two_reads_and_a_commit() {
    let counted = Counted::new().await;
    let (server, client) = (&counted.server, counted.server.client());
    let user = User::create(&client).await;
    counted.reads_and_commits();
    let totp = user.unverified_totp(&client, "app", &[]).await;
    // The service with the entity, the factors that there are, and all that is new.
    assert_eq!(counted.reads_and_commits(), (1 + 2, 1));
    for code in [wrong_code(server, &totp.app, 0), totp.app.code(server)] {
        totp.verify(&client, &code).await.ok();
        assert_eq!(counted.reads_and_commits(), (1 + 2, 1));
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
        assert_eq!(counted.reads_and_commits(), (1 + 3, 1));
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
        assert_eq!(counted.reads_and_commits(), (1 + 2 + usize::from(remembered), 1));
    }
    for (challenge, status) in challenges.iter().zip(["approved", "denied"]) {
        let signed = device.signed(server, challenge, status).await;
        counted.reads_and_commits();
        answer(&device.on(server), challenge, &signed).await.ok();
        assert_eq!(counted.reads_and_commits(), (2 + 2, 1));
    }
}
