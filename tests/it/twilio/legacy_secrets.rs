//! Secrets that come from older systems: how they are written, and those that are shorter than they should be.

use countersign::app::Policy;
use countersign::flows::check_store::check_store;
use countersign::flows::store_format;
use serde_json::Value;

use crate::support::stores::new_store;
use crate::support::{Answer, Authenticator, Client, TestApp, User, wrong_code};

fn allowing() -> Policy {
    Policy {
        legacy_totp_secrets: true,
        ..crate::doubles::policy()
    }
}

async fn import(client: &Client<'_>, user: &User, secret: &str) -> Answer {
    let form = [
        ("FriendlyName", "app"),
        ("FactorType", "totp"),
        ("Binding.Secret", secret),
    ];
    client.post(format!("{}/Factors", user.path), &form).await
}

async fn answer(client: &Client<'_>, path: &str, form: &[(&str, &str)]) -> Value {
    client.post(path, form).await.ok()["status"].clone()
}

/// However a secret is written, it is the same one: its codes are right, and a second factor of it is refused.
#[tokio::test]
async fn a_secret_may_be_written_as_other_systems_show_it() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let app = Authenticator::new(b"sixteen bytes ok");
    let plain = app.base32();
    let grouped = |between: &str| {
        let digits = plain.as_bytes().chunks(4);
        let groups: Vec<&str> = digits.map(|group| str::from_utf8(group).unwrap()).collect();
        groups.join(between)
    };
    let spellings = [
        grouped(" "),
        grouped(" ").to_lowercase(),
        grouped("-"),
        grouped("\u{a0}"),
        grouped("\u{202f}"),
        grouped("\u{2011}"),
        format!("\t{}======\r\n", grouped("\u{3000}")),
    ];
    for spelling in &spellings {
        let created = import(&client, &user, spelling).await.ok();
        assert_eq!(created["binding"]["secret"], plain, "{spelling:?}");
        assert_eq!(created["config"].get("legacy_secret"), None);
        let factor = format!("{}/Factors/{}", user.path, created["sid"].as_str().unwrap());
        let code = app.code(&server);
        let form = [("AuthPayload", code.as_str())];
        assert_eq!(
            client.post(&factor, &form).await.ok()["status"],
            "verified",
            "{spelling:?}"
        );
        for twin in &spellings {
            import(&client, &user, twin).await.refused(409, 60317);
        }
        client.delete(&factor).await.ok();
    }
}

#[tokio::test]
async fn short_secrets_are_refused_unless_the_operator_allows_them() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let before = server.dump().await;
    for length in 10..16 {
        import(&client, &user, &Authenticator::new(&vec![7; length]).base32())
            .await
            .refused(400, 60314)
            .naming("Binding.Secret must have at least 16 bytes: the operator of this server does not allow");
    }
    assert_eq!(server.dump().await, before);

    let server = TestApp::with(new_store().await, allowing()).await;
    let client = server.client();
    let user = User::create(&client).await;
    let before = server.dump().await;
    for length in [1, 5, 9, 129] {
        import(&client, &user, &Authenticator::new(&vec![7; length]).base32())
            .await
            .refused(400, 60314)
            .naming(
                "Binding.Secret is no secret: a TOTP secret has 16 to 128 bytes (10 to 15 in older systems)",
            );
    }
    assert_eq!(server.dump().await, before);
    for (length, legacy) in [(10, true), (15, true), (16, false), (20, false)] {
        let secret = Authenticator::new(&vec![7; length]).base32();
        let created = import(&client, &user, &secret).await.ok();
        let expected = legacy.then_some(Value::Bool(true));
        assert_eq!(
            created["config"].get("legacy_secret"),
            expected.as_ref(),
            "{length}"
        );
        let path = format!("{}/Factors/{}", user.path, created["sid"].as_str().unwrap());
        assert_eq!(client.get(&path).await.ok()["config"], created["config"]);
    }
    // A secret that is made here is never a short one.
    let form = [("FriendlyName", "app"), ("FactorType", "totp")];
    let made = client.post(format!("{}/Factors", user.path), &form).await.ok();
    assert_eq!(made["config"].get("legacy_secret"), None);
}

/// What was taken while it was allowed keeps working, its enrolment included, and stays marked when it is changed.
#[tokio::test]
async fn a_factor_with_a_short_secret_outlives_the_permission() {
    let server = TestApp::with(new_store().await, allowing()).await;
    store_format::check(&server.app).await.unwrap();
    let client = server.client();
    let user = User::create(&client).await;
    let mut paths = Vec::new();
    let apps = [
        Authenticator::new(b"ten bytes!"),
        Authenticator::new(b"fifteen bytes !"),
    ];
    for app in &apps {
        let created = import(&client, &user, &app.base32().to_lowercase()).await.ok();
        paths.push((
            created["sid"].clone(),
            format!("{}/Factors/{}", user.path, created["sid"].as_str().unwrap()),
        ));
    }
    let code = apps[0].code_off(&server, -1);
    assert_eq!(
        answer(&client, &paths[0].1, &[("AuthPayload", &code)]).await,
        "verified"
    );

    let server = server.clone().with_policy(crate::doubles::policy());
    let client = server.client();
    let code = apps[1].code_off(&server, -1);
    assert_eq!(
        answer(&client, &paths[1].1, &[("AuthPayload", &code)]).await,
        "verified"
    );
    let challenges = format!("{}/Challenges", user.path);
    for (app, (sid, path)) in apps.iter().zip(&paths) {
        let sid = sid.as_str().unwrap();
        let wrong = wrong_code(&server, app, 0);
        let right = app.code(&server);
        for (code, status) in [(&wrong, "pending"), (&right, "approved"), (&right, "pending")] {
            let form = [("FactorSid", sid), ("AuthPayload", code)];
            assert_eq!(answer(&client, &challenges, &form).await, status);
        }
        let changed = client
            .post(path, &[("FriendlyName", "old"), ("Config.Skew", "2")])
            .await
            .ok();
        assert_eq!(changed["config"]["legacy_secret"], true);
        assert_eq!(changed["status"], "verified");
    }
    let another = Authenticator::new(b"another 10").base32();
    import(&client, &user, &another).await.refused(400, 60314);
    let report = check_store(&server.app).await.unwrap();
    assert!(report.is_healthy(), "{report}");
}
