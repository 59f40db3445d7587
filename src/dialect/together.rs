//! Several dialects that one listener speaks.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::Response;
use tower::Service;

use super::{AnswerForm, FailureAnswers, Http, HttpFailure, RequestId};

/// Whether a request with this head is for a dialect.
pub type Claim = fn(&Uri, &HeaderMap) -> bool;

/// What speaks all of these: a request is for the first of `special` that claims it, and for `usual` if none does.
#[must_use]
pub fn together(usual: Http, special: Vec<(Claim, Http)>) -> Http {
    if special.is_empty() {
        return usual;
    }
    let (claims, mut dialects): (Vec<_>, Vec<_>) = special.into_iter().unzip();
    dialects.push(usual);
    let claims: Arc<[Claim]> = claims.into();
    let (routers, failures) = dialects
        .into_iter()
        .map(|dialect| (dialect.router, dialect.failures))
        .unzip::<_, _, Vec<_>, Vec<_>>();
    let choice = Switch {
        claims: Arc::clone(&claims),
        routers: routers.into(),
    };
    Http {
        router: Router::new().fallback_service(choice),
        failures: Arc::new(Answers {
            claims,
            dialects: failures,
        }),
    }
}

/// Which of the dialects a request is for; the usual one is behind all others.
fn chosen(claims: &[Claim], uri: &Uri, headers: &HeaderMap) -> usize {
    let claimed = claims.iter().position(|claims| claims(uri, headers));
    claimed.unwrap_or(claims.len())
}

/// Hands a request to the router of its dialect.
#[derive(Clone)]
struct Switch {
    claims: Arc<[Claim]>,
    routers: Arc<[Router]>,
}

impl Service<Request> for Switch {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let index = chosen(&self.claims, request.uri(), request.headers());
        let mut router = self.routers[index].clone();
        Box::pin(Service::<axum::http::Request<Body>>::call(&mut router, request))
    }
}

/// Has each dialect answer what is its own. The dialect stands in the upper half of a form's number.
#[derive(Debug)]
struct Answers {
    claims: Arc<[Claim]>,
    dialects: Vec<Arc<dyn FailureAnswers>>,
}

impl Answers {
    fn split(&self, form: AnswerForm) -> (&dyn FailureAnswers, AnswerForm) {
        let index = usize::from(form.0 >> 4).min(self.claims.len());
        (&*self.dialects[index], AnswerForm(form.0 & AnswerForm::GREATEST))
    }
}

impl FailureAnswers for Answers {
    fn request_id(&self, id: RequestId, form: AnswerForm) -> (HeaderName, HeaderValue) {
        let (dialect, form) = self.split(form);
        dialect.request_id(id, form)
    }

    fn form(&self, uri: &Uri, headers: &HeaderMap) -> AnswerForm {
        let index = chosen(&self.claims, uri, headers);
        let form = self.dialects[index].form(uri, headers);
        let upper = u8::try_from(index).unwrap_or(AnswerForm::GREATEST) << 4;
        AnswerForm(upper | (form.0 & AnswerForm::GREATEST))
    }

    fn answer(&self, failure: HttpFailure<'_>, form: AnswerForm) -> Response {
        let (dialect, form) = self.split(form);
        dialect.answer(failure, form)
    }
}
