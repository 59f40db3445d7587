//! The rules of Twilio's verifications, as data for the core.

use crate::domain::service::ServiceSettings;
use crate::domain::verification::{
    Alphabet, CheckScope, CodePolicy, CodeReuse, Exhaustion, SessionLife, Uniqueness,
};

/// How long a verification lasts, and its code with it, in seconds.
const LIFE: u32 = 10 * 60;

/// How often a verification's code is sent, and how many wrong codes are evaluated.
const MOST: u32 = 5;

/// How long a verification can be fetched after it ended, in seconds. Twilio's own are gone at once, so that nobody can
/// tell why.
const RETENTION: u32 = 24 * 60 * 60;

/// The rules of a verification of a service with these settings.
pub(super) fn policy(settings: &ServiceSettings) -> CodePolicy {
    CodePolicy {
        alphabet: Alphabet::Digits,
        code_length: settings.code_length,
        code_life: LIFE,
        reuse: if settings.new_code_on_resend {
            CodeReuse::NewEachSend
        } else {
            CodeReuse::KeepWhileValid
        },
        session_life: SessionLife::Fixed(LIFE),
        plan: Vec::new(),
        send_waits: Vec::new(),
        call_after_sms: None,
        max_sends: MOST,
        check_waits: Vec::new(),
        max_checks: MOST,
        check_scope: CheckScope::PerSession,
        min_cancel_age: 0,
        uniqueness: Uniqueness::ReturnExisting,
        single_use: true,
        keeps_submitted: false,
        retention: RETENTION,
        exhaustion: Exhaustion::Blocks,
        counts_malformed: false,
        cancel_needs_step: false,
        calls_tell_payments: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::ServiceName;
    use crate::domain::verification::SentCodeLength;

    #[test]
    fn a_service_chooses_the_length_of_codes_and_whether_each_sending_has_its_own() {
        let mut settings = ServiceSettings::named(ServiceName::parse("Owl").unwrap());
        let usual = policy(&settings);
        assert_eq!(
            (usual.code_length.get(), usual.reuse),
            (6, CodeReuse::KeepWhileValid)
        );
        settings.code_length = SentCodeLength::new(10).unwrap();
        settings.new_code_on_resend = true;
        let chosen = policy(&settings);
        assert_eq!(
            (chosen.code_length.get(), chosen.reuse),
            (10, CodeReuse::NewEachSend)
        );
        assert_eq!(
            (chosen.max_sends, chosen.max_checks, chosen.code_life),
            (5, 5, 600)
        );
    }
}
