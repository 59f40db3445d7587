//! Whatever a message holds stays a value.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::samples;
use super::super::secret::SenderSecret;
use super::template::Values;
use super::*;
use crate::delivery::http::HttpRequest;

fn settings(url: &str, body: BodySettings) -> GatewaySettings {
    GatewaySettings {
        url: url.to_owned(),
        method: "POST".to_owned(),
        headers: Vec::new(),
        body,
        constants: BTreeMap::new(),
        from: None,
        username: None,
        secret: None,
        authorities: None,
        allow_plaintext: false,
        reading: AnswerRules::default(),
        timeout: Duration::from_secs(1),
    }
}

fn request(plan: &RequestPlan, text: &str) -> Option<HttpRequest> {
    let mut message = samples::sms("+15005550006", text, text);
    message.tags.push(("a".to_owned(), text.to_owned()));
    plan.request(Values {
        message: &message,
        from: None,
        secret: plan.secret.as_ref().map(SenderSecret::expose),
        now: crate::domain::time::Timestamp::from_seconds(0),
    })
}

fn refused(settings: GatewaySettings) -> String {
    RequestPlan::new(settings).unwrap_err().to_string()
}

fn hostile() -> impl Strategy<Value = String> {
    let bits = prop_oneof![
        any::<char>().prop_map(String::from),
        "[./\\\\?#&=+%@:\"'<>{}\r\n\t \0a-f0-9]{1,3}",
        Just("..".to_owned()),
        Just("%2e%2e".to_owned()),
        Just("{{secret}}".to_owned()),
        Just("]]>".to_owned()),
    ];
    proptest::collection::vec(bits, 0..8).prop_map(|bits| bits.concat())
}

proptest! {
    #[test]
    fn no_value_leaves_its_place_in_a_url(text in hostile()) {
        let url = "https://gateway.example:8443/send/{{code}}/{{tag.a}}x?to={{to}}&text={{text}}&end=1";
        let plan = RequestPlan::new(settings(url, BodySettings::None)).unwrap();
        let Some(request) = request(&plan, &text) else {
            prop_assert!(text == "." || text == "..", "{text:?} has a form");
            return Ok(());
        };
        prop_assert_eq!(request.url.origin().ascii_serialization(), "https://gateway.example:8443");
        prop_assert!(request.url.username().is_empty() && request.url.fragment().is_none());
        let segments: Vec<_> = request.url.path_segments().unwrap().collect();
        prop_assert_eq!(segments.len(), 3);
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        prop_assert_eq!(decoded(segments[1]), text.clone());
        prop_assert_eq!(decoded(segments[2]), format!("{text}x"));
        let pairs: Vec<_> = request.url.query_pairs().into_owned().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        prop_assert_eq!(pairs, [pair("to", "+15005550006"), pair("text", &text), pair("end", "1")]);
    }

    #[test]
    fn no_value_leaves_its_place_in_json(text in hostile()) {
        let body = json!({"to": "{{to}}", "a": [1, "x{{text}}x"], "key": "{{secret}}", "none": "{{send_digits}}"});
        let mut settings = settings("https://gateway.example", BodySettings::Json(body));
        settings.secret = Some(SenderSecret::new("hunter2".to_owned()));
        let plan = RequestPlan::new(settings).unwrap();
        let sent: Value = serde_json::from_slice(&request(&plan, &text).unwrap().body).unwrap();
        prop_assert_eq!(sent, json!({"to": "+15005550006", "a": [1, format!("x{text}x")], "key": "hunter2"}));
    }

    #[test]
    fn no_value_leaves_its_place_in_a_form(text in hostile()) {
        let fields = [("to", "{{to}}"), ("text", "{{text}}!"), ("none", "{{send_digits}}")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let plan = RequestPlan::new(settings("https://gateway.example", BodySettings::Form(fields.into()))).unwrap();
        let sent = request(&plan, &text).unwrap().body;
        let sent: Vec<_> = form_urlencoded::parse(&sent).into_owned().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        prop_assert_eq!(sent, [pair("to", "+15005550006"), pair("text", &format!("{text}!"))]);
    }

    #[test]
    fn no_value_leaves_its_place_in_a_header(text in hostile()) {
        let mut settings = settings("https://gateway.example", BodySettings::None);
        settings.headers = vec![("X-Text".to_owned(), "a {{text}} b".to_owned())];
        let plan = RequestPlan::new(settings).unwrap();
        if let Some(request) = request(&plan, &text) {
            prop_assert_eq!(request.headers.len(), 1);
            let expected = format!("a {text} b");
            prop_assert_eq!(request.headers["x-text"].to_str().unwrap(), expected.as_str());
            prop_assert!(!text.contains(['\r', '\n', '\0']));
        }
    }

    #[test]
    fn no_value_leaves_its_place_in_xml(text in hostile()) {
        let body = BodySettings::Text {
            content_type: "text/xml; charset=utf-8".to_owned(),
            text: "<m to='{{to}}'>{{text}}</m>".to_owned(),
        };
        let plan = RequestPlan::new(settings("https://gateway.example", body)).unwrap();
        let sent = String::from_utf8(request(&plan, &text).unwrap().body).unwrap();
        let inside = sent.strip_prefix("<m to='+15005550006'>").and_then(|rest| rest.strip_suffix("</m>"));
        let inside = inside.unwrap();
        prop_assert!(!inside.contains(['<', '>', '"', '\'', '\r', '\n', '\0']), "{inside}");
    }
}

#[test]
fn urls_that_a_message_could_bend_are_refused() {
    for url in [
        "gateway.example/send",
        "ftp://gateway.example/",
        "https://{{to}}.example/",
        "https://gateway.example{{to}}",
        "https://gateway.example:{{code}}/",
        "{{constant}}://gateway.example/",
        "https://user@gateway.example/{{to}}",
        "https://user:password@gateway.example/",
        "https://gateway.example/#{{to}}",
        "https://gateway.example/a/../{{to}}",
        "https://gateway.example/{{cod}}",
        "https:///{{to}}",
        "https:////gateway{{to}}.example/",
        "https://\\\\gateway/{{to}}",
        "",
    ] {
        assert!(
            refused(settings(url, BodySettings::None)).starts_with("url "),
            "{url}"
        );
    }
}

#[test]
fn codes_leave_this_machine_over_tls_unless_the_operator_says_otherwise() {
    for url in [
        "http://127.0.0.1:9000/{{to}}",
        "http://localhost/",
        "http://[::1]:1/",
    ] {
        assert!(
            RequestPlan::new(settings(url, BodySettings::None)).is_ok(),
            "{url}"
        );
    }
    for url in [
        "http://gateway.example/",
        "http://10.0.0.1/",
        "http://localhost.example/",
    ] {
        let plain = settings(url, BodySettings::None);
        assert!(refused(plain.clone()).contains("allow_plaintext"), "{url}");
        let allowed = GatewaySettings {
            allow_plaintext: true,
            ..plain
        };
        assert!(RequestPlan::new(allowed).is_ok(), "{url}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let good = settings("https://gateway.example/", BodySettings::Form(Vec::new()));
    let secret = Some(SenderSecret::new("hunter2".to_owned()));
    let header = |name: &str, text: &str| vec![(name.to_owned(), text.to_owned())];
    let text = |content_type: &str, text: &str| BodySettings::Text {
        content_type: content_type.to_owned(),
        text: text.to_owned(),
    };
    let with = |change: &dyn Fn(&mut GatewaySettings)| {
        let mut changed = good.clone();
        change(&mut changed);
        refused(changed)
    };
    for (setting, line) in [
        ("method", with(&|s| s.method = "DELETE".to_owned())),
        ("method", with(&|s| s.method = "GET".to_owned())),
        ("secret_file", with(&|s| s.secret.clone_from(&secret))),
        ("secret_file", with(&|s| s.username = Some("us".to_owned()))),
        (
            "secret_file",
            with(&|s| s.headers = header("x-key", "{{secret}}")),
        ),
        (
            "content_type",
            with(&|s| s.body = text("application/json; charset=utf-8", "{\"text\": \"{{text}}\"}")),
        ),
        (
            "content_type",
            with(&|s| s.body = text("Application/X-WWW-Form-Urlencoded", "text={{text}}")),
        ),
        ("headers", with(&|s| s.headers = header("Content-Length", "0"))),
        ("headers", with(&|s| s.headers = header("a b", "0"))),
        ("headers", with(&|s| s.headers = header("a", "{{b}}"))),
        ("headers", with(&|s| s.headers = header("a", "b\r\nc: d"))),
        ("headers", with(&|s| s.headers = header("a", "{{to}} \u{e4}"))),
        ("headers", with(&|s| s.headers = header("a", "{{to}} "))),
        (
            "headers",
            with(&|s| {
                s.from = Some("\u{dc}bung".to_owned());
                s.headers = header("a", "{{from}}");
            }),
        ),
        ("from", with(&|s| s.from = Some("Owl\n".to_owned()))),
        ("from", with(&|s| s.from = Some("Owl\u{202e}".to_owned()))),
        (
            "headers",
            with(&|s| {
                s.secret = Some(SenderSecret::new("p\u{e4}ss".to_owned()));
                s.headers = header("a", "Bearer {{secret}}");
            }),
        ),
        (
            "constants",
            with(&|s| {
                s.constants.insert("to".to_owned(), String::new());
            }),
        ),
        (
            "username",
            with(&|s| {
                s.secret.clone_from(&secret);
                s.username = Some("us".to_owned());
                s.headers = header("Authorization", "Bearer x");
            }),
        ),
    ] {
        assert!(line.starts_with(setting), "{setting}: {line}");
    }
}

#[test]
fn a_login_is_sent_and_not_shown() {
    let mut settings = settings("https://gateway.example/", BodySettings::None);
    settings.username = Some("Aladdin".to_owned());
    settings.secret = Some(SenderSecret::new("open sesame".to_owned()));
    let plan = RequestPlan::new(settings).unwrap();
    let request = request(&plan, "x").unwrap();
    let login = &request.headers["authorization"];
    // The example of RFC 7617, section 2.
    assert_eq!(login, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(login.is_sensitive());
    assert!(!format!("{plan:?}").contains("sesame"));
}
