//! What becomes of a push challenge, and of its factor, when the device has answered.

use std::time::Duration;

use super::challenge::{Challenge, DenyReason, Refusal};
use super::entity::EntityScope;
use super::opaque::DevicePublicKey;
use super::push_guard::{PauseReason, PushGuard};
use super::time::Timestamp;

/// What was sent to answer a challenge, before anybody knows what kind of factor it is for. Each dialect knows how its
/// devices are shown a challenge and how they sign it; the core knows that nothing counts but what the factor's key signed of
/// exactly this challenge.
pub trait GivenAnswer: Send + Sync {
    /// The code that it is, for a factor of codes.
    fn code(&self) -> &str;

    /// The answer of a device, if `key` signed it, and with it everything that the device was shown of `challenge`.
    ///
    /// # Errors
    /// [`BadProof`] for anything else.
    fn verify(
        &self,
        scope: &EntityScope,
        challenge: &Challenge,
        key: &DevicePublicKey,
    ) -> Result<PushAnswer, BadProof>;
}

/// A device's answer: its signature was checked, and that it signed what it was shown.
#[derive(Clone, Debug)]
pub struct PushAnswer {
    /// What it says.
    pub decision: Decision,
    /// What it signed, kept as evidence.
    pub signed: String,
}

/// What the holder of a device says to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Approve {
        /// What they typed, if they typed anything.
        number: Option<String>,
    },
    /// No.
    Deny {
        /// Whether they say that they did not ask for it.
        not_me: bool,
    },
}

/// Why what a device sent does not answer the challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// Something was signed otherwise than it was shown.
    #[error("it signs something that is not the challenge's")]
    FieldAltered,
    /// It has not the form of what the dialect's devices send.
    #[error("it has not the form of a device's answer")]
    Malformed(FormFault),
    /// The number has another length, or is none.
    #[error("the number does not have as many digits as the challenge's")]
    NumberMalformed,
    /// The challenge asks for a number, and none was typed.
    #[error("the challenge asks for a number")]
    NumberMissing,
    /// Nobody is asked for a number to say no.
    #[error("a denial has no number")]
    NumberOfDenial,
    /// The challenge asks for no number, but one was typed.
    #[error("the challenge asks for no number")]
    NumberUnasked,
    /// Nobody is asked for a reason to say yes.
    #[error("an approval has no reason")]
    ReasonOfApproval,
    /// Nobody knows this reason.
    #[error("the reason of the denial is unknown")]
    ReasonUnknown,
    /// The key did not sign it, or what it signed says neither yes nor no.
    #[error("it is not signed with the device's key, or says neither yes nor no")]
    Unsigned,
}

/// What is wrong with the form of a device's answer; only the dialect that read it knows what the number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormFault(pub u8);

impl PushAnswer {
    /// Takes in the answer. A wrong number is no error: it denies the challenge for good, and counts in `guard`, which
    /// has to be committed together with the challenge. `pause` is how long a report or the last wrong number closes
    /// the factor.
    ///
    /// While the factor is paused, only denials are taken: its holder said that somebody else is asking, or typed
    /// numbers that they cannot have seen, so whoever taps "yes" now is worn down or mistaken. An honest login loses
    /// nothing but time: the account can end the pause.
    ///
    /// # Errors
    /// [`Refusal::BadProof`] for an approval without the number that the challenge asks for, or with one where
    /// none is asked for; [`Refusal::Factor`] while the factor is paused; as [`Challenge::require_pending`].
    pub fn settle(
        self,
        challenge: &mut Challenge,
        guard: &mut PushGuard,
        pause: Duration,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        challenge.require_pending(now)?;
        let (approved, deny_reason) = match self.decision {
            Decision::Approve { number } => {
                let deny_reason = settle_approval(number.as_deref(), challenge, guard, pause, now)?;
                (deny_reason.is_none(), deny_reason)
            }
            Decision::Deny { not_me: false } => (false, None),
            Decision::Deny { not_me: true } => {
                guard.pause(PauseReason::Report, pause, now);
                (false, Some(DenyReason::NotMe))
            }
        };
        challenge.settle_signed(approved, self.signed, now)?;
        challenge.deny_reason = deny_reason;
        Ok(())
    }
}

/// Why it is a denial after all, if it is.
fn settle_approval(
    typed: Option<&str>,
    challenge: &Challenge,
    guard: &mut PushGuard,
    pause: Duration,
    now: Timestamp,
) -> Result<Option<DenyReason>, Refusal> {
    let bad = |why| Refusal::BadProof { why };
    guard.require_unpaused(now).map_err(Refusal::Factor)?;
    let Some(number) = &challenge.number else {
        return match typed {
            Some(_) => Err(bad(BadProof::NumberUnasked)),
            None => Ok(None),
        };
    };
    if number.judge(typed).map_err(bad)? {
        guard.right_number();
        Ok(None)
    } else {
        guard.wrong_number(pause, now);
        Ok(Some(DenyReason::WrongNumber))
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::super::challenge::Outcome;
    use super::super::factor::FactorType;
    use super::super::number_matching::{MatchingNumber, NumberLength};
    use super::super::sid::{ChallengeSid, FactorSid};
    use super::*;
    use crate::domain::factor;
    use crate::domain::typed_code;
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

    fn settle(decision: Decision, challenge: &mut Challenge, guard: &mut PushGuard) -> Result<(), Refusal> {
        let answer = PushAnswer {
            decision,
            signed: "e30.e30.AA".to_owned(),
        };
        answer.settle(challenge, guard, PAUSE, Timestamp::from_seconds(NOW))
    }

    fn approve(number: Option<&str>) -> Decision {
        Decision::Approve {
            number: number.map(str::to_owned),
        }
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
            not_me in any::<bool>(),
            wrong_before in 0_u8..5,
        ) {
            let wanted = number(digits, seed);
            let right = wanted.as_ref().unwrap().digits().to_owned();
            let typed = if knows { Some(right.clone()) } else { typed };
            let mut guard = PushGuard::default();
            (0..wrong_before).for_each(|_| guard.wrong_number(PAUSE, Timestamp::from_seconds(NOW)));
            let (mut challenge, before) = (challenge(wanted), guard.clone());
            let decision = if approved { approve(typed.as_deref()) } else { Decision::Deny { not_me } };
            let settled = settle(decision, &mut challenge, &mut guard);
            let plain = typed.as_deref().and_then(typed_code::read);
            let is_right = plain.is_some_and(|plain| *plain == right);
            let may_approve = approved && is_right && wrong_before < 3;
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
            (approve(None), true),
            (approve(Some("47")), false),
            (approve(Some("")), false),
            (Decision::Deny { not_me: false }, true),
            (Decision::Deny { not_me: true }, true),
        ] {
            let (mut challenge, mut guard) = (challenge(None), PushGuard::default());
            let settled = settle(said.clone(), &mut challenge, &mut guard);
            assert_eq!(settled.is_ok(), taken, "{said:?}");
            assert_eq!(challenge.outcome == Outcome::Pending, !taken, "{said:?}");
        }
    }

    /// The right number is no use while the factor is paused, and it is not told apart from a wrong one.
    #[test]
    fn a_paused_factor_only_denies() {
        let mut guard = PushGuard::default();
        guard.pause(PauseReason::Report, PAUSE, Timestamp::from_seconds(NOW));
        let paused = Refusal::Factor(factor::Refusal::Paused { retry_after: PAUSE });
        for (wanted, typed) in [(None, None), (number(2, 1), Some("47")), (number(2, 1), None)] {
            let right = wanted.as_ref().map(|number| number.digits().to_owned());
            for typed in [typed, right.as_deref()] {
                let mut challenge = challenge(wanted.clone());
                let before = guard.clone();
                assert_eq!(
                    settle(approve(typed), &mut challenge, &mut guard),
                    Err(paused.clone())
                );
                assert_eq!((&challenge.outcome, &guard), (&Outcome::Pending, &before));
                settle(Decision::Deny { not_me: false }, &mut challenge, &mut guard).unwrap();
                assert!(matches!(challenge.outcome, Outcome::Denied(_)));
            }
        }
    }
}
