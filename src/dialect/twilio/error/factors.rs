//! What is refused about entities, their factors and challenges, and to whom.

use axum::http::StatusCode;

use super::{ApiError, Parameter, ToApiError, seconds};
use crate::dialect::twilio::approval;
use crate::domain::challenge::Challenge;
use crate::domain::entity::Entity;
use crate::domain::factor::Factor;
use crate::domain::limits::Failures;
use crate::domain::push_guard::PushGuard;
use crate::domain::{access, access_token, challenge, entity, factor};

impl ToApiError for access::Refusal {
    fn to_api_error(&self, _path: &str) -> ApiError {
        match self {
            Self::Credentials | Self::Suspended => ApiError::new(
                StatusCode::UNAUTHORIZED,
                20003,
                "The credentials are wrong, revoked, or their account is suspended",
            ),
            Self::Forbidden => forbidden(
                20403,
                "A device may only use its own factor and that factor's challenges",
            ),
        }
    }
}

impl ToApiError for access_token::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::NotFound => ApiError::not_found(path),
            Self::Unfit => forbidden(
                60313,
                "The access token was used before, has expired, or was issued for another entity",
            ),
        }
    }
}

impl ToApiError for entity::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::Exists => ApiError::new(
                StatusCode::CONFLICT,
                60301,
                "The service already has an entity with this identity",
            ),
            Self::NotFound => ApiError::not_found(path),
            Self::TooManyCreations => too_many(60328, "Too many entities are being created; try again"),
        }
    }
}

impl ToApiError for factor::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::Access(refusal) => refusal.to_api_error(path),
            Self::AccessToken(refusal) => refusal.to_api_error(path),
            Self::AlreadyVerified => forbidden(
                60383,
                "The factor is verified already; create a challenge to check a code",
            ),
            Self::BadProof => forbidden(
                60311,
                "The signature is not one of this factor's key over the factor's SID",
            ),
            Self::CodeMalformed => ApiError::invalid(Parameter::AUTH_PAYLOAD, CODE_MALFORMED),
            Self::Delayed { retry_after } => too_many(
                20429,
                format!(
                    "Too many wrong codes; no code is checked for the next {} seconds",
                    seconds(*retry_after)
                ),
            ),
            Self::Disabled => forbidden(
                60383,
                format!(
                    "The factor was disabled after {} wrong codes in a row; delete it and enrol a new one",
                    Failures::DISABLED_AT
                ),
            ),
            Self::Duplicate => ApiError::new(
                StatusCode::CONFLICT,
                60317,
                "The entity already has a factor with this key or secret",
            ),
            Self::Entity(refusal) => refusal.to_api_error(path),
            Self::LegacySecret => ApiError::invalid(Parameter::BINDING_SECRET, LEGACY_SECRET),
            Self::NotFound => ApiError::not_found(path),
            Self::Paused { retry_after } => too_many(
                20429,
                format!(
                    "Push challenges of this factor are paused for the next {} seconds: its holder reported one, or \
                     typed {} wrong numbers; only denials are taken",
                    seconds(*retry_after),
                    PushGuard::MAX_WRONG_NUMBERS
                ),
            ),
            Self::TokenIsSubscription => {
                ApiError::invalid(Parameter::CONFIG_NOTIFICATION_TOKEN, TOKEN_IS_SUBSCRIPTION)
            }
            Self::TokenMissing => ApiError::invalid(Parameter::CONFIG_NOTIFICATION_TOKEN, TOKEN_MISSING),
            Self::TokenNoSubscription => {
                ApiError::invalid(Parameter::CONFIG_NOTIFICATION_TOKEN, TOKEN_NO_SUBSCRIPTION)
            }
            Self::TooManyAttempts => too_many(
                60310,
                format!(
                    "{} codes were tried to verify this factor; delete it and create a new one",
                    Factor::MAX_VERIFICATION_ATTEMPTS
                ),
            ),
            Self::TooManyChallenges { .. } => {
                too_many(60312, "Too many challenges were created for this factor")
            }
            Self::TooManyCreations { .. } => too_many(
                60326,
                format!(
                    "{} factors were created for this entity within 24 hours",
                    Entity::MAX_FACTOR_CREATIONS
                ),
            ),
            Self::TooManyOfType { kind: _, limit } => ApiError::new(
                StatusCode::BAD_REQUEST,
                60315,
                format!("The entity has {limit} factors of this type already; delete one first"),
            ),
            Self::TooManyPending { limit, .. } => too_many(
                20429,
                format!(
                    "{limit} challenges of this factor wait for an answer already; let them be answered or expire"
                ),
            ),
            Self::TooManyPushes { limit, retry_after } => too_many(
                20429,
                format!(
                    "{limit} pushes were sent to this factor since its last approval; it may be asked again once one is \
                     approved, or after {} seconds",
                    seconds(*retry_after)
                ),
            ),
            Self::Unverified => forbidden(60318, "The factor is not verified; verify it first"),
        }
    }
}

impl ToApiError for challenge::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::Access(refusal) => refusal.to_api_error(path),
            Self::Answered => forbidden(60322, "The challenge has been answered already"),
            Self::AnswerMissing => ApiError::invalid(Parameter::AUTH_PAYLOAD, ANSWER_MISSING),
            Self::BadProof { why } => approval::refused(*why),
            Self::CodeForPush => ApiError::invalid(Parameter::AUTH_PAYLOAD, CODE_FOR_PUSH),
            Self::Expired => forbidden(60323, "The challenge has expired; create a new one"),
            Self::ExpiryOutOfRange => ApiError::invalid(
                Parameter::EXPIRATION_DATE,
                "must lie in the future, by at most 60 minutes",
            ),
            Self::Factor(refusal) => refusal.to_api_error(path),
            Self::FactorUnknown => ApiError::new(
                StatusCode::NOT_FOUND,
                20404,
                "The requested resource was not found: FactorSid names no factor of this entity",
            ),
            Self::MessageMissing => {
                ApiError::invalid(Parameter::DETAILS_MESSAGE, "is required for push factors")
            }
            Self::NotFound => ApiError::not_found(path),
            Self::NotNotifiable => ApiError::new(
                StatusCode::BAD_REQUEST,
                60307,
                "The factor's device has no notification platform; it asks for challenges itself",
            ),
            Self::NumberForCode => ApiError::invalid(
                Parameter::DETAILS_NUMBER_MATCHING,
                "can only be given for push factors",
            ),
            Self::TooManyAttempts => too_many(
                60308,
                format!(
                    "{} codes were tried on this challenge; create a new one",
                    Challenge::MAX_ATTEMPTS
                ),
            ),
            Self::TooManyNotifications { .. } => too_many(
                60309,
                format!(
                    "{} notifications were sent for this challenge; create a new challenge",
                    Challenge::MAX_NOTIFICATIONS
                ),
            ),
            Self::TooManyWaiters => too_many(
                20429,
                "Too many requests wait already, altogether or for the same challenge or factor; try again, or close some",
            ),
        }
    }
}

fn forbidden(code: u32, sentence: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, code, sentence)
}

fn too_many(code: u32, sentence: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, code, sentence)
}

const ANSWER_MISSING: &str = "is required: the code, or what the device signed";
const CODE_FOR_PUSH: &str =
    "can only be given on creation for TOTP factors; a push challenge is answered by its device";
const CODE_MALFORMED: &str =
    "must be a code: as many ASCII digits as the factor's CodeLength says, and nothing else";
const LEGACY_SECRET: &str = "must have at least 16 bytes: the operator of this server does not allow the shorter secrets of older systems";
const TOKEN_IS_SUBSCRIPTION: &str = "must be the platform's token: only webpush takes a push subscription";
const TOKEN_MISSING: &str = "is required when Config.NotificationPlatform is apn, fcm or webpush";
const TOKEN_NO_SUBSCRIPTION: &str = "must be the JSON of a push subscription when the platform is webpush";
