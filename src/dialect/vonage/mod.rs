//! Vonage's (once Nexmo's) Verify, version 1: a code is sent by a plan of text messages and calls, and checked.
//!
//! Requests are queries, forms or JSON; answers are JSON or XML, and a 200 of HTTP whatever became of the request. `routes`
//! says which operation is where, `error` has every number and sentence that can come back, `workflows` the plans. Each
//! account has one service for its requests, which is made when it is first needed; a request's identifier is its
//! verification's.
//!
//! Invariant: nothing is decided here. What a client may not do, a flow refuses.

mod call;
mod check;
mod control;
mod error;
mod failures;
mod languages;
mod network_unblock;
mod parameters;
mod prices;
mod reply;
mod routes;
mod search;
mod start;
mod workflows;

use std::sync::Arc;

pub use self::failures::VonageFailures;
pub use self::parameters::{BodySyntax, RequestParameters, Unreadable};
pub use self::reply::{ReplyFormat, ReplyValue, VerifyReply};
pub use self::routes::{NETWORK_UNBLOCK, PATHS, claims};
use crate::app::App;
use crate::dialect::Http;

/// As operators write it.
const NAME: &str = "vonage";

/// What users are shown as whoever writes to them, where a request brings no name of its own.
const SERVICE_NAME: &str = "Vonage";

/// The tag of a message by which a sender learns which sender's name the caller would like.
const SENDER_TAG: &str = "sender_id";

/// What XML calls most answers.
const RESPONSE: &str = "verify_response";

/// The dialect, as servers speak it.
#[must_use]
pub fn http(app: Arc<App>) -> Http {
    Http {
        router: routes::router(call::Vonage { app }),
        failures: Arc::new(VonageFailures),
    }
}
