//! Pages of other origins that browsers let read answers (the Fetch standard, "CORS protocol").
//!
//! A browser asks for pages of the origins that the operator named, and of no others. What names a caller is the
//! `Authorization` header that a page sends itself: there are no cookies, so `Access-Control-Allow-Credentials` is never
//! sent, and what a browser remembers of passwords does not go along.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use url::Origin;

/// The origins whose pages may read answers.
#[derive(Clone, Debug, Default)]
pub struct PageOrigins(Arc<[HeaderValue]>);

impl PageOrigins {
    /// Pages of these origins may read answers.
    #[must_use]
    pub fn these(origins: &[Origin]) -> Self {
        let names = origins.iter().map(Origin::ascii_serialization);
        Self(
            names
                .filter_map(|name| HeaderValue::try_from(name).ok())
                .collect(),
        )
    }

    /// The origin of the page that sent this request, if it is one of them.
    pub(super) fn page(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut named = headers.get_all(ORIGIN).iter();
        let origin = named.next().filter(|_| named.next().is_none())?;
        self.0.iter().find(|known| *known == origin).cloned()
    }

    /// The answer to a browser that asks what a page may do, before it does it. The same for each path: whether there is
    /// one, and what may be done there, is for whoever has credentials.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        self.page(request.headers()).filter(|_| asks)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(response)
    }

    /// Has the browser show an answer to the page that asked for it.
    pub(super) fn admit(&self, page: Option<HeaderValue>, answer: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        // Whoever keeps answers may not show one page's to another.
        answer.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = page else {
            return;
        };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                "Authorization, Content-Type, Last-Event-ID",
            ),
            (ACCESS_CONTROL_EXPOSE_HEADERS, "*"),
        ] {
            answer.insert(name, HeaderValue::from_static(value));
        }
    }
}
