//! Whoever changes the log is found out.

use std::collections::BTreeSet;

use super::*;
use crate::flows::sweep;
use crate::store::Store as _;
use crate::store::memory::MemoryStore;

/// SECURITY.md, row 35: one row that is deleted or edited is found. So is each other way to change what was written.
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

/// A long log is followed in parts, while seals and entries of it go because they are old.
#[tokio::test]
async fn a_chain_whose_beginning_goes_while_it_is_followed_has_no_gap() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    let seals = 3 * verify::SEALS_AT_ONCE;
    let first = world.app.clock.now();
    for _ in 0..seals {
        world.flood(3).await;
        world.clock.advance(Duration::from_hours(1));
        world.seal().await;
    }
    let retention = world.app.policy.audit_retention;
    let part = async |position| follow(&world.app, world.account, position).await.unwrap();
    for hours in [5_u32, 15, 25, 35] {
        let mut position = part(ChainPosition::default()).await.position;
        assert_eq!(position.seal.unwrap().0, verify::SEALS_AT_ONCE as u64);
        // Behind what was followed seals go, and in the end all of them.
        let over = first + retention + Duration::from_hours(1) * (hours + 10);
        let aside = AuditWorld {
            app: copy_of(&world, over).await,
            clock: Arc::clone(&world.clock),
            account: world.account,
            token: world.token.clone(),
        };
        while sweep::round(&aside.app).await.unwrap() > 0 {}
        loop {
            let part = follow(&aside.app, world.account, position).await.unwrap();
            assert_eq!(part.problems, [""; 0], "{hours}");
            position = part.position;
            if part.is_last {
                break;
            }
        }
    }
}

/// A server of a later time, on a copy of all that is stored.
async fn copy_of(world: &AuditWorld, now: Timestamp) -> App {
    let store = MemoryStore::new();
    let everything = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let all = world.app.engine.scan(everything).await.unwrap();
    let put = |batch: Batch,
               (
        key,
        Entry {
            value, expires_at, ..
        },
    )| match expires_at {
        Some(end) => batch.put_until(key, value, end),
        None => batch.put(key, value),
    };
    store
        .commit(all.into_iter().fold(Batch::new(), put))
        .await
        .unwrap();
    let parts = TestParts {
        store: Arc::new(store),
        clock: Arc::new(ManualClock::new(now)),
        ..TestParts::of(&world.app)
    };
    parts.wire()
}

/// Verifying comes to an end also where a whole stretch is missing and enough others are behind it.
#[tokio::test]
async fn a_stretch_that_is_gone_is_found_before_a_long_rest() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    for _ in 0..3 {
        world.flood(MOST_SEALED).await;
        world.seal().await;
    }
    let entries = world.stored(keys::audit_entries(world.account).bytes()).await;
    let of_first = entries[..MOST_SEALED].iter();
    let gone = of_first.fold(Batch::new(), |batch, (key, _)| batch.delete(key.clone()));
    world.write(gone).await;
    let (_, _, problems) = world.verify().await;
    assert!(
        matches!(&*problems, [one] if one.contains("0 are there, 500 were sealed")),
        "{problems:?}"
    );
}

/// What nobody has sealed may be much: it is counted in parts, too.
#[tokio::test]
async fn entries_that_are_not_sealed_are_counted_in_parts() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    world.seal().await;
    let count = (verify::SEALS_AT_ONCE + 2) * MOST_SEALED;
    world.flood(count).await;
    let first = follow(&world.app, world.account, ChainPosition::default())
        .await
        .unwrap();
    assert!(!first.is_last);
    assert_eq!(first.unsealed, (verify::SEALS_AT_ONCE * MOST_SEALED) as u64);
    assert_eq!(world.verify().await, (1, count as u64, vec![]));
    world.clock.advance(SETTLED * 61);
    let (_, unsealed, problems) = world.verify().await;
    assert_eq!(unsealed, count as u64);
    assert!(
        matches!(&*problems, [one] if one.contains("does a server run")),
        "{problems:?}"
    );
}
