//! What is refused about verifications, and whatever has no area of its own yet.

use axum::http::StatusCode;

use super::{ApiError, ToApiError, capitalized};
use crate::dialect::twilio::{approval, verification_parameters};
use crate::domain::channel::Channel;
use crate::domain::refusal::Refusal;

impl ToApiError for Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        let (status, code) = match self {
            Refusal::AccessTokenUnfit => (StatusCode::FORBIDDEN, 60313),
            Refusal::AnswerMissing => return ApiError::invalid("AuthPayload", ANSWER_MISSING),
            Refusal::BadChallengeProof { why } => return approval::refused(*why),
            Refusal::BadFactorProof => (StatusCode::FORBIDDEN, 60311),
            Refusal::BucketExists => (StatusCode::BAD_REQUEST, 60211),
            Refusal::Blocked { why, .. } if why.is_permission() => (StatusCode::FORBIDDEN, 60605),
            Refusal::Blocked { .. } => (StatusCode::FORBIDDEN, 60410),
            Refusal::ChallengeAnswered => (StatusCode::FORBIDDEN, 60322),
            Refusal::ChallengeExpired => (StatusCode::FORBIDDEN, 60323),
            Refusal::CodeForPush => return ApiError::invalid("AuthPayload", CODE_FOR_PUSH),
            Refusal::CodeMalformed => return ApiError::invalid("AuthPayload", CODE_MALFORMED),
            Refusal::CredentialInUse { .. } => (StatusCode::CONFLICT, 20409),
            Refusal::Credentials => (StatusCode::UNAUTHORIZED, 20003),
            Refusal::CustomCodeNotAllowed => (StatusCode::FORBIDDEN, 60204),
            Refusal::DestinationLocked { .. } | Refusal::TooManyChecks { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, 60202)
            }
            Refusal::DuplicateBinding => (StatusCode::CONFLICT, 60317),
            Refusal::EntityExists => (StatusCode::CONFLICT, 60301),
            Refusal::FactorAlreadyVerified | Refusal::FactorDisabled => (StatusCode::FORBIDDEN, 60383),
            Refusal::FactorUnknown => (StatusCode::NOT_FOUND, 20404),
            Refusal::FactorUnverified => (StatusCode::FORBIDDEN, 60318),
            Refusal::Forbidden => (StatusCode::FORBIDDEN, 20403),
            Refusal::LandlineSms => (StatusCode::FORBIDDEN, 60205),
            Refusal::LookupRequired => (StatusCode::BAD_REQUEST, 60200),
            Refusal::MessagingConfigurationExists => (StatusCode::BAD_REQUEST, 60213),
            Refusal::NoSenderFor { .. } => (StatusCode::BAD_REQUEST, 60223),
            Refusal::NoStepLeft | Refusal::VerificationApproved | Refusal::VerificationExists { .. } => {
                (StatusCode::CONFLICT, 20409)
            }
            Refusal::CodeExpired | Refusal::NoCodeSent | Refusal::NotFound => {
                return ApiError::not_found(path);
            }
            Refusal::NotNotifiable => (StatusCode::BAD_REQUEST, 60307),
            Refusal::NumberAlreadySafe => (StatusCode::CONFLICT, 60411),
            Refusal::Parameter { parameter, why } => return ApiError::invalid(parameter, why),
            Refusal::PaymentRequired => (StatusCode::BAD_REQUEST, 60206),
            Refusal::PaymentUnfit {
                channel: Channel::Sna,
            } => (StatusCode::BAD_REQUEST, 60329),
            Refusal::PaymentUnfit { .. } => (StatusCode::BAD_REQUEST, 60214),
            Refusal::FactorDelayed { .. }
            | Refusal::NotCancellableYet { .. }
            | Refusal::PushPaused { .. }
            | Refusal::TooManyPending { .. }
            | Refusal::TooManyPushes { .. }
            | Refusal::TooManyWaiters
            | Refusal::TooSoon { .. } => (StatusCode::TOO_MANY_REQUESTS, 20429),
            Refusal::RateLimitExists => (StatusCode::BAD_REQUEST, 60208),
            Refusal::RateLimited { .. } | Refusal::TooManySends { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, 60203)
            }
            Refusal::TooManyBuckets => (StatusCode::BAD_REQUEST, 60210),
            Refusal::TooManyChallengeAttempts => (StatusCode::TOO_MANY_REQUESTS, 60308),
            Refusal::TooManyChallenges { .. } => (StatusCode::TOO_MANY_REQUESTS, 60312),
            Refusal::TooManyEntityCreations => (StatusCode::TOO_MANY_REQUESTS, 60328),
            Refusal::TooManyFactorCreations { .. } => (StatusCode::TOO_MANY_REQUESTS, 60326),
            Refusal::TooManyFactors { .. } => (StatusCode::BAD_REQUEST, 60315),
            Refusal::TooManyNotifications { .. } => (StatusCode::TOO_MANY_REQUESTS, 60309),
            Refusal::TooManyRateLimits => (StatusCode::BAD_REQUEST, 60207),
            Refusal::TooManyVerificationAttempts => (StatusCode::TOO_MANY_REQUESTS, 60310),
            Refusal::TooManyToCount { .. } | Refusal::TooManyWebhooks => (StatusCode::BAD_REQUEST, 60306),
            Refusal::Unwritable { why } => return verification_parameters::unwritable(why),
        };
        let error = ApiError::new(status, code, capitalized(&self.to_string()));
        match self {
            Refusal::RateLimited { unique_name, .. } => error.of_rate_limit(unique_name),
            _ => error,
        }
    }
}

const ANSWER_MISSING: &str = "is required: the code, or what the device signed";
const CODE_FOR_PUSH: &str =
    "can only be given on creation for TOTP factors; a push challenge is answered by its device";
const CODE_MALFORMED: &str =
    "must be a code: as many ASCII digits as the factor's CodeLength says, and nothing else";
