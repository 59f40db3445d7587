//! What is learned of a device's clock: by every way that takes its codes, and for every one of them.

use std::sync::Arc;

use countersign::app::Policy;
use countersign::domain::factor::DriftLimit;
use countersign::store::memory::MemoryStore;

use super::ground::{App, Ground};
use super::{Kind, Subject, Verdict, Way, ways};

async fn guess(ground: &Ground, way: &Arc<dyn Way>, app: &App, ahead: u64) -> Verdict {
    ground.wait(60);
    let target = way.begin(ground, &Subject::Verified(app.clone())).await;
    way.guess(ground, &target, &ground.app_code(app, ahead)).await
}

async fn learned(ground: &Ground, app: &App) -> Option<i64> {
    let factor = format!("{}/Factors/{}", app.entity, app.factor);
    let (_, body) = ground.twilio("GET", &factor, &[]).await;
    body["config"]["learned_drift"].as_i64()
}

#[tokio::test]
async fn every_way_learns_the_clock_of_a_device_and_goes_by_it() {
    for (limit, expected) in [
        (DriftLimit::of_steps(2), Verdict::Right),
        (DriftLimit::OFF, Verdict::Wrong),
    ] {
        let verified: Vec<_> = ways()
            .into_iter()
            .filter(|way| way.kind() == Kind::Verified)
            .collect();
        assert!(verified.len() > 1);
        for teacher in &verified {
            let policy = Policy {
                totp_drift: limit,
                ..crate::doubles::policy()
            };
            let ground = Ground::with(Arc::new(MemoryStore::new()), policy).await;
            let Subject::Verified(app) = ground.subject(Kind::Verified).await else {
                panic!("a verified app was asked for")
            };
            for _ in 0..3 {
                let verdict = guess(&ground, teacher, &app, 1).await;
                assert_eq!(verdict, Verdict::Right, "{}", teacher.call());
            }
            let known = (expected == Verdict::Right).then_some(1);
            assert_eq!(learned(&ground, &app).await, known, "{}", teacher.call());
            for way in &verified {
                for (ahead, expected) in [(2, expected), (0, Verdict::Right)] {
                    // A step lower than the last one is used up; the clock goes on until it is not.
                    ground.wait(90);
                    let verdict = guess(&ground, way, &app, ahead).await;
                    assert_eq!(verdict, expected, "{} of {ahead}", way.call());
                }
            }
        }
    }
}
