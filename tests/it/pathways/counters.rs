//! One counter for each subject, whichever way its codes are guessed.

use std::sync::Arc;

use super::ground::Ground;
use super::{Kind, Verdict, ways};
use countersign::store::memory::MemoryStore;

/// Somebody who guesses by all ways has no more guesses than by one.
#[tokio::test]
async fn guesses_add_up_over_all_ways() {
    for kind in Kind::ALL {
        let ground = Ground::on(Arc::new(MemoryStore::new())).await;
        let subject = ground.subject(kind).await;
        let mut begun = Vec::new();
        for way in ways().into_iter().filter(|way| way.kind() == kind) {
            let target = way.begin(&ground, &subject).await;
            begun.push((way, target));
        }
        assert!(begun.len() > 1, "{kind:?} has one way, which is no proof");
        let mut evaluated = 0;
        loop {
            let before = evaluated;
            for (way, target) in &begun {
                let verdict = way.guess(&ground, target, &target.wrong).await;
                assert!(
                    [Verdict::Wrong, Verdict::Limited].contains(&verdict),
                    "{}: {verdict:?}",
                    way.call()
                );
                evaluated += usize::from(verdict == Verdict::Wrong);
            }
            if evaluated == before {
                break;
            }
        }
        assert_eq!(evaluated, kind.evaluates(), "{kind:?}");
        for (way, target) in &begun {
            let right = target.right.as_deref().unwrap();
            let verdict = way.guess(&ground, target, right).await;
            assert_eq!(verdict, Verdict::Limited, "{}", way.call());
        }
    }
}

/// What one way used up is right on none. Signal's sessions and Twilio's verifications each have a code of their own.
#[tokio::test]
async fn a_code_of_an_app_is_right_once_by_all_ways() {
    for kind in [Kind::Unverified, Kind::Verified] {
        let of_kind: Vec<_> = ways().into_iter().filter(|way| way.kind() == kind).collect();
        for first in &of_kind {
            let ground = Ground::on(Arc::new(MemoryStore::new())).await;
            let subject = ground.subject(kind).await;
            let mut begun = Vec::new();
            for way in &of_kind {
                begun.push((way, way.begin(&ground, &subject).await));
            }
            let target = first.begin(&ground, &subject).await;
            let right = target.right.clone().unwrap();
            assert_eq!(
                first.guess(&ground, &target, &right).await,
                Verdict::Right,
                "{}",
                first.call()
            );
            for (way, target) in &begun {
                let verdict = way.guess(&ground, target, &right).await;
                assert_ne!(verdict, Verdict::Right, "{} after {}", way.call(), first.call());
            }
        }
    }
}
