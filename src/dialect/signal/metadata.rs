//! What is said of a session in every answer.

use super::proto::RegistrationSessionMetadata;
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Timestamp;
use crate::domain::verification::{Possible, Verification, VerificationStatus};

/// What may be done with the session at `now`, and when.
pub(super) fn metadata(session: &Verification, now: Timestamp) -> RegistrationSessionMetadata {
    let availability = session.availability(now);
    let (may_request_sms, next_sms_seconds) = possible(availability.sms, now);
    let (may_request_voice_call, next_voice_call_seconds) = possible(availability.call, now);
    let (may_check_code, next_code_check_seconds) = possible(availability.check, now);
    let verified = session.status(now) == VerificationStatus::Approved;
    let ends = match session.kept_until() {
        Some(kept_until) if verified => kept_until,
        _ => session.expires_at,
    };
    RegistrationSessionMetadata {
        session_id: session.sid.as_bytes().to_vec(),
        verified,
        e164: number(session),
        may_request_sms,
        next_sms_seconds,
        may_request_voice_call,
        next_voice_call_seconds,
        may_check_code,
        next_code_check_seconds,
        expiration_seconds: ends.since(now).as_secs(),
    }
}

fn number(session: &Verification) -> u64 {
    let digits = session.destination.phone().map(PhoneNumber::digits);
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Whether it is possible ever, and in how many whole seconds.
fn possible(when: Possible, now: Timestamp) -> (bool, u64) {
    match when {
        Possible::Never => (false, 0),
        Possible::At(moment) => (true, moment.since(now).as_secs()),
    }
}
