//! Which of a dialect's routes an answer comes from, for whoever counts: a path names people and things, and there are any number.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, Response};
use tower::Service;
use tower::layer::layer_fn;

/// The router, whose answers say which of the routes they are of that it has so far.
pub(crate) fn noted<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.route_layer(layer_fn(Noting))
}

/// What is behind a route. Each request comes by here, so this takes no memory.
#[derive(Clone, Debug)]
struct Noting<Inner>(Inner);

impl<Inner> Service<Request> for Noting<Inner>
where
    Inner: Service<Request, Response = Response<Body>, Future: Unpin>,
{
    type Response = Response<Body>;
    type Error = Inner::Error;
    type Future = NotingAnswer<Inner::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Inner::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        NotingAnswer {
            route: request.extensions().get::<MatchedPath>().cloned(),
            answer: self.0.call(request),
        }
    }
}

/// An answer to which the route is added.
struct NotingAnswer<Answer> {
    route: Option<MatchedPath>,
    answer: Answer,
}

impl<Answer, Error> Future for NotingAnswer<Answer>
where
    Answer: Future<Output = Result<Response<Body>, Error>> + Unpin,
{
    type Output = Result<Response<Body>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answered = ready!(Pin::new(&mut self.answer).poll(cx));
        if let (Ok(response), Some(route)) = (&mut answered, self.route.take()) {
            response.extensions_mut().insert(route);
        }
        Poll::Ready(answered)
    }
}

/// The template of the route that answered; of what no route answers, something that none is called.
pub(super) fn of(response: &Response<Body>) -> &str {
    response.extensions().get().map_or("none", MatchedPath::as_str)
}

/// What a method is counted as: clients may invent others.
pub(super) fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
