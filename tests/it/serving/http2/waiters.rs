//! Those who wait, many on one connection.

use std::time::Duration;

use axum::http::{Method, Request};
use countersign::server::ClientLimits;

use super::client::{Client, whole};
use super::raw::{self, Raw};
use crate::serving::waiters::Scene;

/// A request of the scene's account.
fn asking(scene: &Scene, path: &str) -> Request<()> {
    let mut request = super::client::request(Method::GET, path);
    let credentials = scene.credentials().parse().unwrap();
    request.headers_mut().insert("authorization", credentials);
    request
}

/// The waits outlast everything that is limited for those who owe something, and do not end each other.
#[tokio::test]
async fn polls_and_streams_wait_beside_each_other_on_one_connection() {
    let short = Duration::from_millis(100);
    let limits = ClientLimits {
        head: short,
        body: short,
        idle: short,
        write: short,
        ..ClientLimits::default()
    };
    let scene = Scene::set(limits).await;
    let client = Client::of(&scene.served).await;
    let (events, _) = client.begin(asking(&scene, &scene.events()), true).await;
    let events = events.await.unwrap();
    assert!(!events.headers().contains_key("connection"));
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut events = events.into_body();
    let first = events.data().await.unwrap().unwrap();
    assert!(first.starts_with(b"retry:"), "{first:?}");
    let (short_poll, _) = client.begin(asking(&scene, &scene.list(1)), true).await;
    let (poll, _) = client.begin(asking(&scene, &scene.list(60)), true).await;
    scene.until_waiting(3).await;
    let answer = whole(short_poll).await.unwrap();
    assert!(answer.status == 200 && answer.text.contains(r#""challenges":[]"#));
    let sid = scene.challenge().await;
    let told = events.data().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&told).contains(&sid), "{told:?}");
    assert!(whole(poll).await.unwrap().text.contains(&sid));
}

/// Nobody is kept in memory for a stream that is gone, though its connection stays.
#[tokio::test]
async fn a_client_that_resets_a_stream_waits_no_longer() {
    let scene = Scene::set(ClientLimits::default()).await;
    let mut client = Raw::of(&scene.served).await;
    let credentials = scene.credentials();
    let ask = |stream: u32, path: &str| {
        let block = raw::block("GET", path, &[("authorization", &credentials)]);
        raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, stream, &block)
    };
    client.send(&ask(1, &scene.list(60))).await;
    client.send(&ask(3, &scene.events())).await;
    client.send(&ask(5, &scene.list(60))).await;
    scene.until_waiting(3).await;
    client.send(&raw::reset(1)).await;
    scene.until_waiting(2).await;
    client.send(&raw::reset(3)).await;
    scene.until_waiting(1).await;
    drop(client);
    scene.until_waiting(0).await;
}
