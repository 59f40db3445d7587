//! What happens to a request around the router.

use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderName, Method, Uri};
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use http_body_util::BodyExt as _;
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::doubles::SeededEntropy;
use crate::web::arrival::{Entrance, Scheme};

/// Answers in the words of its own log, in capitals if the path asks for them.
#[derive(Debug)]
struct Plain;

impl FailureAnswers for Plain {
    fn request_id(&self, id: RequestId, _: AnswerForm) -> (HeaderName, HeaderValue) {
        let value = HeaderValue::try_from(format!("plain-{id}")).unwrap();
        (HeaderName::from_static("request-name"), value)
    }

    fn form(&self, uri: &Uri, _: &HeaderMap) -> AnswerForm {
        AnswerForm(uri.path().starts_with("/loud").into())
    }

    fn answer(&self, failure: HttpFailure<'_>, form: AnswerForm) -> Response<Body> {
        let status: u16 = match failure {
            HttpFailure::HeadTooLarge { .. } => 431,
            HttpFailure::HostUnclear | HttpFailure::HeaderTwice { .. } => 400,
            HttpFailure::Panicked => 500,
            _ => 503,
        };
        let text = format!("{failure:?}");
        let text = if form == AnswerForm(1) {
            text.to_uppercase()
        } else {
            text
        };
        (axum::http::StatusCode::from_u16(status).unwrap(), text).into_response()
    }
}

fn around(router: Router) -> Boundary {
    let http = Http {
        router,
        failures: Arc::new(Plain),
    };
    Boundary::new(http, Arc::default(), &SeededEntropy::new(1))
}

async fn answer(boundary: &Boundary, request: Request<Body>) -> Response<Body> {
    let entrance = Entrance {
        scheme: Scheme::Http,
        address: SocketAddr::from(([127, 0, 0, 1], 80)),
    };
    let origin = Origin {
        entrance,
        peer: entrance.address.ip(),
        stage: Arc::default(),
        held: Arc::new(()),
    };
    boundary.clone().answer(request, origin).await
}

fn boundary() -> Boundary {
    let panics = get(async || -> &'static str { panic!("a secret: {}", 1 + 1) });
    let router = Router::new()
        .route("/", get(async || "fine"))
        .route("/panic", panics.clone())
        .route("/loud/panic", panics);
    around(router)
}

async fn text_of(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_panic_is_answered_by_the_dialect_in_its_form_and_the_next_request_is_served() {
    let boundary = boundary();
    for (path, text) in [("/panic", "Panicked"), ("/loud/panic", "PANICKED")] {
        let request = Request::get(path).header(HOST, "x").body(Body::empty()).unwrap();
        let response = answer(&boundary, request).await;
        assert_eq!(response.status(), 500);
        assert_eq!(text_of(response).await, text);
    }
    let response = answer(
        &boundary,
        Request::get("/").header(HOST, "x").body(Body::empty()).unwrap(),
    )
    .await;
    assert_eq!(response.status(), 200);
    let refused = boundary.refuse(
        &Request::get("/").header(HOST, "x").body(()).unwrap(),
        HttpFailure::Overloaded,
    );
    assert_eq!(refused.status(), 503);
    let counts = boundary.shared.requests.by_class().map(|(_, count)| count);
    assert_eq!(counts.collect::<Vec<_>>(), [0, 1, 0, 0, 3]);
}

/// The client's connection breaks while its request is served, as that of a phone does in a lift.
#[tokio::test]
async fn a_change_is_carried_to_its_end_when_the_client_goes_away_and_a_read_is_not() {
    for (method, carried) in [(Method::POST, true), (Method::DELETE, true), (Method::GET, false)] {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (done, mut is_done) = mpsc::channel::<()>(1);
        let handler = {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            async move || {
                begun.notify_one();
                go_on.notified().await;
                let _ = done.send(()).await;
            }
        };
        let boundary = around(Router::new().route("/", any(handler)));
        let request = Request::builder()
            .method(&method)
            .uri("/")
            .header(HOST, "x")
            .body(Body::empty());
        let mut answering = Box::pin(answer(&boundary, request.unwrap()));
        tokio::select! {
            _ = &mut answering => panic!("it waits"),
            () = begun.notified() => drop(answering),
        }
        drop(boundary);
        go_on.notify_one();
        assert_eq!(is_done.recv().await.is_some(), carried, "{method}");
    }
}

#[tokio::test]
async fn heads_up_to_the_limit_are_answered() {
    for (length, status) in [(32_000, 200), (33_000, 431)] {
        let request = Request::get("/")
            .header(HOST, "x")
            .header("x", "y".repeat(length))
            .body(Body::empty())
            .unwrap();
        let response = answer(&boundary(), request).await;
        assert_eq!(response.status(), status);
        let id = response.headers()["request-name"].to_str().unwrap();
        assert!(id.len() == 38 && id.starts_with("plain-"), "{id}");
    }
}

#[tokio::test]
async fn a_request_is_for_one_host() {
    for (version, uri, hosts, status) in [
        (Version::HTTP_2, "http://one.example/", &[][..], 200),
        (Version::HTTP_2, "http://one.example/", &["One.Example"], 200),
        (Version::HTTP_2, "/", &["one.example"], 200),
        (Version::HTTP_2, "/", &[], 200),
        (Version::HTTP_2, "http://one.example/", &["two.example"], 400),
        (Version::HTTP_2, "http://one.example/", &["one.example:80"], 400),
        (Version::HTTP_2, "/", &["one.example", "one.example"], 400),
        (Version::HTTP_2, "/", &["one.example/?"], 400),
        (Version::HTTP_11, "/", &["one.example"], 200),
        (Version::HTTP_11, "/", &["one.example:8080"], 200),
        (Version::HTTP_11, "/", &["[::1]:8080"], 200),
        (Version::HTTP_11, "/", &["127.0.0.1"], 200),
        (Version::HTTP_11, "http://one.example/", &["one.example"], 200),
        (Version::HTTP_11, "http://one.example/", &["two.example"], 400),
        (Version::HTTP_11, "/", &[], 400),
        (Version::HTTP_11, "http://one.example/", &[], 400),
        (Version::HTTP_11, "/", &["one.example", "two.example"], 400),
        (Version::HTTP_11, "/", &["one.example", "one.example"], 400),
        (Version::HTTP_11, "/", &[""], 400),
        (Version::HTTP_11, "/", &[":80"], 400),
        (Version::HTTP_11, "/", &["one.example:port"], 400),
        (Version::HTTP_11, "/", &["one.example:80:90"], 400),
        (Version::HTTP_11, "/", &["one.example, two.example"], 400),
        (Version::HTTP_11, "/", &["one.example/path"], 400),
        (Version::HTTP_11, "/", &["user@one.example"], 400),
        (Version::HTTP_11, "/", &["one example"], 400),
        // As old health checks ask.
        (Version::HTTP_10, "/", &[], 200),
        (Version::HTTP_10, "/", &["one.example", "two.example"], 400),
    ] {
        let mut request = Request::get(uri).version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let response = answer(&boundary(), request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), status, "{version:?} {uri} {hosts:?}");
    }
}
#[tokio::test]
async fn what_there_can_be_one_of_is_sent_once() {
    for name in ["authorization", "content-length"] {
        for (times, status) in [(1, 200), (2, 400)] {
            let mut request = Request::get("/").header(HOST, "one.example");
            for _ in 0..times {
                request = request.header(name, "0");
            }
            let response = answer(&boundary(), request.body(Body::empty()).unwrap()).await;
            assert_eq!(response.status(), status, "{name}");
        }
    }
}
