//! What the server learns of an answer in JSON.

use tonic::Code;

use super::*;
use crate::dialect::{AnswerForm, FailureAnswers as _, Stranger};
use crate::web::failure::{Cause, outcome};
use crate::web::rpc::failed;

const VERIFY: &str = "/auth/v1/users/me/phone/_verify";

/// The answer to a request that the service refuses with `status`.
async fn refused(status: &Status) -> Response<Body> {
    let world = JsonWorld::new();
    *world.answer.lock().unwrap() = Err(status.clone());
    let Ok(response) = world.json.oneshot(request("POST", VERIFY, "{}")).await;
    response
}

#[tokio::test]
async fn who_is_not_known_is_a_stranger_and_nobody_else() {
    for code in (1..=16).map(Code::from_i32) {
        let answer = refused(&Status::new(code, "so it is")).await;
        let stranger = answer.extensions().get::<Stranger>().is_some();
        assert_eq!(stranger, code == Code::Unauthenticated, "{code}");
    }
}

#[tokio::test]
async fn answers_count_as_the_calls_that_they_are() {
    for code in (1..=16).map(Code::from_i32) {
        let told = Status::new(code, "so it is");
        let ours = matches!(code, Code::Unknown | Code::DataLoss | Code::Internal);
        let answer = refused(&told).await;
        let class = if ours { 5 } else { 4 };
        assert_eq!(outcome(&answer).as_u16() / 100, class, "{code}");
        let answer = refused(&failed(told, "the disk is gone")).await;
        assert_eq!(outcome(&answer).as_u16() / 100, 5, "{code}");
        assert_eq!(
            answer.extensions().get().map(|Cause(cause)| cause.as_str()),
            Some("the disk is gone")
        );
    }
    let world = JsonWorld::new();
    let Ok(answer) = world.json.oneshot(request("POST", VERIFY, "{}")).await;
    assert_eq!(outcome(&answer), 200);
    for (failure, class) in [
        (HttpFailure::MethodNotAllowed, 4),
        (HttpFailure::Overloaded, 4),
        (HttpFailure::Panicked, 5),
    ] {
        let form = JsonFailures.form(&Uri::from_static(VERIFY), &HeaderMap::new());
        assert_ne!(form, AnswerForm::default());
        let answer = JsonFailures.answer(failure, form);
        assert_eq!(outcome(&answer).as_u16() / 100, class, "{failure:?}");
    }
}
