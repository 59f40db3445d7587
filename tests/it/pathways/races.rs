//! Guesses at the same moment, on a store on which all of them read before any of them writes.

use std::sync::Arc;

use super::ground::Ground;
use super::{Target, Verdict, Way, ways};
use crate::support::{Interleaved, all_at_once};

/// So many guesses with one code, at the same moment.
async fn at_once(
    guesses: usize,
    ground: &Arc<Ground>,
    way: &Arc<dyn Way>,
    target: &Target,
    code: &str,
) -> Vec<Verdict> {
    let guesses = (0..guesses).map(|_| {
        let (ground, way, target, code) = (ground.clone(), way.clone(), target.clone(), code.to_owned());
        async move { way.guess(&ground, &target, &code).await }
    });
    all_at_once(guesses).await
}

fn count(verdicts: &[Verdict], wanted: Verdict) -> usize {
    verdicts.iter().filter(|verdict| **verdict == wanted).count()
}

/// Attempts that are all checked before any is counted break limits (CVE-2026-20779).
#[tokio::test]
async fn of_64_parallel_guesses_no_more_are_evaluated_than_one_after_the_other() {
    for way in ways() {
        let ground = Ground::on(Interleaved::store()).await;
        let target = way.begin(&ground, &ground.subject(way.kind()).await).await;
        let verdicts = at_once(64, &ground, &way, &target, &target.wrong).await;
        let call = way.call();
        assert_eq!(count(&verdicts, Verdict::Wrong), way.evaluates(), "{call}");
        let limited = 64 - way.evaluates();
        assert_eq!(
            count(&verdicts, Verdict::Limited),
            limited,
            "{call}: {verdicts:?}"
        );
        // Nor is the right one looked at.
        let right = target.right.as_deref().unwrap();
        let verdict = way.guess(&ground, &target, right).await;
        assert_eq!(verdict, Verdict::Limited, "{call}");
    }
}

#[tokio::test]
async fn of_32_parallel_right_codes_one_wins() {
    for way in ways() {
        let ground = Ground::on(Interleaved::store()).await;
        let target = way.begin(&ground, &ground.subject(way.kind()).await).await;
        let right = target.right.clone().unwrap();
        let verdicts = at_once(32, &ground, &way, &target, &right).await;
        let winners = if way.repeats() { 32 } else { 1 };
        assert_eq!(
            count(&verdicts, Verdict::Right),
            winners,
            "{}: {verdicts:?}",
            way.call()
        );
    }
}
