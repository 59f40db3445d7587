//! Whom a request is for, and whom it comes from.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::routing::get;
use countersign::dialect::{Http, twilio};
use countersign::domain::entropy::SystemEntropy;
use countersign::server::{ClientLimits, Listener, Protocol, run};
use countersign::web::arrival::Arrival;
use countersign::web::boundary::Boundary;
use countersign::web::client_address::TrustedProxies;
use countersign::web::cross_origin::PageOrigins;
use countersign::web::public_url::PublicUrl;
use tokio::net::TcpStream;

use super::client::{Client, request};
use super::raw::{self, Raw};
use crate::serving::http::serve;

fn url_router() -> Router {
    let url = get(async |request: Request| {
        let (parts, _) = request.into_parts();
        PublicUrl::from_requests().base(&parts).into_owned()
    });
    Router::new().route("/url", url)
}

#[tokio::test]
async fn urls_begin_with_the_authority_as_they_do_with_the_host() {
    let server = serve(url_router(), ClientLimits::default()).await;
    let client = Client::of(&server).await;
    assert_eq!(client.get("/url").await.text, "http://verify.example");
    let mut agreeing = request(Method::GET, "/url");
    agreeing
        .headers_mut()
        .insert("host", "verify.example".parse().unwrap());
    assert_eq!(client.ask(agreeing).await.unwrap().text, "http://verify.example");
    // Two that differ: whoever stands in between may have gone by the other one.
    let mut differing = request(Method::GET, "/url");
    differing
        .headers_mut()
        .insert("host", "other.example".parse().unwrap());
    let refused = client.ask(differing).await.unwrap();
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains(r#""code":20001"#), "{}", refused.text);
}

/// Translated from HTTP/1.1, or from nowhere.
#[tokio::test]
async fn without_an_authority_the_host_counts_and_without_both_the_listener() {
    let server = serve(url_router(), ClientLimits::default()).await;
    let mut client = Raw::of(&server).await;
    let listener = format!("http://{}", server.address);
    let ends = raw::END_HEADERS | raw::END_STREAM;
    for (stream, headers, url) in [
        (1, &[("host", "old.example")][..], "http://old.example"),
        (3, &[], listener.as_str()),
        (5, &[("host", "a@b")], r#"{"code":20001,"#),
    ] {
        let block = raw::block_without_authority("GET", "/url", headers);
        client.send(&raw::frame(raw::HEADERS, ends, stream, &block)).await;
        let answer = client.next_of(raw::DATA).await;
        let text = String::from_utf8(answer.payload).unwrap();
        assert!(text.starts_with(url), "{text}");
    }
    // Nobody's name and password become part of a URL.
    let block = raw::block_with_authority("GET", "/url", "user@verify.example");
    client.send(&raw::frame(raw::HEADERS, ends, 7, &block)).await;
    loop {
        let frame = client.next().await.expect("the connection goes on");
        match frame.kind {
            raw::RST_STREAM => break,
            raw::DATA => {
                let text = String::from_utf8(frame.payload).unwrap();
                assert!(!text.contains('@'), "{text}");
                break;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn proxies_that_are_trusted_say_whom_a_request_comes_from() {
    let who = get(async |request: Request| {
        let arrival: &Arrival = request.extensions().get().unwrap();
        arrival.client.to_string()
    });
    for (trusted, client_is) in [("127.0.0.0/8", "198.51.100.7"), ("10.0.0.0/8", "127.0.0.1")] {
        let http = Http {
            router: Router::new().route("/who", who.clone()),
            failures: Arc::new(twilio::TwilioFailures::default()),
        };
        let proxies = TrustedProxies::these(vec![trusted.parse().unwrap()]);
        let boundary =
            Boundary::new(http, Arc::default(), &SystemEntropy).set_up(proxies, PageOrigins::default());
        let listener = Listener::plain("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address();
        let serving = tokio::spawn(run(
            vec![listener],
            Protocol::Http(boundary),
            ClientLimits::default(),
            std::future::pending(),
        ));
        let client = Client::on(TcpStream::connect(address).await.unwrap()).await;
        let mut forwarded = request(Method::GET, "/who");
        forwarded
            .headers_mut()
            .insert("x-forwarded-for", "198.51.100.7".parse().unwrap());
        assert_eq!(client.ask(forwarded).await.unwrap().text, client_is);
        serving.abort();
    }
}
