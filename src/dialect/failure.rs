//! What can go wrong with a request outside of a dialect's operations.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, Uri};
use axum::response::Response;

/// Why a request is not answered by an operation: facts, which each dialect puts into its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpFailure<'a> {
    /// The client went away within the body, or what it sent is no body.
    BodyBroken,
    /// The body did not arrive in time.
    BodyTimedOut,
    /// The body is longer than it may be.
    BodyTooLarge {
        /// The longest that is read, in bytes.
        most: usize,
    },
    /// The first line and the headers are together longer than they may be.
    HeadTooLarge {
        /// The longest that is answered, in bytes.
        most: usize,
    },
    /// The request names more than one host that it is for.
    HostUnclear,
    /// The path is there, but not with this method.
    MethodNotAllowed,
    /// The path leads nowhere.
    NotFound {
        /// What was asked for.
        path: &'a str,
    },
    /// The client has as much at work already as it may have.
    Overloaded,
    /// A mistake of ours. What it is stands in the log; the client learns nothing of it.
    Panicked,
}

/// In which of its forms (JSON, XML, gRPC) a dialect answers a request; only the dialect knows what the number means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerForm(pub u8);

/// How a dialect answers what is not for an operation to answer.
pub trait FailureAnswers: fmt::Debug + Send + Sync {
    /// The header that carries a request's identifier, in every answer.
    fn request_id(&self) -> HeaderName;

    /// In which form a request with this head is to be answered if it fails. Asked of every request, before its head is
    /// given away; so it is a number, and costs nothing.
    fn form(&self, _uri: &Uri, _headers: &HeaderMap) -> AnswerForm {
        AnswerForm::default()
    }

    /// The answer to a request that failed.
    fn answer(&self, failure: HttpFailure<'_>, form: AnswerForm) -> Response;
}
