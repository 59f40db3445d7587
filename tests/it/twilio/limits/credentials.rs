//! Credentials of push providers.

use serde_json::json;

use super::{Form, Rule, bad_names, check, check_required, good_names, strings};
use crate::support::credentials::{apn_form, fcm_form, p256, rsa2048, service_account};
use crate::support::operations::Everything;

const CREDENTIALS: &str = "/v1/Credentials";
const CREDENTIAL: &str = "/v1/Credentials/{CredentialSid}";
const FCM_CREDENTIAL: &str = "/v1/Credentials/{FcmCredentialSid}";

fn apn(_: &Everything) -> Form {
    apn_form()
}

fn fcm(_: &Everything) -> Form {
    fcm_form()
}

fn rules_of_apples(path: &'static str) -> Vec<Rule> {
    let rule = |parameter, good: &[&str], bad: &[&str]| Rule {
        path,
        base: apn,
        parameter,
        good: strings(good),
        bad: strings(bad),
        code: 60300,
    };
    let ids = ["ABCDEFGHIJ", "0123456789"];
    let no_ids = [
        "ABCDEFGHI",
        "ABCDEFGHIJK",
        "abcdefghij",
        "ABCDE FGHI",
        "ABCDEFGHI\u{c9}",
    ];
    let pem = p256().pem.as_str();
    vec![
        Rule {
            code: 60306,
            good: good_names(),
            bad: bad_names(),
            ..rule("FriendlyName", &[], &[])
        },
        rule("KeyId", &ids, &no_ids),
        rule("TeamId", &ids, &no_ids),
        rule(
            "Topic",
            &["com.owlbank.app", &"a".repeat(100), ""],
            &[&"a".repeat(101), "com owlbank", "com.\u{e9}", "a\nb"],
        ),
        rule("Sandbox", &["true", "False"], &["yes", "1"]),
        rule(
            "PrivateKey",
            &[pem, &pem.replace('\n', "")],
            &[
                "x",
                &rsa2048().pem,
                &pem.replace("PRIVATE", "EC PRIVATE"),
                &pem.replace("-----END", "---END"),
                &format!("{pem}{pem}"),
            ],
        ),
        rule(
            "Certificate",
            &[""],
            &["-----BEGIN CERTIFICATE-----MII=-----END CERTIFICATE-----"],
        ),
    ]
}

fn rules_of_googles(path: &'static str) -> Vec<Rule> {
    let with = |name: &str, value: &str| {
        let mut file = service_account();
        file[name] = value.into();
        file.to_string()
    };
    let bad = vec![
        "AAAAfakeserverkey:APA91b".to_owned(),
        "{}".to_owned(),
        "[".repeat(10_000),
        json!({"type": "service_account"}).to_string(),
        with("type", "authorized_user"),
        with("private_key", "x"),
        with("private_key", &p256().pem),
        with("project_id", "../secrets"),
        with("project_id", ""),
        with("client_email", "nobody"),
        with("token_uri", "http://127.0.0.1/"),
    ];
    let rule = |parameter, good: Vec<String>, bad| Rule {
        path,
        base: fcm,
        parameter,
        good,
        bad,
        code: 60300,
    };
    vec![
        rule("Secret", vec![service_account().to_string()], bad),
        rule("ApiKey", strings(&[""]), strings(&["AAAAfakeserverkey"])),
    ]
}

#[tokio::test]
async fn parameters_of_a_new_credential() {
    check(rules_of_apples(CREDENTIALS)).await;
    check(rules_of_googles(CREDENTIALS)).await;
    let types = Rule {
        path: CREDENTIALS,
        base: |_| [apn_form(), fcm_form()].concat(),
        parameter: "Type",
        good: strings(&["fcm"]),
        bad: strings(&["gcm", "APN", "webpush", "none"]),
        code: 60300,
    };
    check(vec![types]).await;
    check_required(
        CREDENTIALS,
        apn,
        &["Type", "PrivateKey", "KeyId", "TeamId"],
        20001,
    )
    .await;
    check_required(CREDENTIALS, fcm, &["Secret"], 20001).await;
}

#[tokio::test]
async fn parameters_of_a_credential_that_is_changed() {
    check(rules_of_apples(CREDENTIAL)).await;
    check(rules_of_googles(FCM_CREDENTIAL)).await;
}
