//! The protocol's errors: what callers can expect rides in the answers, all else is a status.

use std::time::Duration;

use tonic::Status;

use super::proto::{
    CheckVerificationCodeError, CheckVerificationCodeErrorType as CheckError, SendVerificationCodeError,
    SendVerificationCodeErrorType as SendError,
};
use crate::domain::verification::Refusal;
use crate::flows::Fault;
use crate::web::rpc;

/// What kept a call from being decided. Nothing was changed.
pub(super) fn failed(fault: &Fault) -> Status {
    match fault {
        Fault::Busy | Fault::Conflict(_) => {
            Status::aborted("too many calls change the same thing at once; try again")
        }
        Fault::Corrupt(_) | Fault::Forged(_) | Fault::KeyGone(_) => {
            rpc::failed(Status::internal("an internal error occurred"), fault)
        }
        Fault::OutboxFull => Status::resource_exhausted(
            "too many messages of this account wait for their senders; see to it that these answer, and try again",
        ),
        Fault::Unavailable(_) => {
            let told = Status::unavailable("the service is unavailable; try again later");
            rpc::failed(told, fault)
        }
    }
}

/// Why a code was not sent, and whether the session is shown beside it; `Err` for what the protocol has no error for.
pub(super) fn of_sending(refusal: &Refusal) -> Result<(SendVerificationCodeError, bool), Status> {
    let plain = |kind: SendError, with_session| Ok((send_error(kind, None), with_session));
    match refusal {
        Refusal::NotFound => plain(SendError::SessionNotFound, false),
        Refusal::Approved => plain(SendError::SessionAlreadyVerified, true),
        Refusal::TooSoon { retry_after } | Refusal::DestinationLocked { retry_after } => {
            Ok((send_error(SendError::RateLimited, Some(*retry_after)), true))
        }
        Refusal::TooManySends { .. } => plain(SendError::RateLimited, true),
        Refusal::Blocked(blocked) => match blocked.retry_after {
            Some(wait) => Ok((send_error(SendError::RateLimited, Some(wait)), true)),
            None => plain(SendError::SuspectedFraud, false),
        },
        Refusal::LandlineSms => plain(SendError::TransportNotAllowed, true),
        Refusal::NoSender { .. } | Refusal::DestinationUnfit | Refusal::Unwritable { .. } => {
            plain(SendError::SenderRejected, false)
        }
        other => Err(rpc::failed(Status::internal(other.to_string()), other)),
    }
}

fn send_error(kind: SendError, retry_after: Option<Duration>) -> SendVerificationCodeError {
    SendVerificationCodeError {
        error_type: kind.into(),
        may_retry: retry_after.is_some(),
        retry_after_seconds: retry_after.map_or(0, |wait| wait.as_secs()),
    }
}

/// Why a code was not checked, as [`of_sending`].
pub(super) fn of_checking(refusal: &Refusal) -> Result<(CheckVerificationCodeError, bool), Status> {
    let plain = |kind: CheckError, with_session| Ok((check_error(kind, None), with_session));
    match refusal {
        Refusal::NotFound => plain(CheckError::SessionNotFound, false),
        Refusal::NoCodeSent => plain(CheckError::NoCodeSent, true),
        Refusal::TooSoon { retry_after } | Refusal::DestinationLocked { retry_after } => {
            Ok((check_error(CheckError::RateLimited, Some(*retry_after)), true))
        }
        Refusal::TooManyChecks { .. } => plain(CheckError::RateLimited, true),
        Refusal::CodeExpired => plain(CheckError::AttemptExpired, false),
        other => Err(rpc::failed(Status::internal(other.to_string()), other)),
    }
}

fn check_error(kind: CheckError, retry_after: Option<Duration>) -> CheckVerificationCodeError {
    CheckVerificationCodeError {
        error_type: kind.into(),
        may_retry: retry_after.is_some(),
        retry_after_seconds: retry_after.map_or(0, |wait| wait.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn what_keeps_a_call_from_being_decided_says_whether_trying_again_helps_and_nothing_of_us() {
        for (fault, code) in [
            (Fault::Busy, Code::Aborted),
            (Fault::Conflict(None), Code::Aborted),
            (Fault::Corrupt("record of Ada".to_owned()), Code::Internal),
            (Fault::OutboxFull, Code::ResourceExhausted),
            (Fault::Unavailable("disk of Ada".to_owned()), Code::Unavailable),
        ] {
            let status = failed(&fault);
            assert_eq!(status.code(), code, "{fault}");
            assert!(!status.message().contains("Ada"), "{status}");
        }
    }
}
