//! Every status of the protocol's table, and what is said of whom.

use countersign::crypto::plain_token::ImportedSecret;
use countersign::domain::text::{FriendlyName, KeyName};
use countersign::flows::api_key;
use serde_json::json;
use zeroize::Zeroizing;

use super::world::{Form, Verify};
use crate::support::Credentials;

#[tokio::test]
async fn parameters_that_are_missing_or_wrong_are_named() {
    let verify = Verify::new().await;
    for (path, form, status, text) in FAULTS {
        let answer = verify.ask(path, form).await;
        let expected = json!({ "status": status, "error_text": text });
        assert_eq!(answer, expected, "{path} {form:?}");
    }
}

/// Whoever moves here keeps the pair that its callers have.
#[tokio::test]
async fn a_key_that_was_imported_is_let_in_and_shown() {
    let verify = Verify::new().await;
    let pair = Credentials::new(&"abcd1234", "Zwyx9876Vuts5432");
    let ask = async || {
        let form = [NUMBER, ("brand", "Owl Bank")];
        verify.ask_as(&pair, "/verify", &form).await
    };
    assert_eq!(ask().await["status"], "4");
    let account = verify.server.account.user.parse().unwrap();
    let secret = ImportedSecret::try_from(Zeroizing::new(pair.password.clone())).unwrap();
    let (name, key) = (FriendlyName::parse("moved"), KeyName::parse(&pair.user));
    api_key::import(&verify.server.app, account, name.unwrap(), key.unwrap(), &secret)
        .await
        .unwrap();
    let begun = ask().await;
    assert_eq!(begun["status"], "0", "{begun}");
    let id = begun["request_id"].as_str().unwrap();
    let found = verify
        .ask_as(&pair, "/verify/search", &[("request_id", id)])
        .await;
    assert_eq!(
        (&found["account_id"], &found["status"]),
        (&json!("abcd1234"), &json!("IN PROGRESS"))
    );
}

const NUMBER: (&str, &str) = ("number", "4915112345678");

/// A path, what is asked there, and what comes of it.
const FAULTS: &[(&str, Form<'_>, &str, &str)] = &[
    (
        "/verify",
        &[("brand", "Owl")],
        "2",
        "Your request is incomplete and missing the mandatory parameter: number",
    ),
    (
        "/verify",
        &[NUMBER],
        "2",
        "Your request is incomplete and missing the mandatory parameter: brand",
    ),
    (
        "/verify",
        &[NUMBER, ("brand", "")],
        "2",
        "Your request is incomplete and missing the mandatory parameter: brand",
    ),
    (
        "/verify/psd2",
        &[NUMBER, ("payee", "Owl")],
        "2",
        "Your request is incomplete and missing the mandatory parameter: amount",
    ),
    (
        "/verify",
        &[("number", "0151"), ("brand", "Owl")],
        "3",
        "Invalid value for param: number",
    ),
    (
        "/verify",
        &[NUMBER, ("brand", "Owl"), ("brand", "Cat")],
        "3",
        "Invalid value for param: brand (it is given twice, with different values)",
    ),
    (
        "/verify",
        &[NUMBER, ("brand", "Owl"), ("lg", "tlh-qo")],
        "3",
        "Invalid value for param: lg",
    ),
    (
        "/verify",
        &[NUMBER, ("brand", "Owl"), ("pin_code", "1234")],
        "20",
        "This account does not support the parameter: pin_code.",
    ),
    (
        "/verify",
        &[NUMBER, ("brand", "Owl"), ("require_type", "Landline")],
        "15",
        "The destination number is not in a supported network",
    ),
    (
        "/verify/check",
        &[("code", "1234")],
        "2",
        "Your request is incomplete and missing the mandatory parameter: request_id",
    ),
    (
        "/verify/check",
        &[("request_id", "x")],
        "2",
        "Your request is incomplete and missing the mandatory parameter: code",
    ),
    (
        "/verify/check",
        &[("request_id", "x"), ("code", "1234")],
        "6",
        "The platform was unable to process this message for the following reason: Request 'x' was not found or it has \
             been verified already.",
    ),
    (
        "/verify/control",
        &[("request_id", "x")],
        "2",
        "Your request is incomplete and missing the mandatory parameter: cmd",
    ),
    (
        "/verify/control",
        &[("request_id", "x"), ("cmd", "stop")],
        "3",
        "Invalid value for param: cmd",
    ),
    (
        "/verify/control",
        &[("request_id", "x"), ("cmd", "cancel")],
        "6",
        "The requestId 'x' does not exist or its no longer active.",
    ),
    (
        "/verify/search",
        &[("request_id", "x")],
        "101",
        "No response found",
    ),
    (
        "/verify/search",
        &[],
        "6",
        "The platform was unable to process this message for the following reason: Wrong parameters",
    ),
    (
        "/verify/search",
        &[("request_ids", "1,2,3,4,5,6,7,8,9,10"), ("request_id", "11")],
        "18",
        "Too many request_ids provided",
    ),
];

/// What is somebody else's is as unknown as what never was.
#[tokio::test]
async fn unknown_and_foreign_requests_are_alike() {
    let verify = Verify::new().await;
    let other = verify.server.another_account().await;
    let foreign = verify.begin("4915112345678", &[]).await;
    let code = verify.code(&foreign).await;
    let unknown = "0123456789abcdef0123456789abcdef";
    for id in [&*foreign, unknown] {
        for (path, more) in [
            ("/verify/check", ("code", &*code)),
            ("/verify/control", ("cmd", "cancel")),
            ("/verify/control", ("cmd", "trigger_next_event")),
            ("/verify/search", ("code", "")),
        ] {
            let answer = verify.ask_as(&other, path, &[("request_id", id), more]).await;
            let told = answer.to_string().replace(id, unknown);
            let same = verify.ask(path, &[("request_id", unknown), more]).await;
            assert_eq!(told, same.to_string());
        }
    }
    // Each account has a request of its own for one number.
    let form = [("number", "4915112345678"), ("brand", "Cat")];
    let own = verify.ask_as(&other, "/verify", &form).await;
    assert_eq!(own["status"], "0");
    assert_eq!(verify.check(&foreign, &code).await["status"], "0");
}

/// One, several, a list, and what is not there among them.
#[tokio::test]
async fn up_to_ten_requests_are_found_at_once() {
    let verify = Verify::new().await;
    let mut ids = Vec::new();
    for index in 0..10 {
        ids.push(verify.begin(&format!("491511234567{index}"), &[]).await);
    }
    let found = async |form: &[(&str, &str)]| {
        let answer = verify.ask("/verify/search", form).await;
        let several = answer["verification_requests"].as_array().cloned();
        several.map(|several| {
            let ids = several.iter().map(|one| one["request_id"].as_str().unwrap());
            ids.map(str::to_owned).collect::<Vec<_>>()
        })
    };
    let repeated: Vec<_> = ids.iter().map(|id| ("request_ids", &**id)).collect();
    assert_eq!(found(&repeated).await.as_ref(), Some(&ids));
    let repeated: Vec<_> = ids.iter().map(|id| ("request_id", &**id)).collect();
    assert_eq!(found(&repeated).await.as_ref(), Some(&ids));
    let list = ids.join(", ");
    assert_eq!(found(&[("request_id", &list)]).await.as_ref(), Some(&ids));
    let with_unknown = format!("{},nothing,{}", ids[3], ids[1]);
    assert_eq!(
        found(&[("request_ids", &with_unknown)]).await,
        Some(vec![ids[3].clone(), ids[1].clone()])
    );
    assert_eq!(
        found(&[("request_ids", &ids[0])]).await,
        Some(vec![ids[0].clone()])
    );
    assert_eq!(found(&[("request_id", &ids[0])]).await, None);
    let eleven = format!("{list},nothing");
    let answer = verify.ask("/verify/search", &[("request_id", &eleven)]).await;
    assert_eq!(answer["status"], "18");
}
