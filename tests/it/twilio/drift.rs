//! Clocks of devices that drift: how far they are followed, and that nothing used becomes right again by it.

use countersign::app::Policy;
use countersign::domain::factor::DriftLimit;
use countersign::domain::store_epoch::StoreEpoch;
use countersign::flows::epoch;
use countersign::store::Batch;
use countersign::store::keys::{self, KeyParts};
use serde_json::Value;

use crate::support::stores::new_store;
use crate::support::world::{Totp, answer};
use crate::support::{Client, TestApp, User};

const DAY: u64 = 24 * 3600;

async fn following(steps: u8) -> TestApp {
    let policy = Policy {
        totp_drift: DriftLimit::of_steps(steps),
        ..crate::doubles::policy()
    };
    TestApp::with(new_store().await, policy).await
}

/// Whether the code is taken that the device shows whose clock is so far off.
async fn is_taken(server: &TestApp, client: &Client<'_>, totp: &Totp, ahead: i64) -> bool {
    let code = totp.app.code_off(server, ahead);
    totp.check(client, &code).await.ok()["status"] == "approved"
}

/// What the factor shows.
async fn learned(client: &Client<'_>, totp: &Totp) -> Value {
    client.get(&totp.path).await.ok()["config"]["learned_drift"].clone()
}

/// The device is off by so much, and logs in three times a day.
async fn days(server: &TestApp, client: &Client<'_>, totp: &Totp, ahead: i64, days: u64) {
    for _ in 0..days * 3 {
        server.wait(DAY / 3);
        assert!(is_taken(server, client, totp, ahead).await, "{ahead}");
    }
}

#[tokio::test]
async fn nothing_is_learned_unless_the_operator_wants_it() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    days(&server, &client, &totp, 1, 5).await;
    server.wait(60);
    assert!(!is_taken(&server, &client, &totp, 2).await);
    assert_eq!(learned(&client, &totp).await, Value::Null);
}

/// SECURITY.md, row 15: both centres are tried, and what is learned is bounded.
///
/// A clock that drifts slowly is followed up to the operator's limit, and the server's own time counts as before: whoever
/// sets the device's clock right is let in at once.
#[tokio::test]
async fn a_clock_that_drifts_is_followed_in_both_directions_and_both_centres_count() {
    for direction in [1, -1] {
        let server = following(3).await;
        let client = server.client();
        let totp = User::create(&client).await.totp(&server, &client).await;
        for (ahead, shown) in [(1, 1), (2, 2), (3, 3), (4, 3)] {
            days(&server, &client, &totp, direction * ahead, 2).await;
            assert_eq!(learned(&client, &totp).await, direction * shown);
        }
        for (ahead, taken) in [
            (5, false),
            (4, true),
            (3, true),
            (2, true),
            (1, true),
            (0, true),
            (-1, true),
            (-2, false),
        ] {
            server.wait(600);
            let ahead = direction * ahead;
            assert_eq!(is_taken(&server, &client, &totp, ahead).await, taken, "{ahead}");
        }
        // The clock was set right: it is forgotten as it was learned, and nobody is refused meanwhile.
        days(&server, &client, &totp, 0, 5).await;
        assert_eq!(learned(&client, &totp).await, Value::Null);
        server.wait(600);
        assert!(!is_taken(&server, &client, &totp, direction * 2).await);
    }
}

/// SECURITY.md, row 15: no more than one time step a day.
///
/// Whoever gets hold of a code, or of all codes of a day, does not lock the device out that they were of.
#[tokio::test]
async fn codes_in_the_wrong_hands_do_not_pull_the_window_away() {
    let server = following(10).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    server.wait(600);
    assert!(is_taken(&server, &client, &totp, 1).await);
    assert_eq!(
        learned(&client, &totp).await,
        Value::Null,
        "one code is none in a row"
    );
    for _ in 0..30 {
        server.wait(1200);
        assert!(is_taken(&server, &client, &totp, 1).await);
    }
    assert_eq!(learned(&client, &totp).await, 1);
    for ahead in [-1, 0, 1] {
        server.wait(600);
        assert!(is_taken(&server, &client, &totp, ahead).await, "{ahead}");
    }
}

/// SECURITY.md, row 15: never below the last step.
///
/// `LinOTP` issue 110: an automatic resynchronisation moved the window back, and codes that were used counted again. Here no code is
/// accepted whose step is not above all that were accepted before, wherever the clocks of device and server go.
#[tokio::test]
async fn linotp_110_what_is_learned_makes_no_used_code_right_again() {
    let server = following(10).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let mut last = server.seconds() / 30;
    let mut taken_of = [0_u32; 2];
    let mut ahead = 0_i64;
    for login in 0..600_u64 {
        // The device's clock wanders up to five minutes ahead, and back behind; now and then somebody is quick.
        let wanders = if (login / 150) % 2 == 0 { 1 } else { -1 };
        if login % 12 == 0 {
            ahead = (ahead + wanders).clamp(-10, 10);
        }
        server.wait(if login % 7 == 0 { 30 } else { DAY / 3 });
        let step = (server.seconds() / 30).checked_add_signed(ahead).unwrap();
        let taken = is_taken(&server, &client, &totp, ahead).await;
        assert!(!taken || step > last, "{login}: {step} was taken after {last}");
        taken_of[usize::from(taken)] += 1;
        if taken {
            last = step;
        }
        // Whatever was used is tried again, as far as any window reaches.
        for older in [0, 1, 5, 12, 22] {
            let code = totp.app.code_of(last - older);
            assert_eq!(
                totp.check(&client, &code).await.ok()["status"],
                "pending",
                "{login}: {older}"
            );
        }
        // Codes below the last one are no guesses, those beyond the windows are.
        let lift = [("Config.CodesPaused", "false")];
        client.post(&totp.path, &lift).await.ok();
    }
    assert!(taken_of[1] > 400, "{taken_of:?}");
    assert!(server.factor(&totp.sid).await.failures.count() < 10);
}

/// What was learned ends with the secret that it was learned of.
#[tokio::test]
async fn a_new_secret_begins_with_a_right_clock() {
    let server = following(5).await;
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(&server, &client).await;
    days(&server, &client, &totp, 1, 2).await;
    assert_eq!(learned(&client, &totp).await, 1);
    client.delete(&totp.path).await.ok();
    let anew = user.totp(&server, &client).await;
    assert_eq!(learned(&client, &anew).await, Value::Null);
    server.wait(600);
    assert!(!is_taken(&server, &client, &anew, 2).await);
}

/// A clock that was set back meets a learned offset: nothing is replayed, nobody is locked for the length of the jump.
#[tokio::test]
async fn a_server_clock_that_jumps_ahead_and_back_neither_replays_nor_locks() {
    let server = following(3).await;
    let beginning = server.seconds();
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    days(&server, &client, &totp, 1, 1).await;
    days(&server, &client, &totp, 2, 1).await;
    let before = server.seconds();
    server.wait(DAY);
    let used = (server.seconds() / 30).checked_add_signed(2).unwrap();
    assert!(is_taken(&server, &client, &totp, 2).await);
    server.set_clock(i64::try_from(before - beginning).unwrap() + 600);
    assert!(is_taken(&server, &client, &totp, 2).await);
    server.wait(DAY - 600);
    let code = totp.app.code_of(used);
    assert_eq!(totp.check(&client, &code).await.ok()["status"], "pending");
    server.wait(600);
    assert!(is_taken(&server, &client, &totp, 2).await);
}

/// Many devices that are off in one direction at once: it is the server's own clock.
#[tokio::test]
async fn the_operator_hears_of_it_once_an_hour_when_the_servers_own_clock_is_off() {
    let server = following(0).await;
    let client = server.client();
    let first = User::create(&client).await;
    let mut devices = Vec::new();
    for number in 0..20 {
        let user = first.service.user(&format!("owl-{number:06}"));
        devices.push(user.totp(&server, &client).await);
    }
    let offsets = &server.app.memory.code_offsets;
    server.wait(3600);
    for hints in [1, 2] {
        server.wait(3600);
        for round in 0..3 {
            server.wait(60);
            for (number, totp) in devices.iter().enumerate() {
                let ahead = i64::from(number >= 8);
                assert!(is_taken(&server, &client, totp, ahead).await);
                let told = round > 0 || number == 19;
                assert_eq!(offsets.hints(), if told { hints } else { hints - 1 });
            }
        }
    }
    let counts = offsets.counts();
    assert_eq!(counts.iter().find(|(ahead, _)| *ahead == 1), Some(&(1, 72)));
}

/// What was learned may be among what a store has forgotten, and then so may be the codes that were taken by it.
#[tokio::test]
async fn after_an_epoch_no_code_is_taken_that_a_forgotten_offset_may_have_let_in() {
    let server = following(4).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    server.wait(600);
    // The record that the store has forgotten: with an offset, and a code that was used.
    let of_factor = |key: &[u8]| matches!(KeyParts::parse(key), Some(KeyParts::Factor(_, sid)) if sid.to_string() == totp.sid);
    let mut stored = server.scan(b"e".to_vec()).await.into_iter();
    let (key, _) = stored.find(|(key, _)| of_factor(key)).unwrap();
    let forgotten = server.app.store.get(&key).await.unwrap().unwrap();
    days(&server, &client, &totp, 1, 1).await;
    for ahead in [2, 3, 4] {
        days(&server, &client, &totp, ahead, 2).await;
    }
    assert_eq!(learned(&client, &totp).await, 4);
    server.wait(600);
    assert!(is_taken(&server, &client, &totp, 5).await);
    let used = (server.seconds() / 30).checked_add_signed(5).unwrap();
    server
        .app
        .store
        .commit(Batch::new().put(key, forgotten.value))
        .await
        .unwrap();
    assert_eq!(learned(&client, &totp).await, Value::Null);

    let began = StoreEpoch::FIRST.next(server.app.clock.now(), server.app.policy.totp_drift);
    let batch = Batch::new().put_record(keys::store_epoch(), &began).unwrap();
    server.app.store.commit(batch).await.unwrap();
    epoch::learn(&server.app).await.unwrap();
    // Its own time comes round to what was used.
    for _ in 0..6 {
        server.wait(30);
        let code = totp.app.code_of(used);
        let taken = totp.check(&client, &code).await.ok();
        assert_eq!(taken["status"], "pending");
    }
    server.wait(60);
    assert!(is_taken(&server, &client, &totp, 0).await);
}

/// A skew of 0 has nothing to learn from, and forgets nothing of what was learned before.
#[tokio::test]
async fn without_a_skew_an_offset_stays_as_it_was_learned() {
    let server = following(3).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    days(&server, &client, &totp, 1, 1).await;
    days(&server, &client, &totp, 2, 1).await;
    assert_eq!(learned(&client, &totp).await, 2);
    client.post(&totp.path, &[("Config.Skew", "0")]).await.ok();
    days(&server, &client, &totp, 0, 3).await;
    assert_eq!(learned(&client, &totp).await, 2);
    server.wait(600);
    assert!(is_taken(&server, &client, &totp, 2).await);
}

/// What is shown is what is used.
#[tokio::test]
async fn an_offset_that_is_not_used_is_not_shown() {
    let mut server = following(3).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    days(&server, &client, &totp, 1, 1).await;
    days(&server, &client, &totp, 2, 1).await;
    assert_eq!(learned(&client, &totp).await, 2);
    for (limit, shown) in [(1, Value::from(1)), (0, Value::Null), (2, Value::from(2))] {
        let policy = Policy {
            totp_drift: DriftLimit::of_steps(limit),
            ..crate::doubles::policy()
        };
        server = server.with_policy(policy);
        assert_eq!(learned(&server.client(), &totp).await, shown);
    }
}

/// With steps of another length the offset is the same time, and what was used stays used.
#[tokio::test]
async fn an_offset_is_the_same_time_with_steps_of_another_length() {
    let server = following(10).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    days(&server, &client, &totp, 1, 1).await;
    days(&server, &client, &totp, 2, 1).await;
    assert_eq!(learned(&client, &totp).await, 2);
    for (seconds, shown) in [("60", 1), ("20", 3), ("30", 2)] {
        client
            .post(&totp.path, &[("Config.TimeStep", seconds)])
            .await
            .ok();
        assert_eq!(learned(&client, &totp).await, shown, "{seconds}");
    }
    server.wait(600);
    let used = (server.seconds() / 30).checked_add_signed(3).unwrap();
    assert!(is_taken(&server, &client, &totp, 3).await);
    for seconds in ["60", "30"] {
        client
            .post(&totp.path, &[("Config.TimeStep", seconds)])
            .await
            .ok();
    }
    for _ in 0..6 {
        let code = totp.app.code_of(used);
        assert_eq!(totp.check(&client, &code).await.ok()["status"], "pending");
        server.wait(30);
    }
}

/// By whichever way a code comes, it counts once for the hint that the server's own clock is off.
#[tokio::test]
async fn every_way_of_a_code_tells_how_far_it_was_off() {
    let server = TestApp::new().await;
    let client = server.client();
    let counted = || -> u64 {
        let counts = server.app.memory.code_offsets.counts();
        counts
            .iter()
            .filter(|(ahead, _)| *ahead == 0)
            .map(|(_, count)| count)
            .sum()
    };
    // The enrolment.
    let totp = User::create(&client).await.totp(&server, &client).await;
    assert_eq!(counted(), 1);
    // A challenge that comes with its code, and one that is answered.
    server.wait(60);
    assert!(is_taken(&server, &client, &totp, 0).await);
    assert_eq!(counted(), 2);
    server.wait(60);
    let waiting = totp.challenge(&client).await;
    answer(&client, &waiting, &totp.app.code(&server)).await.ok();
    assert_eq!(counted(), 3);
    // What is refused tells nothing.
    let refused = totp.check(&client, &totp.app.code(&server)).await.ok();
    assert_eq!((refused["status"].as_str(), counted()), (Some("pending"), 3));
}

/// Of two servers one is somewhat ahead, and in the next step already: what it has taken counts for the one that is behind.
#[tokio::test]
async fn a_server_that_is_behind_takes_no_code_of_before_one_that_another_took() {
    let behind = following(0).await;
    let client = behind.client();
    let totp = User::create(&client).await.totp(&behind, &client).await;
    client.post(&totp.path, &[("Config.Skew", "2")]).await.ok();
    behind.wait(600);
    behind.wait(25 + 30 - behind.seconds() % 30);
    let ahead = behind.restarted(std::sync::Arc::clone(&behind.app.engine));
    ahead.wait(10);
    assert!(is_taken(&ahead, &ahead.client(), &totp, 2).await);
    assert!(
        !is_taken(&behind, &client, &totp, 2).await,
        "it is of the step before"
    );
    behind.wait(90);
    assert!(is_taken(&behind, &client, &totp, 2).await);
}
