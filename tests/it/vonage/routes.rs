//! Every operation at every path, in every way to ask for it: each is served.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use countersign::app::Policy;
use countersign::dialect::vonage::{NETWORK_UNBLOCK, PATHS};
use countersign::domain::fraud::settings::Settings;
use serde_json::json;

use super::world::{Raw, Verify, elements, urlencoded};
use crate::support::{Credentials, TestApp};

/// Where the parameters stand.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Query,
    Form,
    Json,
}

/// Where the key and the secret stand.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    Header,
    Body,
    Query,
}

const WAYS: [(&str, Place); 4] = [
    ("GET", Place::Query),
    ("POST", Place::Query),
    ("POST", Place::Form),
    ("POST", Place::Json),
];

async fn ask(
    verify: &Verify,
    who: &Credentials,
    (method, place): (&str, Place),
    shown: Shown,
    (path, pairs): (&str, &[(&str, &str)]),
) -> Raw {
    let keys = [("api_key", &*who.user), ("api_secret", &*who.password)];
    let (mut query, mut body) = (Vec::new(), Vec::new());
    let with_parameters = if place == Place::Query {
        &mut query
    } else {
        &mut body
    };
    with_parameters.extend_from_slice(pairs);
    match shown {
        Shown::Header => {}
        Shown::Body => body.extend(keys),
        Shown::Query => query.extend(keys),
    }
    let object: serde_json::Map<_, _> = body
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let (content, text) = match place {
        Place::Json => ("application/json", serde_json::to_string(&object).unwrap()),
        Place::Form | Place::Query => ("application/x-www-form-urlencoded", urlencoded(&body)),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{path}?{}", urlencoded(&query)))
        .header(CONTENT_TYPE, content);
    if shown == Shown::Header {
        request = request.header(AUTHORIZATION, who.header());
    }
    verify.send(request.body(Body::from(text)).unwrap()).await
}

/// All ways, but for a body that a GET does not have.
fn ways() -> impl Iterator<Item = ((&'static str, Place), Shown)> {
    let shown = [Shown::Header, Shown::Body, Shown::Query];
    let all = WAYS
        .into_iter()
        .flat_map(move |way| shown.map(|shown| (way, shown)));
    all.filter(|(way, shown)| way.0 == "POST" || *shown != Shown::Body)
}

/// What an answer says, in either form.
fn said(answer: &Raw, format: &str, name: &str) -> Option<String> {
    if format == "json" {
        let answer = Verify::understood(answer);
        return answer[name].as_str().map(str::to_owned);
    }
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers[CONTENT_TYPE], "text/xml; charset=utf-8");
    let mut found = elements(answer.text.split_once('\n').unwrap().1).into_iter();
    found.find(|(found, _)| found == name).map(|(_, text)| text)
}

#[tokio::test]
async fn every_operation_is_served_at_every_path_in_every_way() {
    let verify = Verify::new().await;
    let who = verify.server.api_key().await;
    let mut asked = 0;
    for format in ["json", "xml"] {
        for path in PATHS {
            for (way, shown) in ways() {
                asked += 1;
                let number = format!("49151123{asked:05}");
                let id = match *path {
                    "/verify" | "/verify/psd2" => String::new(),
                    _ => {
                        let form = [("number", &*number), ("brand", "Owl")];
                        let begun = verify.ask_as(&who, "/verify", &form).await;
                        begun["request_id"].as_str().unwrap().to_owned()
                    }
                };
                let code = match *path {
                    "/verify/check" => verify.code(&id).await,
                    _ => String::new(),
                };
                let (pairs, (name, expected)): (Vec<(&str, &str)>, _) = match *path {
                    "/verify" => (vec![("number", &number), ("brand", "Owl")], ("status", "0")),
                    "/verify/psd2" => (
                        vec![("number", &number), ("payee", "Owl"), ("amount", "12.50")],
                        ("status", "0"),
                    ),
                    "/verify/check" => (vec![("request_id", &id), ("code", &code)], ("status", "0")),
                    "/verify/control" => (
                        vec![("request_id", &id), ("cmd", "trigger_next_event")],
                        ("command", "trigger_next_event"),
                    ),
                    "/verify/search" => (vec![("request_id", &id)], ("number", &*number)),
                    other => panic!("say what is asked at {other}"),
                };
                let whole = format!("{path}/{format}");
                let answer = ask(&verify, &who, way, shown, (&whole, &pairs)).await;
                let found = said(&answer, format, name);
                assert_eq!(
                    found.as_deref(),
                    Some(expected),
                    "{way:?} {shown:?}: {}",
                    answer.text
                );
            }
        }
    }
    assert_eq!(asked, 2 * PATHS.len() * 11);
}

/// The one that is POST only, and may be asked for again while the network is open.
#[tokio::test]
async fn networks_are_opened_in_every_way() {
    let policy = Policy {
        toll_fraud: Settings {
            prefix_per_hour: Some(1),
            ..Settings::off()
        },
        ..crate::doubles::policy()
    };
    let verify = Verify::of(TestApp::new().await.with_policy(policy));
    let who = verify.server.api_key().await;
    for (number, status) in [("4915112340001", "0"), ("4915112340002", "7")] {
        let form = [("number", number), ("brand", "Owl")];
        assert_eq!(verify.ask_as(&who, "/verify", &form).await["status"], status);
    }
    let pairs = [("network", "491511234"), ("unblock_duration", "600")];
    for (way, shown) in ways() {
        let answer = ask(&verify, &who, way, shown, (NETWORK_UNBLOCK, &pairs)).await;
        let expected = if way.0 == "POST" { 200 } else { 405 };
        assert_eq!(answer.status, expected, "{way:?} {shown:?}: {}", answer.text);
    }
}
