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
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use url::Origin;

use crate::dialect::Claim;

/// The origins whose pages may read answers, and what these may do.
#[derive(Clone, Debug, Default)]
pub struct PageOrigins {
    usual: OriginList,
    /// For requests that are claimed, the first one that claims them, and nothing else.
    special: Arc<[(Claim, OriginList)]>,
}

/// Origins as browsers write them.
#[derive(Clone, Debug, Default)]
struct OriginList(Arc<[HeaderValue]>);

/// The page that sent a request: what it may learn of the answer.
#[derive(Debug)]
pub(super) struct AskingPage {
    /// Whether the answer depends on which page asks.
    depends: bool,
    origin: Option<HeaderValue>,
    may: &'static PageRights,
}

/// What pages may do.
#[derive(Debug)]
struct PageRights {
    methods: &'static str,
    headers: &'static str,
    read: &'static str,
}

impl PageOrigins {
    /// Pages of these origins may read answers.
    #[must_use]
    pub fn these(origins: &[Origin]) -> Self {
        Self {
            usual: OriginList::of(origins),
            special: Arc::default(),
        }
    }

    /// The same, but for requests that `claims` claims, which are calls: these may be made by pages of `origins` alone.
    #[must_use]
    pub fn with_calls_of(self, claims: Claim, origins: &[Origin]) -> Self {
        let more = (claims, OriginList::of(origins));
        Self {
            special: self.special.iter().cloned().chain([more]).collect(),
            ..self
        }
    }

    /// The page that sent this request, if it is one of them.
    pub(super) fn page(&self, uri: &Uri, headers: &HeaderMap) -> AskingPage {
        let special = self.special.iter().find(|(claims, _)| claims(uri, headers));
        let (list, may) = special.map_or((&self.usual, &USUAL), |(_, list)| (list, &CALLS));
        AskingPage {
            depends: !list.0.is_empty(),
            origin: list.origin(headers),
            may,
        }
    }
}

impl OriginList {
    fn of(origins: &[Origin]) -> Self {
        let names = origins.iter().map(Origin::ascii_serialization);
        Self(
            names
                .filter_map(|name| HeaderValue::try_from(name).ok())
                .collect(),
        )
    }

    /// The one that these headers name.
    fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut named = headers.get_all(ORIGIN).iter();
        let origin = named.next().filter(|_| named.next().is_none())?;
        self.0.iter().find(|known| *known == origin).cloned()
    }
}

impl AskingPage {
    /// The answer to a browser that asks what a page may do, before it does it. The same for each path: whether there is
    /// one, and what may be done there, is for whoever has credentials.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        self.origin.as_ref().filter(|_| asks)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some(response)
    }

    /// Has the browser show an answer to the page that asked for it.
    pub(super) fn admit(self, answer: &mut HeaderMap) {
        if !self.depends {
            return;
        }
        // Whoever keeps answers may not show one page's to another.
        answer.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = self.origin else {
            return;
        };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, self.may.methods),
            (ACCESS_CONTROL_ALLOW_HEADERS, self.may.headers),
            (ACCESS_CONTROL_EXPOSE_HEADERS, self.may.read),
        ] {
            answer.insert(name, HeaderValue::from_static(value));
        }
    }
}

const USUAL: PageRights = PageRights {
    methods: "GET, POST, DELETE",
    headers: "Authorization, Content-Type, Last-Event-ID",
    read: "*",
};

/// For gRPC-Web, and for the same calls as JSON. What pages read is named: not all browsers know the star.
const CALLS: PageRights = PageRights {
    methods: "GET, POST, PUT, DELETE",
    headers: "Authorization, Content-Type, Accept-Language, Grpc-Timeout, X-Grpc-Web, X-User-Agent",
    read: "Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, Retry-After, X-Request-Id",
};
