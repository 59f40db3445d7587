//! Two nodes on one store whose clocks differ: what one did a moment ahead of the other's time holds on the other, too.

use super::*;
use crate::domain::time::CLOCKS_APART;
use crate::domain::verification::Uniqueness;
use crate::domain::verification::tests::samples::{planned, waits_by_channel};

/// Another node on the store of `world`, whose clock is so far behind.
fn behind(world: &World, by: Duration) -> World {
    let clock = Arc::new(ManualClock::new(world.app.clock.now().before(by)));
    let parts = TestParts {
        clock: clock.clone(),
        ..TestParts::of(&world.app)
    };
    World {
        app: parts.wire(),
        clock,
        ..world.clone()
    }
}

/// What is between two nodes' clocks at the most, and a part of it.
const APART: [Duration; 2] = [Duration::from_secs(3), CLOCKS_APART];

#[tokio::test]
async fn a_node_that_is_behind_gives_no_guess_between_two_delays() {
    for apart in APART {
        let ahead = World::new().await;
        let behind = behind(&ahead, apart);
        for _ in 0..2 {
            let verification = ahead.start(&to_ada()).await.unwrap();
            for nth in 0..5 {
                let code = wrong(&ahead.code(&verification), nth);
                ahead.check(&VerificationName::To(ada()), &code).await.unwrap();
            }
            ahead.wait(600);
            behind.wait(600);
        }
        let third = ahead.start(&to_ada()).await.unwrap();
        let which = VerificationName::Sid(third.sid);
        let code = wrong(&ahead.code(&third), 0);
        ahead.check(&which, &code).await.unwrap();
        let row = ahead.wrong_codes(&ada()).await.failures;
        let right = behind.code(&third);
        let refusal = refused(behind.check(&which, &right).await);
        let retry_after = Duration::from_mins(1) + apart;
        assert_eq!(refusal, Refusal::DestinationLocked { retry_after });
        // The eleventh was at the same moment for both, so both wait for the same one.
        behind.clock.advance(retry_after);
        ahead.clock.advance(retry_after);
        behind.check(&which, &code).await.unwrap();
        let refusal = refused(ahead.check(&which, &right).await);
        let retry_after = Duration::from_mins(2).saturating_sub(apart);
        assert_eq!(refusal, Refusal::DestinationLocked { retry_after });
        let after = ahead.wrong_codes(&ada()).await.failures;
        assert_eq!((row.count(), after.count()), (11, 12));
    }
}

#[tokio::test]
async fn a_node_that_is_behind_sends_nothing_sooner() {
    let policy = CodePolicy {
        uniqueness: Uniqueness::ReturnExisting,
        ..waits_by_channel()
    };
    for apart in APART {
        let ahead = World::new().await;
        let behind = behind(&ahead, apart);
        let new = wanted(ada(), policy.clone());
        ahead.start(&new).await.unwrap();
        let retry_after = Duration::from_mins(1) + apart;
        let refusal = refused(behind.start(&new).await);
        assert_eq!(refusal, Refusal::TooSoon { retry_after });
        behind.clock.advance(retry_after);
        behind.start(&new).await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_is_behind_checks_nothing_sooner() {
    for apart in APART {
        let ahead = World::new().await;
        let behind = behind(&ahead, apart);
        let verification = ahead.start(&wanted(ada(), waits_by_channel())).await.unwrap();
        let which = VerificationName::Sid(verification.sid);
        let right = ahead.code(&verification);
        for nth in 0..3 {
            ahead.check(&which, &wrong(&right, nth)).await.unwrap();
        }
        let retry_after = Duration::from_mins(1) + apart;
        let refusal = refused(behind.check(&which, &right).await);
        assert_eq!(refusal, Refusal::TooSoon { retry_after });
        behind.clock.advance(retry_after);
        let checked = behind.check(&which, &right).await.unwrap();
        assert_eq!(checked.status(behind.app.clock.now()), APPROVED);
    }
}

#[tokio::test]
async fn a_node_that_is_behind_cancels_nothing_sooner_and_moves_no_step_of_a_plan() {
    let policy = CodePolicy {
        min_cancel_age: 30,
        ..planned(&[(Channel::Sms, 125), (Channel::Call, 180)], 300)
    };
    for apart in APART {
        let ahead = World::new().await;
        let behind = behind(&ahead, apart);
        let begun = ahead.start(&wanted(ada(), policy.clone())).await.unwrap();
        let which = VerificationName::Sid(begun.sid);
        let refusal = refused(behind.settle(&which, Settlement::Cancel).await);
        let retry_after = Duration::from_secs(30) + apart;
        assert_eq!(refusal, Refusal::NotCancellableYet { retry_after });
        verification::PlanKeeper::default()
            .go_on(&behind.app)
            .await
            .unwrap();
        let code = wrong(&behind.code(&begun), 0);
        behind.check(&which, &code).await.unwrap();
        let now = behind.fetch(&which).await.unwrap();
        assert_eq!(now.next_step_at, begun.next_step_at);
        assert_eq!(now.expires_at, begun.expires_at);
    }
}
