//! Every way to a code: the same counter and the same list of used codes on all of them, by whatever name.

use crate::support::device::borrowed;
use crate::support::operations::{Codes, Everything, Sample, samples};
use crate::support::world::{Totp, answer, sid_of};
use crate::support::{Answer, Client, TestApp, User, wrong_code};

struct Ground {
    server: TestApp,
    all: Everything,
    unverified: Totp,
    challenge: String,
}

impl Ground {
    async fn prepare() -> Self {
        let server = TestApp::new().await;
        let client = server.client();
        let all = Everything::create(&server, &client).await;
        let unverified = all.user.unverified_totp(&client, "unverified", &[]).await;
        let challenge = all.totp.challenge(&client).await;
        Self {
            server,
            all,
            unverified,
            challenge,
        }
    }

    /// Sends a code where the operation would look for one, and everywhere else.
    async fn send(&self, sample: &Sample, client: &Client<'_>, factor: &Totp, code: &str) -> Answer {
        let path = self.all.path(sample.operation.path);
        let path = path.replace(&self.all.device.factor, &factor.sid);
        let path = path.replace(sid_of(&self.all.challenge), sid_of(&self.challenge));
        let mut form = (sample.form)(&self.all);
        form.retain(|(name, _)| *name != "FactorSid");
        for name in ["AuthPayload", "Code", "Passcode", "otp"] {
            form.push((name, code.to_owned()));
        }
        form.push(("FactorSid", factor.sid.clone()));
        let query = format!("{path}?AuthPayload={code}&Code={code}");
        client
            .request(sample.operation.method, &query, &borrowed(&form))
            .await
    }
}

/// A check that one path forgets is a check that attackers find (CVE-2021-45331 in Gitea was fixed on one path only).
/// A new operation has to say here what it does with codes.
#[tokio::test]
async fn every_operation_shares_the_counter_and_the_used_codes() {
    for sample in samples() {
        let operation = sample.operation;
        let ground = Ground::prepare().await;
        let (server, client) = (&ground.server, ground.server.client());
        let totp = if sample.codes == Codes::OfUnverified {
            &ground.unverified
        } else {
            &ground.all.totp
        };
        let right = totp.app.code(server);
        let looks_at_none = matches!(sample.codes, Codes::Ignored | Codes::OfMessages);

        let first = ground
            .send(&sample, &client, totp, &wrong_code(server, &totp.app, 0))
            .await;
        if operation.method == "DELETE" {
            assert_eq!(first.status, 204);
            continue;
        }
        let after_wrong = ground
            .send(&sample, &client, totp, &wrong_code(server, &totp.app, 1))
            .await;
        let counted = server.factor(&totp.sid).await.failures.count();
        assert_eq!(counted, if looks_at_none { 0 } else { 2 }, "{operation:?}");

        let after_right = ground.send(&sample, &client, totp, &right).await;
        let challenge = ground.all.totp.challenge(&client).await;
        if looks_at_none {
            assert_eq!(
                after_wrong.status, after_right.status,
                "{operation:?} tells codes apart"
            );
            assert_eq!(
                answer(&client, &challenge, &right).await.ok()["status"],
                "approved",
                "{operation:?}"
            );
            continue;
        }
        assert!(["approved", "verified"].contains(&after_right.ok()["status"].as_str().unwrap()));
        assert_eq!(
            server.factor(&totp.sid).await.failures.count(),
            0,
            "{operation:?}"
        );
        // Used up on this path: refused on all.
        assert_eq!(
            totp.check(&client, &right).await.ok()["status"],
            "pending",
            "{operation:?}"
        );
        let challenge = totp.challenge(&client).await;
        assert_eq!(
            answer(&client, &challenge, &right).await.ok()["status"],
            "pending",
            "{operation:?}"
        );
        totp.verify(&client, &right).await.refused(403, 60383);
    }
}

/// Failures on one path delay all.
#[tokio::test]
async fn failures_add_up_over_all_operations() {
    let ground = Ground::prepare().await;
    let (server, client, totp) = (&ground.server, ground.server.client(), &ground.all.totp);
    let evaluating: Vec<_> = samples()
        .into_iter()
        .filter(|sample| sample.codes == Codes::OfVerified)
        .collect();
    assert_eq!(evaluating.len(), 2);
    for nth in 0..10 {
        let sample = &evaluating[nth % 2];
        ground
            .send(sample, &client, totp, &wrong_code(server, &totp.app, nth))
            .await
            .ok();
    }
    let right = totp.app.code(server);
    for sample in &evaluating {
        let answer = ground.send(sample, &client, totp, &right).await;
        assert!([20429, 60308].contains(&answer.code()), "{}", answer.body);
    }
    totp.check(&client, &right).await.refused(429, 20429);
}

/// A second name for one user was a second budget of guesses (CVE-2025-24806, Authelia; CVE-2025-6004, Vault).
#[tokio::test]
async fn other_spellings_of_a_path_are_the_same_factor_or_nothing() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(&server, &client).await;
    let encoded = totp.challenges.replace("user-0001", "us%65r%2d0001");
    let upper = |sid: &str| format!("{}{}", &sid[..2], sid[2..].to_uppercase());
    let upper_service = totp
        .challenges
        .replace(&user.service.sid, &upper(&user.service.sid));
    let upper_factor = upper(&totp.sid);

    let ways = [
        (&totp.challenges, &totp.sid),
        (&encoded, &totp.sid),
        (&upper_service, &totp.sid),
        (&totp.challenges, &upper_factor),
    ];
    for (nth, (path, factor)) in ways.iter().enumerate() {
        let form = [
            ("FactorSid", factor.as_str()),
            ("AuthPayload", &wrong_code(&server, &totp.app, nth)),
        ];
        client.post(path, &form).await.ok();
    }
    assert_eq!(server.factor(&totp.sid).await.failures.count(), 4, "one counter");
    let code = totp.app.code(&server);
    assert_eq!(totp.check(&client, &code).await.ok()["status"], "approved");
    for (path, factor) in ways {
        let answer = client
            .post(path, &[("FactorSid", factor), ("AuthPayload", &code)])
            .await;
        assert_eq!(answer.ok()["status"], "pending", "one list of used codes");
    }

    let others = [
        "User-0001",
        "USER-0001",
        "user-00001",
        "user_0001",
        "user-0001%20",
        "%20user-0001",
        "user-0001%00",
    ];
    let more = [
        "user-%EF%BC%90001",
        "us%C3%A9r-0001",
        "user-0001.",
        "user%2F0001",
        "%FFuser-0001",
        "user-0001%0A",
    ];
    let before = server.dump().await;
    for identity in others.iter().chain(&more) {
        let path = totp.challenges.replace("user-0001", identity);
        let form = [("FactorSid", totp.sid.as_str()), ("AuthPayload", "000000")];
        let refused = client.post(&path, &form).await;
        assert!(
            [404, 400].contains(&refused.status),
            "{identity}: {}",
            refused.body
        );
    }
    for factor in [
        totp.sid.replace("YF", "yf"),
        totp.sid.replace("YF", "YC"),
        format!("{} ", totp.sid),
    ] {
        let refused = client
            .post(
                &totp.challenges,
                &[("FactorSid", &factor), ("AuthPayload", "000000")],
            )
            .await;
        refused.refused(400, 60306).naming("FactorSid");
    }
    assert_eq!(server.dump().await, before);
}
