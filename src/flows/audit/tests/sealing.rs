//! Entries are sealed in time, of one account as of another.

use super::*;
use crate::store::Version;
use crate::store::counting::CountingStore;
use crate::store::memory::MemoryStore;

impl AuditWorld {
    /// In which versions the account's seals were written, in their order.
    async fn seals(&self) -> Vec<Version> {
        let seals = self.stored(keys::audit_seals(self.account).bytes()).await;
        seals.into_iter().map(|(_, seal)| seal.version).collect()
    }
}

/// What a round of the others takes is what each has to wait, however much one of them has.
#[tokio::test]
async fn an_account_with_many_entries_makes_no_other_wait() {
    let hostile = AuditWorld::new(AuditDetail::Decisions).await;
    let (first, second) = (hostile.another().await, hostile.another().await);
    let share = seal::MOST_TURNS * MOST_SEALED;
    for _ in 0..2 * seal::MOST_TURNS {
        hostile.flood(MOST_SEALED).await;
    }
    for quiet in [&first, &second] {
        quiet.flood(MOST_SEALED / 2).await;
    }
    hostile.clock.advance(SETTLED + Duration::from_secs(1));
    assert_eq!(round(&hostile.app).await, Ok(seal::Round::HasMore));
    let of_hostile = hostile.seals().await;
    assert_eq!(
        of_hostile.len(),
        seal::MOST_TURNS,
        "no more than its share of a round"
    );
    for quiet in [&first, &second] {
        let [sealed] = *quiet.seals().await else {
            panic!("one stretch");
        };
        assert!(
            sealed < of_hostile[1],
            "before the second of those that the other one has: {sealed:?}, {of_hostile:?}"
        );
    }
    // Meanwhile others come: they are not behind all that is left.
    second.flood(10).await;
    hostile.clock.advance(SETTLED);
    assert_eq!(round(&hostile.app).await, Ok(seal::Round::HasMore));
    assert_eq!(second.seals().await.len(), 2);
    while round(&hostile.app).await.unwrap() == seal::Round::HasMore {}
    let account_itself = 1;
    assert_eq!(
        hostile.verify().await,
        (2 * share as u64 + account_itself, 0, vec![])
    );
}

/// An account whose head is none that a server wrote keeps no other's entries from being sealed.
#[tokio::test]
async fn what_cannot_be_sealed_keeps_nothing_else_from_it() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    let other = world.another().await;
    world.seal().await;
    let head = keys::audit_head(world.account).into_bytes();
    let there = world.app.engine.get(&head).await.unwrap().unwrap();
    let forged = Batch::new().put(head, there.value[1..].to_vec());
    world.app.engine.commit(forged).await.unwrap();
    for quiet in [&world, &other] {
        quiet.flood(10).await;
    }
    for _ in 0..3 {
        world.clock.advance(SETTLED + Duration::from_secs(1));
        assert!(round(&world.app).await.is_err());
        assert_eq!((world.seals().await.len(), other.seals().await.len()), (1, 2));
    }
}

/// Entries of which none is left to be sealed are looked for no more.
#[tokio::test]
async fn who_has_nothing_to_seal_costs_nothing() {
    let parts = TestParts::default();
    let counted = Arc::new(CountingStore::new(MemoryStore::new()));
    let clock = Arc::new(ManualClock::new(parts.clock.now()));
    let parts = TestParts {
        store: counted.clone(),
        clock: clock.clone(),
        ..parts
    };
    let world = AuditWorld::on(parts.wire(), clock).await;
    let reads = || counted.take().reads();
    world.flood(10).await;
    reads();
    round(&world.app).await.unwrap();
    assert_eq!(reads(), 0, "nothing has settled");
    world.seal().await;
    assert!(reads() > 0);
    world.seal().await;
    assert_eq!(reads(), 0, "all is sealed");
}

/// Two servers that seal the same entries make one chain.
#[tokio::test]
async fn two_servers_seal_one_chain() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    world.fill(MOST_SEALED + 20).await;
    let other = TestParts::of(&world.app).wire();
    seal::note_all(&other).await.unwrap();
    world.clock.advance(SETTLED * 2);
    let all = async |app| while round(app).await.unwrap() == seal::Round::HasMore {};
    tokio::join!(all(&world.app), all(&other));
    assert_eq!(world.verify().await, (MOST_SEALED as u64 + 21, 0, vec![]));
}
