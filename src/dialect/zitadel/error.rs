//! The protocol's errors: a status whose details say which error it is.

use prost::Message as _;
use prost_types::Any;
use tonic::{Code, Status};

use super::proto::rpc;
use super::proto::zitadel::v1::ErrorDetail;
use crate::domain::refusal::AreaRefusal;
use crate::domain::user::Refusal;
use crate::domain::{factor, text, verification};
use crate::flows::{Error, Fault};
use crate::web::rpc::failed as failed_call;

/// What is asked of a user: the protocol has an error of its own for what is missing to each of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum UserCall {
    AddSms,
    AddTotp,
    ListFactors,
    RemovePhone,
    RemoveSms,
    RemoveTotp,
    ResendCode,
    /// In the first API, where a number that is verified stays.
    SetMyPhone,
    SetPhone,
    /// In the first API.
    VerifyMyPhone,
    VerifyPhone,
    VerifyTotp,
}

/// Why nothing became of what was asked of a user.
pub(super) fn refused(call: UserCall) -> impl Fn(Error<Refusal>) -> Status {
    move |error| match error {
        Error::Failed(fault) => failed(&fault),
        Error::Refused(refusal) => of_user(call, &refusal),
    }
}

fn of_user(call: UserCall, refusal: &Refusal) -> Status {
    match refusal {
        Refusal::CodeBySmsUnchanged => match call {
            UserCall::RemoveSms => Status::not_found("codes by text message are not set up"),
            _ => Status::already_exists("codes by text message are already set up"),
        },
        Refusal::Factor(refusal) => of_factor(call, refusal),
        Refusal::NoCode => no_code(call),
        Refusal::NotFound => match call {
            UserCall::VerifyPhone => known(Code::NotFound, "COMMAND-ieJ2e", PHONE_NOT_FOUND),
            _ => Status::not_found(NO_SUCH_USER),
        },
        Refusal::PhoneMissing => match call {
            UserCall::RemovePhone => known(Code::NotFound, "COMMAND-p6rsc", PHONE_NOT_FOUND),
            UserCall::VerifyMyPhone => no_code(call),
            UserCall::VerifyPhone => known(Code::NotFound, "COMMAND-ieJ2e", PHONE_NOT_FOUND),
            _ => known(Code::NotFound, "COMMAND-2b7Hf", PHONE_NOT_FOUND),
        },
        Refusal::PhoneUnchanged | Refusal::WouldUnverify => {
            let id = match call {
                UserCall::SetPhone => "COMMAND-Uch5e",
                _ => "COMMAND-wF94r",
            };
            known(Code::FailedPrecondition, id, "Phone not changed")
        }
        Refusal::PhoneUnverified => {
            let text = "Multifactor OTP (OneTimePassword) isn't ready";
            known(Code::FailedPrecondition, "COMMAND-Q54j2", text)
        }
        Refusal::PhoneVerified => known(
            Code::FailedPrecondition,
            "COMMAND-2M9sf",
            "Phone already verified",
        ),
        Refusal::TotpMissing => match call {
            UserCall::VerifyTotp => known(Code::NotFound, "COMMAND-3Mif9s", TOTP_MISSING),
            _ => Status::not_found(TOTP_MISSING),
        },
        Refusal::TotpReady => match call {
            UserCall::VerifyTotp => known(Code::FailedPrecondition, "COMMAND-qx4ls", TOTP_READY),
            _ => known(Code::AlreadyExists, "COMMAND-do9se", TOTP_READY),
        },
        Refusal::Verification(refusal) => of_verification(call, refusal),
    }
}

/// No code is waited for. The second API has no error for that, and no code is right then.
fn no_code(call: UserCall) -> Status {
    match call {
        UserCall::VerifyPhone => wrong_code(call),
        _ => known(Code::NotFound, "COMMAND-Rsj8c", "Code not found"),
    }
}

/// A code that is not right, or not any more.
pub(super) fn wrong_code(call: UserCall) -> Status {
    let (id, text) = match call {
        UserCall::VerifyPhone => ("COMMAND-eis9R", "Code is invalid"),
        UserCall::VerifyTotp => ("EVENT-8isk2", "Invalid code"),
        _ => ("COMMAND-sM0cs", "Code is invalid"),
    };
    known(Code::InvalidArgument, id, text)
}

fn of_verification(call: UserCall, refusal: &verification::Refusal) -> Status {
    use verification::Refusal as R;
    match refusal {
        R::CodeExpired | R::CodeMalformed | R::CodeMissing => wrong_code(call),
        R::NotFound | R::NoCodeSent | R::Approved => no_code(call),
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

fn of_factor(call: UserCall, refusal: &factor::Refusal) -> Status {
    use factor::Refusal as R;
    match refusal {
        R::BadProof | R::CodeMalformed => wrong_code(call),
        R::AlreadyVerified => of_user(call, &Refusal::TotpReady),
        R::NotFound | R::Unverified => of_user(call, &Refusal::TotpMissing),
        R::TooManyAttempts => {
            Status::resource_exhausted("too many wrong codes were given for this secret; add another one")
        }
        R::Delayed { .. }
        | R::Disabled
        | R::Entity(_)
        | R::Paused { .. }
        | R::TooManyChallenges { .. }
        | R::TooManyCreations { .. }
        | R::TooManyOfType { .. }
        | R::TooManyPending { .. }
        | R::TooManyPushes { .. } => later(refusal),
        R::Access(_)
        | R::AccessToken(_)
        | R::Duplicate
        | R::LegacySecret
        | R::TokenIsSubscription
        | R::TokenMissing
        | R::TokenNoSubscription => Status::failed_precondition(refusal.to_string()),
    }
}

/// What guards a number or a factor says no; the protocol knows no such guards, so gRPC's own code says it.
fn later(refusal: &impl AreaRefusal) -> Status {
    let text = match refusal.retry_after() {
        Some(wait) if !wait.is_zero() => format!("{refusal}; try again in {} seconds", wait.as_secs()),
        _ => refusal.to_string(),
    };
    Status::resource_exhausted(text)
}

/// A mistake of ours, or of the machine's; or too much at once.
pub(super) fn failed(fault: &Fault) -> Status {
    match fault {
        Fault::Busy | Fault::Conflict(_) => Status::aborted(Fault::Busy.to_string()),
        Fault::OutboxFull => Status::resource_exhausted(fault.to_string()),
        Fault::Unavailable(_) => {
            let told = Status::unavailable("the server cannot read or write its data now; try again");
            failed_call(told, fault)
        }
        Fault::Corrupt(_) | Fault::Forged(_) | Fault::KeyGone(_) => {
            failed_call(Status::internal("an internal error occurred"), fault)
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

const TOTP_MISSING: &str = "Multifactor OTP (OneTimePassword) doesn't exist";

const TOTP_READY: &str = "Multifactor OTP (OneTimePassword) is already set up";

/// For whoever manages users.
pub(super) const NO_SUCH_USER: &str =
    "there is no such user; the first call of a user's own token creates it";
