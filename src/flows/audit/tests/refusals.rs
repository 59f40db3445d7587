//! Whoever is refused or not let in is told of, up to a bound.

use super::super::left_out::record_left_out;
use super::super::strangers::record_strangers;
use super::*;
use crate::domain::sid::ServiceSid;
use crate::flows::reading::Foreseen;
use crate::memory::audit::{MOST_AT_ONCE, MOST_PER_HOUR};

/// Until one more refusal may be written.
const UNTIL_NEXT: Duration = Duration::from_millis(3_600_000 / MOST_PER_HOUR as u64);

impl AuditWorld {
    /// Is refused, so that nothing is committed.
    async fn be_refused(&self) {
        let no_service = EntityName {
            service: ServiceSid::from_bytes([9; 16]),
            identity: Identity::parse("user-0001").unwrap(),
        };
        give(self, &no_service, FactorSid::from_bytes([9; 16]), "123456").await;
    }

    /// How many refusals are written, and how many more these tell of.
    async fn refusals(&self) -> (usize, u32) {
        let entries = self.entries().await;
        let of_server = |entry: &&AuditEntry| entry.author == Author::Server;
        let refused = entries
            .iter()
            .filter(|entry| entry.outcome() == AuditOutcome::Refused);
        let told = refused.clone().map(|entry| entry.unwritten).sum();
        (refused.filter(|entry| !of_server(entry)).count(), told)
    }
}

/// For two hours at twice the limit; what is decided and what somebody sets up is written whatever else is refused.
#[tokio::test]
async fn refusals_are_written_up_to_a_bound_in_the_long_run_and_none_goes_untold() {
    let hostile = AuditWorld::new(AuditDetail::Decisions).await;
    let other = hostile.another().await;
    let (name, factor, _) = enrolled(&hostile).await;
    let count = 2 * MOST_PER_HOUR * 2;
    for number in 0..count {
        hostile.be_refused().await;
        if number % 200 == 0 {
            other.be_refused().await;
        }
        hostile.clock.advance(UNTIL_NEXT / 2);
        if number % 7 == 0 {
            record_left_out(&hostile.app).await;
        }
    }
    let (written, told) = hostile.refusals().await;
    assert!(
        written <= (2 * MOST_PER_HOUR + MOST_AT_ONCE) as usize,
        "{written}"
    );
    assert!(written >= 2 * MOST_PER_HOUR as usize, "{written}");
    let entries = hostile.entries().await.len();
    assert!(
        entries <= (2 * MOST_PER_HOUR + MOST_AT_ONCE + 10) as usize,
        "{entries}"
    );
    hostile.clock.advance(2 * UNTIL_NEXT);
    record_left_out(&hostile.app).await;
    let (_, after) = hostile.refusals().await;
    assert_eq!(
        written + after as usize,
        count as usize,
        "{told} were told of before the end"
    );
    assert_eq!(
        other.refusals().await,
        (count as usize / 200, 0),
        "the other one's are all there"
    );

    for _ in 0..2 * MOST_AT_ONCE {
        hostile.be_refused().await;
    }
    let full = hostile.entries().await.len();
    hostile.be_refused().await;
    assert_eq!(hostile.entries().await.len(), full);
    give(&hostile, &name, factor, "000000").await;
    let _service = hostile
        .request(Box::pin(service::create(
            &hostile.app,
            hostile.account,
            ServiceName::parse("Shop 2").unwrap(),
            ServiceChanges::default(),
        )))
        .await
        .unwrap();
    let last = hostile.entries().await.split_off(full);
    let outcomes: Vec<_> = last.iter().map(AuditEntry::outcome).collect();
    assert_eq!(outcomes, [AuditOutcome::Refused, AuditOutcome::Done], "{last:#?}");
}

/// A process that ends forgets what it has counted.
#[tokio::test]
async fn what_was_only_counted_is_told_at_the_end() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    for _ in 0..MOST_AT_ONCE + 5 {
        world.be_refused().await;
    }
    record_left_out(&world.app).await;
    assert_eq!(world.refusals().await, (MOST_AT_ONCE as usize, 0));
    seal::tell_the_rest(&world.app).await;
    assert_eq!(world.refusals().await, (MOST_AT_ONCE as usize, 5));
    seal::tell_the_rest(&world.app).await;
    assert_eq!(world.refusals().await, (MOST_AT_ONCE as usize, 5));
}

/// Whoever is refused must not fill the disk with it, nor learn which accounts there are.
#[tokio::test]
async fn refusals_are_written_up_to_a_bound_and_strangers_once_in_a_while() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    let before = world.entries().await.len();
    for _ in 0..MOST_AT_ONCE + 7 {
        world.be_refused().await;
    }
    assert_eq!(world.entries().await.len(), before + MOST_AT_ONCE as usize);
    world.clock.advance(UNTIL_NEXT);
    world.be_refused().await;
    assert_eq!(world.entries().await.last().unwrap().unwritten, 7);

    let count = world.entries().await.len();
    let (ours, nobodys) = (
        world.account.to_string(),
        AccountSid::from_bytes([9; 16]).to_string(),
    );
    for (user, password) in [
        (&ours, "wrong"),
        (&ours, "wrong again"),
        (&ours, world.token.as_str()),
        (&nobodys, "wrong"),
    ] {
        let request = AuditRequest {
            id: [8; 16],
            dialect: "example".to_owned(),
            address: "192.0.2.9".to_owned(),
            agent: Some("x".to_owned()),
        };
        let asked = access::authenticate(&world.app, user, password, |_| Foreseen::default());
        let _outcome = within(AuditScope::of_request(request), asked).await;
    }
    assert_eq!(
        world.entries().await.len(),
        count,
        "nobody waits for it to be written"
    );
    record_strangers(&world.app).await;
    record_strangers(&world.app).await;
    let entries = world.entries().await;
    assert_eq!(entries.len(), count + 1);
    let last = entries.last().unwrap();
    assert_eq!(
        (&last.author, last.unwritten, last.outcome()),
        (&Author::Unknown, 1, AuditOutcome::Refused)
    );
    assert_eq!(last.request.as_ref().unwrap().address, "192.0.2.9");
    // Whoever names an account that there is not is told of beside all accounts.
    let found = page(
        &world.app,
        NOBODY,
        &AuditFilter::default(),
        Order::Ascending,
        None,
        10,
    )
    .await;
    let [(_, entry)] = &*found.unwrap().entries else {
        panic!("one entry");
    };
    assert_eq!((&entry.author, entry.unwritten), (&Author::Unknown, 0));
}
