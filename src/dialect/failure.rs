//! What can go wrong with a request outside of a dialect's operations.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
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
    /// The first line and the headers are together longer than they may be. Heads that are longer by far never come so
    /// far: the libraries that read them, hyper and h2, answer those with a bare 431, or end the connection.
    HeadTooLarge {
        /// The longest that is answered, in bytes.
        most: usize,
    },
    /// The request has a header twice of which there can be one. Whoever stands in between may have gone by the other.
    HeaderTwice {
        /// Which, in lower case.
        name: &'static str,
    },
    /// The request names no host that it is for, or more than one, or something that is no host.
    HostUnclear,
    /// The path is there, but not with this method.
    MethodNotAllowed,
    /// The path leads nowhere.
    NotFound {
        /// What was asked for.
        path: &'a str,
    },
    /// The client has as much at work already as it may have, on one connection or on all of its own.
    Overloaded,
    /// A mistake of ours. What it is stands in the log; the client learns nothing of it.
    Panicked,
}

/// Says of an answer that nobody known had asked: an extension that the dialect attaches to it, whatever its protocol calls
/// that. Behind such an answer a connection is kept for a moment only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stranger;

/// In which of its forms (JSON, XML, gRPC) a dialect answers a request; only the dialect knows what the number means, which
/// is [`GREATEST`](Self::GREATEST) at the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerForm(pub u8);

impl AnswerForm {
    /// The greatest number that a dialect gives a form.
    pub const GREATEST: u8 = 15;
}

/// What a request is known by, so that a client's report can be matched with a line of the log, which has it in
/// hexadecimal. Unique, and no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub [u8; 16]);

impl RequestId {
    /// 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn digits(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        text
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a dialect answers what is not for an operation to answer.
pub trait FailureAnswers: fmt::Debug + Send + Sync {
    /// The header that carries a request's identifier in every answer, and the identifier as this dialect writes it.
    fn request_id(&self, id: RequestId, form: AnswerForm) -> (HeaderName, HeaderValue);

    /// In which form a request with this head is to be answered if it fails. Asked of every request, before its head is
    /// given away; so it is a number, and costs nothing.
    fn form(&self, _uri: &Uri, _headers: &HeaderMap) -> AnswerForm {
        AnswerForm::default()
    }

    /// The answer to a request that failed.
    fn answer(&self, failure: HttpFailure<'_>, form: AnswerForm) -> Response;
}
