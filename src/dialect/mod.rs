//! The protocols that clients speak, and the seam between each of them and the server.
//!
//! A dialect gives the server a [`Dialect`]: its name, and either an [`Http`] router with its own answers to what goes
//! wrong outside of its operations, or an [`Acceptor`] of byte streams. The listener and what surrounds a request write
//! no body, number, header or sentence of any protocol themselves.
//!
//! Invariant: dialects import neither each other nor the store; `server` and `web` import of this module only what is
//! defined at its root, and that imports neither of them.
//!
//! # One more dialect
//! 1. A folder here with the dialect's name. What reads requests and writes answers (Twilio's `form`, `json` and `call`),
//!    `auth`, which says who calls, `routes`, the one table of its operations, and `error`, which turns the refusals of each
//!    area of the core, and what a value must be, into the protocol's own numbers and sentences, in exhaustive matches.
//!    Settings that only its protocol has are an attached part of the record (`domain::attached`).
//! 2. `failures`: a [`FailureAnswers`] that answers each [`HttpFailure`] as the protocol does; if it has several forms of
//!    answers, [`FailureAnswers::form`] says which one a request gets. A protocol without HTTP has an [`Acceptor`]
//!    instead, which tells the listener with [`RequestStage`] what the client owes, takes a place in the [`RequestRoom`] for
//!    each request that it works at, and ends when [`Drain`] says so. An answer
//!    to somebody who is not known has the extension [`Stranger`].
//! 3. A function that wires it: `dialect(app, ..) -> Dialect`.
//! 4. A row in the table of settings for its listener; `cli::serve` binds it and adds one entry to the pairs of listeners
//!    and dialects, each of which it hands to `server::run` as the `Protocol` that `Protocol::of` makes of it.
//! 5. Its name in the list of words that `tests/it/architecture` keeps out of the core, `web` and `server`. A new file of
//!    the seam at the root of this folder is named in `is_dialect` there, which tells the seam from the dialects.
//! 6. `tests/it/<name>` with the protocol's real clients, a target in `fuzz` for each parser, a page of the manual.
//!
//! Rules that two dialects need are the core's; what differs between them is data in the record, written when it is
//! created.

mod failure;
mod progress;
pub mod signal;
mod stream;
pub mod telegram;
mod together;
pub mod twilio;
pub mod vonage;
pub mod zitadel;

use std::sync::Arc;

use axum::Router;

pub use failure::{AnswerForm, FailureAnswers, HttpFailure, RequestId, Stranger};
pub use progress::{RequestStage, Stage};
pub use stream::{AcceptedStream, Acceptor, ByteStream, Drain, RequestHeld, RequestRoom};
pub use together::{Claim, together};

/// What a dialect gives the server.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Dialect {
    /// As operators write it.
    pub name: &'static str,
    pub speaks: Speaks,
}

/// How a dialect is spoken.
#[derive(Clone, Debug)]
pub enum Speaks {
    /// In requests and answers of HTTP, whatever its version.
    Http(Http),
    /// In bytes that only the dialect understands.
    Streams(Arc<dyn Acceptor>),
}

/// What a dialect that is spoken in HTTP consists of.
#[derive(Clone, Debug)]
pub struct Http {
    /// Its operations, and its answers to paths and methods that it does not have.
    pub router: Router,
    /// Its answers to what goes wrong before an operation is asked, or within one.
    pub failures: Arc<dyn FailureAnswers>,
}
