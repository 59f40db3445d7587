//! Every error that can come back: HTTP status, Twilio's number, and a sentence that says what to do.
//!
//! The numbers are those of Twilio's error dictionary; the body is the one that its helper libraries read.

use std::time::Duration;

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::dialect::Stranger;
use crate::domain::attached::AttachedError;
use crate::domain::refusal::AreaRefusal;
use crate::domain::text::UniqueName;
use crate::flows::{self, Fault};
use crate::web::failure::Cause;

mod expected;
mod factors;
mod parameter;
mod resources;
mod verifications;

pub(super) use self::expected::Expected;
pub(super) use self::parameter::Parameter;

/// How this API says what an area of the core refuses: one exhaustive match for each area, so that nothing new gets out
/// without a number and a sentence of its own.
pub(super) trait ToApiError: AreaRefusal {
    /// The status, the number and the sentence; `path` is what was asked for. The wait is added by whoever asks.
    fn to_api_error(&self, path: &str) -> ApiError;
}

/// An answer that is no success.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: u32,
    message: String,
    retry_after: Option<Duration>,
    may_put_to_sleep: bool,
    rate_limit: Option<UniqueName>,
    cause: Option<Cause>,
}

impl ApiError {
    /// An error without anything but these.
    pub(super) fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
            may_put_to_sleep: false,
            rate_limit: None,
            cause: None,
        }
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            20001,
            format!("Missing required parameter {parameter} in the post body"),
        )
    }

    /// A name that is nearly that of a parameter, `right`, or that of none of those whose names begin so.
    pub(super) fn misspelt(given: &str, right: &str) -> Self {
        let given = shown(given);
        let message = match right.strip_suffix('.') {
            None => format!("Unknown parameter {given}: it is written {right}"),
            Some(family) => {
                let members = Parameter::NAMES
                    .iter()
                    .filter(|name| name.starts_with(right) && !name.contains(' '));
                let members: Vec<_> = members.copied().collect();
                format!(
                    "Unknown parameter {given}: of {family} there are {}",
                    members.join(", ")
                )
            }
        };
        Self::new(StatusCode::BAD_REQUEST, 20001, message)
    }

    /// A filter that a list does not have.
    pub(super) fn unknown_filter(given: &str, filters: &[&str]) -> Self {
        let given = shown(given);
        let message = format!("Unknown parameter {given}: here there are {}", filters.join(", "));
        Self::new(StatusCode::BAD_REQUEST, 20001, message)
    }

    /// A parameter that is not what it has to be.
    pub(super) fn invalid(parameter: Parameter, expected: impl Into<Expected>) -> Self {
        let (name, expected) = (parameter.name, expected.into());
        let message = format!("Invalid parameter: {name} {}", expected.as_str());
        Self::new(StatusCode::BAD_REQUEST, parameter.code, message)
    }

    /// A message of the caller's that is too long.
    pub(super) fn message_too_long(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 60247, message)
    }

    /// A payment with an amount but no payee, or the other way round.
    pub(super) fn payment_incomplete() -> Self {
        let message = "Amount and Payee belong together: send both, or none";
        Self::new(StatusCode::BAD_REQUEST, 60206, message)
    }

    /// A template's places that nothing was given for.
    pub(super) fn substitutions_missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 60224, message)
    }

    /// A template that is not for the channel.
    pub(super) fn template_unfit() -> Self {
        let message =
            "TemplateSid names a template that is not for this Channel; GET /v2/Templates says which are";
        Self::new(StatusCode::BAD_REQUEST, 60227, message)
    }

    /// A template that there is not.
    pub(super) fn template_unknown() -> Self {
        let message = "TemplateSid names no template; GET /v2/Templates lists those that there are";
        Self::new(StatusCode::BAD_REQUEST, 60228, message)
    }

    /// Templates of which none can be sent.
    pub(super) fn no_template_fits() -> Self {
        let message = "None of the Templates can be sent: each is unknown, is not for this Channel, lacks substitutions or is \
                       too long";
        Self::new(StatusCode::BAD_REQUEST, 60252, message)
    }

    /// Templates that are no list of templates.
    pub(super) fn templates_malformed() -> Self {
        let message = r#"Invalid parameter: Templates must be a JSON array of 1 to 10 objects such as {"sid": "HJ...", "substitutions": {"name": "value"}}"#;
        Self::new(StatusCode::BAD_REQUEST, 60251, message)
    }

    /// A check that does not say of what.
    pub(super) fn verification_unnamed() -> Self {
        let message = "Either To or VerificationSid is required, to say which verification is checked";
        Self::new(StatusCode::BAD_REQUEST, 60221, message)
    }

    /// A signed answer that does not belong to its challenge.
    pub(super) fn bad_challenge_proof(why: &str) -> Self {
        let message = format!("The signed answer does not belong to this challenge: {why}");
        Self::new(StatusCode::FORBIDDEN, 60324, message)
    }

    /// The same error of a parameter, with the number that the parameters of services and verifications have.
    pub(super) fn in_service(mut self) -> Self {
        if matches!(self.code, 60300 | 60306) {
            self.code = 60200;
        }
        self
    }

    /// An access token without its required parameters.
    pub(super) fn access_token_incomplete() -> Self {
        let message = "Missing required parameter: an access token needs Identity and FactorType";
        Self::new(StatusCode::BAD_REQUEST, 60305, message)
    }

    /// A body that is no form.
    pub(super) fn no_form() -> Self {
        let message = "The body must be application/x-www-form-urlencoded text in UTF-8";
        Self::new(StatusCode::BAD_REQUEST, 20001, message)
    }

    /// A part of the request that is no text.
    pub(super) fn not_utf8(part: &str) -> Self {
        let message = format!("The {part} is not UTF-8; send text as UTF-8, percent-encoded");
        Self::new(StatusCode::BAD_REQUEST, 20001, message)
    }

    /// A path that leads nowhere, or nowhere that these credentials may see.
    pub(super) fn not_found(path: &str) -> Self {
        let message = format!("The requested resource {path} was not found");
        Self::new(StatusCode::NOT_FOUND, 20404, message)
    }

    /// Representations that the path does not have.
    pub(super) fn not_acceptable(offered: &str) -> Self {
        let message = format!("This resource is {offered}; send that in the header Accept");
        Self::new(StatusCode::NOT_ACCEPTABLE, 20406, message)
    }

    pub(super) fn page_too_large() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            20007,
            "Invalid parameter: PageSize must be at most 1000",
        )
    }

    /// Requests for one destination that keep each other from being served.
    pub(super) fn too_many_at_once() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            60212,
            "Too many concurrent requests for this phone number or e-mail address; try again",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// What a flow said; `path` is what was asked for.
    pub(super) fn from_flow<R: ToApiError>(error: flows::Error<R>, path: &str) -> Self {
        match error {
            flows::Error::Failed(fault) => Self::from_fault(&fault),
            flows::Error::Refused(refusal) => Self {
                retry_after: refusal.retry_after(),
                ..refusal.to_api_error(path)
            },
        }
    }

    /// What this dialect keeps with a record cannot be read.
    pub(super) fn unreadable(error: &AttachedError) -> Self {
        Self::from_fault(&Fault::Corrupt(error.to_string()))
    }

    /// What kept a flow from deciding.
    pub(super) fn from_fault(fault: &Fault) -> Self {
        match fault {
            Fault::Busy | Fault::Conflict(_) => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                20429,
                "Too many requests for this resource; try again",
            )
            .retry_after(Duration::from_secs(1)),
            Fault::Corrupt(_) | Fault::Forged(_) | Fault::KeyGone(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                20500,
                "An internal error occurred",
            )
            .caused_by(fault),
            Fault::OutboxFull => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                20429,
                "Too many messages of this account wait for their receivers; see to it that its webhooks answer, and try again",
            )
            .retry_after(Duration::from_mins(1)),
            Fault::Unavailable(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                20503,
                "The service is unavailable; try again later",
            )
            .retry_after(Duration::from_secs(1))
            .caused_by(fault),
        }
    }

    /// Tells when to come again.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same error of an operation for which the API declares `Retry-After`.
    pub(super) fn may_put_to_sleep(mut self) -> Self {
        self.may_put_to_sleep = true;
        self
    }

    /// Names the rate limit that is reached.
    fn of_rate_limit(mut self, name: &UniqueName) -> Self {
        self.rate_limit = Some(name.clone());
        self
    }

    /// Tells the log what the client is not told.
    fn caused_by(mut self, fault: &Fault) -> Self {
        self.cause = Some(Cause(fault.to_string()));
        self
    }
}

/// The error of an answer that [`said`] has yet to write: what wrote this does not know where clients reach this server.
#[derive(Clone, Debug)]
struct Unsaid(ApiError);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(Unsaid(self));
        response
    }
}

/// The answer as it leaves the dialect: an error says what it is, and where one can read about it. `base` is the beginning of
/// this server's URLs as the client knows them, without a slash at its end.
pub(super) fn said(mut response: Response, base: &str) -> Response {
    if let Some(Unsaid(error)) = response.extensions_mut().remove() {
        error.say(&mut response, base);
    }
    response
}

impl ApiError {
    fn say(self, response: &mut Response, base: &str) {
        let wait = self.retry_after.map(seconds);
        let body = ErrorBody {
            code: self.code,
            message: &self.message,
            more_info: format!("{base}/docs/errors/{}", self.code),
            status: self.status.as_u16(),
            details: wait.map(|retry_after| ErrorDetails { retry_after }),
        };
        *response.body_mut() = serde_json::to_vec(&body).unwrap_or_default().into();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, super::json::CONTENT);
        // The router counted the bytes of no body.
        headers.remove(CONTENT_LENGTH);
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"Countersign\""),
            );
        }
        if let Some(wait) = wait {
            headers.insert(OWN_RETRY_AFTER, HeaderValue::from(wait));
            let is_too_many = self.status == StatusCode::TOO_MANY_REQUESTS;
            if self.may_put_to_sleep && is_too_many && wait <= LONGEST_SLEEP {
                headers.insert(RETRY_AFTER, HeaderValue::from(wait));
            }
        }
        if let Some(name) = self
            .rate_limit
            .and_then(|name| HeaderValue::from_str(name.as_str()).ok())
        {
            headers.insert(REACHED_RATE_LIMIT, name);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.extensions_mut().insert(Stranger);
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
    }
}

/// Which rate limit of the service is reached.
const REACHED_RATE_LIMIT: HeaderName = HeaderName::from_static("twilio-reached-rate-limit");

/// How long to wait, in seconds, for whoever looks for it. `Retry-After` says it to HTTP clients that nobody asked:
/// twilio-java's sleeps for as long as that in the thread that called it, ten minutes if it says so.
const OWN_RETRY_AFTER: HeaderName = HeaderName::from_static("countersign-retry-after");

/// The longest wait, in seconds, that `Retry-After` is sent for.
const LONGEST_SLEEP: u64 = 5;

/// `{"code":60200,"message":"...","more_info":"https://...","status":400}`, and `"details":{"retry_after":42}` if there is a
/// wait. No `type` and `title`: with both, the helper libraries raise another class of exception.
#[derive(Serialize)]
struct ErrorBody<'a> {
    code: u32,
    message: &'a str,
    more_info: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<ErrorDetails>,
}

/// What the helper libraries hand out as the `details` of their exceptions.
#[derive(Serialize)]
struct ErrorDetails {
    retry_after: u64,
}

/// The whole seconds after which a wait is over, at least one: the sentence, the body and the header say the same.
fn seconds(wait: Duration) -> u64 {
    let begun = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(begun).max(1)
}

/// A name as a client gave it, if it is one that a sentence can hold.
fn shown(name: &str) -> &str {
    let harmless = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic());
    if harmless { name } else { "in the request" }
}

/// A parameter's name with what it must be.
pub(super) fn of_parameter<E: Into<Expected>>(parameter: Parameter) -> impl Fn(E) -> ApiError {
    move |expected| ApiError::invalid(parameter, expected)
}

#[cfg(test)]
mod answers;
