//! What is refused about verifications.

use axum::http::StatusCode;

use super::super::verification_parameters;
use super::{ApiError, Parameter, ToApiError, seconds};
use crate::domain::channel::Channel;
use crate::domain::fraud::{BlockReason, Blocked};
use crate::domain::verification::Refusal;

impl ToApiError for Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::Approved => ApiError::new(
                StatusCode::CONFLICT,
                20409,
                "The verification was approved already",
            ),
            Self::Blocked(blocked) => of_fraud(blocked),
            Self::CodeExpired | Self::NoCodeSent | Self::NotFound => ApiError::not_found(path),
            Self::CodeMalformed => ApiError::invalid(Parameter::CODE, CODE_MALFORMED),
            Self::CodeMissing => ApiError::invalid(Parameter::CODE, "is required"),
            Self::CustomCodeNotAllowed => ApiError::new(
                StatusCode::FORBIDDEN,
                60204,
                "CustomCode is not enabled for this service; set CustomCodeEnabled first",
            ),
            Self::DestinationLocked { retry_after } => ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                60202,
                format!(
                    "Too many wrong codes were given for this destination; none is checked for the next {} seconds",
                    seconds(*retry_after)
                ),
            ),
            Self::DestinationUnfit => ApiError::invalid(Parameter::TO, DESTINATION_UNFIT),
            Self::Exists { sid } => ApiError::new(
                StatusCode::CONFLICT,
                20409,
                format!("Verification {sid} waits for the same destination"),
            ),
            Self::FromNotAllowed => {
                ApiError::invalid(Parameter::CHANNEL_CONFIGURATION, FROM_NOT_ALLOWED).in_service()
            }
            Self::LandlineSms => ApiError::new(StatusCode::FORBIDDEN, 60205, LANDLINE_SMS),
            Self::NoSender { channel } => ApiError::new(
                StatusCode::BAD_REQUEST,
                60223,
                format!(
                    "The channel {} has no sender for this destination; configure one, or choose another channel",
                    channel.name()
                ),
            ),
            Self::NoStepLeft => ApiError::new(
                StatusCode::CONFLICT,
                20409,
                "No step of this verification's plan is left",
            ),
            Self::NotCancellableYet { retry_after } => ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                20429,
                format!(
                    "The verification cannot be canceled for the next {} seconds",
                    seconds(*retry_after)
                ),
            ),
            Self::PaymentRequired => ApiError::new(
                StatusCode::BAD_REQUEST,
                60206,
                "Amount and Payee are required: this service has Psd2Enabled",
            ),
            Self::PaymentUnfit { channel } => payment_unfit(*channel),
            Self::RateLimit(refusal) => refusal.to_api_error(path),
            Self::NoTemplateFits => ApiError::no_template_fits(),
            Self::TemplateUnknown => ApiError::template_unknown(),
            Self::TooManyChecks { retry_after } => ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                60202,
                format!(
                    "The wrong codes of this verification are used up; a new one can be asked for in {} seconds",
                    seconds(*retry_after)
                ),
            ),
            Self::TooManySends { retry_after } => ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                60203,
                format!(
                    "This verification was sent as often as it may be; a new one can be asked for in {} seconds",
                    seconds(*retry_after)
                ),
            ),
            Self::TooSoon { retry_after } => ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                20429,
                format!("Too soon; try again in {} seconds", seconds(*retry_after)),
            ),
            Self::Unwritable { why } => verification_parameters::unwritable(why),
        }
    }
}

/// The operator's choice of where codes may go has a number of its own.
fn of_fraud(blocked: &Blocked) -> ApiError {
    let code = if blocked.why.is_permission() { 60605 } else { 60410 };
    ApiError::new(
        StatusCode::FORBIDDEN,
        code,
        format!("The code was not sent: {}", blocked_by(blocked.why)),
    )
}

fn blocked_by(why: BlockReason) -> &'static str {
    match why {
        BlockReason::Country => {
            "codes are not sent to this country (settings codes.countries and codes.blocked_countries)"
        }
        BlockReason::CountryBudget => "as many codes as may be in a day were sent to this country",
        BlockReason::DeviceBudget => {
            "as many codes as may be in an hour were asked for from this device's address"
        }
        BlockReason::LowConversion => {
            "too few of the codes sent to numbers or addresses like this one were used, so none are sent there for a while"
        }
        BlockReason::MaxAttempts => "the wrong codes of a verification are used up there",
        BlockReason::NumberBudget => "as many codes as may be in a day were sent to this number or address",
        BlockReason::NumberKind => {
            "the number is a premium-rate or shared-cost one, or of no country (setting codes.premium_numbers)"
        }
        BlockReason::NumberUnknown => {
            "the number is of a range that is not known to be given out (setting codes.unknown_numbers)"
        }
        BlockReason::PrefixBudget => {
            "as many codes as may be in a while were sent to numbers or addresses like this one"
        }
        BlockReason::ServiceBudget => "this service sent as many codes as it may in a day",
        BlockReason::SpendCap => {
            "the account's messages cost as much as they may in a day (setting codes.spend_per_day)"
        }
        BlockReason::WrongCodes => "too many wrong codes were given for this number or address",
    }
}

fn payment_unfit(channel: Channel) -> ApiError {
    let code = match channel {
        Channel::Sna => 60329,
        Channel::Call | Channel::Email | Channel::Rcs | Channel::Sms | Channel::Whatsapp => 60214,
    };
    let message = format!(
        "The channel {} cannot be used with Amount and Payee; choose sms, whatsapp or email",
        channel.name()
    );
    ApiError::new(StatusCode::BAD_REQUEST, code, message)
}

const CODE_MALFORMED: &str =
    "must be a code: 4 to 10 digits (or letters, where codes have some), and nothing else";
const DESTINATION_UNFIT: &str = "must be a phone number, or an e-mail address with the channel email";
const FROM_NOT_ALLOWED: &str =
    "must have a from that the operator allows (setting codes.email_from), or none";
const LANDLINE_SMS: &str = "The number is a landline's, and this service sends those no SMS (SkipSmsToLandlines); use the \
                            channel call";
