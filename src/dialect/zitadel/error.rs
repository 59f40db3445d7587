//! The protocol's errors: a status whose details say which error it is.

use prost::Message as _;
use prost_types::Any;
use tonic::{Code, Status};

use super::proto::rpc;
use super::proto::zitadel::v1::ErrorDetail;
use crate::domain::refusal::AreaRefusal as _;
use crate::domain::user::Refusal;
use crate::domain::{text, verification};
use crate::flows::{Error, Fault};

/// What was asked of a user's phone number: the protocol has an error of its own for what is missing to each of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum PhoneCall {
    /// In the first API: to replace it.
    SetMine,
    /// In the first API: to check a code.
    VerifyMine,
    /// To send another code.
    Resend,
    /// To remove it.
    Remove,
}

/// Why nothing became of what was asked of a user.
pub(super) fn refused(asked: PhoneCall) -> impl Fn(Error<Refusal>) -> Status {
    move |error| match error {
        Error::Failed(fault) => failed(&fault),
        Error::Refused(refusal) => of_user(asked, &refusal),
    }
}

fn of_user(asked: PhoneCall, refusal: &Refusal) -> Status {
    match refusal {
        Refusal::NoCode => code_not_found(asked),
        Refusal::NotFound => Status::not_found("User not found"),
        Refusal::PhoneMissing => match asked {
            PhoneCall::SetMine | PhoneCall::Resend => known(Code::NotFound, "COMMAND-2b7Hf", PHONE_NOT_FOUND),
            PhoneCall::VerifyMine => code_not_found(asked),
            PhoneCall::Remove => known(Code::NotFound, "COMMAND-p6rsc", PHONE_NOT_FOUND),
        },
        Refusal::PhoneUnchanged | Refusal::WouldUnverify => {
            known(Code::FailedPrecondition, "COMMAND-wF94r", "Phone not changed")
        }
        Refusal::PhoneVerified => known(
            Code::FailedPrecondition,
            "COMMAND-2M9sf",
            "Phone already verified",
        ),
        Refusal::PhoneUnverified | Refusal::CodeBySmsUnchanged => known(
            Code::FailedPrecondition,
            "COMMAND-Q54j2",
            "Multifactor OTP (OneTimePassword) isn't ready",
        ),
        Refusal::Verification(refusal) => of_verification(asked, refusal),
    }
}

fn code_not_found(asked: PhoneCall) -> Status {
    match asked {
        PhoneCall::SetMine | PhoneCall::Resend | PhoneCall::Remove | PhoneCall::VerifyMine => {
            known(Code::NotFound, "COMMAND-Rsj8c", "Code not found")
        }
    }
}

fn of_verification(asked: PhoneCall, refusal: &verification::Refusal) -> Status {
    use verification::Refusal as R;
    match refusal {
        R::CodeExpired | R::CodeMalformed | R::CodeMissing => wrong_code(asked),
        R::NotFound | R::NoCodeSent | R::Approved => code_not_found(asked),
        R::Blocked(_)
        | R::DestinationLocked { .. }
        | R::NotCancellableYet { .. }
        | R::RateLimit(_)
        | R::TooManyChecks { .. }
        | R::TooManySends { .. }
        | R::TooSoon { .. } => later(refusal),
        R::CustomCodeNotAllowed
        | R::DestinationUnfit
        | R::Exists { .. }
        | R::FromNotAllowed
        | R::LandlineSms
        | R::NoSender { .. }
        | R::NoStepLeft
        | R::NoTemplateFits
        | R::PaymentRequired
        | R::PaymentUnfit { .. }
        | R::TemplateUnknown
        | R::Unwritable { .. } => Status::failed_precondition(refusal.to_string()),
    }
}

/// What guards a number says no; the protocol knows no such guards, so gRPC's own code says it.
fn later(refusal: &verification::Refusal) -> Status {
    let text = match refusal.retry_after() {
        Some(wait) if !wait.is_zero() => format!("{refusal}; try again in {} seconds", wait.as_secs()),
        _ => refusal.to_string(),
    };
    Status::resource_exhausted(text)
}

/// A code that is not right, or not any more.
pub(super) fn wrong_code(asked: PhoneCall) -> Status {
    match asked {
        PhoneCall::SetMine | PhoneCall::Resend | PhoneCall::Remove | PhoneCall::VerifyMine => {
            known(Code::InvalidArgument, "COMMAND-sM0cs", "Code is invalid")
        }
    }
}

/// A mistake of ours, or of the machine's; or too much at once.
pub(super) fn failed(fault: &Fault) -> Status {
    match fault {
        Fault::Busy | Fault::Conflict => Status::aborted(Fault::Busy.to_string()),
        Fault::OutboxFull => Status::resource_exhausted(fault.to_string()),
        Fault::Unavailable(_) => {
            tracing::error!("{fault}");
            Status::unavailable("the server cannot read or write its data now; try again")
        }
        Fault::Corrupt(_) => {
            tracing::error!("{fault}");
            Status::internal("an internal error occurred")
        }
    }
}

/// A value that is not what it has to be.
pub(super) fn invalid(field: &str, why: &text::Invalid) -> Status {
    Status::invalid_argument(format!("invalid {field}: {why}"))
}

/// An error that has an identifier: its text ends in it, and its details say both.
pub(super) fn known(code: Code, id: &str, text: &str) -> Status {
    let message = format!("{text} ({id})");
    let detail = ErrorDetail {
        id: id.to_owned(),
        message: text.to_owned(),
    };
    let status = rpc::Status {
        code: code.into(),
        message: message.clone(),
        details: vec![Any {
            type_url: "type.googleapis.com/zitadel.v1.ErrorDetail".to_owned(),
            value: detail.encode_to_vec(),
        }],
    };
    Status::with_details(code, message, status.encode_to_vec().into())
}

const PHONE_NOT_FOUND: &str = "Phone not found";
