//! The rules of an attempt to log in, as data for the core, and which way its code goes next.

use std::time::Duration;

use crate::app::App;
use crate::domain::channel::Channel;
use crate::domain::limits::PermitRule;
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Timestamp;
use crate::domain::verification::{
    Alphabet, ChannelWaits, CheckScope, CodePolicy, CodeReuse, Exhaustion, Possible, SentCodeLength,
    SessionLife, Uniqueness, Verification,
};

/// How long a code is right, and an attempt lasts, in seconds.
const LIFE: u32 = 10 * 60;
/// How long a client waits before it asks for the code again, in seconds.
const WAIT: u32 = 60;

/// One code of five digits: a text message, a call if there is somebody who makes one, and another text message; five guesses
/// altogether.
pub(super) fn policy() -> CodePolicy {
    CodePolicy {
        alphabet: Alphabet::Digits,
        code_length: SentCodeLength::new(5).unwrap_or_default(),
        code_life: LIFE,
        reuse: CodeReuse::KeepWhileValid,
        session_life: SessionLife::Fixed(LIFE),
        plan: Vec::new(),
        send_waits: vec![
            ChannelWaits {
                channel: Channel::Sms,
                waits: vec![WAIT],
            },
            ChannelWaits {
                channel: Channel::Call,
                waits: Vec::new(),
            },
        ],
        call_after_sms: Some(WAIT),
        calls_tell_payments: false,
        max_sends: 3,
        check_waits: Vec::new(),
        max_checks: 5,
        check_scope: CheckScope::PerSession,
        min_cancel_age: 0,
        uniqueness: Uniqueness::None,
        single_use: true,
        keeps_submitted: false,
        retention: LIFE,
        exhaustion: Exhaustion::Ends,
        cancel_needs_step: false,
        counts_malformed: true,
    }
}

/// How many attempts are begun for one number: five at once, one more every half hour.
pub(super) const ATTEMPTS_OF_A_NUMBER: PermitRule = PermitRule {
    capacity: 5,
    regeneration: Duration::from_mins(30),
    pause: Duration::ZERO,
};

/// The way that a code goes next, and when; `None` if none is left.
pub(super) fn next_way(app: &App, attempt: &Verification, now: Timestamp) -> Option<(Channel, Timestamp)> {
    let availability = attempt.availability(now);
    let country = attempt
        .destination
        .phone()
        .and_then(|number| number.facts().country);
    let mut senders = app.senders.codes.iter();
    let has_calls = senders.any(|sender| sender.serves(Channel::Call, country));
    match (availability.call, availability.sms) {
        (Possible::At(moment), _) if has_calls => Some((Channel::Call, moment)),
        (_, Possible::At(moment)) => Some((Channel::Sms, moment)),
        _ => None,
    }
}

/// The number of an attempt, as users are shown it.
pub(super) fn digits(number: Option<&PhoneNumber>) -> &str {
    number.map_or("", PhoneNumber::digits)
}
