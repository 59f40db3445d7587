//! The protocol's numbers, and the sentences that go with them: what each refusal of the core is to a client.

use axum::http::StatusCode;
use axum::response::Response;

use super::parameters::Unreadable;
use super::reply::{ReplyFormat, VerifyReply};
use crate::dialect::Stranger;
use crate::domain::fraud::prefix::DestinationPrefix;
use crate::domain::fraud::{BlockReason, Blocked};
use crate::domain::phone::PhoneNumber;
use crate::domain::verification::Refusal;
use crate::domain::{access, service};
use crate::flows::{Error, Fault};
use crate::web::failure::{Cause, CountedAs};

/// What is said in place of what was asked for. In HTTP it is a 200 like everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VerifyError {
    pub(super) status: u16,
    pub(super) text: String,
    /// The request that the answer speaks of.
    pub(super) request_id: Option<String>,
    /// The network that is closed.
    pub(super) network: Option<String>,
    /// What the log is told, if it is our mistake.
    cause: Option<String>,
    /// Whether nobody known has asked.
    is_stranger: bool,
}

/// What somebody wants with a request that was begun before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Cancel,
    Check,
    Start,
    TriggerNextEvent,
}

impl VerifyError {
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            request_id: None,
            network: None,
            cause: None,
            is_stranger: false,
        }
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::new(
            2,
            format!("Your request is incomplete and missing the mandatory parameter: {name}"),
        )
    }

    pub(super) fn invalid(name: &str) -> Self {
        Self::new(3, format!("Invalid value for param: {name}"))
    }

    pub(super) fn contradicting(name: &str) -> Self {
        Self::new(
            3,
            format!("Invalid value for param: {name} (it is given twice, with different values)"),
        )
    }

    pub(super) fn unreadable(why: Unreadable) -> Self {
        Self::unable(&why.to_string())
    }

    /// The request could not be understood, or speaks of something that is not there.
    pub(super) fn unable(reason: &str) -> Self {
        Self::new(
            6,
            format!("The platform was unable to process this message for the following reason: {reason}"),
        )
    }

    pub(super) fn wrong_credentials() -> Self {
        Self::new(4, "Invalid credentials were provided").of_stranger()
    }

    pub(super) fn of_stranger(self) -> Self {
        Self {
            is_stranger: true,
            ..self
        }
    }

    /// Whether nobody known has asked.
    pub(super) fn is_stranger(&self) -> bool {
        self.is_stranger
    }

    pub(super) fn of_request(self, id: &str) -> Self {
        Self {
            request_id: Some(id.to_owned()),
            ..self
        }
    }

    /// What is there for `wish` is nothing that it could act on.
    fn not_found(wish: Wish, id: &str) -> Self {
        match wish {
            Wish::Cancel | Wish::TriggerNextEvent => Self::new(
                6,
                format!("The requestId '{id}' does not exist or its no longer active."),
            ),
            Wish::Check | Wish::Start => Self::unable(&format!(
                "Request '{id}' was not found or it has been verified already."
            )),
        }
    }

    /// What kept a request from being decided. Nothing was changed.
    pub(super) fn failed(fault: &Fault) -> Self {
        match fault {
            Fault::Busy | Fault::Conflict(_) => Self::new(
                1,
                "Throttled: too many requests change the same thing at once; try again",
            ),
            Fault::OutboxFull => Self::new(
                1,
                "Throttled: too many messages of this account wait for their senders; see to it that these answer, and try again",
            ),
            Fault::Corrupt(why) | Fault::Forged(why) | Fault::KeyGone(why) | Fault::Unavailable(why) => {
                Self {
                    cause: Some(why.clone()),
                    ..Self::new(5, "Internal Error")
                }
            }
        }
    }

    pub(super) fn of_access(error: &Error<access::Refusal>) -> Self {
        match error {
            Error::Refused(access::Refusal::Credentials | access::Refusal::Forbidden) => {
                Self::wrong_credentials()
            }
            Error::Refused(access::Refusal::Suspended) => Self::new(
                8,
                "The api_key you supplied is for an account that has been barred from submitting messages",
            )
            .of_stranger(),
            Error::Failed(fault) => Self::failed(fault),
        }
    }

    /// Why an account has no service for its requests.
    pub(super) fn of_service(error: &Error<service::Refusal>) -> Self {
        match error {
            Error::Refused(service::Refusal::NotFound) => Self::wrong_credentials(),
            Error::Refused(other) => Self::new(9, format!("Partner quota exceeded: {other}")),
            Error::Failed(fault) => Self::failed(fault),
        }
    }

    /// Why nothing became of `wish`, of the request `id` if one was named, for `number` if that is known.
    pub(super) fn of_flow(
        error: &Error<Refusal>,
        wish: Wish,
        id: &str,
        number: Option<&PhoneNumber>,
    ) -> Self {
        match error {
            Error::Refused(refusal) => Self::of_refusal(refusal, wish, id, number),
            Error::Failed(fault) => Self::failed(fault),
        }
    }

    fn of_refusal(refusal: &Refusal, wish: Wish, id: &str, number: Option<&PhoneNumber>) -> Self {
        match refusal {
            Refusal::Approved | Refusal::NotFound => Self::not_found(wish, id),
            Refusal::Blocked(blocked) => Self::of_fraud(*blocked, number),
            // No code is right now; another one may come.
            Refusal::CodeExpired | Refusal::NoCodeSent => Self::wrong_code(),
            Refusal::CodeMalformed => Self::invalid("code"),
            Refusal::CodeMissing => Self::missing("code"),
            Refusal::CustomCodeNotAllowed => {
                Self::new(20, "This account does not support the parameter: pin_code.")
            }
            Refusal::DestinationLocked { .. } | Refusal::TooManyChecks { .. } => {
                Self::new(17, "The wrong code was provided too many times")
            }
            Refusal::DestinationUnfit => Self::invalid("number"),
            Refusal::Exists { sid } => {
                Self::new(10, "Concurrent verifications to the same number are not allowed")
                    .of_request(&request_id(sid.as_bytes()))
            }
            Refusal::LandlineSms | Refusal::NoSender { .. } => Self::unsupported_network(),
            Refusal::NoStepLeft => match wish {
                // Two blanks, as clients know it.
                Wish::Cancel => Self::new(
                    19,
                    format!(
                        "Verification request  ['{id}'] can't be cancelled now. Too many attempts to re-deliver have already been made."
                    ),
                ),
                Wish::Check | Wish::Start | Wish::TriggerNextEvent => Self::new(
                    19,
                    format!("No more events are left to execute for the request ['{id}']"),
                ),
            },
            Refusal::NotCancellableYet { .. } => Self::new(
                19,
                format!("Verification request ['{id}'] can't be cancelled within the first 30 seconds."),
            ),
            Refusal::PaymentRequired => {
                Self::unable("this account's requests need an amount and a payee: use /verify/psd2")
            }
            Refusal::RateLimit(_) | Refusal::TooManySends { .. } | Refusal::TooSoon { .. } => {
                Self::new(1, "Throttled")
            }
            Refusal::FromNotAllowed
            | Refusal::NoTemplateFits
            | Refusal::PaymentUnfit { .. }
            | Refusal::TemplateUnknown
            | Refusal::Unwritable { .. } => Self::unable(&refusal.to_string()),
        }
    }

    pub(super) fn wrong_code() -> Self {
        Self::new(16, "The code provided does not match the expected value")
    }

    pub(super) fn unsupported_network() -> Self {
        Self::new(15, "The destination number is not in a supported network")
    }

    /// Why a guard against toll fraud did not let a code out.
    fn of_fraud(blocked: Blocked, number: Option<&PhoneNumber>) -> Self {
        let network = number.map(|number| DestinationPrefix::of_number(number).as_str().to_owned());
        match blocked.why {
            BlockReason::Country | BlockReason::NumberKind | BlockReason::NumberUnknown => {
                Self::new(29, "Non-Permitted Destination")
            }
            BlockReason::CountryBudget => Self::new(7, NETWORK_BLOCKED),
            BlockReason::LowConversion | BlockReason::PrefixBudget => Self {
                network,
                ..Self::new(7, NETWORK_BLOCKED)
            },
            BlockReason::MaxAttempts | BlockReason::NumberBudget | BlockReason::WrongCodes => Self::new(
                7,
                "The number you are trying to verify is blacklisted for verification",
            ),
            BlockReason::DeviceBudget => Self::new(1, "Throttled"),
            BlockReason::ServiceBudget | BlockReason::SpendCap => Self::new(9, "Partner quota exceeded"),
        }
    }

    /// The answer of HTTP; `root` is what XML calls it.
    pub(super) fn respond(self, root: &'static str, format: ReplyFormat) -> Response {
        let mut reply = VerifyReply::new(root);
        if let Some(id) = self.request_id {
            reply = reply.with("request_id", id);
        }
        reply = reply.with("status", self.status.to_string());
        if let Some(network) = self.network.filter(|_| format == ReplyFormat::Json) {
            // Readers of XML fail at an element that they do not know.
            reply = reply.with("network", network);
        }
        let mut response = reply
            .with("error_text", self.text)
            .respond(StatusCode::OK, format);
        if self.is_stranger {
            response.extensions_mut().insert(Stranger);
        }
        if let Some(cause) = self.cause {
            response
                .extensions_mut()
                .insert(CountedAs(StatusCode::INTERNAL_SERVER_ERROR));
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

/// A request's identifier: 32 lower-case hexadecimal digits.
pub(super) fn request_id(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

const NETWORK_BLOCKED: &str =
    "The network you are trying to verify has been blocked due to possible fraudulent activity";
