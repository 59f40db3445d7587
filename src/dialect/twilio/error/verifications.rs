//! What is refused about verifications, and whatever has no area of its own yet.

use axum::http::StatusCode;

use super::super::verification_parameters;
use super::{ApiError, ToApiError, capitalized};
use crate::domain::channel::Channel;
use crate::domain::refusal::Refusal;

impl ToApiError for Refusal {
    fn to_api_error(&self, path: &str) -> ApiError {
        let (status, code) = match self {
            Refusal::Account(refusal) => return refusal.to_api_error(path),
            Refusal::RateLimit(refusal) => return refusal.to_api_error(path),
            Refusal::Blocked { why, .. } if why.is_permission() => (StatusCode::FORBIDDEN, 60605),
            Refusal::Blocked { .. } => (StatusCode::FORBIDDEN, 60410),
            Refusal::CustomCodeNotAllowed => (StatusCode::FORBIDDEN, 60204),
            Refusal::DestinationLocked { .. } | Refusal::TooManyChecks { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, 60202)
            }
            Refusal::LandlineSms => (StatusCode::FORBIDDEN, 60205),
            Refusal::NoSenderFor { .. } => (StatusCode::BAD_REQUEST, 60223),
            Refusal::NoStepLeft | Refusal::VerificationApproved | Refusal::VerificationExists { .. } => {
                (StatusCode::CONFLICT, 20409)
            }
            Refusal::CodeExpired | Refusal::NoCodeSent | Refusal::NotFound => {
                return ApiError::not_found(path);
            }
            Refusal::Parameter { parameter, why } => return ApiError::invalid(parameter, why),
            Refusal::PaymentRequired => (StatusCode::BAD_REQUEST, 60206),
            Refusal::PaymentUnfit {
                channel: Channel::Sna,
            } => (StatusCode::BAD_REQUEST, 60329),
            Refusal::PaymentUnfit { .. } => (StatusCode::BAD_REQUEST, 60214),
            Refusal::NotCancellableYet { .. } | Refusal::TooSoon { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, 20429)
            }
            Refusal::TooManySends { .. } => (StatusCode::TOO_MANY_REQUESTS, 60203),
            Refusal::Unwritable { why } => return verification_parameters::unwritable(why),
        };
        ApiError::new(status, code, capitalized(&self.to_string()))
    }
}
