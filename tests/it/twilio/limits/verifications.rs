//! Parameters of verifications and their checks.

use serde_json::json;

use super::{
    Form, Rule, bad_objects, check, check_required, good_objects, of_length, strings, unshown, unshown_lines,
};
use crate::support::messages::next_number;
use crate::support::operations::Everything;
use crate::support::{Service, TestApp};

const VERIFICATIONS: &str = "/v2/Services/{ServiceSid}/Verifications";

/// Each request has a number of its own: five sendings are all that a verification has.
fn base(_: &Everything) -> Form {
    vec![("To", next_number()), ("Channel", "sms".to_owned())]
}

fn rule(parameter: &'static str, good: Vec<String>, bad: Vec<String>) -> Rule {
    Rule {
        path: VERIFICATIONS,
        base,
        parameter,
        good,
        bad,
        code: 60200,
    }
}

#[tokio::test]
async fn where_a_code_goes_and_how() {
    check(vec![
        rule(
            "To",
            strings(&["+4915112345601", "+49 151 123456-02", " 4915112345603"]),
            strings(&[
                "4915112345604",
                "+49",
                "+0123456789",
                "+49151123456789012345",
                "+491511234567890x",
                "ada@example.com",
                "VE0123456789abcdef0123456789abcdef",
                "++4915112345604",
            ]),
        ),
        rule(
            "Channel",
            strings(&["sms", "SMS", "call", "whatsapp", "rcs", "auto"]),
            strings(&["pigeon", "sms ", "voice"]),
        ),
        rule(
            "RiskCheck",
            strings(&["enable", "disable", ""]),
            strings(&["yes", "true"]),
        ),
        rule(
            "EnableSnaClientToken",
            strings(&["true", "False", ""]),
            strings(&["yes", "1"]),
        ),
        rule(
            "DeviceIp",
            strings(&["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", ""]),
            strings(&["192.0.2.256", "192.0.2", "localhost", "192.0.2.1:80"]),
        ),
    ])
    .await;
    check_required(VERIFICATIONS, base, &["To", "Channel"], 20001).await;
}

#[tokio::test]
async fn what_a_message_says() {
    let app_hash = strings(&["He42w354ol", "He42w354ol99", "He42w354ol=", "He42w354ol "]);
    check(vec![
        rule(
            "CustomFriendlyName",
            [
                vec!["a".repeat(32), "é".repeat(32), String::new()],
                strings(&["Owl-Bank_2"]),
            ]
            .concat(),
            [
                vec!["a".repeat(33)],
                strings(&["https://x.example", "call 555-012-3456", "a\nb"]),
            ]
            .concat(),
        ),
        rule(
            "CustomMessage",
            strings(&["Here: {{code}}", "{{code}} is for {{friendly_name}}", ""]),
            [
                strings(&["no code"]),
                [unshown_lines()
                    .iter()
                    .map(|text| format!("{{{{code}}}} {text}"))
                    .collect::<Vec<_>>()]
                .concat(),
            ]
            .concat(),
        ),
        rule(
            "Locale",
            strings(&["de", "pt-BR", "zh_Hant_TW", "tlh", ""]),
            strings(&["d", "german", "de-", "12", "de-DE-x", "../de"]),
        ),
        rule("AppHash", strings(&["He42w354ol9", "a+b/c012345", ""]), app_hash),
        rule(
            "SendDigits",
            [strings(&["1", "ww1*2#W", ""]), vec!["1".repeat(32)]].concat(),
            [strings(&["1-2", "+1", "p1", "1 2"]), vec!["1".repeat(33)]].concat(),
        ),
        rule(
            "TemplateSid",
            strings(&[""]),
            strings(&["HJ", "VA0123456789abcdef0123456789abcdef"]),
        ),
        rule(
            "TemplateCustomSubstitutions",
            good_objects(),
            [bad_objects(), members_of(&unshown_lines())].concat(),
        ),
    ])
    .await;
}

/// An object with each of the texts as its name, and one with each as its value.
fn members_of(texts: &[String]) -> Vec<String> {
    let objects = texts
        .iter()
        .flat_map(|text| [json!({text: "x"}), json!({"x": text})]);
    objects.map(|object| object.to_string()).collect()
}

/// What a caller might want of an e-mail, with one of the texts in it.
fn options_of(texts: &[String]) -> Vec<String> {
    let names = ["from_name", "template_id"].map(|name| move |text: &String| json!({name: text}));
    let options = texts
        .iter()
        .flat_map(|text| names.each_ref().map(|option| option(text)));
    let lines = unshown_lines();
    let substitutions = lines.iter().map(|text| json!({"substitutions": {"x": text}}));
    options
        .chain(substitutions)
        .map(|object| object.to_string())
        .collect()
}

#[tokio::test]
async fn what_goes_along_with_a_message() {
    let tags = |count: usize, length: usize| {
        let pairs = (0..count).map(|nth| (format!("{nth:0length$}"), "v".repeat(length)));
        json!(pairs.collect::<std::collections::BTreeMap<_, _>>()).to_string()
    };
    check(vec![
        rule(
            "Tags",
            [
                vec![tags(10, 128), tags(1, 1)],
                strings(&["{}", "", r#"{"é":""}"#]),
            ]
            .concat(),
            [
                vec![tags(11, 2), tags(1, 129)],
                strings(&[
                    r#"{"a":1}"#,
                    r#"{"a":null}"#,
                    "[]",
                    "{",
                    "a=b",
                    r#"{"a":"b","a":"c"}"#,
                ]),
                members_of(&unshown()),
            ]
            .concat(),
        ),
        rule(
            "ChannelConfiguration",
            strings(&[
                "{}",
                r#"{"from_name":"Bar Inc.","substitutions":{"username":"ms. baz"},"template_id":"Dx"}"#,
                r#"{"from":null}"#,
                "",
            ]),
            [
                options_of(&unshown()),
                strings(&[
                    r#"{"from":"foo"}"#,
                    r#"{"from":"foo@bar.com"}"#,
                    r#"{"from":"foo@bar.com\r\nBcc: eve@bar.com"}"#,
                    r#"{"from_name":"a\nb"}"#,
                    r#"{"from_name":1}"#,
                    r#"{"substitutions":{"a":1}}"#,
                    r#"{"to":"eve@bar.com"}"#,
                    "[]",
                    "x",
                ]),
            ]
            .concat(),
        ),
        rule("Amount", Vec::new(), [of_length(33), unshown()].concat()),
        rule("Payee", Vec::new(), [of_length(65), unshown()].concat()),
    ])
    .await;
}

#[tokio::test]
async fn a_code_of_ones_own_has_4_to_10_digits() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create_with(&client, &[("CustomCodeEnabled", "true")]).await;
    let before = server.dump().await;
    for bad in ["123", "12345678901", "abcdef", "12_34", "0x12"] {
        let refused = service
            .send(&client, &next_number(), &[("CustomCode", bad)])
            .await;
        refused.refused(400, 60200).naming("CustomCode");
    }
    assert_eq!(server.dump().await, before);
    for good in ["0000", "1234567890", "12-34"] {
        service
            .send(&client, &next_number(), &[("CustomCode", good)])
            .await
            .ok();
    }
}

#[tokio::test]
async fn messages_that_cannot_be_written_are_refused_with_numbers_of_their_own() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let before = server.dump().await;
    let long = format!("{{{{code}}}}{}", "a".repeat(493));
    for (form, code) in [
        ([("CustomMessage", long.as_str())], 60247),
        ([("TemplateSid", "HJ0123456789abcdef0123456789abcdef")], 60228),
    ] {
        service
            .send(&client, &next_number(), &form)
            .await
            .refused(400, code);
    }
    let listed = client.get("/v2/Templates").await.ok();
    let template = listed["templates"][0]["sid"].as_str().unwrap();
    let by_mail = [("TemplateSid", template)];
    service
        .send(&client, "ada@example.com", &by_mail)
        .await
        .refused(400, 60227);
    assert_eq!(server.dump().await, before);
    service.send(&client, &next_number(), &by_mail).await.ok();
    // The service's own template gives way where it cannot be used.
    client
        .post(&service.path, &[("DefaultTemplateSid", template)])
        .await
        .ok();
    service.send(&client, "ada@example.com", &[]).await.ok();
}
