//! A server that is killed between two guesses has counted those that it answered.

use tempfile::TempDir;

use super::ground::Ground;
use super::{Verdict, ways};

#[tokio::test]
async fn no_kill_gives_back_a_guess_by_any_way() {
    let data = TempDir::new().unwrap();
    let mut ground = Ground::process(data.path()).await;
    let mut begun = Vec::new();
    for way in ways().into_iter().filter(|way| way.reaches_processes()) {
        let subject = ground.subject(way.kind()).await;
        let target = way.begin(&ground, &subject).await;
        begun.push((way, target));
    }
    let most = begun.iter().map(|(way, _)| way.evaluates()).max().unwrap();
    for nth in 0..=most {
        for (way, target) in &begun {
            let expected = match way.evaluates() {
                evaluates if nth < evaluates => Verdict::Wrong,
                evaluates if nth == evaluates => Verdict::Limited,
                // Pauses may have ended.
                _ => continue,
            };
            let verdict = way.guess(&ground, target, &target.wrong).await;
            assert_eq!(verdict, expected, "{}, guess {nth}", way.call());
        }
        ground = ground.killed().await;
    }
}
