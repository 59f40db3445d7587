//! JSON answers and the few JSON parameters.

use std::fmt;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::domain::text::Attributes;

/// The content type of every answer that has a body.
pub(super) const CONTENT: HeaderValue = HeaderValue::from_static("application/json");

/// An answer with a resource.
pub(super) fn resource(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(json) => (status, [(CONTENT_TYPE, CONTENT)], json).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The answer to a deletion.
pub(super) fn deleted() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Writes a value as the text that it displays as.
pub(super) struct Text<T>(pub(super) T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Writes attributes as an object.
pub(super) struct Object<'a>(pub(super) &'a Attributes);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.0.len()))?;
        for (name, value) in &self.0.0 {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}
