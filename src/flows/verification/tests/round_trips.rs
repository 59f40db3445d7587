//! How often the flows ask the store: each time is a round trip to an engine across a network.

use super::*;
use crate::domain::price::{Currency, Price};
use crate::domain::rate_limit::{BucketInterval, BucketMax};
use crate::domain::text::UniqueName;
use crate::flows::rate_limit::{self, NewRateLimit, bucket};
use crate::store::counting::{CountingStore, RoundTrips};

/// A server with all guards against toll fraud, and what counts how often it asks its store.
struct CountingWorld {
    world: World,
    store: Arc<CountingStore<MemoryStore>>,
}

impl CountingWorld {
    async fn new() -> Self {
        let store = Arc::new(CountingStore::new(MemoryStore::new()));
        let mut world = World::on(store.clone()).await;
        world.app.policy.toll_fraud = Settings {
            country_per_day: Some(100),
            service_per_day: Some(100),
            spend_per_day: Some(Price {
                micros: 1_000_000,
                currency: Currency::parse("eur").unwrap(),
            }),
            ..Settings::default()
        };
        Self { world, store }
    }

    /// How many reads and how many commits `work` takes.
    async fn count<T>(&self, work: impl Future<Output = T>) -> (T, usize, usize) {
        self.store.take();
        let done = work.await;
        let trips: RoundTrips = self.store.take();
        (done, trips.reads(), trips.commit)
    }

    async fn limit(&self, name: &str) {
        let (app, account, service) = (&self.world.app, self.world.account, self.world.service);
        let new = NewRateLimit {
            unique_name: UniqueName::parse(name).unwrap(),
            description: None,
        };
        let limit = rate_limit::create(app, account, service, new).await.unwrap();
        let (max, interval) = (BucketMax::parse(100).unwrap(), BucketInterval::parse(60).unwrap());
        bucket::create(app, account, service, limit.sid, max, interval)
            .await
            .unwrap();
    }
}

/// From a device, with a value for each of two rate limits.
fn with_everything() -> NewVerification {
    let pairs = [("session", "s-1"), ("address", "a-1")];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    NewVerification {
        content: Content {
            device_ip: Some("203.0.113.7".parse().unwrap()),
            ..Content::default()
        },
        rate_limits: Attributes::new(pairs.to_vec()).unwrap(),
        ..to_ada()
    }
}

#[tokio::test]
async fn a_start_reads_four_times_at_the_most_and_commits_once() {
    let counted = CountingWorld::new().await;
    let (first, reads, commits) = counted.count(Box::pin(counted.world.start(&to_ada()))).await;
    first.unwrap();
    assert_eq!((reads, commits), (2, 1), "service and destination; budgets");
    let (again, reads, commits) = counted.count(Box::pin(counted.world.start(&to_ada()))).await;
    again.unwrap();
    assert_eq!((reads, commits), (3, 1), "and the verification that waits");
    for name in ["session", "address"] {
        counted.limit(name).await;
    }
    let (limited, reads, commits) = counted
        .count(Box::pin(counted.world.start(&with_everything())))
        .await;
    limited.unwrap();
    assert_eq!((reads, commits), (4, 1), "and the rate limits");
}

#[tokio::test]
async fn a_check_reads_three_times_at_the_most_and_commits_once() {
    let counted = CountingWorld::new().await;
    let world = &counted.world;
    let verification = world.start(&to_ada()).await.unwrap();
    let right = world.code(&verification);
    for (which, expected) in [
        (VerificationName::Sid(verification.sid), 2),
        (VerificationName::To(ada()), 3),
    ] {
        let (checked, reads, commits) = counted
            .count(Box::pin(world.check(&which, &wrong(&right, 0))))
            .await;
        checked.unwrap();
        assert_eq!((reads, commits), (expected, 1), "a wrong code, {which:?}");
    }
    let (checked, reads, commits) = counted
        .count(Box::pin(world.check(&VerificationName::To(ada()), &right)))
        .await;
    assert_eq!(
        checked.unwrap().status(world.app.clock.now()),
        VerificationStatus::Approved
    );
    assert_eq!((reads, commits), (3, 1), "with the attempt that brought the code");
}

#[tokio::test]
async fn a_fetch_reads_twice() {
    let counted = CountingWorld::new().await;
    let sid = counted.world.start(&to_ada()).await.unwrap().sid;
    let (found, reads, commits) = counted
        .count(counted.world.fetch(&VerificationName::Sid(sid)))
        .await;
    found.unwrap();
    assert_eq!((reads, commits), (2, 0));
}
