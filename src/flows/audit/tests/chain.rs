//! Whoever changes the log is found out.

use std::collections::BTreeSet;

use super::*;
use crate::flows::sweep;

/// Each way to change what was written, and each is found.
#[tokio::test]
async fn deleting_editing_and_reordering_are_found() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    world.fill(MOST_SEALED + 50).await;
    assert_eq!(world.verify().await, (0, MOST_SEALED as u64 + 51, vec![]));
    world.seal().await;
    world.fill(30).await;
    world.seal().await;
    world.fill(5).await;
    let whole = (MOST_SEALED as u64 + 81, 5, vec![]);
    assert_eq!(world.verify().await, whole);

    let entries = world.stored(keys::audit_entries(world.account).bytes()).await;
    let seals = world.stored(keys::audit_seals(world.account).bytes()).await;
    let head = keys::audit_head(world.account).into_bytes();
    assert_eq!((entries.len(), seals.len()), (MOST_SEALED + 86, 3));
    let mut found = BTreeSet::new();
    for number in [0, 2, MOST_SEALED - 1, MOST_SEALED, MOST_SEALED + 80] {
        let (key, entry) = &entries[number];
        world.delete(key).await;
        found.insert(world.verify().await.2.join("; "));
        let (other_key, other) = &entries[(number + 7) % MOST_SEALED];
        // Another one in its place, and the two the other way round.
        world.put(key, other).await;
        found.insert(world.verify().await.2.join("; "));
        world.put(other_key, entry).await;
        found.insert(world.verify().await.2.join("; "));
        world.put(other_key, other).await;
        world.put(key, entry).await;
        // One more between them.
        let mut between = key.clone();
        let last = between.len() - 8;
        let before = u64::from_be_bytes(between[last..].try_into().unwrap()) - 1;
        between[last..].copy_from_slice(&before.to_be_bytes());
        world.put(&between, entry).await;
        found.insert(world.verify().await.2.join("; "));
        world.delete(&between).await;
        assert_eq!(world.verify().await, whole);
    }
    assert!(!found.contains(""), "{found:#?}");
    for number in 0..seals.len() {
        let (key, seal) = &seals[number];
        world.delete(key).await;
        assert!(!world.verify().await.2.is_empty(), "seal {number} is missing");
        world.put(key, &seals[(number + 1) % seals.len()].1).await;
        assert!(!world.verify().await.2.is_empty(), "seal {number} is another");
        world.put(key, seal).await;
    }
    // The end of the chain cut off: the last seal with its entries and all behind it.
    let (key, seal) = &seals[2];
    world.delete(key).await;
    for (key, _) in &entries[MOST_SEALED + 51..] {
        world.delete(key).await;
    }
    assert!(!world.verify().await.2.is_empty());
    for (key, entry) in &entries {
        world.put(key, entry).await;
    }
    world.put(key, seal).await;
    assert_eq!(world.verify().await, whole);
    let kept = world.app.store.get(&head).await.unwrap().unwrap();
    world.delete(&head).await;
    assert!(!world.verify().await.2.is_empty());
    world.write(Batch::new().put(head, kept.value)).await;
    assert_eq!(world.verify().await, whole);
}

/// What ends by age is no gap, and what is taken away before is one.
#[tokio::test]
async fn what_was_kept_long_enough_goes_without_a_gap() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    for _ in 0..3 {
        world.fill(40).await;
        world.seal().await;
        world.clock.advance(Duration::from_hours(24));
    }
    let retention = world.app.policy.audit_retention;
    world
        .clock
        .advance(retention.checked_sub(Duration::from_hours(60)).unwrap());
    while sweep::round(&world.app).await.unwrap() > 0 {}
    let (entries, unsealed, problems) = world.verify().await;
    assert_eq!((entries, unsealed, problems), (80, 0, vec![]));
    let seals = world.stored(keys::audit_seals(world.account).bytes()).await;
    assert_eq!(seals.len(), 2);
    world.delete(&seals[0].0).await;
    for (key, _) in &world.stored(keys::audit_entries(world.account).bytes()).await[..40] {
        world.delete(key).await;
    }
    let (_, _, problems) = world.verify().await;
    assert!(problems[0].contains("not to be reclaimed yet"), "{problems:?}");
    world.clock.advance(retention);
    while sweep::round(&world.app).await.unwrap() > 0 {}
    assert_eq!(world.verify().await, (0, 0, vec![]));
}

/// A clock that was ahead and was set right makes entries that come before those that are sealed: they are put behind them.
#[tokio::test]
async fn entries_after_a_clock_was_set_back_stand_behind_what_is_sealed() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    world.clock.advance(Duration::from_hours(5));
    world.fill(10).await;
    world.seal().await;
    let back = world.app.clock.now().before(Duration::from_hours(5));
    let parts = TestParts {
        clock: Arc::new(ManualClock::new(back)),
        ..TestParts::of(&world.app)
    };
    let after = AuditWorld {
        app: parts.wire(),
        clock: Arc::new(ManualClock::new(back)),
        account: world.account,
        token: world.token.clone(),
    };
    seal::note_all(&after.app).await.unwrap();
    after.fill(3).await;
    assert_eq!(after.verify().await, (11, 3, vec![]));
}
