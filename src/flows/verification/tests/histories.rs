//! Some thousands of random histories through the flows.

use super::*;
use crate::domain::entropy::Entropy;
use crate::domain::verification::tests::samples::{replacing, waits_by_channel};

/// Several verifications of one destination, one behind the other or beside each other; all that counts across them holds.
#[tokio::test]
async fn whatever_is_asked_for_no_code_is_accepted_twice_and_no_guess_goes_uncounted() {
    let policies = [same_code(), waits_by_channel(), replacing()];
    let mut approvals = 0_u32;
    for seed in 0..1_500_u64 {
        let dice = SeededEntropy::new(seed << 24);
        let roll = |limit: u8| {
            let mut byte = [0];
            dice.fill(&mut byte);
            byte[0] % limit
        };
        let world = World::new().await;
        let new = wanted(ada(), policies[usize::from(roll(3))].clone());
        let mut begun: Vec<Verification> = Vec::new();
        let (mut wrong_ones, mut in_a_row) = (0, 0);
        for _ in 0..15 {
            match roll(10) {
                0..=2 => {
                    if let Ok(verification) = world.start(&new).await {
                        begun.retain(|other| other.sid != verification.sid);
                        begun.push(verification);
                    }
                }
                3..=7 if !begun.is_empty() => {
                    let chosen = usize::from(roll(4)).min(begun.len() - 1);
                    let known = &begun[begun.len() - 1 - chosen];
                    let which = VerificationName::Sid(known.sid);
                    let Ok(before) = world.fetch(&which).await else {
                        // It has been over for long.
                        assert_eq!(known.policy.retention, 600);
                        continue;
                    };
                    let right = world.code(&before);
                    let guess_right = roll(6) == 0;
                    let guess = match (guess_right, known.policy.alphabet) {
                        (true, _) => right,
                        (false, crate::domain::verification::Alphabet::Digits) => wrong(&right, 0),
                        (false, _) if right == "AAAAAA" => "BBBBBB".to_owned(),
                        (false, _) => "AAAAAA".to_owned(),
                    };
                    let was = before.status(world.app.clock.now());
                    if let Ok(after) = world.check(&which, &guess).await {
                        let is = after.status(world.app.clock.now());
                        if was == APPROVED {
                            // Said again, and nothing was looked at.
                            assert!(!after.policy.single_use);
                        } else if guess_right {
                            assert_eq!((was, is), (PENDING, APPROVED));
                            (in_a_row, approvals) = (0, approvals + 1);
                        } else {
                            assert_ne!(is, APPROVED);
                            wrong_ones += 1;
                            in_a_row += 1;
                        }
                    }
                }
                8 => world.wait(u64::from(roll(255)) * 2),
                _ => {
                    if let Some(last) = begun.last() {
                        let _over_or_not = world
                            .settle(&VerificationName::Sid(last.sid), Settlement::Cancel)
                            .await;
                    }
                }
            }
            let remembered = world.wrong_codes(&ada()).await;
            let day = Duration::from_hours(24);
            let of_the_day = remembered.failed_checks.count(world.app.clock.now(), day);
            assert_eq!((of_the_day, remembered.failures.count()), (wrong_ones, in_a_row));
        }
    }
    assert!(approvals > 300, "{approvals}");
}
