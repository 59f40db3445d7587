//! The rules of a registration session, as data for the core.

use std::time::Duration;

use crate::domain::channel::Channel;
use crate::domain::limits::PermitRule;
use crate::domain::verification::{
    Alphabet, ChannelWaits, CheckScope, CodePolicy, CodeReuse, Exhaustion, SentCodeLength, SessionLife,
    Uniqueness,
};

/// How long a code is right, and how long a session lasts after the last thing that could be done with it, in seconds.
const LIFE: u32 = 10 * 60;

/// The rules of a session: five text messages, three calls, of which the first waits a minute for the first text message,
/// and five guesses for each code that is sent.
pub(super) fn policy() -> CodePolicy {
    CodePolicy {
        alphabet: Alphabet::Digits,
        code_length: SentCodeLength::default(),
        code_life: LIFE,
        reuse: CodeReuse::NewEachSend,
        session_life: SessionLife::AfterLastPossibleAction(LIFE),
        plan: Vec::new(),
        send_waits: vec![
            ChannelWaits {
                channel: Channel::Sms,
                waits: vec![60, 2 * 60, 5 * 60, 10 * 60],
            },
            ChannelWaits {
                channel: Channel::Call,
                waits: vec![60, 5 * 60],
            },
        ],
        call_after_sms: Some(60),
        max_sends: 100,
        check_waits: vec![0, 0, 60, 2 * 60],
        max_checks: 5,
        check_scope: CheckScope::PerCode,
        min_cancel_age: 0,
        uniqueness: Uniqueness::None,
        single_use: false,
        keeps_submitted: false,
        retention: LIFE,
        exhaustion: Exhaustion::AwaitsCode,
        cancel_needs_step: false,
        calls_tell_payments: false,
        counts_malformed: true,
    }
}

/// How often sessions are begun for one number, whatever the caller keeps apart: no caller needs as many.
pub(super) const SESSIONS_WHATEVER_THE_KEY: PermitRule = PermitRule {
    capacity: 50,
    regeneration: Duration::from_mins(28),
    pause: Duration::ZERO,
};

/// How often sessions are begun for one number: five, each of which is there again after 288 minutes, a minute apart.
pub(super) const SESSIONS_OF_A_NUMBER: PermitRule = PermitRule {
    capacity: 5,
    regeneration: Duration::from_mins(288),
    pause: Duration::from_mins(1),
};
