//! The rules of a code that shows whose a phone number is, as data for the core.

use crate::domain::verification::{
    Alphabet, CheckScope, CodePolicy, CodeReuse, Content, Exhaustion, SentCodeLength, SessionLife, Uniqueness,
};
use crate::flows::user::Issuing;

/// Six capital letters and digits that are right for an hour. Every sending has a code of its own, without a wait; what a
/// number's codes cost, and how often they are guessed at, is bounded by what the server keeps of the number.
fn policy() -> CodePolicy {
    CodePolicy {
        alphabet: Alphabet::UpperAlphanumeric,
        code_length: SentCodeLength::default(),
        code_life: HOUR,
        reuse: CodeReuse::NewEachSend,
        // It waits for as long as its number is not shown to be the user's: the answer to a code that is over says so.
        session_life: SessionLife::Endless,
        plan: Vec::new(),
        send_waits: Vec::new(),
        call_after_sms: None,
        max_sends: u32::MAX,
        check_waits: Vec::new(),
        max_checks: u32::MAX,
        check_scope: CheckScope::PerCode,
        min_cancel_age: 0,
        // Two users may have one number.
        uniqueness: Uniqueness::None,
        single_use: true,
        keeps_submitted: false,
        retention: HOUR,
        exhaustion: Exhaustion::AwaitsCode,
        cancel_needs_step: false,
        calls_tell_payments: false,
        counts_malformed: false,
    }
}

/// A code that goes to the number.
pub(super) fn by_message() -> Issuing {
    Issuing {
        policy: policy(),
        content: Content::default(),
        returned: false,
    }
}

/// A code that its caller gets.
pub(super) fn returned() -> Issuing {
    Issuing {
        returned: true,
        ..by_message()
    }
}

/// In seconds.
const HOUR: u32 = 60 * 60;
