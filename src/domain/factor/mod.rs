//! Factors: what an entity proves itself with.

mod drift;
mod lock;
mod push;
mod refusal;
mod totp;
mod web_push;

pub use drift::{DriftLimit, LearnedDrift};
pub use lock::{FactorLock, LockReason};
pub use push::{KeyProof, NotificationChannel, PushFactor, Unreachable};
pub use refusal::Refusal;
pub use totp::{AcceptedSteps, CodeLength, CodeVerdict, Skew, TimeStep, TotpConfig, TotpFactor};
pub use web_push::WebPushSubscription;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::{Failures, SlidingLog};
use super::sid::{EventSid, FactorSid, SidSource};
use super::text::{Attributes, FriendlyName};
use super::time::Timestamp;

/// One way in which an entity can prove who it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Factor {
    pub sid: FactorSid,
    /// A name for people.
    pub friendly_name: FriendlyName,
    /// Whether it can be challenged.
    pub status: FactorStatus,
    /// What it consists of.
    pub kind: FactorKind,
    /// What the caller or the device noted with it.
    pub metadata: Option<Attributes>,
    pub date_created: Timestamp,
    /// When it was last changed, by a caller's request.
    pub date_updated: Timestamp,
    /// Wrong codes in a row, over all challenges and the enrolment.
    pub failures: Failures,
    /// For the limit of challenges within a day; empty for a push factor, which has none.
    pub challenge_creations: SlidingLog,
    /// What was announced of it last, if anything was.
    pub last_event: Option<EventSid>,
}

/// Whether a factor can be challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FactorStatus {
    /// Its holder has not proved yet that the enrolment worked.
    Unverified {
        /// How many codes were tried so far.
        attempts: u8,
    },
    /// Its holder has proved that the enrolment worked: it can be challenged.
    Verified,
    /// It was, until [`Failures::DISABLED_AT`] wrong codes in a row ended it. Only a new enrolment helps.
    Disabled,
}

/// The two kinds of factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FactorType {
    /// A device that signs with its own key.
    Push,
    /// An authenticator app that shows codes.
    Totp,
}

/// What a factor consists of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FactorKind {
    /// A device that signs with its own key.
    Push(Box<PushFactor>),
    /// An authenticator app that shows codes.
    Totp(TotpFactor),
}

impl Factor {
    /// The identifier of the next thing that is announced of the factor. Whoever announces it writes the factor in the same
    /// commit, with its version asserted: so identifiers are in the order of the commits, whatever the clocks of the
    /// processes say.
    pub fn next_event(&mut self, now: Timestamp, sids: &dyn SidSource) -> EventSid {
        let next = EventSid::generate_after(self.last_event, now, sids);
        self.last_event = Some(next);
        next
    }

    /// The most codes that are evaluated while the factor is unverified.
    pub const MAX_VERIFICATION_ATTEMPTS: u8 = 5;
    /// The longest window that bounds challenge creations.
    pub const CHALLENGE_MEMORY: Duration = Duration::from_hours(24);

    /// Which kind of factor it is.
    #[must_use]
    pub fn factor_type(&self) -> FactorType {
        match self.kind {
            FactorKind::Push(_) => FactorType::Push,
            FactorKind::Totp(_) => FactorType::Totp,
        }
    }

    /// From when on it may be reclaimed: when it was not verified for as long as `retention` since it was created.
    #[must_use]
    pub fn end(&self, retention: Duration) -> Option<Timestamp> {
        match self.status {
            FactorStatus::Unverified { .. } => Some(self.date_created + retention),
            FactorStatus::Verified | FactorStatus::Disabled => None,
        }
    }

    /// Whether a challenge may be created or answered.
    ///
    /// # Errors
    /// [`Refusal::Unverified`], [`Refusal::Disabled`].
    pub fn require_verified(&self) -> Result<(), Refusal> {
        match self.status {
            FactorStatus::Verified => Ok(()),
            FactorStatus::Unverified { .. } => Err(Refusal::Unverified),
            FactorStatus::Disabled => Err(Refusal::Disabled),
        }
    }

    /// Whether a code may be evaluated now, as far as the failures before it go.
    ///
    /// # Errors
    /// [`Refusal::Disabled`], [`Refusal::Delayed`].
    pub fn require_unthrottled(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.status == FactorStatus::Disabled || self.failures.exhausted() {
            return Err(Refusal::Disabled);
        }
        match self.failures.delay(now) {
            Some(retry_after) => Err(Refusal::Delayed { retry_after }),
            None => Ok(()),
        }
    }

    /// Counts a challenge against the limits of this kind of factor.
    ///
    /// # Errors
    /// [`Refusal::TooManyChallenges`]: 10 in 24 hours for codes of up to 4 digits, otherwise 50 in an hour and 100 in
    /// 24 hours. Push challenges cannot be guessed and are not limited here.
    pub fn add_challenge(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if self.factor_type() == FactorType::Push {
            return Ok(());
        }
        let wait = self.wait_for_challenge(now);
        if !wait.is_zero() {
            return Err(Refusal::TooManyChallenges { retry_after: wait });
        }
        self.challenge_creations.record(now, Self::CHALLENGE_MEMORY);
        Ok(())
    }

    /// How long no further challenge may be created.
    fn wait_for_challenge(&self, now: Timestamp) -> Duration {
        const HOUR: Duration = Duration::from_hours(1);
        const DAY: Duration = Factor::CHALLENGE_MEMORY;
        let FactorKind::Totp(totp) = &self.kind else {
            return Duration::ZERO;
        };
        let limits: &[(Duration, usize)] = if totp.config.code_length.get() <= 4 {
            &[(DAY, 10)]
        } else {
            &[(HOUR, 50), (DAY, 100)]
        };
        limits
            .iter()
            .map(|(window, limit)| self.challenge_creations.wait(now, *window, *limit))
            .max()
            .unwrap_or_default()
    }

    /// Takes in what became of a code: replay state, failure counter and what is known of the device's clock change
    /// together.
    pub fn settle_code(&mut self, verdict: CodeVerdict, limit: DriftLimit, now: Timestamp) {
        let FactorKind::Totp(totp) = &mut self.kind else {
            return;
        };
        match verdict {
            CodeVerdict::Fresh { step } => {
                totp.accepted.accept(step);
                totp.learn_drift(step, limit, now);
                self.failures.clear();
            }
            CodeVerdict::Replayed => {}
            CodeVerdict::Wrong => {
                self.failures.fail(now);
                if self.failures.exhausted() {
                    self.status = FactorStatus::Disabled;
                }
            }
        }
    }

    /// Takes in what became of the code that is to prove the enrolment; `true` when it did.
    ///
    /// # Errors
    /// [`Refusal::TooManyAttempts`] after [`Factor::MAX_VERIFICATION_ATTEMPTS`] codes,
    /// [`Refusal::AlreadyVerified`], [`Refusal::Disabled`].
    pub fn verify_by_code(
        &mut self,
        verdict: CodeVerdict,
        limit: DriftLimit,
        now: Timestamp,
    ) -> Result<bool, Refusal> {
        let attempts = self.verification_attempts()?;
        self.settle_code(verdict, limit, now);
        let verified = matches!(verdict, CodeVerdict::Fresh { .. });
        if verified {
            self.status = FactorStatus::Verified;
            self.date_updated = now;
        } else if self.status != FactorStatus::Disabled {
            self.status = FactorStatus::Unverified {
                attempts: attempts + 1,
            };
        }
        Ok(verified)
    }

    /// Whether the enrolment may be proved by a code: how many were tried so far.
    ///
    /// # Errors
    /// As [`Factor::verify_by_code`].
    pub fn verification_attempts(&self) -> Result<u8, Refusal> {
        match self.status {
            FactorStatus::Unverified { attempts } if attempts >= Self::MAX_VERIFICATION_ATTEMPTS => {
                Err(Refusal::TooManyAttempts)
            }
            FactorStatus::Unverified { attempts } => Ok(attempts),
            FactorStatus::Verified => Err(Refusal::AlreadyVerified),
            FactorStatus::Disabled => Err(Refusal::Disabled),
        }
    }
}
