//! Guessing codes: how many guesses are evaluated, whatever the attacker does.

use std::time::Duration;

use countersign::domain::factor::FactorStatus;
use tokio::time::Instant;

use crate::support::world::{Totp, answer, sid_of};
use crate::support::{Credentials, Interleaved, TestApp, User, all_at_once, wrong_code};

/// Parallel guesses: attempts that were all checked before any was counted broke Gitea's and Keycloak's limits
/// (CVE-2026-20779, keycloak #31726).
#[tokio::test]
async fn of_64_parallel_guesses_on_one_challenge_five_are_evaluated() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let challenge = totp.challenge(&client).await;
    let guess = |nth| {
        client.posting(
            &challenge,
            &[("AuthPayload", &wrong_code(&server, &totp.app, nth))],
        )
    };
    let answers = all_at_once((0..64).map(guess)).await;

    let evaluated = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(evaluated, 5);
    for refused in answers.into_iter().filter(|answer| answer.status != 200) {
        refused.refused(429, 60308);
    }
    assert_eq!(server.factor(&totp.sid).await.failures.count(), 5);
    assert_eq!(server.challenge(sid_of(&challenge)).await.attempts, 5);
    let right = totp.app.code(&server);
    answer(&client, &challenge, &right).await.refused(429, 60308);
    assert_eq!(
        totp.check(&client, &right).await.ok()["status"],
        "approved",
        "the code was not looked at"
    );
}

/// The same over as many challenges: parallel sessions must not multiply the guesses (RFC 4226, 7.3).
#[tokio::test]
async fn of_parallel_guesses_on_many_challenges_the_factor_evaluates_ten() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let mut requests = Vec::new();
    for nth in 0..48 {
        let challenge = totp.challenge(&client).await;
        let code = wrong_code(&server, &totp.app, nth);
        requests.push(client.posting(&challenge, &[("AuthPayload", &code)]));
    }
    let answers = all_at_once(requests).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 10);
    for refused in answers.into_iter().filter(|answer| answer.status != 200) {
        assert_eq!(refused.refused(429, 20429).retry_after(), 30);
    }
    assert_eq!(server.factor(&totp.sid).await.failures.count(), 10);
}

/// The same while proving an enrolment: five, then a new factor has to be created.
#[tokio::test]
async fn of_64_parallel_guesses_on_an_enrolment_five_are_evaluated() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let totp = User::create(&client)
        .await
        .unverified_totp(&client, "app", &[])
        .await;
    let guess = |nth| {
        client.posting(
            &totp.path,
            &[("AuthPayload", &wrong_code(&server, &totp.app, nth))],
        )
    };
    let answers = all_at_once((0..64).map(guess)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 5);
    for refused in answers.into_iter().filter(|answer| answer.status != 200) {
        refused.refused(429, 60310);
    }
    totp.verify(&client, &totp.app.code(&server))
        .await
        .refused(429, 60310);
    assert_eq!(
        server.factor(&totp.sid).await.status,
        FactorStatus::Unverified { attempts: 5 }
    );
}

/// `AuthQuake` (2024): ten tries for each of any number of sessions, unnoticed, for as long as one likes.
#[tokio::test]
async fn a_day_of_guessing_over_all_the_challenges_there_can_be_evaluates_forty_codes() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let (mut guesses, mut refusals) = (0, 0);
    let beginning = server.seconds();
    while server.seconds() < beginning + 24 * 3600 {
        let answer = totp
            .check(&client, &wrong_code(&server, &totp.app, guesses))
            .await;
        match answer.status {
            201 => guesses += 1,
            429 => {
                refusals += 1;
                server.wait(answer.retry_after());
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(
        server.factor(&totp.sid).await.failures.count(),
        u32::try_from(guesses).unwrap()
    );
    assert!(
        (30..=41).contains(&guesses),
        "{guesses} guesses, {refusals} refusals"
    );
    // Three codes are live at a time. NIST's 100 guesses are 3 in 10,000.
    assert!(guesses * 3 < 10_usize.pow(6) / 5000, "{guesses}");
}

/// A new challenge must not reset the count (NIST SP 800-63B-4, 3.1.3.2).
#[tokio::test]
async fn a_new_challenge_does_not_reset_the_count() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    let first = totp.challenge(&client).await;
    for nth in 0..4 {
        let answer = answer(&client, &first, &wrong_code(&server, &totp.app, nth)).await;
        assert_eq!(answer.ok()["status"], "pending");
    }
    let second = totp.challenge(&client).await;
    answer(&client, &second, &wrong_code(&server, &totp.app, 4))
        .await
        .ok();
    totp.check(&client, &wrong_code(&server, &totp.app, 5)).await.ok();
    assert_eq!(server.factor(&totp.sid).await.failures.count(), 6);
}

/// Delays grow, and while one lasts nothing is evaluated, counted or used up: the right code neither.
#[tokio::test]
async fn from_the_tenth_failure_on_delays_grow_and_nothing_is_evaluated_meanwhile() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    for nth in 0..9 {
        totp.check(&client, &wrong_code(&server, &totp.app, nth))
            .await
            .ok();
    }
    let spare = totp.challenge(&client).await;
    for expected in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
        let challenge = totp.challenge(&client).await;
        answer(&client, &challenge, &wrong_code(&server, &totp.app, 9))
            .await
            .ok();
        let before = server.dump().await;
        let right = totp.app.code(&server);
        let refused = answer(&client, &challenge, &right).await.refused(429, 20429);
        assert_eq!(refused.retry_after(), expected);
        totp.check(&client, &right).await.refused(429, 20429);
        assert_eq!(server.dump().await, before, "nothing was counted");
        server.wait(expected - 1);
        assert_eq!(
            totp.check(&client, &right)
                .await
                .refused(429, 20429)
                .retry_after(),
            1
        );
        server.wait(1);
    }
    assert_eq!(server.challenge(sid_of(&spare)).await.attempts, 0);
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
    assert_eq!(server.factor(&totp.sid).await.failures.count(), 0);
}

/// Guesses until there are so many failures, and waits as long as it is told to.
async fn fail_until(server: &TestApp, totp: &Totp, count: u32) {
    for _ in 0..1000 {
        if server.factor(&totp.sid).await.failures.count() >= count {
            return;
        }
        let answer = totp
            .check(&server.client(), &wrong_code(server, &totp.app, 0))
            .await;
        if answer.status == 429 {
            server.wait(answer.retry_after());
        }
    }
    panic!("failures are not counted");
}

/// At most 100 failures in a row, then the authenticator has to be bound anew (NIST SP 800-63B-4, 3.2.2), even if they
/// take weeks.
#[tokio::test]
async fn the_hundredth_failure_disables_the_factor_until_it_is_enrolled_anew() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(&server, &client).await;
    fail_until(&server, &totp, 99).await;
    server.wait(3600);
    let open = totp.challenge(&client).await;
    totp.check(&client, &wrong_code(&server, &totp.app, 1)).await.ok();

    assert_eq!(server.factor(&totp.sid).await.status, FactorStatus::Disabled);
    assert_eq!(client.get(&totp.path).await.ok()["status"], "unverified");
    for wait in [0, 3600, 30 * 24 * 3600] {
        server.wait(wait);
        let right = totp.app.code(&server);
        totp.check(&client, &right).await.refused(403, 60383);
        client
            .post(&totp.challenges, &[("FactorSid", &totp.sid)])
            .await
            .refused(403, 60383);
        totp.verify(&client, &right).await.refused(403, 60383);
        if wait == 0 {
            answer(&client, &open, &right).await.refused(403, 60383);
        }
    }
    client.post(&totp.path, &[("FriendlyName", "renamed")]).await.ok();
    assert_eq!(
        server.factor(&totp.sid).await.status,
        FactorStatus::Disabled,
        "a change is no enrolment"
    );

    client.delete(&totp.path).await.ok();
    let anew = user.totp(&server, &client).await;
    assert_eq!(
        anew.check(&client, &anew.app.code(&server)).await.ok()["status"],
        "approved"
    );
}

#[tokio::test]
async fn a_success_at_99_failures_clears_them() {
    let server = TestApp::new().await;
    let client = server.client();
    let totp = User::create(&client).await.totp(&server, &client).await;
    fail_until(&server, &totp, 99).await;
    server.wait(3600);
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
    fail_until(&server, &totp, 9).await;
    assert_eq!(server.factor(&totp.sid).await.status, FactorStatus::Verified);
    server.wait(60);
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
}

/// Nothing but a success clears the count, and nothing gives an unproved enrolment more tries.
#[tokio::test]
async fn no_other_request_forgets_failures() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(&server, &client).await;
    let unproved = user.unverified_totp(&client, "unproved", &[]).await;
    fail_until(&server, &totp, 5).await;
    for nth in 0..5 {
        unproved
            .verify(&client, &wrong_code(&server, &unproved.app, nth))
            .await
            .ok();
    }
    for factor in [&totp, &unproved] {
        for change in [
            ("FriendlyName", "renamed"),
            ("Config.Skew", "2"),
            ("Config.Alg", "sha256"),
            ("Config.Alg", "sha1"),
        ] {
            client.post(&factor.path, &[change]).await.ok();
        }
        client.get(&factor.path).await.ok();
        assert_eq!(server.factor(&factor.sid).await.failures.count(), 5);
    }
    let (first, second) = (totp.challenge(&client).await, totp.challenge(&client).await);
    answer(&client, &first, "12345").await.refused(400, 60306);
    client.post(&second, &[("Metadata", r#"{"os":"x"}"#)]).await.ok();
    user.unverified_totp(&client, "another", &[]).await;
    server.wait(7 * 24 * 3600);
    server.sweep().await;
    unproved
        .verify(&client, &unproved.app.code(&server))
        .await
        .refused(429, 60310);
    server.wait(365 * 24 * 3600);
    server.sweep().await;
    assert_eq!(server.factor(&totp.sid).await.failures.count(), 5);
    // What nobody proves goes some day, and takes its tries along.
    unproved
        .verify(&client, &unproved.app.code(&server))
        .await
        .refused(404, 20404);
    let taken = totp.app.code(&server);
    totp.check(&client, &taken).await.ok();
    fail_until(&server, &totp, 3).await;
    assert_eq!(totp.check(&client, &taken).await.ok()["status"], "pending");
    assert_eq!(
        server.factor(&totp.sid).await.failures.count(),
        3,
        "a replay neither counts nor clears"
    );
}

/// Lockout as a weapon (CVE-2025-64102, Zitadel): who cannot call the API cannot raise a counter, and who can locks the
/// one factor that the codes were submitted to, not the user's others.
#[tokio::test]
async fn a_locked_factor_locks_no_other_and_only_accounts_can_lock_one() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(&server, &client).await;
    let other = user.totp_with(&server, &client, "other app", &[]).await;
    let device = user.device(&server, &client).await;

    let challenge = totp.challenge(&client).await;
    let wrong = wrong_code(&server, &totp.app, 0);
    let forged = Credentials {
        password: "not the token".to_owned(),
        ..server.account.clone()
    };
    let stranger = server.another_account().await;
    for attacker in [
        server.stranger(),
        server.client_of(&forged),
        server.client_of(&stranger),
        device.on(&server),
    ] {
        for path in [&challenge, &totp.path] {
            let refused = answer(&attacker, path, &wrong).await;
            assert!([401, 403, 404].contains(&refused.status), "{}", refused.body);
        }
        assert!([401, 403, 404].contains(&totp.check(&attacker, &wrong).await.status));
    }
    assert_eq!(server.factor(&totp.sid).await.failures.count(), 0);
    for _ in 0..20 {
        totp.challenge(&client).await;
    }
    assert_eq!(
        server.factor(&totp.sid).await.failures.count(),
        0,
        "to ask is no failure"
    );

    fail_until(&server, &totp, 10).await;
    totp.check(&client, &totp.app.code(&server))
        .await
        .refused(429, 20429);
    assert_eq!(server.factor(&other.sid).await.failures.count(), 0);
    assert_eq!(
        other.check(&client, &other.app.code(&server)).await.ok()["status"],
        "approved"
    );
    let challenge = user.push_challenge(&client, &device).await;
    assert_eq!(
        device.answer(&server, &challenge, "approved").await.ok()["status"],
        "approved"
    );
    server.wait(30);
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved",
        "locks end"
    );
}

/// Whoever listens to a factor's events learns at once that it can be used no longer, whichever request was one too many.
#[tokio::test(start_paused = true)]
async fn the_hundredth_failure_ends_the_factors_event_streams() {
    for at_creation in [true, false] {
        let server = TestApp::in_memory().await;
        let client = server.client();
        let totp = User::create(&client).await.totp(&server, &client).await;
        fail_until(&server, &totp, 99).await;
        server.wait(3600);
        let open = totp.challenge(&client).await;
        let path = format!("{}/Events", totp.path);
        let mut events = client.events(&path, &[]).await;
        events.expect("created", &open).await;
        let began = Instant::now();
        let wrong = wrong_code(&server, &totp.app, 1);
        if at_creation {
            totp.check(&client, &wrong).await.ok();
        } else {
            answer(&client, &open, &wrong).await.ok();
        }
        assert_eq!(server.factor(&totp.sid).await.status, FactorStatus::Disabled);
        assert_eq!(events.next().await, None, "{at_creation}");
        assert_eq!(began.elapsed(), Duration::ZERO, "{at_creation}");
        client.get(&path).await.refused(403, 60383);
    }
}
