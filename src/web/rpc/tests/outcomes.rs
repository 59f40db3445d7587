//! What the server learns of an answer.

use std::io::{self, Write};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use tokio::sync::Notify;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::dialect::{AnswerForm, Http, Stranger};
use crate::doubles::SeededEntropy;
use crate::web::failure::outcome;
use crate::web::metrics::Requests;
use crate::web::rpc::{CallFailures, failed, refuse, serve};

/// The answer of a service that refuses all with `status`, in each form of calls, and one that is made outside of it.
async fn answers(status: &Status) -> Vec<Response<Body>> {
    let said = status.clone();
    let service = tower::service_fn(move |_: Request<tonic::body::Body>| {
        std::future::ready(Ok(said.clone().into_http()))
    });
    let router = Router::new().fallback_service(serve(service));
    let mut answers = vec![refuse(status, AnswerForm::default())];
    for (kind, version) in [
        ("application/grpc", Version::HTTP_2),
        ("application/grpc-web", Version::HTTP_2),
        ("application/grpc-web+proto", Version::HTTP_11),
        ("application/grpc-web-text", Version::HTTP_11),
    ] {
        for body in [check_of(""), check_of("x")] {
            let body = if kind.ends_with("text") {
                STANDARD.encode(body).into()
            } else {
                body
            };
            let request = sent_as(kind, version, CHECK, body.into());
            let Ok(answer) = router.clone().oneshot(request).await;
            assert_eq!(answer.status(), 200);
            answers.push(answer);
        }
    }
    answers
}

#[tokio::test]
async fn who_is_not_known_is_a_stranger_and_nobody_else() {
    for code in (0..=16).map(Code::from_i32) {
        for answer in answers(&Status::new(code, "so it is")).await {
            let stranger = answer.extensions().get::<Stranger>().is_some();
            assert_eq!(stranger, code == Code::Unauthenticated, "{code}");
        }
    }
}

#[tokio::test]
async fn answers_count_by_what_became_of_the_call() {
    for code in (0..=16).map(Code::from_i32) {
        let told = Status::new(code, "so it is");
        let (theirs, ours) = match code {
            Code::Ok => (2, 2),
            Code::Unknown | Code::DataLoss => (5, 5),
            _ => (4, 5),
        };
        for (status, class) in [(told.clone(), theirs), (failed(told, "the disk is gone"), ours)] {
            for answer in answers(&status).await {
                assert_eq!(outcome(&answer).as_u16() / 100, class, "{status:?}");
            }
        }
    }
}

/// A service that fails as it is asked to, once it may, and what is counted and logged.
struct Failing {
    boundary: Boundary,
    requests: Arc<Requests>,
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
    log: Arc<Mutex<Vec<u8>>>,
    _logging: DefaultGuard,
}

/// Keeps what is logged.
struct LogCopy(Arc<Mutex<Vec<u8>>>);

impl Write for LogCopy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const FAILS: &str = "/service/Fails";
const PANICS: &str = "/service/Panics";
const REFUSES: &str = "/service/Refuses";

impl Failing {
    fn new() -> Self {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let shared = (Arc::clone(&begun), Arc::clone(&go_on));
        let service = tower::service_fn(move |request: Request<tonic::body::Body>| {
            let (begun, go_on) = shared.clone();
            async move {
                begun.notify_one();
                go_on.notified().await;
                let told = Status::unavailable("try again");
                Ok(match request.uri().path() {
                    FAILS => failed(told, "the disk is gone"),
                    PANICS => panic!("a mistake"),
                    _ => told,
                }
                .into_http())
            }
        });
        let http = Http {
            router: Router::new().fallback_service(serve(service)),
            failures: Arc::new(CallFailures),
        };
        let (requests, log) = (Arc::<Requests>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let written = Arc::clone(&log);
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || LogCopy(Arc::clone(&written)))
            .with_ansi(false)
            .finish();
        Self {
            boundary: Boundary::new(http, Arc::clone(&requests), &SeededEntropy::new(1)),
            requests,
            begun,
            go_on,
            log,
            _logging: tracing::subscriber::set_default(subscriber),
        }
    }

    async fn call(&self, path: &str, timeout: Option<&str>) -> Response<Body> {
        let mut request = native(path, check_of("").into());
        if let Some(timeout) = timeout {
            request
                .headers_mut()
                .insert("grpc-timeout", timeout.parse().unwrap());
        }
        through(&self.boundary, request, Arc::new(())).await
    }

    fn count(&self) -> [u64; 5] {
        let counts: Vec<_> = self.requests.by_class().map(|(_, count)| count).collect();
        counts.try_into().unwrap()
    }

    fn lines(&self) -> String {
        let bytes = std::mem::take(&mut *self.log.lock().unwrap());
        String::from_utf8(bytes).unwrap()
    }
}

#[tokio::test]
async fn a_failure_of_ours_is_counted_and_logged_with_the_identifier_that_its_caller_has() {
    for timeout in [None, Some("1H")] {
        let failing = Failing::new();
        for (path, code, cause) in [
            (FAILS, Code::Unavailable, "failed: the disk is gone"),
            (PANICS, Code::Internal, "failed: panicked at "),
        ] {
            failing.go_on.notify_one();
            let answer = whole(failing.call(path, timeout).await).await;
            assert_eq!((answer.http, answer.status.code()), (200, code), "{path}");
            let said = format!("{:?}", (&answer.headers, &answer.body));
            assert!(!said.contains("disk") && !said.contains("panic"), "{said}");
            let id = answer.headers["x-request-id"].to_str().unwrap();
            let lines = failing.lines();
            assert_eq!(lines.matches("ERROR").count(), 1, "{lines}");
            assert!(
                lines.contains(cause) && lines.contains(&format!("request={id}")),
                "{lines}"
            );
        }
        assert_eq!(failing.count(), [0, 0, 0, 0, 2]);
        failing.go_on.notify_one();
        failing.call(REFUSES, timeout).await;
        assert_eq!((failing.lines().as_str(), failing.count()), ("", [0, 0, 0, 1, 2]));
    }
}

/// Nobody is told, so the log is all there is.
#[tokio::test(start_paused = true)]
async fn a_failure_that_nobody_waits_for_is_logged() {
    for (path, cause) in [
        (FAILS, "failed: the disk is gone"),
        (PANICS, "failed: panicked at "),
    ] {
        for timeout in [None, Some("1H"), Some("20m")] {
            let failing = Failing::new();
            let mut calling = Box::pin(failing.call(path, timeout));
            tokio::select! {
                answer = &mut calling => assert_eq!(answer.headers()["grpc-status"], "4"),
                () = failing.begun.notified(), if timeout != Some("20m") => {}
            }
            drop(calling);
            assert_eq!(failing.lines(), "");
            failing.go_on.notify_one();
            let mut lines = String::new();
            while lines.is_empty() {
                tokio::task::yield_now().await;
                lines = failing.lines();
            }
            assert!(lines.contains(cause), "{timeout:?} {lines}");
        }
    }
}

/// Whoever sends what cannot be read makes us log nothing, and wakes nobody.
#[tokio::test]
async fn nonsense_counts_as_its_senders() {
    let server = Server::new();
    for body in [
        &b""[..],
        b"x",
        &[2, 0, 0, 0, 0],
        &[0, 0, 0, 0, 1, 0xff],
        &[1, 0, 0, 0, 1, 1],
    ] {
        let answer = server.ask(native(CHECK, body.to_vec().into())).await;
        assert_eq!(answer.headers()["grpc-status"], "13", "{body:?}");
        assert_eq!(outcome(&answer).as_u16() / 100, 4, "{body:?}");
    }
}
