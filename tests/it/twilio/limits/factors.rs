//! TOTP and push factors, created and changed.

use super::{
    Form, Rule, around, bad_names, bad_objects, check, check_required, good_names, good_objects, of_length,
    strings, unshown,
};
use crate::support::operations::Everything;
use crate::support::{Authenticator, Device, TestApp, User};

const FACTORS: &str = "/v2/Services/{ServiceSid}/Entities/{Identity}/Factors";
const FACTOR: &str = "/v2/Services/{ServiceSid}/Entities/{Identity}/Factors/{FactorSid}";

fn totp(_: &Everything) -> Form {
    vec![
        ("FriendlyName", "app".to_owned()),
        ("FactorType", "totp".to_owned()),
    ]
}

fn push(_: &Everything) -> Form {
    let mut form = Device::new().enrolment();
    form.retain(|(name, _)| *name != "Config.NotificationPlatform");
    form.push(("Config.NotificationPlatform", "fcm".to_owned()));
    form.push(("Config.NotificationToken", "n".repeat(64)));
    form
}

fn token(_: &Everything) -> Form {
    vec![("Config.NotificationToken", "n".repeat(64))]
}

fn nothing(_: &Everything) -> Form {
    Vec::new()
}

fn rules_of_totp(path: &'static str, base: fn(&Everything) -> Form) -> Vec<Rule> {
    let rule = |parameter, good, bad| Rule {
        path,
        base,
        parameter,
        good,
        bad,
        code: 60306,
    };
    let number = |parameter, least, most| {
        let (good, bad) = around(least, most);
        rule(parameter, good, bad)
    };
    vec![
        rule("FriendlyName", good_names(), bad_names()),
        number("Config.TimeStep", 20, 60),
        number("Config.CodeLength", 3, 8),
        number("Config.Skew", 0, 2),
        rule(
            "Config.Alg",
            strings(&["sha1", "sha256", "sha512"]),
            strings(&["SHA", "md5", "sha-1", "sha384", "none"]),
        ),
    ]
}

fn rules_of_push(path: &'static str, base: fn(&Everything) -> Form) -> Vec<Rule> {
    let rule = |parameter, good, bad| Rule {
        path,
        base,
        parameter,
        good,
        bad,
        code: 60306,
    };
    let blank = format!("{} {}", "a".repeat(16), "b".repeat(16));
    let tokens = ["é".repeat(32), "é".repeat(255), "a".repeat(32), "a".repeat(255)];
    vec![
        rule(
            "Config.NotificationToken",
            tokens.to_vec(),
            [
                of_length(31),
                of_length(256),
                vec![blank, format!("{}\n", "a".repeat(40))],
            ]
            .concat(),
        ),
        rule(
            "Config.AppId",
            vec!["a".repeat(100)],
            [of_length(101), strings(&["a\nb", "caf\u{e9}"])].concat(),
        ),
        rule(
            "Config.SdkVersion",
            of_length(64),
            [of_length(65), unshown()].concat(),
        ),
        rule(
            "Config.NotificationPlatform",
            strings(&["apn", "fcm", "none"]),
            strings(&["APN", "gcm", "apns"]),
        ),
    ]
}

#[tokio::test]
async fn parameters_of_a_new_totp_factor() {
    check(rules_of_totp(FACTORS, totp)).await;
    let secret = |length: usize, fill: u8| Authenticator::new(&vec![fill; length]).base32();
    let good = [
        secret(16, 1),
        secret(128, 2),
        secret(20, 3).to_lowercase(),
        format!("{}======", secret(16, 4)),
        format!("{} ", secret(20, 5)),
        "ABCD-EFGH".repeat(4),
    ];
    let bad = [
        secret(9, 1),
        secret(10, 1),
        secret(15, 1),
        secret(129, 1),
        "A".repeat(5000),
        "1".repeat(32),
        "ABCD_EFGH".repeat(4),
        format!("{}=", secret(20, 1)),
        " - ".repeat(8),
        " ".repeat(1025),
    ];
    let rule = |parameter, good, bad, code| Rule {
        path: FACTORS,
        base: totp,
        parameter,
        good,
        bad,
        code,
    };
    check(vec![
        rule("Binding.Secret", good.to_vec(), bad.to_vec(), 60314),
        rule("Metadata", good_objects(), bad_objects(), 60300),
        rule(
            "FactorType",
            strings(&["totp"]),
            strings(&["Totp", "sms", "passkeys"]),
            60300,
        ),
    ])
    .await;
    check_required(FACTORS, totp, &["FriendlyName", "FactorType"], 20001).await;
}

#[tokio::test]
async fn parameters_of_a_new_push_factor() {
    check(rules_of_push(FACTORS, push)).await;
    let rule = |parameter, good, bad, code| Rule {
        path: FACTORS,
        base: push,
        parameter,
        good,
        bad,
        code,
    };
    check(vec![
        rule("FriendlyName", vec!["é".repeat(64)], bad_names(), 60306),
        rule(
            "Binding.Alg",
            strings(&["ES256"]),
            strings(&["es256", "RS256", "none"]),
            60314,
        ),
        rule("Metadata", good_objects(), bad_objects(), 60300),
    ])
    .await;
    let required = [
        "FriendlyName",
        "FactorType",
        "Binding.PublicKey",
        "Config.SdkVersion",
        "Config.NotificationPlatform",
    ];
    check_required(FACTORS, push, &required, 20001).await;
}

#[tokio::test]
async fn parameters_of_a_factor_that_is_changed() {
    // The factor of the path is the push factor; what is no parameter of its type has the same limits.
    check(rules_of_totp(FACTOR, nothing)).await;
    check(rules_of_push(FACTOR, token)).await;
}

#[tokio::test]
async fn a_platform_needs_a_token() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let before = server.dump().await;
    for platform in ["apn", "fcm"] {
        let form = [("Config.NotificationPlatform", platform)];
        client
            .post(device.path(), &form)
            .await
            .refused(400, 60306)
            .naming("Config.NotificationToken");
    }
    assert_eq!(server.dump().await, before);
    let token = "n".repeat(64);
    let form = [("Config.NotificationToken", token.as_str())];
    let ignored = client.post(device.path(), &form).await.ok();
    assert_eq!(ignored["config"]["notification_token"], serde_json::Value::Null);
    let form = [("Config.NotificationPlatform", "fcm"), form[0]];
    client.post(device.path(), &form).await.ok();
    // The token of one platform means nothing to the other; said again, the platform keeps its own.
    let form = [("Config.NotificationPlatform", "apn")];
    client
        .post(device.path(), &form)
        .await
        .refused(400, 60306)
        .naming("Config.NotificationToken");
    let same = client
        .post(device.path(), &[("Config.NotificationPlatform", "fcm")])
        .await
        .ok();
    assert_eq!(same["config"]["notification_token"], token.as_str());
}

/// A change is made as a whole or not at all.
#[tokio::test]
async fn a_change_with_one_bad_parameter_changes_nothing() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(&server, &client).await;
    let before = server.dump().await;
    let form = [
        ("FriendlyName", "renamed"),
        ("Config.Skew", "0"),
        ("Config.TimeStep", "61"),
    ];
    client
        .post(&totp.path, &form)
        .await
        .refused(400, 60306)
        .naming("Config.TimeStep");
    let form = [("FriendlyName", "renamed"), ("AuthPayload", "123456")];
    client.post(&totp.path, &form).await.refused(403, 60383);
    assert_eq!(server.dump().await, before);
}
