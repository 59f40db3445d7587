//! The dialect over a store in memory, without a network.

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Request};
use countersign::app::Policy;
use countersign::dialect::vonage;
use countersign::domain::fraud::settings::Settings;
use countersign::flows::verification::advance_due;
use http_body_util::BodyExt as _;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::support::{Credentials, TestApp};

/// A server that is asked in this protocol.
pub(super) struct Verify {
    pub(super) server: TestApp,
    router: Router,
}

/// Names and values.
pub(super) type Form<'a> = &'a [(&'a str, &'a str)];

/// An answer as it came.
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Verify {
    /// A server whose guards against toll fraud are off: they have tests of their own.
    pub(super) async fn new() -> Self {
        let policy = Policy {
            toll_fraud: Settings::off(),
            ..crate::doubles::policy()
        };
        Self::of(TestApp::new().await.with_policy(policy))
    }

    pub(super) fn of(server: TestApp) -> Self {
        let router = vonage::http(server.app.clone()).router;
        Self { server, router }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Raw {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Raw {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// Posts a form as the account.
    pub(super) async fn ask(&self, path: &str, form: Form<'_>) -> Value {
        self.ask_as(&self.server.account, path, form).await
    }

    pub(super) async fn ask_as(&self, who: &Credentials, path: &str, form: Form<'_>) -> Value {
        let request = Request::post(format!("{path}/json"))
            .header(AUTHORIZATION, who.header())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(urlencoded(form)))
            .unwrap();
        let answer = self.send(request).await;
        Self::understood(&answer)
    }

    /// The answer's JSON, which has nothing but texts in it.
    pub(super) fn understood(answer: &Raw) -> Value {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        only_texts(&body);
        body
    }

    /// Begins a request, which must begin.
    pub(super) async fn begin(&self, number: &str, more: Form<'_>) -> String {
        let form = [&[("number", number), ("brand", "Owl Bank")], more].concat();
        let begun = self.ask("/verify", &form).await;
        assert_eq!(begun["status"], "0", "{begun}");
        let id = begun["request_id"].as_str().unwrap().to_owned();
        assert!(id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()));
        id
    }

    pub(super) async fn check(&self, id: &str, code: &str) -> Value {
        self.ask("/verify/check", &[("request_id", id), ("code", code)])
            .await
    }

    pub(super) async fn control(&self, id: &str, cmd: &str) -> Value {
        self.ask("/verify/control", &[("request_id", id), ("cmd", cmd)])
            .await
    }

    pub(super) async fn search(&self, id: &str) -> Value {
        self.ask("/verify/search", &[("request_id", id)]).await
    }

    /// The code that counts.
    pub(super) async fn code(&self, id: &str) -> String {
        self.server.message_code(&format!("VE{id}")).await
    }

    /// Lets time pass, and the plans go on.
    pub(super) async fn wait(&self, seconds: u64) {
        self.server.wait(seconds);
        advance_due(&self.server.app).await.unwrap();
    }
}

/// A code of as many digits that is another one.
pub(super) fn another(code: &str) -> String {
    let number: u32 = code.parse().unwrap();
    let modulus = 10_u32.pow(u32::try_from(code.len()).unwrap());
    format!("{:0width$}", (number + 1) % modulus, width = code.len())
}

pub(super) fn urlencoded(form: Form<'_>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

fn only_texts(body: &Value) {
    match body {
        Value::String(_) => {}
        Value::Array(items) => items.iter().for_each(only_texts),
        Value::Object(members) => members.values().for_each(only_texts),
        Value::Bool(_) | Value::Null | Value::Number(_) => panic!("{body} is no text"),
    }
}

/// The texts within an answer's elements, by their names, as another reader finds them.
pub(super) fn elements(xml: &str) -> Vec<(String, String)> {
    let mut reader = Reader::from_str(xml);
    let (mut found, mut open) = (Vec::new(), Vec::new());
    loop {
        match reader.read_event().expect("it is well formed") {
            Event::Start(start) => {
                let name = String::from_utf8(start.name().as_ref().to_vec()).unwrap();
                open.push((name, String::new()));
            }
            Event::Empty(empty) => {
                let name = String::from_utf8(empty.name().as_ref().to_vec()).unwrap();
                found.push((name, String::new()));
            }
            Event::Text(text) => {
                if let Some((_, so_far)) = open.last_mut() {
                    so_far.push_str(&text.decode().unwrap());
                }
            }
            Event::End(_) => found.push(open.pop().unwrap()),
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty());
    found
}
