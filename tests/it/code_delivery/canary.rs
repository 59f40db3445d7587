//! Codes and numbers are looked for wherever an operator or somebody else may look.

use std::io;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use countersign::domain::channel::Channel;
use countersign::flows::outbox::dead_letters::list_dead_letters;
use countersign::flows::outbox::list_waiting;
use countersign::flows::page::{Cursor, PageRequest};
use countersign::store::Order;
use countersign::web::metrics::Metrics;
use countersign::web::ops::{self, Ops};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tracing_subscriber::fmt::MakeWriter;

use super::{World, provider, sender};

const CODE: &str = "471142";

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[track_caller]
fn assert_clean(place: &str, text: &str) {
    for canary in [CODE, "470012345", "0470012345"] {
        assert!(!text.contains(canary), "{place}: {text}");
    }
}

async fn metrics(world: &World) -> String {
    let ops = Arc::new(Ops::default());
    let app = world.server.app.clone();
    let figures = Metrics::of(&app, "0", "unknown");
    ops.begin(app, figures);
    let ops = ops::http(ops);
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let body = ops.router.oneshot(request).await.unwrap().into_body();
    let bytes = body.collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn codes_and_numbers_are_in_no_log_metric_row_or_dead_letter() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // A second one, which is nobody's default: with a single one, `tracing` asks the thread that meets a line first whether anybody
    // listens, and another test's thread would say no for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
    // Providers that repeat in their answers what they were told.
    let gossip = format!("{{\"error\": \"cannot send {CODE} to +32470012345\"}}");
    let (fails, refuses, takes) = (
        provider("503 Service Unavailable", &gossip).await,
        provider("400 Bad Request", &gossip).await,
        provider("200 OK", &gossip).await,
    );
    for urls in [
        vec![fails.url("/"), takes.url("/")],
        vec![refuses.url("/")],
        vec![fails.url("/")],
    ] {
        let named = |(at, url): (usize, &String)| sender(&format!("s{at}"), url.clone(), &[Channel::Sms]);
        let world = World::with(urls.iter().enumerate().map(named).collect()).await;
        world.start(Channel::Sms, Some(CODE)).await;
        let told = format!("{:?}", world.start(Channel::Sms, Some(CODE)).await);
        assert_clean("what a flow returns", &told);
        world.deliver().await;
        let app = &world.server.app;
        let rows = list_waiting(app, None, 100).await.unwrap();
        assert_clean("rows", &format!("{rows:?}"));
        let request = PageRequest {
            size: 100,
            cursor: Cursor::Start,
            order: Order::Ascending,
        };
        let letters = list_dead_letters(app, request).await.unwrap();
        assert_clean("dead letters", &format!("{:?}", letters.items));
        assert_clean("attempts", &format!("{:?}", world.attempts().await));
        let metrics = metrics(&world).await;
        assert_clean("metrics", &metrics);
        assert!(
            metrics.contains("countersign_codes_failed_total{sender=\"s0\"}"),
            "{metrics}"
        );
    }
    assert!(
        fails
            .requests()
            .iter()
            .any(|request| { String::from_utf8_lossy(&request.body).contains(CODE) })
    );
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!logged.is_empty());
    assert_clean("log", &logged);
}
