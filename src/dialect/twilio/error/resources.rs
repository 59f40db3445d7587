//! What is refused about accounts, services and whatever else only has to be kept.

use axum::http::StatusCode;

use super::{ApiError, Parameter, ToApiError, seconds};
use crate::domain::credential::CredentialKind;
use crate::domain::rate_limit::{MAX_BUCKETS, MAX_RATE_LIMITS};
use crate::domain::webhook::MAX_WEBHOOKS;
use crate::domain::{
    account, attempt, credential, messaging_configuration, rate_limit, safe_list, service, webhook,
};

impl ToApiError for account::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::NotFound => ApiError::not_found(path),
        }
    }
}

impl ToApiError for attempt::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::NotFound => ApiError::not_found(path),
            Self::TooManyToCount { most } => ApiError::new(
                StatusCode::BAD_REQUEST,
                60306,
                format!(
                    "More than {most} attempts lie between DateCreatedAfter and DateCreatedBefore; ask for shorter times"
                ),
            ),
        }
    }
}

impl ToApiError for credential::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::InUse { service } => ApiError::new(
                StatusCode::CONFLICT,
                20409,
                format!("The credential is used by service {service}; let the service use another one first"),
            ),
            Self::NotFound => ApiError::not_found(path),
            Self::UnknownTokenUri => ApiError::invalid(Parameter::SECRET, UNKNOWN_TOKEN_URI),
        }
    }
}

impl ToApiError for messaging_configuration::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::Exists => ApiError::new(
                StatusCode::BAD_REQUEST,
                60213,
                "The service already has a messaging configuration for this country; change that one instead",
            ),
            Self::NotFound => ApiError::not_found(path),
        }
    }
}

impl ToApiError for rate_limit::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::BucketExists => ApiError::new(
                StatusCode::BAD_REQUEST,
                60211,
                "The rate limit already has a bucket with this Interval; change its Max instead",
            ),
            Self::Exists => ApiError::new(
                StatusCode::BAD_REQUEST,
                60208,
                "The service already has a rate limit with this UniqueName",
            ),
            Self::NotFound => ApiError::not_found(path),
            Self::Reached {
                unique_name,
                retry_after,
            } => {
                let sentence = format!(
                    "The rate limit {unique_name} is reached for the value given; try again in {} seconds",
                    seconds(*retry_after)
                );
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, 20429, sentence).of_rate_limit(unique_name)
            }
            Self::TooMany => ApiError::new(
                StatusCode::BAD_REQUEST,
                60207,
                format!("The service has {MAX_RATE_LIMITS} rate limits already; delete one first"),
            ),
            Self::TooManyBuckets => ApiError::new(
                StatusCode::BAD_REQUEST,
                60210,
                format!("The rate limit has {MAX_BUCKETS} buckets already; delete one first"),
            ),
            Self::Unknown => ApiError::invalid(
                Parameter::RATE_LIMITS,
                "must name only rate limits of the service, each by its UniqueName",
            ),
        }
    }
}

impl ToApiError for safe_list::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::Listed => ApiError::new(
                StatusCode::CONFLICT,
                60411,
                "The phone number is on the safe list already",
            ),
            Self::NotFound => ApiError::not_found(path),
        }
    }
}

impl ToApiError for service::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::LookupRequired => ApiError::new(
                StatusCode::BAD_REQUEST,
                60200,
                "SkipSmsToLandlines requires LookupEnabled",
            ),
            Self::NoSuchCredential {
                provider: CredentialKind::Apn,
            } => ApiError::invalid(Parameter::PUSH_APN_CREDENTIAL_SID, NO_APN_CREDENTIAL),
            Self::NoSuchCredential {
                provider: CredentialKind::Fcm,
            } => ApiError::invalid(Parameter::PUSH_FCM_CREDENTIAL_SID, NO_FCM_CREDENTIAL),
            Self::NotFound => ApiError::not_found(path),
            Self::TooMany { limit } => ApiError::new(
                StatusCode::BAD_REQUEST,
                60306,
                format!(
                    "The account has {limit} services, as many as it may have; delete one that nobody uses first, or ask the \
                     operator for more (limits.services_per_account)"
                ),
            ),
        }
    }
}

impl ToApiError for webhook::Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        match self {
            Self::NotFound => ApiError::not_found(path),
            Self::TooMany => ApiError::new(
                StatusCode::BAD_REQUEST,
                60306,
                format!("The service has {MAX_WEBHOOKS} webhooks already; delete one first"),
            ),
        }
    }
}

const NO_APN_CREDENTIAL: &str =
    "must be the SID of one of the account's credentials of type apn; create one with POST /v1/Credentials";
const NO_FCM_CREDENTIAL: &str =
    "must be the SID of one of the account's credentials of type fcm; create one with POST /v1/Credentials";
const UNKNOWN_TOKEN_URI: &str = "must have no other token_uri than https://oauth2.googleapis.com/token, where tokens are asked for unless the \
     operator says otherwise (fcm_token_url)";
