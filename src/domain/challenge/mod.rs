//! Challenges: pending until answered, once, or expired.

mod refusal;

pub use refusal::Refusal;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entropy::Entropy;
use super::factor::{CodeVerdict, FactorType};
use super::number_matching::MatchingNumber;
use super::sid::{ChallengeSid, EventSid, FactorSid};
use super::text::{Attributes, FieldLabel, FieldValue, Invalid, Message};
use super::time::Timestamp;

/// A question to the holder of one factor. It is dated again with each code that is tried, with an answer and with
/// metadata; that it expired, or that a notification was asked for, changes no date.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Challenge {
    pub sid: ChallengeSid,
    pub factor: FactorSid,
    pub factor_type: FactorType,
    /// What became of it; see [`Challenge::status`] for what holds now.
    pub outcome: Outcome,
    /// What the user is shown.
    pub details: Option<Details>,
    /// What the user is not shown.
    pub hidden_details: Option<Attributes>,
    /// What the device added.
    pub metadata: Option<Attributes>,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
    /// From when on it cannot be answered.
    pub expires_at: Timestamp,
    /// How many codes were tried on it.
    pub attempts: u8,
    /// How many notifications were asked for, the first one included.
    pub notifications: u8,
    /// The number that has to be typed to approve it, if there is one. Whatever is changed after the creation, it stays.
    pub number: Option<MatchingNumber>,
    /// Why it was denied, if that is known.
    pub deny_reason: Option<DenyReason>,
}

/// Why a challenge was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DenyReason {
    /// The holder did not ask for it: somebody else did.
    NotMe,
    /// The number that the holder typed was another.
    WrongNumber,
}

/// What became of a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Nothing yet.
    Pending,
    /// The factor's holder said yes.
    Approved(Answer),
    /// The factor's holder said no.
    Denied(Answer),
    /// It was not answered in time, and that was announced: no clock that is set back opens it again.
    Expired,
}

/// An answer, kept as evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// By the clock of the server that took it.
    pub at: Timestamp,
    /// What the device signed (a compact JWS, RFC 7515); a code is not kept.
    pub signed: Option<String>,
}

/// What a caller sees of [`Outcome`] and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeStatus {
    /// The factor's holder said yes.
    Approved,
    /// The factor's holder said no.
    Denied,
    /// It was not answered in time.
    Expired,
    /// It can still be answered.
    Pending,
}

/// What the user is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Always there in a push challenge.
    pub message: Option<Message>,
    /// What it is about.
    pub fields: Fields,
    /// When it was asked, if the service wants that shown.
    pub date: Option<Timestamp>,
}

/// One line of what a challenge is about: what a value is called, and the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Field {
    pub label: FieldLabel,
    pub value: FieldValue,
}

/// The lines of what a challenge is about, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields(Vec<Field>);

impl Fields {
    /// Checks how many there are.
    ///
    /// # Errors
    /// [`Invalid`] for more than 20.
    pub fn new(fields: Vec<Field>) -> Result<Self, Invalid> {
        const MOST: usize = 20;
        if fields.len() <= MOST {
            Ok(Self(fields))
        } else {
            Err(Invalid::Fields { most: MOST })
        }
    }

    /// In the order in which they were given; at most 20.
    #[must_use]
    pub fn as_slice(&self) -> &[Field] {
        &self.0
    }
}

impl Challenge {
    /// How long a challenge lives if nothing else is said.
    pub const DEFAULT_LIFE: Duration = Duration::from_mins(5);
    /// How long a challenge lives at the most.
    pub const LONGEST_LIFE: Duration = Duration::from_hours(1);
    /// The most codes that are evaluated on one challenge.
    pub const MAX_ATTEMPTS: u8 = 5;
    /// How many notifications a challenge may have, the first one included.
    pub const MAX_NOTIFICATIONS: u8 = 3;

    /// What holds at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> ChallengeStatus {
        match self.outcome {
            Outcome::Approved(_) => ChallengeStatus::Approved,
            Outcome::Denied(_) => ChallengeStatus::Denied,
            Outcome::Expired => ChallengeStatus::Expired,
            Outcome::Pending if now >= self.expires_at => ChallengeStatus::Expired,
            Outcome::Pending => ChallengeStatus::Pending,
        }
    }

    /// The answer, if there is one.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Approved(answer) | Outcome::Denied(answer) => Some(answer),
            Outcome::Expired | Outcome::Pending => None,
        }
    }

    /// Whether it can be answered at `now`.
    ///
    /// # Errors
    /// [`Refusal::Answered`], [`Refusal::Expired`].
    pub fn require_pending(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.status(now) {
            ChallengeStatus::Pending => Ok(()),
            ChallengeStatus::Expired => Err(Refusal::Expired),
            ChallengeStatus::Approved | ChallengeStatus::Denied => Err(Refusal::Answered),
        }
    }

    /// Whether another code may be tried at `now`.
    ///
    /// # Errors
    /// As [`Challenge::require_pending`], and [`Refusal::TooManyAttempts`].
    pub fn require_attempt_left(&self, now: Timestamp) -> Result<(), Refusal> {
        self.require_pending(now)?;
        if self.attempts >= Self::MAX_ATTEMPTS {
            Err(Refusal::TooManyAttempts)
        } else {
            Ok(())
        }
    }

    /// Takes in what became of a code. Every evaluated code, replayed ones included, is one of the challenge's tries.
    ///
    /// # Errors
    /// As [`Challenge::require_attempt_left`].
    pub fn settle_code(&mut self, verdict: CodeVerdict, now: Timestamp) -> Result<(), Refusal> {
        self.require_attempt_left(now)?;
        self.attempts += 1;
        self.date_updated = now;
        if matches!(verdict, CodeVerdict::Fresh { .. }) {
            self.outcome = Outcome::Approved(Answer {
                at: now,
                signed: None,
            });
        }
        Ok(())
    }

    /// Takes in a device's signed answer, which was verified before.
    ///
    /// # Errors
    /// As [`Challenge::require_pending`].
    pub fn settle_signed(&mut self, approved: bool, signed: String, now: Timestamp) -> Result<(), Refusal> {
        self.require_pending(now)?;
        let answer = Answer {
            at: now,
            signed: Some(signed),
        };
        self.outcome = if approved {
            Outcome::Approved(answer)
        } else {
            Outcome::Denied(answer)
        };
        self.date_updated = now;
        Ok(())
    }

    /// Makes it final that nobody answered in time. Whether it was still pending and now is not any more.
    pub fn settle_expiry(&mut self, now: Timestamp) -> bool {
        let settles = self.outcome == Outcome::Pending && self.status(now) == ChallengeStatus::Expired;
        if settles {
            self.outcome = Outcome::Expired;
        }
        settles
    }

    /// Ends it unanswered before its time: nobody can answer it any more. Whether it was still pending.
    pub fn withdraw(&mut self, now: Timestamp) -> bool {
        let was_pending = self.outcome == Outcome::Pending;
        if was_pending {
            self.outcome = Outcome::Expired;
            self.expires_at = self.expires_at.min(now);
        }
        was_pending
    }

    /// The identifier of the push that was counted last. It stands behind those before it because it tells which one it is,
    /// not because of what the clock says.
    #[must_use]
    pub fn push_sid(&self, entropy: &dyn Entropy) -> EventSid {
        let place = Duration::from_millis(u64::from(self.notifications));
        EventSid::generate_at(self.date_created + place, entropy)
    }

    /// Counts a notification.
    ///
    /// # Errors
    /// As [`Challenge::require_pending`], and [`Refusal::TooManyNotifications`].
    pub fn add_notification(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.require_pending(now)?;
        if self.notifications >= Self::MAX_NOTIFICATIONS {
            return Err(Refusal::TooManyNotifications {
                retry_after: self.expires_at.since(now),
            });
        }
        self.notifications += 1;
        Ok(())
    }
}
