//! What is a call at all, and what is not.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::web::rpc::{form, is_call, refuse, serve};

/// A service that counts how often it is asked.
fn counting() -> (Router, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let service = tower::service_fn(move |_: Request<tonic::body::Body>| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Status::ok("").into_http()))
    });
    (Router::new().fallback_service(serve(service)), asked)
}

const CALLS: [&str; 10] = [
    "application/grpc",
    "application/grpc+proto",
    "APPLICATION/gRPC+Proto",
    "application/grpc;charset=utf-8",
    "application/grpc ; a=b; c",
    "application/grpc-web",
    "application/grpc-web+proto; charset=utf-8",
    "Application/Grpc-Web+Proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto; x=y",
];

const OTHERS: [&str; 12] = [
    "",
    "text/plain",
    "text/plain; application/grpc",
    "text/plain, application/grpc",
    "application/grpc, text/plain",
    "application/grpcfoo",
    "application/grpc+json",
    "application/grpc+proto+json",
    "application/grpc-web+json",
    "application/grpc-webtext",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=application/grpc",
];

/// A page of a stranger can have its browser send anything that needs no leave (the Fetch standard, "CORS-safelisted").
#[tokio::test]
async fn what_is_no_call_never_reaches_a_service() {
    let (router, asked) = counting();
    let ask = async |request: Request<Body>| {
        let Ok(response) = router.clone().oneshot(request).await;
        (response, asked.swap(0, Ordering::Relaxed))
    };
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for kind in OTHERS {
            let mut request = sent_as(kind, version, CHECK, check_of("").into());
            request
                .headers_mut()
                .insert("origin", "https://stranger.example".parse().unwrap());
            assert!(!is_call(request.headers()), "{kind}");
            let (response, asked) = ask(request).await;
            assert_eq!(
                (response.status().as_u16(), asked),
                (415, 0),
                "{kind} {version:?}"
            );
        }
        let mut none = sent_as("", version, CHECK, check_of("").into());
        none.headers_mut().remove("content-type");
        let mut two = sent_as("application/grpc", version, CHECK, check_of("").into());
        two.headers_mut()
            .append("content-type", "text/plain".parse().unwrap());
        for request in [none, two] {
            assert!(!is_call(request.headers()));
            let (response, asked) = ask(request).await;
            assert_eq!((response.status().as_u16(), asked), (415, 0), "{version:?}");
        }
        for kind in CALLS {
            for method in [
                "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "post", "ANY",
            ] {
                let mut request = sent_as(kind, version, CHECK, check_of("").into());
                *request.method_mut() = method.parse().unwrap();
                let (response, asked) = ask(request).await;
                let status = Status::from_header_map(response.headers()).unwrap();
                assert_ne!(status.code(), Code::Ok, "{kind} {method}");
                assert_eq!(asked, 0, "{kind} {method} {version:?}");
            }
        }
    }
}

/// What a listener takes for a call, the form of its failures, and what the service is told are one reading of the type.
#[tokio::test]
async fn a_type_is_read_in_one_way() {
    let (router, asked) = counting();
    for kind in CALLS {
        let version = if kind.to_ascii_lowercase().contains("web") {
            Version::HTTP_11
        } else {
            Version::HTTP_2
        };
        let body = if kind.contains("text") {
            STANDARD.encode(check_of("")).into()
        } else {
            check_of("")
        };
        let request = sent_as(kind, version, CHECK, body.into());
        assert!(is_call(request.headers()), "{kind}");
        let refused = refuse(&Status::unavailable("no"), form(request.headers()));
        let Ok(response) = router.clone().oneshot(request).await;
        assert_eq!(response.status(), 200, "{kind}");
        assert_eq!(asked.swap(0, Ordering::Relaxed), 1, "{kind}");
        let family = |response: &Response<Body>| {
            let kind = response.headers()["content-type"].to_str().unwrap();
            kind.contains("web")
        };
        assert_eq!(family(&refused), family(&response), "{kind}");
    }
}
