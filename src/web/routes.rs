//! Which of a dialect's routes an answer comes from, for whoever counts: a path names people and things, and there are any number.

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, Response};
use axum::middleware::{Next, from_fn};

/// The router, whose answers say which of the routes they are of that it has so far.
pub(crate) fn noted<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.route_layer(from_fn(note))
}

async fn note(request: Request, next: Next) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
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
