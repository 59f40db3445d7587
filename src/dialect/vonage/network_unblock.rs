//! Lets codes go to a network again that is closed because of suspected fraud.
//!
//! The one operation whose errors are statuses of HTTP, with a problem in their body (RFC 7807). A network is what status 7
//! names: here it is the numbers that begin with the same digits, all but the last four.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::call::{AdmittedCall, Vonage, admit};
use super::error::VerifyError;
use super::failures;
use super::reply::{ReplyFormat, VerifyReply};
use super::routes::NETWORK_UNBLOCK;
use crate::dialect::Stranger;
use crate::domain::fraud::prefix::DestinationPrefix;
use crate::flows::{Error, fraud};
use crate::web::body;

/// `POST /verify/network-unblock`
pub(super) async fn unblock(State(vonage): State<Vonage>, request: Request<Body>) -> Response {
    let (parts, request_body) = request.into_parts();
    let bytes = match body::read(&parts, request_body).await {
        Ok(bytes) => bytes,
        Err(failure) => return failures::respond(failure, super::RESPONSE, ReplyFormat::Json),
    };
    let outcome = match admit(&vonage.app, &parts, &bytes).await {
        Ok(admitted) => lift(&vonage, &admitted).await,
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(reply) => reply.respond(StatusCode::OK, ReplyFormat::Json),
        Err(problem) => problem.respond(),
    }
}

/// Why a network was not opened.
struct Problem {
    status: StatusCode,
    title: &'static str,
    /// What else the answer carries, and the sentence.
    error: VerifyError,
}

async fn lift(vonage: &Vonage, admitted: &AdmittedCall) -> Result<VerifyReply, Problem> {
    let parameters = &admitted.parameters;
    let network = parameters.required("network")?;
    // Both names are in use.
    let mut seconds = None;
    for name in ["unblock_duration", "duration"] {
        let given = parameters.number(name, 1, LONGEST)?;
        if seconds.is_some() && given.is_some() && given != seconds {
            return Err(VerifyError::contradicting(name).into());
        }
        seconds = seconds.or(given);
    }
    let length = Duration::from_secs(seconds.unwrap_or(USUAL).into());
    let digits = network.bytes().all(|digit| digit.is_ascii_digit());
    let prefix = DestinationPrefix::from_key(network.as_bytes())
        .filter(|_| digits)
        .ok_or_else(Problem::not_found)?;
    let lifted = fraud::lift(
        &vonage.app,
        admitted.account.who,
        admitted.service,
        &prefix,
        length,
    );
    match lifted.await {
        Ok(until) => Ok(VerifyReply::new(super::RESPONSE)
            .with("network", network)
            .with("unblocked_until", until.to_string())),
        Err(Error::Refused(_)) => Err(Problem::not_found()),
        Err(Error::Failed(fault)) => Err(VerifyError::failed(&fault).into()),
    }
}

impl Problem {
    fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "Not Found",
            error: VerifyError::new(6, "The network does not have an active block"),
        }
    }

    fn respond(self) -> Response {
        let reply = VerifyReply::new(super::RESPONSE)
            .with("type", "about:blank")
            .with("title", self.title)
            .with("detail", &*self.error.text)
            .with("instance", NETWORK_UNBLOCK);
        let is_stranger = self.error.is_stranger();
        // The same notes for the log, on another body.
        let noted = self.error.respond(super::RESPONSE, ReplyFormat::Json);
        let mut response = reply.respond(self.status, ReplyFormat::Json);
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        *response.extensions_mut() = noted.extensions().clone();
        if is_stranger {
            response.extensions_mut().insert(Stranger);
        }
        response
    }
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        let (status, title) = match error.status {
            1 | 9 => (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"),
            4 => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            5 => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Error"),
            // The credentials may be what is missing.
            _ if error.is_stranger() => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid Parameters"),
        };
        Self { status, title, error }
    }
}

/// How long a network is open if the request does not say, and at the longest, in seconds.
const USUAL: u32 = 60 * 60;
const LONGEST: u32 = 24 * 60 * 60;
