//! What the server learns of an answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::dialect::{AnswerForm, Stranger};
use crate::web::rpc::{refuse, serve};

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
