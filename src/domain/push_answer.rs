//! What becomes of a push challenge, and of its factor, when the device has answered.

use std::time::Duration;

use super::challenge::{Challenge, DenyReason};
use super::push_guard::PushGuard;
use super::refusal::Refusal;
use super::time::Timestamp;

/// A device's answer: its signature was checked, and that it signed what it was shown.
#[derive(Clone, Debug)]
pub struct PushAnswer<'a> {
    /// Whether it says yes.
    pub approved: bool,
    /// The number that its holder typed.
    pub number: Option<&'a str>,
    /// Why it says no.
    pub reason: Option<&'a str>,
    /// What it signed (a compact JWS, RFC 7515), kept as evidence.
    pub signed: &'a str,
}

impl PushAnswer<'_> {
    /// Takes in the answer. A wrong number is no error: it denies the challenge for good, and counts in `guard`, which
    /// has to be committed together with the challenge. `pause` is how long a report or the last wrong number closes
    /// the factor.
    ///
    /// While the factor is paused, only denials are taken: its holder said that somebody else is asking, or typed
    /// numbers that they cannot have seen, so whoever taps "yes" now is worn down or mistaken. An honest login loses
    /// nothing but time: the account can end the pause.
    ///
    /// # Errors
    /// [`Refusal::BadChallengeProof`] for an approval without the number that the challenge asks for, and for a number or
    /// a reason where there is none to be given; [`Refusal::PushPaused`]; as [`Challenge::require_pending`].
    pub fn settle(
        &self,
        challenge: &mut Challenge,
        guard: &mut PushGuard,
        pause: Duration,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        challenge.require_pending(now)?;
        let deny_reason = if self.approved {
            self.settle_approval(challenge, guard, pause, now)?
        } else {
            self.settle_denial(guard, pause, now)?
        };
        let approved = self.approved && deny_reason.is_none();
        challenge.settle_signed(approved, self.signed.to_owned(), now)?;
        challenge.deny_reason = deny_reason;
        Ok(())
    }

    /// Why it is a denial after all, if it is.
    fn settle_approval(
        &self,
        challenge: &Challenge,
        guard: &mut PushGuard,
        pause: Duration,
        now: Timestamp,
    ) -> Result<Option<DenyReason>, Refusal> {
        if self.reason.is_some() {
            return Err(REASON_OF_APPROVAL);
        }
        guard.require_unpaused(now)?;
        let Some(number) = &challenge.number else {
            return match self.number {
                Some(_) => Err(NUMBER_UNASKED),
                None => Ok(None),
            };
        };
        if number.judge(self.number)? {
            guard.right_number();
            Ok(None)
        } else {
            guard.wrong_number(pause, now);
            Ok(Some(DenyReason::WrongNumber))
        }
    }

    fn settle_denial(
        &self,
        guard: &mut PushGuard,
        pause: Duration,
        now: Timestamp,
    ) -> Result<Option<DenyReason>, Refusal> {
        if self.number.is_some() {
            return Err(NUMBER_OF_DENIAL);
        }
        match self.reason {
            None => Ok(None),
            Some("not_me") => {
                guard.pause(pause, now);
                Ok(Some(DenyReason::NotMe))
            }
            Some(_) => Err(REASON_UNKNOWN),
        }
    }
}

const NUMBER_OF_DENIAL: Refusal = Refusal::BadChallengeProof {
    why: "a denial has no \"number\"",
};
const NUMBER_UNASKED: Refusal = Refusal::BadChallengeProof {
    why: "it signs other fields than those that have to be signed: this challenge asks for no \"number\"",
};
const REASON_OF_APPROVAL: Refusal = Refusal::BadChallengeProof {
    why: "an approval has no \"reason\"",
};
const REASON_UNKNOWN: Refusal = Refusal::BadChallengeProof {
    why: "the \"reason\" of a denial can only be \"not_me\"",
};

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::super::challenge::Outcome;
    use super::super::factor::FactorType;
    use super::super::number_matching::{MatchingNumber, NumberLength};
    use super::super::sid::{ChallengeSid, FactorSid};
    use super::*;
    use crate::doubles::SeededEntropy;

    const PAUSE: Duration = Duration::from_hours(1);
    const NOW: u64 = 1_700_000_000;

    fn number(digits: u8, seed: u64) -> Option<MatchingNumber> {
        let length = NumberLength::parse(digits).unwrap()?;
        Some(MatchingNumber::draw(length, &SeededEntropy::new(seed)))
    }

    fn challenge(number: Option<MatchingNumber>) -> Challenge {
        let now = Timestamp::from_seconds(NOW);
        Challenge {
            sid: ChallengeSid::from_bytes([1; 16]),
            factor: FactorSid::from_bytes([2; 16]),
            factor_type: FactorType::Push,
            outcome: Outcome::Pending,
            details: None,
            hidden_details: None,
            metadata: None,
            date_created: now,
            date_updated: now,
            expires_at: now + Challenge::DEFAULT_LIFE,
            attempts: 0,
            notifications: 1,
            number,
            deny_reason: None,
        }
    }

    fn settle(
        (approved, number, reason): (bool, Option<&str>, Option<&str>),
        challenge: &mut Challenge,
        guard: &mut PushGuard,
    ) -> Result<(), Refusal> {
        let answer = PushAnswer {
            approved,
            number,
            reason,
            signed: "e30.e30.AA",
        };
        answer.settle(challenge, guard, PAUSE, Timestamp::from_seconds(NOW))
    }

    /// Texts that come close to a number of the wrong form, and numbers of both lengths.
    fn typed() -> impl Strategy<Value = Option<String>> {
        option::of(prop_oneof![
            "[0-9]{2}",
            "[0-9]{3}",
            "[0-9]{0,5}",
            " ?[0-9]{1,3} ?",
            "\\PC{0,4}",
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Whatever else is said, only the right number approves a challenge that asks for one; and what is refused
        /// changes nothing.
        #[test]
        fn nothing_but_the_right_number_approves(
            digits in prop_oneof![Just(2_u8), Just(3)],
            seed in any::<u64>(),
            approved in any::<bool>(),
            typed in typed(),
            knows in any::<bool>(),
            reason in option::of(prop_oneof![Just("not_me"), Just("other")]),
            wrong_before in 0_u8..5,
        ) {
            let wanted = number(digits, seed);
            let right = wanted.as_ref().unwrap().digits().to_owned();
            let typed = if knows { Some(right.clone()) } else { typed };
            let mut guard = PushGuard::default();
            (0..wrong_before).for_each(|_| guard.wrong_number(PAUSE, Timestamp::from_seconds(NOW)));
            let (mut challenge, before) = (challenge(wanted), guard.clone());
            let settled = settle((approved, typed.as_deref(), reason), &mut challenge, &mut guard);
            let is_right = typed.as_deref() == Some(right.as_str());
            let may_approve = approved && is_right && reason.is_none() && wrong_before < 3;
            prop_assert_eq!(matches!(challenge.outcome, Outcome::Approved(_)), may_approve);
            match challenge.outcome {
                Outcome::Pending => {
                    prop_assert!(settled.is_err());
                    prop_assert_eq!(guard, before);
                }
                Outcome::Expired => prop_assert!(false, "it was pending"),
                Outcome::Approved(_) => prop_assert_eq!(guard.wrong_numbers(), 0),
                Outcome::Denied(_) => {
                    let guessed = u8::from(challenge.deny_reason == Some(DenyReason::WrongNumber));
                    prop_assert_eq!(guard.wrong_numbers(), wrong_before + guessed);
                    prop_assert_eq!(guessed == 1, approved);
                }
            }
        }
    }

    #[test]
    fn a_challenge_without_a_number_takes_none() {
        for (said, taken) in [
            ((true, None, None), true),
            ((true, Some("47"), None), false),
            ((true, Some(""), None), false),
            ((true, None, Some("not_me")), false),
            ((false, None, None), true),
            ((false, None, Some("not_me")), true),
            ((false, None, Some("")), false),
            ((false, None, Some("NOT_ME")), false),
            ((false, Some("47"), None), false),
        ] {
            let (mut challenge, mut guard) = (challenge(None), PushGuard::default());
            let settled = settle(said, &mut challenge, &mut guard);
            assert_eq!(settled.is_ok(), taken, "{said:?}");
            assert_eq!(challenge.outcome == Outcome::Pending, !taken, "{said:?}");
        }
    }

    /// The right number is no use while the factor is paused, and it is not told apart from a wrong one.
    #[test]
    fn a_paused_factor_only_denies() {
        let mut guard = PushGuard::default();
        guard.pause(PAUSE, Timestamp::from_seconds(NOW));
        let paused = Refusal::PushPaused { retry_after: PAUSE };
        for (wanted, typed) in [(None, None), (number(2, 1), Some("47")), (number(2, 1), None)] {
            let right = wanted.as_ref().map(|number| number.digits().to_owned());
            for typed in [typed, right.as_deref()] {
                let mut challenge = challenge(wanted.clone());
                let before = guard.clone();
                assert_eq!(
                    settle((true, typed, None), &mut challenge, &mut guard),
                    Err(paused.clone())
                );
                assert_eq!((&challenge.outcome, &guard), (&Outcome::Pending, &before));
                settle((false, None, None), &mut challenge, &mut guard).unwrap();
                assert!(matches!(challenge.outcome, Outcome::Denied(_)));
            }
        }
    }
}
