//! JSON answers and the few JSON parameters.

use std::fmt::{self, Write as _};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::domain::text::Attributes;

/// The content type of every answer that has a body.
pub(super) const CONTENT: HeaderValue = HeaderValue::from_static("application/json");

/// An answer with a resource.
pub(super) fn resource(status: StatusCode, body: &impl Serialize) -> Response {
    let mut json = Vec::with_capacity(TYPICAL_BYTES);
    match serde_json::to_writer(&mut json, body) {
        Ok(()) => {
            let mut response = Response::new(Body::from(json));
            *response.status_mut() = status;
            response.headers_mut().insert(CONTENT_TYPE, CONTENT);
            response
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Most resources are no longer, so that most are written without moving them.
const TYPICAL_BYTES: usize = 1024;

/// The answer to a deletion.
pub(super) fn deleted() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Writes a value as the text that it displays as.
pub(super) struct Text<T>(pub(super) T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut short = ShortText::default();
        match write!(short, "{}", self.0) {
            Ok(()) => serializer.serialize_str(short.as_str()),
            Err(fmt::Error) => serializer.collect_str(&self.0),
        }
    }
}

/// Room for a text that is no longer than most: a serializer takes a whole one with fewer steps than its pieces.
struct ShortText {
    bytes: [u8; 48],
    length: usize,
}

impl ShortText {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl Default for ShortText {
    fn default() -> Self {
        Self {
            bytes: [0; 48],
            length: 0,
        }
    }
}

impl fmt::Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes[self.length..].get_mut(..text.len());
        room.ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

/// Writes attributes as an object.
pub(super) struct Object<'a>(pub(super) &'a Attributes);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.pairs().len()))?;
        for (name, value) in self.0.pairs() {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}
