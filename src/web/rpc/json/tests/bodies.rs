//! What is read of a body.

use std::fmt::Write as _;

use serde_json::json;

use super::*;

const SET: &str = "/v2/users/ada-lovelace/phone";
const SET_REQUEST: &str = "zitadel.user.v2.SetPhoneRequest";

#[tokio::test]
async fn fields_are_known_by_both_names_and_others_are_passed_over() {
    let world = JsonWorld::new();
    for (body, expected) in [
        (r#"{"phone":"+32470123456"}"#, json!({"phone": "+32470123456"})),
        (r#"{"sendCode":{}}"#, json!({"send_code": {}})),
        (r#"{"send_code":{}}"#, json!({"send_code": {}})),
        (r#"{"returnCode":{}}"#, json!({"return_code": {}})),
        (r#"{"isVerified":true}"#, json!({"is_verified": true})),
        // A member of a oneof is there even if it says nothing.
        (r#"{"is_verified":false}"#, json!({"is_verified": false})),
        (
            r#"{"sendCode":{"urlTemplate":"x","a":[{"b":{}}]},"new":[1,null]}"#,
            json!({"send_code": {}}),
        ),
        // `null` is as good as nothing.
        (
            r#"{"phone":null,"sendCode":null,"returnCode":{}}"#,
            json!({"return_code": {}}),
        ),
        (" \r\n\t{ } \n", json!({})),
        ("", json!({})),
        (" \n ", json!({})),
        (r#"{"ph\u006fne":"\u002b1"}"#, json!({"phone": "+1"})),
    ] {
        let (status, _, text) = world.ask(request("POST", SET, body)).await;
        assert_eq!((status, &*text), (200, "{}"), "{body}");
        let mut expected = expected;
        expected["user_id"] = "ada-lovelace".into();
        let asked = world.asked();
        assert_eq!(asked[0].message(SET_REQUEST), expected, "{body}");
        assert_eq!(asked[0].path, "/zitadel.user.v2.UserService/SetPhone");
    }
}

#[tokio::test]
async fn what_is_said_twice_or_wrongly_is_refused_and_nothing_is_asked() {
    let world = JsonWorld::new();
    let depth = |open: &str, close: &str| format!("{{\"x\":{}{}}}", open.repeat(9_000), close.repeat(9_000));
    for body in [
        // Twice.
        r#"{"phone":"+1","phone":"+1"}"#,
        r#"{"phone":"+1","ph\u006fne":"+2"}"#,
        r#"{"userId":"a-user-1","user_id":"a-user-1"}"#,
        r#"{"sendCode":{},"send_code":{}}"#,
        r#"{"sendCode":null,"send_code":{}}"#,
        r#"{"sendCode":{},"returnCode":{}}"#,
        r#"{"isVerified":false,"sendCode":{}}"#,
        r#"{"x":1,"x":2}"#,
        r#"{"sendCode":{"x":1,"x":1}}"#,
        r#"{"x":[{"y":{"z":1,"z":1}}]}"#,
        // Of another type.
        r#"{"phone":1}"#,
        r#"{"phone":true}"#,
        r#"{"phone":["+1"]}"#,
        r#"{"phone":{}}"#,
        r#"{"isVerified":"true"}"#,
        r#"{"isVerified":1}"#,
        r#"{"sendCode":[]}"#,
        r#"{"sendCode":"x"}"#,
        r#"{"sendCode":true}"#,
        // No object of JSON, or more than one.
        "[]",
        "null",
        "1",
        r#""phone""#,
        "{",
        r#"{"phone"}"#,
        r#"{"phone":}"#,
        r#"{"phone":"+1",}"#,
        r#"{phone:"+1"}"#,
        r"{'phone':'+1'}",
        "{}{}",
        "{} x",
        "\u{c}{}",
        "{}\u{c}",
        "\u{c}",
        "\u{feff}{}",
        r#"{"phone":"\ud800"}"#,
        r#"{"phone":"a"#,
        "{\"phone\":\"\u{1}\"}",
        r#"{"x":01}"#,
        r#"{"x":NaN}"#,
        "phone=%2B1",
        &depth("[", "]"),
        &depth("{\"x\":", "}"),
        &"[".repeat(60_000),
    ] {
        let (status, headers, text) = world.ask(request("POST", SET, body.to_owned())).await;
        let shown = &body[..body.len().min(60)];
        assert_eq!(status, 400, "{shown}: {text}");
        assert_eq!(headers["content-type"], "application/json");
        let error: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(error["code"], 3, "{shown}: {text}");
        assert!(!error["message"].as_str().unwrap().is_empty() && text.len() < 1000);
        assert!(world.asked().is_empty(), "{shown}");
    }
    for bytes in [&b"{\"phone\":\"\xff\"}"[..], b"{\"\xc3\":1}", b"\xff\xfe{\0}\0"] {
        let (status, _, text) = world.ask(request("POST", SET, bytes.to_vec())).await;
        assert_eq!(status, 400, "{text}");
    }
    assert!(world.asked().is_empty());
}

#[tokio::test]
async fn lists_and_enumerations_are_read() {
    let world = JsonWorld::new();
    let path = "/v2/users/ada-lovelace/authentication_factors/_search";
    for (body, expected) in [
        (r#"{"authFactors":["OTP","OTP_SMS"]}"#, json!(["OTP", "OTP_SMS"])),
        (r#"{"authFactors":[0,3]}"#, json!(["OTP", "U2F"])),
    ] {
        let (status, _, text) = world.ask(request("POST", path, body)).await;
        assert_eq!(status, 200, "{text}");
        let message = world.asked()[0].message("zitadel.user.v2.ListAuthenticationFactorsRequest");
        assert_eq!(message["auth_factors"], expected);
    }
    for body in [
        r#"{"authFactors":"OTP"}"#,
        r#"{"authFactors":[{}]}"#,
        r#"{"authFactors":[1.5]}"#,
        r#"{"authFactors":[99999999999]}"#,
    ] {
        let (status, _, _) = world.ask(request("POST", path, body)).await;
        assert_eq!(status, 400, "{body}");
    }
}

#[tokio::test]
async fn bodies_have_one_type_and_a_longest_length() {
    let world = JsonWorld::new();
    let typed = |kind: Option<&str>, body: &str| {
        let mut request = request("POST", SET, body.to_owned());
        request.headers_mut().remove("content-type");
        if let Some(kind) = kind {
            request
                .headers_mut()
                .insert("content-type", kind.parse().unwrap());
        }
        request
    };
    for (kind, body, expected) in [
        (Some("application/json"), "{}", 200),
        (Some("Application/JSON; charset=UTF-8"), "{}", 200),
        (Some("application/json;charset=utf-8"), "{}", 200),
        // Nothing has no type.
        (None, "", 200),
        (Some("text/plain"), "", 200),
        // What forms of pages may send anywhere.
        (Some("text/plain"), "{}", 415),
        (Some("application/x-www-form-urlencoded"), "{}", 415),
        (Some("multipart/form-data"), "{}", 415),
        (None, "{}", 415),
        (Some("application/jsonp"), "{}", 415),
        (Some("text/json"), "{}", 415),
    ] {
        let (status, _, text) = world.ask(typed(kind, body)).await;
        assert_eq!(status, expected, "{kind:?} {body}: {text}");
        assert_eq!(world.asked().len(), usize::from(expected == 200));
    }
    let mut long = r#"{"x":""#.to_owned();
    for _ in 0..body::MAX_BODY_BYTES {
        long.write_char('x').unwrap();
    }
    let (status, _, text) = world.ask(request("POST", SET, long + "\"}")).await;
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("\"code\":8"), "{text}");
    assert!(world.asked().is_empty());
}
