//! What a message centre says of a request (SMPP 3.4, 5.1.3).

use crate::delivery::codes::Sent;

pub(super) const INVALID_COMMAND: u32 = 0x03;

/// What came of a short message whose answer has this status.
pub(super) fn judge(status: u32, name: &str) -> Sent {
    let why = || format!("the message centre answered {}", told(status));
    match status {
        0 => Sent::delivered(Some(name)),
        // Full, throttled.
        0x14 | 0x58 => Sent::overloaded(why(), None),
        // Not bound any more.
        0x04 => Sent::retry(why(), None),
        // "Failed" or trouble without a reason, or trouble behind it: other numbers may do well.
        0x08 | 0x45 | 0x64 => Sent::retry_recipient(status, why(), None),
        _ => Sent::refused(why()),
    }
}

/// The status for a person.
pub(super) fn told(status: u32) -> String {
    let name = match status {
        0x00 => "success",
        0x01 => "invalid message length",
        0x02 => "invalid command length",
        0x03 => "invalid command",
        0x04 => "not bound for this",
        0x05 => "already bound",
        0x08 => "system error",
        0x0a => "invalid source address",
        0x0b => "invalid destination address",
        0x0d => "bind failed",
        0x0e => "invalid password",
        0x0f => "invalid system_id",
        0x14 => "message queue full",
        0x45 => "submit failed",
        0x48 => "invalid source TON",
        0x49 => "invalid source NPI",
        0x50 => "invalid destination TON",
        0x51 => "invalid destination NPI",
        0x53 => "invalid system_type",
        0x58 => "throttled",
        0x64 => "temporary error of the receiving side",
        0x65 => "permanent error of the receiving side",
        0x66 => "rejected by the receiving side",
        _ => "another error",
    };
    format!("0x{status:08x} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::circuit::FailureScope;

    #[test]
    fn what_is_said_of_one_number_is_not_said_of_the_message_centre() {
        for (status, about) in [
            (0x08, FailureScope::Recipient { status: 0x08 }),
            (0x45, FailureScope::Recipient { status: 0x45 }),
            (0x64, FailureScope::Recipient { status: 0x64 }),
            (0x04, FailureScope::Sender),
            (0x14, FailureScope::Overload),
            (0x58, FailureScope::Overload),
        ] {
            assert_eq!(judge(status, "").outcome.scope(), Some(about), "{status:#x}");
        }
        assert_eq!(judge(0x0b, "").outcome.scope(), None);
    }
}
