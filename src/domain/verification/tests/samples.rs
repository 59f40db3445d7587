//! The rules of five protocols, for tests.

use super::{
    Alphabet, ChannelWaits, CheckScope, CodePolicy, CodeReuse, Content, Draft, Exhaustion, NewCode, PlanStep,
    SentCodeLength, SessionLife, Uniqueness, Verification,
};
use crate::domain::channel::Channel;
use crate::domain::destination::Destination;
use crate::domain::opaque::Sealed;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;

/// Twilio Verify: 10 minutes, 5 sendings, 5 checks, the same code.
pub(crate) fn same_code() -> CodePolicy {
    CodePolicy {
        alphabet: Alphabet::Digits,
        code_length: SentCodeLength::default(),
        code_life: 600,
        reuse: CodeReuse::KeepWhileValid,
        session_life: SessionLife::Fixed(600),
        plan: Vec::new(),
        send_waits: Vec::new(),
        call_after_sms: None,
        max_sends: 5,
        check_waits: Vec::new(),
        max_checks: 5,
        check_scope: CheckScope::PerSession,
        min_cancel_age: 0,
        uniqueness: Uniqueness::ReturnExisting,
        single_use: true,
        keeps_submitted: false,
        retention: 86_400,
        exhaustion: Exhaustion::Blocks,
        counts_malformed: false,
        cancel_needs_step: false,
        calls_tell_payments: false,
    }
}

/// Signal's registration service: waits for each channel, a new code for each sending, an end that moves.
pub(crate) fn waits_by_channel() -> CodePolicy {
    let waits = |channel, waits: &[u32]| ChannelWaits {
        channel,
        waits: waits.to_vec(),
    };
    CodePolicy {
        reuse: CodeReuse::NewEachSend,
        session_life: SessionLife::AfterLastPossibleAction(600),
        send_waits: vec![
            waits(Channel::Sms, &[60, 120, 300, 600]),
            waits(Channel::Call, &[60, 300]),
        ],
        call_after_sms: Some(60),
        max_sends: 100,
        check_waits: vec![0, 0, 60, 120],
        check_scope: CheckScope::PerCode,
        uniqueness: Uniqueness::None,
        single_use: false,
        retention: 600,
        exhaustion: Exhaustion::AwaitsCode,
        ..same_code()
    }
}

/// A workflow of Vonage Verify: a plan, a code for `code_life` seconds, three checks for each.
pub(crate) fn planned(steps: &[(Channel, u32)], code_life: u32) -> CodePolicy {
    CodePolicy {
        code_length: SentCodeLength::new(4).unwrap(),
        code_life,
        session_life: SessionLife::PlanEnd,
        plan: steps
            .iter()
            .map(|&(channel, wait)| PlanStep { channel, wait })
            .collect(),
        max_sends: 100,
        max_checks: 3,
        check_scope: CheckScope::PerCode,
        min_cancel_age: 30,
        uniqueness: Uniqueness::RejectWithExisting,
        keeps_submitted: true,
        exhaustion: Exhaustion::Ends,
        cancel_needs_step: true,
        calls_tell_payments: false,
        ..same_code()
    }
}

/// Zitadel's phone verification: each sending is a new one in place of the one before, which never ends by itself.
pub(crate) fn replacing() -> CodePolicy {
    CodePolicy {
        alphabet: Alphabet::UpperAlphanumeric,
        code_life: 3_600,
        reuse: CodeReuse::NewEachSend,
        session_life: SessionLife::Endless,
        max_sends: 1,
        max_checks: 10,
        uniqueness: Uniqueness::Replace,
        exhaustion: Exhaustion::AwaitsCode,
        ..same_code()
    }
}

/// Telegram's sign-in: the same code again by text message and then by call, a wait before each.
pub(crate) fn text_then_call() -> CodePolicy {
    CodePolicy {
        code_length: SentCodeLength::new(5).unwrap(),
        send_waits: vec![
            ChannelWaits {
                channel: Channel::Sms,
                waits: Vec::new(),
            },
            ChannelWaits {
                channel: Channel::Call,
                waits: Vec::new(),
            },
        ],
        call_after_sms: Some(60),
        exhaustion: Exhaustion::Ends,
        ..same_code()
    }
}

/// A verification by these rules that was not sent yet.
pub(crate) fn begun(policy: CodePolicy, now: Timestamp) -> Verification {
    let draft = Draft {
        sid: VerificationSid::from_bytes([1; 16]),
        account: AccountSid::from_bytes([2; 16]),
        service: ServiceSid::from_bytes([3; 16]),
        destination: Destination::Phone(PhoneNumber::try_from("+3247012345".to_owned()).unwrap()),
        policy,
        content: Content::default(),
    };
    Verification::begin(draft, now)
}

/// The code with this number; what seals it is of no matter here.
pub(crate) fn code(number: u64) -> NewCode {
    NewCode {
        sealed: Sealed::from_bytes(number.to_be_bytes().to_vec()),
        length: 6,
    }
}
