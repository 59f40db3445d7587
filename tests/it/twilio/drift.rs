//! Clocks of devices that drift: how far they are followed, and that nothing used becomes right again by it.

use countersign::app::Policy;
use countersign::domain::factor::DriftLimit;
use serde_json::Value;

use crate::support::stores::new_store;
use crate::support::world::Totp;
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
