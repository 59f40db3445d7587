//! Which request is which call.

use axum::http::uri::InvalidUri;
use axum::http::{Method, Uri};
use percent_encoding::percent_decode_str;
use prost_reflect::{DescriptorError, DescriptorPool, FieldDescriptor, Kind, MethodDescriptor};

/// A request over HTTP, and the call that it is.
#[derive(Clone, Copy, Debug)]
pub struct JsonRoute {
    /// The method, such as `POST`. With `POST`, `PUT` and `PATCH` the body is the message.
    pub method: &'static str,
    /// The path; a segment `{name}` is that field, which is a string.
    pub path: &'static str,
    /// The full name of the service, a slash, the name of the method.
    pub call: &'static str,
}

/// Why a route cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Unroutable {
    /// What describes the messages is broken.
    #[error("the descriptors are broken: {0}")]
    Descriptors(#[from] DescriptorError),
    /// The call is no path.
    #[error("no path: {0}")]
    Path(#[from] InvalidUri),
    /// It is a route of nothing, or of something else.
    #[error("the route {method} {path} does not fit {call}")]
    Unfit {
        /// As in the route.
        method: &'static str,
        /// As in the route.
        path: &'static str,
        /// As in the route.
        call: &'static str,
    },
}

/// All routes of a dialect.
#[derive(Debug)]
pub(super) struct Routes {
    pool: DescriptorPool,
    all: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    http: Method,
    segments: Vec<Segment>,
    path: Uri,
    method: MethodDescriptor,
}

#[derive(Debug)]
enum Segment {
    Literal(&'static str),
    Field(FieldDescriptor),
}

/// What there is for a request.
pub(super) enum Match<'a> {
    Found(FoundCall<'a>),
    OtherMethod,
    Nothing,
}

/// A call, and what the path says of its message: `None` where that is no text.
pub(super) struct FoundCall<'a> {
    pub(super) path: &'a Uri,
    pub(super) method: &'a MethodDescriptor,
    pub(super) fields: Vec<(&'a FieldDescriptor, Option<String>)>,
}

impl Routes {
    pub(super) fn new(pool: &DescriptorPool, routes: &[JsonRoute]) -> Result<Self, Unroutable> {
        let all = routes.iter().map(|route| Route::new(pool, route));
        Ok(Self {
            all: all.collect::<Result<_, _>>()?,
            pool: pool.clone(),
        })
    }

    pub(super) fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// The call that a request with this method and path is.
    pub(super) fn find(&self, method: &Method, path: &str) -> Match<'_> {
        let mut there = false;
        for route in &self.all {
            let Some(fields) = route.fields(path) else {
                continue;
            };
            there = true;
            if route.http == *method {
                return Match::Found(FoundCall {
                    path: &route.path,
                    method: &route.method,
                    fields,
                });
            }
        }
        if there { Match::OtherMethod } else { Match::Nothing }
    }
}

impl Route {
    fn new(pool: &DescriptorPool, route: &JsonRoute) -> Result<Self, Unroutable> {
        let unfit = || Unroutable::Unfit {
            method: route.method,
            path: route.path,
            call: route.call,
        };
        let (service, name) = route.call.split_once('/').ok_or_else(unfit)?;
        let service = pool.get_service_by_name(service).ok_or_else(unfit)?;
        let method = service.methods().find(|method| method.name() == name);
        let method = method
            .filter(|method| !method.is_client_streaming() && !method.is_server_streaming())
            .ok_or_else(unfit)?;
        let input = method.input();
        let segment = |text: &'static str| {
            let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                return Ok(Segment::Literal(text));
            };
            let field = input.get_field_by_name(name);
            let field = field.filter(|field| field.kind() == Kind::String && !field.is_list());
            field.map(Segment::Field).ok_or_else(unfit)
        };
        let path = route.path.strip_prefix('/').ok_or_else(unfit)?;
        Ok(Self {
            http: route.method.parse().map_err(|_| unfit())?,
            segments: path.split('/').map(segment).collect::<Result<_, _>>()?,
            path: format!("/{}", route.call).parse()?,
            method,
        })
    }

    /// The fields that `path` names, if it is one of this route.
    fn fields(&self, path: &str) -> Option<Vec<(&FieldDescriptor, Option<String>)>> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let mut fields = Vec::new();
        for segment in &self.segments {
            let part = percent_decode_str(parts.next()?).decode_utf8().ok();
            match segment {
                Segment::Literal(text) if part.as_deref() != Some(*text) => return None,
                Segment::Literal(_) => {}
                Segment::Field(_) if part.as_deref() == Some("") => return None,
                Segment::Field(field) => fields.push((field, part.map(Into::into))),
            }
        }
        parts.next().is_none().then_some(fields)
    }
}
