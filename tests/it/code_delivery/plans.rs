//! The steps of plans are taken in time: about as many as verifications are begun, and of each account in its turn.

use countersign::domain::fraud::settings::Settings;
use countersign::domain::verification::PlanStep;
use countersign::flows::verification::{PlanKeeper, VerificationName};
use std::time::Instant;

use super::*;
use crate::support::stores::sled_in;
use crate::support::{all_at_once, number_from};

const CLIENTS: usize = 64;

/// Verifications of numbers that nobody has, each with a step by text message that is followed by another one after `wait`
/// seconds.
async fn begin(world: &World, numbers: std::ops::Range<usize>, wait: u32) -> Vec<Verification> {
    let (first, end) = (numbers.start, numbers.end);
    let clients = (0..CLIENTS).map(|client| {
        let (app, account, service) = (world.server.app.clone(), world.account, world.service);
        async move {
            let mut begun = Vec::new();
            for nth in (first + client..end).step_by(CLIENTS) {
                let number = format!("+32470{nth:06}");
                let step = |wait| PlanStep {
                    channel: Channel::Sms,
                    wait,
                };
                let policy = CodePolicy {
                    session_life: SessionLife::PlanEnd,
                    plan: vec![step(wait), step(300)],
                    ..policy()
                };
                let new = NewVerification {
                    destination: Destination::Phone(PhoneNumber::parse(&number, None).unwrap()),
                    rules: policy.into(),
                    ..new_verification(Channel::Sms, None)
                };
                let started = verification::start(&app, account, service, &new).await;
                begun.push(started.unwrap().verification);
            }
            begun
        }
    });
    all_at_once(clients).await.into_iter().flatten().collect()
}

/// What would be due within two minutes of a busy day is due at once here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the figures of a run by hand (`--nocapture`)")]
async fn steps_are_taken_about_as_fast_as_verifications_are_begun_and_one_accounts_wait_for_no_others() {
    let count = number_from("COUNTERSIGN_TEST_PLANS", 3000);
    let directory = tempfile::tempdir().unwrap();
    let policy = Policy {
        toll_fraud: Settings::off(),
        // Nobody takes the messages here.
        outbox_rows_per_account: 4 * count.max(1000),
        ..crate::doubles::policy()
    };
    let busy = World::on(sled_in(directory.path()), vec![taking()], policy).await;
    let quiet = busy.of_another_account().await;
    let begun = Instant::now();
    begin(&busy, 0..count, 120).await;
    let begun_in = begun.elapsed();
    let late = begin(&quiet, 0..1, 121).await.remove(0);
    busy.server.wait(125);
    let begun = Instant::now();
    let going_on = tokio::spawn({
        let app = busy.server.app.clone();
        async move { PlanKeeper::default().go_on(&app).await.unwrap() }
    });
    let which = VerificationName::Sid(late.sid);
    let app = &quiet.server.app;
    loop {
        let found = verification::fetch(app, quiet.account, quiet.service, &which).await;
        if found.unwrap().1.sends.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let late_in = begun.elapsed();
    let next = going_on.await.unwrap();
    let taken_in = begun.elapsed();
    println!(
        "{count} verifications begun in {begun_in:?}; their next steps taken in {taken_in:?}; that of another account in {late_in:?}"
    );
    assert_eq!(next, None);
    let all: Vec<Verification> = busy.all(keys::verifications(busy.service).bytes()).await;
    assert_eq!(all.len(), count);
    assert!(all.iter().all(|each| each.sends.len() == 2));
    // Two cores begin them, and one task takes the steps.
    assert!(
        taken_in <= begun_in * 5 / 2,
        "taken in {taken_in:?}, begun in {begun_in:?}"
    );
    // A round is 1024 steps.
    let round = taken_in.as_secs_f64() * 1024.0 / f64::from(u32::try_from(count).unwrap());
    assert!(
        late_in.as_secs_f64() <= 0.5 + round,
        "{late_in:?} of {taken_in:?}"
    );
}

/// A sender that nothing is sent by here.
fn taking() -> ConfiguredSender {
    sender("one", "http://127.0.0.1:9/".to_owned(), &[Channel::Sms])
}
