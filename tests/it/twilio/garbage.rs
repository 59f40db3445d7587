//! Whatever is sent, the answer is an answer: no panic, no 5xx, and nothing that is not JSON.

use axum::body::Body;
use axum::http::Request;
use countersign::dialect::twilio::{OPERATIONS, PARAMETERS};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::runtime::{Builder, Runtime};

use crate::support::TestApp;
use crate::support::operations::Everything;
use crate::support::stores::fewer_on_postgres;

/// Values that are nearly right, or nearly break something.
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "255",
    "256",
    "4294967296",
    "18446744073709551616",
    "1e9",
    "NaN",
    "true",
    "null",
    "{}",
    "[]",
    "{\"label\":\"a\",\"value\":\"b\"}",
    "{\"a\":1}",
    "{\"a\":\"b\"}",
    "push",
    "totp",
    "sha1",
    "fcm",
    "none",
    "svg",
    "png",
    "desc",
    "pending",
    "expired",
    "*",
    "user-0001",
    "123456",
    "ES256",
    "a.b.c",
    "eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
    "....",
    "2027-01-15T08:05:00Z",
    "9999-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "2027-01-15T08:05:00.999999999+23:59",
    "+18001234567",
    "all",
    "CA",
    "MG0123456789abcdef0123456789abcdef",
    "https://x.example",
    "http://[::1",
    "http://x:99999",
    "PA00000000000000000000000000000000",
    "\u{0}",
    "\r\n",
    "\u{202e}",
    "YF0123456789abcdef0123456789abcdef",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(VALUES).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => ("[a-zA-Z0-9{}\":,.%+&=-]{1,3}", 1..1500_usize).prop_map(|(part, times)| part.repeat(times)),
    ]
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![9 => select(PARAMETERS).prop_map(str::to_owned), 1 => any::<String>()];
    vec((name, text()), 0..10)
}

/// How the request says who sends it.
#[derive(Clone, Debug)]
enum Caller {
    Account,
    Device,
    Header(Vec<u8>),
}

#[derive(Clone, Debug)]
struct Garbage {
    operation: usize,
    method: Option<String>,
    /// What stands in the place of the path's parameters, if not what belongs there.
    names: Vec<Option<String>>,
    query: Vec<(String, String)>,
    raw_query: Option<String>,
    form: Vec<(String, String)>,
    raw_body: Option<Vec<u8>>,
    headers: Vec<(&'static str, Vec<u8>)>,
    caller: Caller,
}

fn garbage() -> impl Strategy<Value = Garbage> {
    let header_names = [
        "content-type",
        "content-length",
        "accept",
        "host",
        "date",
        "x-http-method-override",
        "transfer-encoding",
    ];
    let caller = prop_oneof![
        6 => Just(Caller::Account),
        3 => Just(Caller::Device),
        1 => vec(any::<u8>(), 0..60).prop_map(Caller::Header),
        1 => text().prop_map(|text| Caller::Header(format!("Basic {text}").into_bytes())),
    ];
    let target = (
        0..OPERATIONS.len(),
        proptest::option::weighted(
            0.1,
            select(vec!["HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "FOO"]),
        ),
        vec(proptest::option::weighted(0.1, text()), 3),
    );
    let said = (
        pairs(),
        proptest::option::weighted(0.1, "[ -~]{0,60}"),
        pairs(),
        proptest::option::weighted(0.1, vec(any::<u8>(), 0..200)),
        vec((select(header_names.to_vec()), vec(any::<u8>(), 0..40)), 0..2),
    );
    (target, said, caller).prop_map(
        |((operation, method, names), (query, raw_query, form, raw_body, headers), caller)| Garbage {
            operation,
            method: method.map(str::to_owned),
            names,
            query,
            raw_query,
            form,
            raw_body,
            headers,
            caller,
        },
    )
}

fn encoded(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// The request, if it can be written down as one.
fn request(server: &TestApp, all: &Everything, garbage: &Garbage) -> Option<Request<Body>> {
    let operation = OPERATIONS[garbage.operation];
    let mut names = garbage.names.iter();
    let segments = operation.path.split('/').map(|segment| match names.next() {
        Some(Some(name)) if segment.starts_with('{') => {
            percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
        }
        _ => segment.to_owned(),
    });
    let path = all.path(&segments.collect::<Vec<_>>().join("/"));
    let query = garbage
        .raw_query
        .clone()
        .unwrap_or_else(|| encoded(&garbage.query));
    let client = match garbage.caller {
        Caller::Account => server.client(),
        Caller::Device => all.device.on(server),
        Caller::Header(_) => server.stranger(),
    };
    let method = garbage.method.as_deref().unwrap_or(operation.method);
    let mut request = client.begin(method, &format!("{path}?{query}"));
    if let Caller::Header(header) = &garbage.caller {
        request = request.header("authorization", header.as_slice());
    }
    for (name, value) in &garbage.headers {
        request = request.header(*name, value.as_slice());
    }
    let body = garbage
        .raw_body
        .clone()
        .unwrap_or_else(|| encoded(&garbage.form).into_bytes());
    request.body(Body::from(body)).ok()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: fewer_on_postgres(400), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_answered_and_never_with_a_5xx(sent in vec(garbage(), 1..8)) {
        runtime().block_on(async {
            let server = TestApp::new().await;
            let all = Everything::create(&server, &server.client()).await;
            for garbage in &sent {
                let Some(request) = request(&server, &all, garbage) else { continue };
                let answer = server.send(request).await;
                assert!(answer.status < 500, "{} {} {garbage:?}", answer.status, answer.body);
            }
        });
    }
}

/// A body of exactly 64 KiB is read, one byte more is not; neither are other kinds of bodies.
#[tokio::test]
async fn bodies_that_are_too_long_or_no_forms_are_refused() {
    let server = TestApp::new().await;
    let client = server.client();
    let start = "FriendlyName=Owl&x=";
    let fits = format!("{start}{}", "a".repeat(65536 - start.len()));
    client.post_raw("/v2/Services", fits.clone()).await.ok();
    let before = server.dump().await;
    client
        .post_raw("/v2/Services", format!("{fits}a"))
        .await
        .refused(413, 60306);
    for body in [
        b"FriendlyName=%FF".as_slice(),
        b"FriendlyName=\xff",
        b"%FF=x&FriendlyName=Owl",
    ] {
        client.post_raw("/v2/Services", body).await.refused(400, 20001);
    }
    for kind in [
        "application/json",
        "multipart/form-data; boundary=x",
        "text/plain",
        "",
    ] {
        let request = client.begin("POST", "/v2/Services").header("content-type", kind);
        let refused = server
            .send(request.body(Body::from("FriendlyName=Owl")).unwrap())
            .await;
        refused.refused(400, 20001);
    }
    assert_eq!(server.dump().await, before);
    for kind in [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-URLEncoded; charset=UTF-8",
    ] {
        let request = client.begin("POST", "/v2/Services").header("content-type", kind);
        server
            .send(request.body(Body::from("FriendlyName=Owl")).unwrap())
            .await
            .ok();
    }
}

/// U+FFFD is a character as others are. What is not UTF-8 is told by its bytes, wherever it stands, and is nobody's name.
#[tokio::test]
async fn what_is_not_utf_8_is_refused_wherever_it_stands() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let challenges = &all.totp.challenges;
    let before = server.dump().await;
    for bad in ["%FF", "%C3", "%C0%AF", "%ED%A0%80", "%F4%90%80%80"] {
        for path in [
            format!("/{bad}"),
            format!("/v2/Services/{bad}"),
            format!("/v2/Services/{bad}/"),
            format!("/v2/Nothing/{bad}"),
            format!("/v2/SilentAuth/{bad}"),
            format!("/v2/SafeList/Numbers/%2B4915112345678{bad}"),
            challenges.replace("user-0001", &format!("user-0001{bad}")),
            challenges.replace("user-0001", &format!("{bad}user-0001")),
        ] {
            client.get(&path).await.refused(400, 20001).naming("path");
            let form = [("FactorSid", all.totp.sid.as_str()), ("AuthPayload", "000000")];
            client.post(&path, &form).await.refused(400, 20001).naming("path");
            server.stranger().get(&path).await.refused(400, 20001);
        }
        for query in [format!("Status={bad}"), format!("{bad}=x"), format!("x={bad}")] {
            let asked = client.get(&format!("{challenges}?{query}")).await;
            asked.refused(400, 20001).naming("query");
        }
        let body = format!("FriendlyName={bad}");
        client
            .post_raw("/v2/Services", body)
            .await
            .refused(400, 20001)
            .naming("body");
    }
    assert_eq!(server.dump().await, before);

    let form = [("FriendlyName", "Phone \u{fffd}")];
    let kept = client.post(&all.totp.path, &form).await.ok();
    assert_eq!(kept["friendly_name"], "Phone \u{fffd}");
    let listed = client.get(&format!("{challenges}?_=%EF%BF%BD")).await;
    listed.ok();
}

/// Of a parameter that stands twice the last one counts, everywhere: two readers of one request must not disagree.
#[tokio::test]
async fn of_a_parameter_that_stands_twice_the_last_one_counts() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let (right, wrong) = (all.totp.app.code(&server), "000000");
    for (first, second, status) in [(right.as_str(), wrong, "pending"), (wrong, &right, "approved")] {
        let form = [
            ("FactorSid", all.totp.sid.as_str()),
            ("AuthPayload", first),
            ("AuthPayload", second),
        ];
        assert_eq!(
            client.post(&all.totp.challenges, &form).await.ok()["status"],
            status
        );
    }
}
