//! Using a code again: never, in no spelling, on no path, at no time.

use std::sync::Arc;

use countersign::store::Store;

use crate::support::stores::sled_in;
use crate::support::stores::{fewer_on_postgres, new_store};
use crate::support::world::{Totp, answer, sid_of};
use crate::support::{Interleaved, TestApp, User, all_at_once, number_from, wrong_code};

/// A code checked in many sessions at once (CVE-2026-20779, Gitea): one of them gets in, on whatever path it came.
async fn one_of_64_gets_in(store: Arc<dyn Store>, rounds: usize) {
    let server = TestApp::on(store).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    for round in 0..rounds {
        server.wait(24 * 3600 + 31);
        let code = totp.app.code(&server);
        let mut requests = Vec::new();
        // New challenges come with the code in every other round, so that waiting ones race each other alone, too.
        for _ in 0..if round % 2 == 0 { 8 } else { 13 } {
            let challenge = totp.challenge(&client).await;
            requests.extend((0..5).map(|_| client.posting(&challenge, &[("AuthPayload", &code)])));
        }
        let form = [("FactorSid", totp.sid.as_str()), ("AuthPayload", &code)];
        requests.extend((0..24).map(|_| client.posting(&totp.challenges, &form)));
        requests.truncate(64);
        // Who comes first changes from round to round.
        requests.rotate_left(round * 13 % 64);
        let answers = all_at_once(requests).await;
        assert_eq!(answers.len(), 64);
        let mut approved = 0;
        for answer in answers {
            match answer.status {
                200 | 201 if answer.body["status"] == "approved" => approved += 1,
                200 | 201 => assert_eq!(answer.body["status"], "pending"),
                // Each replay is one of its challenge's tries; an approved challenge takes no more.
                _ => assert!([60308, 60322].contains(&answer.code()), "{}", answer.body),
            }
        }
        assert_eq!(approved, 1, "round {round}");
    }
    assert_eq!(
        server.factor(&totp.sid).await.failures.count(),
        0,
        "a double click is no guess"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_that_send_one_code_at_once_one_gets_in() {
    let rounds = fewer_on_postgres(number_from("COUNTERSIGN_RACE_ROUNDS", 200));
    one_of_64_gets_in(new_store().await, rounds).await;
}

/// The same when all of them read before any of them writes.
#[tokio::test]
async fn of_64_that_send_one_code_in_each_others_way_one_gets_in() {
    one_of_64_gets_in(
        Interleaved::store(),
        number_from("COUNTERSIGN_RACE_ROUNDS", 200) / 20,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_that_send_one_code_at_once_one_gets_in_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = sled_in(directory.path());
    one_of_64_gets_in(store.clone(), number_from("COUNTERSIGN_RACE_ROUNDS", 200) / 10).await;
    store.close().await.unwrap();
}

/// An enrolment is a use of the code, too: many sent at once verify once, and none is left to log in with.
#[tokio::test]
async fn the_code_that_proved_the_enrolment_is_no_login() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let totp = User::create(&client)
        .await
        .unverified_totp(&client, "app", &[])
        .await;
    let code = totp.app.code(&server);
    let tries = all_at_once((0..16).map(|_| client.posting(&totp.path, &[("AuthPayload", &code)]))).await;
    let (verified, others): (Vec<_>, Vec<_>) = tries.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(verified.len(), 1);
    for refused in others {
        refused.refused(403, 60383);
    }
    assert_eq!(totp.check(&client, &code).await.ok()["status"], "pending");
    let before = totp.app.code_off(&server, -1);
    assert_eq!(
        totp.check(&client, &before).await.ok()["status"],
        "pending",
        "nor is an older one"
    );
    server.wait(30);
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
}

/// RFC 6238, 5.2: none is accepted twice, and none below the last.
#[tokio::test]
async fn no_step_is_accepted_at_or_below_the_last_one() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let [behind, current, ahead] = [-1, 0, 1].map(|steps| totp.app.code_off(&server, steps));
    assert_eq!(
        totp.check(&client, &ahead).await.ok()["status"],
        "approved",
        "a fast clock"
    );
    for used_up in [&ahead, &current, &behind] {
        assert_eq!(totp.check(&client, used_up).await.ok()["status"], "pending");
        let challenge = totp.challenge(&client).await;
        assert_eq!(
            answer(&client, &challenge, used_up).await.ok()["status"],
            "pending"
        );
    }
    server.wait(30);
    assert_eq!(totp.check(&client, &ahead).await.ok()["status"], "pending");
    server.wait(30);
    assert_eq!(totp.check(&client, &ahead).await.ok()["status"], "pending");
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
}

/// Whoever replays a code knew it: that is a try of the challenge, but no guess, so that a double click locks nobody.
#[tokio::test]
async fn a_replay_costs_a_try_and_is_no_failure() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let code = totp.app.code(&server);
    totp.check(&client, &wrong_code(&server, &totp.app, 0)).await.ok();
    totp.check(&client, &code).await.ok();
    let challenge = totp.challenge(&client).await;
    for tries in 1..=5 {
        assert_eq!(answer(&client, &challenge, &code).await.ok()["status"], "pending");
        assert_eq!(server.challenge(sid_of(&challenge)).await.attempts, tries);
    }
    answer(&client, &challenge, &code).await.refused(429, 60308);
    for _ in 0..20 {
        totp.check(&client, &code).await.ok();
    }
    assert_eq!(server.factor(&totp.sid).await.failures.count(), 0);
    server.wait(30);
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
}

/// Blanks in a code dodged the counter and the list of used codes (CVE-2025-6015, Vault): here they are the same code.
#[tokio::test]
async fn a_code_in_another_spelling_is_the_same_code() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let spellings = |code: &str| -> Vec<String> {
        let full_width = code
            .bytes()
            .map(|b| char::from_u32(0xfee0 + u32::from(b)).unwrap());
        let full_width: String = full_width.collect();
        let (front, end) = code.split_at(3);
        vec![
            format!(" {code}\r\n"),
            format!("{front} {end}"),
            format!("{front}-{end}"),
            format!("{front}\u{a0}{end}"),
            format!("\u{200e}{front}\u{2011}{end}\u{200b}"),
            full_width,
            code.to_owned(),
        ]
    };
    for first in 0..spellings("000000").len() {
        server.wait(3600);
        let spelled = spellings(&totp.app.code(&server));
        assert!(is_in(&server, &totp, &spelled[first]).await, "{first}");
        for again in &spelled {
            assert!(!is_in(&server, &totp, again).await, "{first}, then {again:?}");
        }
        assert_eq!(server.factor(&totp.sid).await.failures.count(), 0);
    }
    server.wait(3600);
    let wrong = wrong_code(&server, &totp.app, 0);
    for (count, spelled) in (1..).zip(spellings(&wrong)) {
        assert!(!is_in(&server, &totp, &spelled).await);
        assert_eq!(server.factor(&totp.sid).await.failures.count(), count);
    }
}

#[tokio::test]
async fn what_comes_to_no_code_is_no_guess() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(&server, &client).await;
    let unproved = user.unverified_totp(&client, "unproved", &[]).await;
    // The variants of a code with a zero in front are the most.
    while !totp.app.code(&server).starts_with('0') {
        server.wait(30);
    }
    let challenge = totp.challenge(&client).await;
    let code = totp.app.code(&server);
    let digits = |zero: char| -> String {
        let shifted = code
            .bytes()
            .map(|digit| char::from_u32(u32::from(zero) + u32::from(digit - b'0')));
        shifted.map(Option::unwrap).collect()
    };
    let variants = [
        format!("{code}\0"),
        format!("+{code}"),
        format!("0{code}"),
        format!("{code}0"),
        code[1..].to_owned(),
        code[..5].to_owned(),
        format!("+{}", &code[1..]),
        format!("{}.", &code[1..]),
        digits('\u{1d7ce}'),
        format!("[\"{code}\"]"),
        code.repeat(1000),
    ];
    let before = server.dump().await;
    for variant in &variants {
        answer(&client, &challenge, variant)
            .await
            .refused(400, 60306)
            .naming("AuthPayload");
        totp.check(&client, variant)
            .await
            .refused(400, 60306)
            .naming("AuthPayload");
        unproved
            .verify(&client, variant)
            .await
            .refused(400, 60306)
            .naming("AuthPayload");
    }
    assert_eq!(server.dump().await, before, "nothing was counted or used up");
    assert_eq!(
        answer(&client, &challenge, &code).await.ok()["status"],
        "approved"
    );
}

async fn is_in(server: &TestApp, totp: &Totp, code: &str) -> bool {
    totp.check(&server.client(), code).await.ok()["status"] == "approved"
}

#[tokio::test]
async fn codes_are_accepted_within_the_skew_and_not_beyond() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    for (skew, name) in [(0, "none"), (1, "one"), (2, "two")] {
        let config = [("Config.Skew", &*skew.to_string())];
        let totp = user.totp_with(&server, &client, name, &config).await;
        server.wait(300);
        for (steps, expected) in [
            (-skew - 1, false),
            (skew + 1, false),
            (-skew, true),
            (skew, skew > 0),
        ] {
            assert_eq!(
                is_in(&server, &totp, &totp.app.code_off(&server, steps)).await,
                expected,
                "{skew} {steps}"
            );
        }
    }
}

#[tokio::test]
async fn every_algorithm_length_and_step_checks_what_an_app_shows() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    for algorithm in ["sha1", "sha256", "sha512"] {
        for (length, step) in [("3", "20"), ("6", "30"), ("8", "60")] {
            let name = format!("{algorithm} {length}");
            let config = [
                ("Config.Alg", algorithm),
                ("Config.CodeLength", length),
                ("Config.TimeStep", step),
            ];
            let totp = user.totp_with(&server, &client, &name, &config).await;
            assert!(is_in(&server, &totp, &totp.app.code(&server)).await, "{name}");
        }
    }
}

/// A clock that is set back must not bring used codes back.
#[tokio::test]
async fn a_clock_set_back_replays_nothing() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let times = [600, 660, 1200];
    let mut used = Vec::new();
    for seconds in times {
        server.set_clock(seconds);
        used.push(totp.app.code(&server));
        assert!(is_in(&server, &totp, &used[used.len() - 1]).await);
    }
    for (seconds, code) in times.iter().zip(&used).rev() {
        server.set_clock(*seconds);
        assert!(!is_in(&server, &totp, code).await, "{seconds}");
    }
    server.set_clock(1200);
    assert!(!is_in(&server, &totp, &used[2]).await);
    server.wait(30);
    assert!(is_in(&server, &totp, &totp.app.code(&server)).await);
}

/// A clock that was ahead for a while must not lock users until that time comes, nor let them in twice when it does.
#[tokio::test]
async fn a_clock_that_was_ahead_locks_nobody_and_its_codes_stay_used() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    server.set_clock(24 * 3600);
    let ahead = totp.app.code(&server);
    assert!(is_in(&server, &totp, &ahead).await);
    for _ in 0..12 {
        totp.check(&client, &wrong_code(&server, &totp.app, 0)).await;
    }
    server.set_clock(600);
    for _ in 0..12 {
        assert!(is_in(&server, &totp, &totp.app.code(&server)).await, "not locked");
        server.wait(30);
    }
    for seconds in [24 * 3600 - 30, 24 * 3600, 24 * 3600 + 30] {
        server.set_clock(seconds);
        assert!(!is_in(&server, &totp, &ahead).await, "{seconds}");
    }
    assert!(is_in(&server, &totp, &totp.app.code(&server)).await);
}

/// What time it is, no client decides.
#[tokio::test]
async fn a_date_that_a_client_sends_is_ignored() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let old = totp.app.code(&server);
    server.wait(3600);
    for date in ["Fri, 15 Jan 2027 08:01:00 GMT", "1800000060"] {
        let form = format!(
            "FactorSid={}&AuthPayload={old}&Date=1800000060&Timestamp=1800000060",
            totp.sid
        );
        let request = client
            .begin("POST", &totp.challenges)
            .header("date", date)
            .header("x-date", date);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = server.send(request.body(form.into()).unwrap()).await;
        assert_eq!(answer.ok()["status"], "pending");
    }
}

/// Another configuration counts the same time in other numbers: what was used stays used.
#[tokio::test]
async fn a_changed_configuration_reopens_no_moment() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let changes = [
        ("Config.TimeStep", "20"),
        ("Config.TimeStep", "60"),
        ("Config.Alg", "sha256"),
        ("Config.CodeLength", "8"),
    ];
    for (nth, (parameter, value)) in changes.into_iter().enumerate() {
        let mut totp = user.totp_with(&server, &client, &nth.to_string(), &[]).await;
        assert!(is_in(&server, &totp, &totp.app.code(&server)).await);
        client.post(&totp.path, &[(parameter, value)]).await.ok();
        match (parameter, value) {
            ("Config.TimeStep", "20") => totp.app.period = 20,
            ("Config.TimeStep", _) => totp.app.period = 60,
            ("Config.Alg", _) => totp.app.algorithm = "sha256",
            _ => totp.app.digits = 8,
        }
        // Of steps of 20 s, the next one overlaps the used one of 30 s.
        for steps in -1..=i64::from(value == "20") {
            assert!(
                !is_in(&server, &totp, &totp.app.code_off(&server, steps)).await,
                "{parameter}={value}"
            );
        }
        client.post(&totp.path, &[("Config.TimeStep", "30")]).await.ok();
        totp.app.period = 30;
        assert!(
            !is_in(&server, &totp, &totp.app.code(&server)).await,
            "there and back"
        );
        server.wait(120);
        assert!(
            is_in(&server, &totp, &totp.app.code(&server)).await,
            "the next one is good"
        );
    }
}

/// "None below the last" must not depend on how far clocks may differ now.
#[tokio::test]
async fn a_smaller_skew_reopens_no_earlier_step() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user
        .totp_with(&server, &client, "fast clock", &[("Config.Skew", "2")])
        .await;
    assert!(is_in(&server, &totp, &totp.app.code_off(&server, 2)).await);
    client.post(&totp.path, &[("Config.Skew", "0")]).await.ok();
    for _ in 0..3 {
        assert!(!is_in(&server, &totp, &totp.app.code(&server)).await);
        server.wait(30);
    }
    assert!(is_in(&server, &totp, &totp.app.code(&server)).await);
}
