//! The protocol's errors: a number of HTTP's and a name.

use std::borrow::Cow;
use std::time::Duration;

use crate::dialect::telegram::schema::RPC_ERROR;
use crate::dialect::telegram::tl::TlWriter;
use crate::domain::verification::Refusal;
use crate::flows::{Error, Fault};

/// What a client is told instead of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    code: i32,
    name: Cow<'static, str>,
    /// What the operator is told of it, and the client is not.
    why: Option<String>,
}

macro_rules! errors {
    ($($code:literal $name:ident)*) => {
        impl RpcError {
            $(
                #[doc = concat!("`", stringify!($code), " ", stringify!($name), "`")]
                pub const $name: Self = Self { code: $code, name: Cow::Borrowed(stringify!($name)), why: None };
            )*
        }
    };
}

errors! {
    400 API_ID_INVALID
    400 CONNECTION_NOT_INITED
    400 INPUT_FETCH_ERROR
    400 INPUT_METHOD_INVALID
    400 PHONE_CODE_EMPTY
    400 PHONE_CODE_EXPIRED
    400 PHONE_CODE_HASH_EMPTY
    400 PHONE_CODE_INVALID
    400 PHONE_NUMBER_BANNED
    400 SMS_CODE_CREATE_FAILED
    401 AUTH_KEY_UNREGISTERED
    406 SEND_CODE_UNAVAILABLE
    500 AUTH_RESTART
    500 INTERNAL_SERVER_ERROR
}

impl RpcError {
    /// The number is none; since layer 180 the code says that it is not to be shown as it is.
    #[must_use]
    pub fn phone_number_invalid(layer: Option<u32>) -> Self {
        const LAYER: u32 = 180;
        Self {
            code: if layer.is_some_and(|layer| layer < LAYER) {
                400
            } else {
                406
            },
            name: Cow::Borrowed("PHONE_NUMBER_INVALID"),
            why: None,
        }
    }

    /// To be tried again after `wait`, in whole seconds.
    #[must_use]
    pub fn flood_wait(wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        Self {
            code: 420,
            name: Cow::Owned(format!("FLOOD_WAIT_{seconds}")),
            why: None,
        }
    }

    /// As it is sent.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        TlWriter::of(RPC_ERROR).int(self.code).string(&self.name).done()
    }

    /// The server cannot answer, for a reason that its operator is told.
    #[must_use]
    pub fn internal(why: String) -> Self {
        Self {
            why: Some(why),
            ..Self::INTERNAL_SERVER_ERROR
        }
    }

    /// What the operator is to be told of it, if anything.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// What kept a call from being decided.
    #[must_use]
    pub fn of_fault(fault: &Fault) -> Self {
        match fault {
            Fault::Busy | Fault::Conflict(_) => Self::AUTH_RESTART,
            Fault::OutboxFull => Self::flood_wait(Duration::from_mins(1)),
            Fault::Corrupt(_) | Fault::Forged(_) | Fault::KeyGone(_) | Fault::Unavailable(_) => {
                Self::internal(format!("a call failed: {fault}"))
            }
        }
    }

    /// Why a code was not sent.
    #[must_use]
    pub fn of_sending(error: &Error<Refusal>) -> Self {
        let refusal = match error {
            Error::Failed(fault) => return Self::of_fault(fault),
            Error::Refused(refusal) => refusal,
        };
        match refusal {
            Refusal::NotFound | Refusal::Approved => Self::PHONE_CODE_EXPIRED,
            Refusal::TooSoon { retry_after } | Refusal::DestinationLocked { retry_after } => {
                Self::flood_wait(*retry_after)
            }
            Refusal::TooManySends { .. } | Refusal::NoStepLeft => Self::SEND_CODE_UNAVAILABLE,
            Refusal::Blocked(blocked) => match blocked.retry_after {
                Some(wait) => Self::flood_wait(wait),
                None => Self::PHONE_NUMBER_BANNED,
            },
            Refusal::LandlineSms
            | Refusal::NoSender { .. }
            | Refusal::DestinationUnfit
            | Refusal::Unwritable { .. } => Self::SMS_CODE_CREATE_FAILED,
            // Nothing of this is asked for when a code is sent.
            other @ (Refusal::CodeExpired
            | Refusal::CodeMalformed
            | Refusal::CodeMissing
            | Refusal::CustomCodeNotAllowed
            | Refusal::Exists { .. }
            | Refusal::FromNotAllowed
            | Refusal::NoCodeSent
            | Refusal::NotCancellableYet { .. }
            | Refusal::NoTemplateFits
            | Refusal::PaymentRequired
            | Refusal::PaymentUnfit { .. }
            | Refusal::RateLimit(_)
            | Refusal::TemplateUnknown
            | Refusal::TooManyChecks { .. }) => Self::unforeseen(other),
        }
    }

    /// Why a code was not checked.
    #[must_use]
    pub fn of_checking(error: &Error<Refusal>) -> Self {
        let refusal = match error {
            Error::Failed(fault) => return Self::of_fault(fault),
            Error::Refused(refusal) => refusal,
        };
        match refusal {
            Refusal::NotFound | Refusal::CodeExpired | Refusal::NoCodeSent | Refusal::Approved => {
                Self::PHONE_CODE_EXPIRED
            }
            Refusal::TooSoon { retry_after }
            | Refusal::DestinationLocked { retry_after }
            | Refusal::TooManyChecks { retry_after } => Self::flood_wait(*retry_after),
            Refusal::CodeMissing => Self::PHONE_CODE_EMPTY,
            Refusal::CodeMalformed => Self::PHONE_CODE_INVALID,
            // Nothing of this is asked for when a code is checked, or an attempt is given up.
            other @ (Refusal::Blocked(_)
            | Refusal::CustomCodeNotAllowed
            | Refusal::DestinationUnfit
            | Refusal::Exists { .. }
            | Refusal::FromNotAllowed
            | Refusal::LandlineSms
            | Refusal::NoSender { .. }
            | Refusal::NoStepLeft
            | Refusal::NotCancellableYet { .. }
            | Refusal::NoTemplateFits
            | Refusal::PaymentRequired
            | Refusal::PaymentUnfit { .. }
            | Refusal::RateLimit(_)
            | Refusal::TemplateUnknown
            | Refusal::TooManySends { .. }
            | Refusal::Unwritable { .. }) => Self::unforeseen(other),
        }
    }

    fn unforeseen(refusal: &Refusal) -> Self {
        Self::internal(format!(
            "a call was refused for a reason that has no name in its protocol: {refusal}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_whole_seconds_and_never_none() {
        for (wait, name) in [
            (Duration::ZERO, "FLOOD_WAIT_1"),
            (Duration::from_millis(1001), "FLOOD_WAIT_2"),
            (Duration::from_mins(2), "FLOOD_WAIT_120"),
        ] {
            assert_eq!(RpcError::flood_wait(wait).name, name);
        }
    }

    #[test]
    fn a_wrong_number_is_told_as_the_clients_version_knows_it() {
        for (layer, code) in [
            (None, 406),
            (Some(133), 400),
            (Some(179), 400),
            (Some(180), 406),
            (Some(229), 406),
        ] {
            assert_eq!(RpcError::phone_number_invalid(layer).code, code, "{layer:?}");
        }
    }

    #[test]
    fn what_keeps_a_call_from_being_decided_says_nothing_of_us() {
        for fault in [
            Fault::Corrupt("Ada".to_owned()),
            Fault::Unavailable("Ada".to_owned()),
        ] {
            let error = RpcError::of_fault(&fault);
            assert_eq!(error.write(), RpcError::INTERNAL_SERVER_ERROR.write());
            assert!(error.why().unwrap().contains("Ada"));
        }
    }
}
