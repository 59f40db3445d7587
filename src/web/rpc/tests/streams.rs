//! Answers that go on.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::web::rpc::streams::MOST;

fn watch_from(client: &str) -> Request<Body> {
    from(native(WATCH, check_of("").into()), client)
}

#[tokio::test]
async fn one_client_gets_its_share_of_streams_and_others_find_room() {
    let server = Server::new();
    let mut held = Vec::new();
    // A network of its own has as many addresses as it likes.
    for number in 0..2 * MOST {
        let response = server.ask(watch_from(&format!("2001:db8::{number:x}"))).await;
        match Status::from_header_map(response.headers()) {
            None => held.push(response),
            Some(refused) => assert_eq!(refused.code(), Code::ResourceExhausted),
        }
    }
    assert_eq!(held.len(), MOST * 3 / 4);
    let other = server.ask(watch_from("2001:db8:1::1")).await;
    assert!(!other.headers().contains_key("grpc-status"));
    // Calls of a dialect need no place; what ends gives its own back.
    drop(held);
    let again = server.ask(watch_from("2001:db8::1")).await;
    assert!(!again.headers().contains_key("grpc-status"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_time_is_over_and_gives_its_place_back() {
    let server = Server::new();
    for (timeout, least, most) in [(None, 3600, 3601), (Some("5S"), 5, 6), (Some("9H"), 3600, 3601)] {
        let began = Instant::now();
        let mut request = watch_from("192.0.2.1");
        if let Some(timeout) = timeout {
            request
                .headers_mut()
                .insert("grpc-timeout", timeout.parse().unwrap());
        }
        let answer = server.answer(request).await;
        assert_eq!(answer.status.code(), Code::DeadlineExceeded);
        assert_eq!(serving_status(&answer.body), ServingStatus::Serving);
        let lasted = began.elapsed();
        assert!(
            lasted >= Duration::from_secs(least) && lasted < Duration::from_secs(most),
            "{lasted:?}"
        );
    }
    let mut held = Vec::new();
    for _ in 0..MOST * 3 / 4 {
        held.push(server.ask(watch_from("192.0.2.1")).await);
    }
    let refused = |response: &Response<Body>| response.headers().contains_key("grpc-status");
    assert!(!held.iter().any(refused));
    assert!(refused(&server.ask(watch_from("192.0.2.1")).await));
}
