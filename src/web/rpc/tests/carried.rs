//! Calls whose callers do not wait for their end.

use tokio::sync::{Notify, mpsc};

use super::*;
use crate::dialect::Http;
use crate::doubles::SeededEntropy;
use crate::web::rpc::{CallFailures, serve};

/// A service whose calls begin, and end when they are let go on.
struct Slow {
    boundary: Boundary,
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
    done: mpsc::Receiver<()>,
}

impl Slow {
    fn new() -> Self {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, done) = mpsc::channel(1);
        let shared = (Arc::clone(&begun), Arc::clone(&go_on), tell);
        let service = tower::service_fn(move |_: Request<tonic::body::Body>| {
            let (begun, go_on, tell) = shared.clone();
            async move {
                begun.notify_one();
                go_on.notified().await;
                let _heard = tell.send(()).await;
                Ok(Status::ok("").into_http())
            }
        });
        let http = Http {
            router: Router::new().fallback_service(serve(service)),
            failures: Arc::new(CallFailures),
        };
        Self {
            boundary: Boundary::new(http, Arc::default(), &SeededEntropy::new(1)),
            begun,
            go_on,
            done,
        }
    }

    /// A call that has this place.
    async fn call(&self, timeout: Option<&str>, held: RequestHold) -> Response<Body> {
        self.ask(check_of("").into(), timeout, held).await
    }

    async fn ask(&self, body: Body, timeout: Option<&str>, held: RequestHold) -> Response<Body> {
        let mut request = native(CHECK, body);
        if let Some(timeout) = timeout {
            request
                .headers_mut()
                .insert("grpc-timeout", timeout.parse().unwrap());
        }
        through(&self.boundary, request, held).await
    }
}

#[tokio::test]
async fn a_call_is_carried_to_its_end_when_its_caller_goes_away() {
    for timeout in [None, Some("1H")] {
        let mut slow = Slow::new();
        let held: RequestHold = Arc::new(());
        let place = Arc::downgrade(&held);
        let mut calling = Box::pin(slow.call(timeout, held));
        tokio::select! {
            _ = &mut calling => panic!("it waits"),
            () = slow.begun.notified() => drop(calling),
        }
        assert!(place.upgrade().is_some());
        slow.go_on.notify_one();
        assert!(slow.done.recv().await.is_some(), "{timeout:?}");
        while place.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    }
}

/// The store may be slow, and callers in a hurry: there are as many calls at work as have places.
#[tokio::test(start_paused = true)]
async fn a_call_has_its_place_until_its_work_is_done_whatever_its_deadline() {
    let mut slow = Slow::new();
    let held: RequestHold = Arc::new(());
    let place = Arc::downgrade(&held);
    let answer = whole(slow.call(Some("20m"), held).await).await;
    assert_eq!(answer.status.code(), Code::DeadlineExceeded);
    assert!(place.upgrade().is_some() && slow.done.try_recv().is_err());
    slow.go_on.notify_one();
    assert!(slow.done.recv().await.is_some());
    while place.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
}

/// Nothing was begun yet.
#[tokio::test(start_paused = true)]
async fn a_call_whose_message_does_not_come_in_time_gives_its_place_back() {
    let slow = Slow::new();
    let held: RequestHold = Arc::new(());
    let place = Arc::downgrade(&held);
    let never = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<hyper::body::Frame<Bytes>, std::io::Error>,
    >());
    let answer = whole(slow.ask(Body::new(never), Some("20m"), held).await).await;
    assert_eq!(answer.status.code(), Code::DeadlineExceeded);
    assert!(place.upgrade().is_none());
}
