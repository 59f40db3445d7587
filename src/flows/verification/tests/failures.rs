//! A store that fails: refused, never unlimited; and what a restart leaves.

use super::*;
use crate::flows::Fault;
use crate::store::faulty::FaultyStore;
use crate::store::sled::{Options, SledStore};

#[tokio::test]
async fn a_store_that_fails_checks_nothing() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let world = World::on(store.clone()).await;
    let verification = world.start(&to_ada()).await.unwrap();
    let right = world.code(&verification);
    let which = VerificationName::Sid(verification.sid);
    store.fail_commits(true);
    for code in [wrong(&right, 0), right.clone()] {
        let answer = world.check(&which, &code).await;
        assert!(
            matches!(answer, Err(Error::Failed(Fault::Unavailable(_)))),
            "{answer:?}"
        );
    }
    assert!(matches!(
        world.start(&to_ada()).await,
        Err(Error::Failed(Fault::Unavailable(_)))
    ));
    store.fail_commits(false);
    store.fail_reads(true);
    let answer = world.check(&which, &right).await;
    assert!(
        matches!(answer, Err(Error::Failed(Fault::Unavailable(_)))),
        "{answer:?}"
    );
    store.fail_reads(false);
    assert_eq!(failures(&world.fetch(&which).await.unwrap()), 0);
    world.check(&which, &right).await.unwrap();
}

/// Wherever a flow fails, it has done all or nothing: a wrong code is counted for the verification and for the destination,
/// and the right one after it is still accepted once.
#[tokio::test]
async fn wherever_it_fails_both_counts_agree() {
    for succeeding in 0..12 {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let world = World::on(store.clone()).await;
        let verification = world.start(&to_ada()).await.unwrap();
        let right = world.code(&verification);
        let which = VerificationName::Sid(verification.sid);
        store.fail_after(succeeding);
        let answer = world.check(&which, &wrong(&right, 0)).await;
        store.fail_after(u64::MAX);
        let counted = failures(&world.fetch(&which).await.unwrap());
        assert_eq!(counted, u32::from(answer.is_ok()));
        assert_eq!(world.wrong_codes(&ada()).await.failures.count(), counted);
        world.check(&which, &right).await.unwrap();
        assert_eq!(refused(world.check(&which, &right).await), Refusal::NotFound);
    }
}

#[tokio::test]
async fn counts_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let options = Options {
            cache_bytes: 8 * 1024 * 1024,
            ..Options::new(directory.path())
        };
        Arc::new(SledStore::open(&options).unwrap())
    };
    let store = open();
    let mut world = World::on(store.clone()).await;
    let verification = world.start(&to_ada()).await.unwrap();
    let right = world.code(&verification);
    let which = VerificationName::Sid(verification.sid);
    for nth in 0..4 {
        world.check(&which, &wrong(&right, nth)).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    // The one that is open lets go first.
    let nowhere = TestParts {
        store: Arc::new(MemoryStore::new()),
        ..TestParts::of(&world.app)
    };
    world.app = nowhere.wire();
    let opened = TestParts {
        store: open(),
        ..TestParts::of(&world.app)
    };
    world.app = opened.wire();
    world.check(&which, &wrong(&right, 4)).await.unwrap();
    let refusal = refused(world.check(&which, &right).await);
    assert!(matches!(refusal, Refusal::TooManyChecks { .. }));
    assert_eq!(world.wrong_codes(&ada()).await.failures.count(), 5);
}
