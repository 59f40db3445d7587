//! What keeps a push factor's holder from being worn down: how often they may be asked, and when nobody may ask any more.
//!
//! The state lives in the factor. Whoever asks (a new challenge, another notification) rewrites the factor with its version
//! asserted, so that parallel requests cannot get past a limit together. An approval only rewrites it when there
//! is a count of wrong numbers to forget: what became of the challenges is read from themselves when somebody asks again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::factor::Refusal;
use super::sid::ChallengeSid;
use super::time::Timestamp;

/// How often a factor's holder may be asked; the operator's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushLimits {
    /// The most challenges of a factor that wait at once: 1 to [`PushLimits::LARGEST`].
    pub max_pending: usize,
    /// The most pushes to a factor since its holder last approved, within [`PushGuard::MEMORY`]: 1 to
    /// [`PushLimits::LARGEST`].
    pub max_since_success: usize,
    /// How long a factor is paused.
    pub pause: Duration,
}

impl PushLimits {
    /// The most that either limit can be: what is remembered stands in the factor's record.
    pub const LARGEST: usize = 100;
    /// How many challenges of a factor may wait if the operator says nothing.
    pub const DEFAULT_PENDING: usize = 5;
}

impl Default for PushLimits {
    fn default() -> Self {
        Self {
            max_pending: Self::DEFAULT_PENDING,
            max_since_success: 10,
            pause: Duration::from_hours(1),
        }
    }
}

/// A push factor's memory of who asked and what its holder said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushGuard {
    /// Wrong numbers in a row, over all challenges.
    wrong_numbers: u8,
    /// Until when nobody may ask.
    paused_until: Option<Timestamp>,
    /// What began it.
    paused_for: Option<PauseReason>,
    /// When the holder last approved, as far as it is known: pushes before it do not count any more.
    success: Option<Timestamp>,
    /// The pushes that may still count, oldest first.
    pushes: Vec<Push>,
}

/// What pauses a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseReason {
    /// The holder says that somebody else asked.
    Report,
    /// Wrong numbers in a row.
    WrongNumbers,
}

/// A push: the one that a challenge begins with, or a notification of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Push {
    challenge: ChallengeSid,
    at: Timestamp,
    expires_at: Timestamp,
}

/// What became of a challenge that the guard remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeFate {
    /// Its holder approved it at this moment.
    Approved(Timestamp),
    /// It was denied, it expired, or it is gone.
    Over,
    /// It waits.
    Pending,
}

impl PushGuard {
    /// For how long pushes count against [`PushLimits::max_since_success`].
    pub const MEMORY: Duration = Duration::from_hours(24);
    /// From this many wrong numbers in a row on, each one pauses the factor.
    pub const MAX_WRONG_NUMBERS: u8 = 3;

    /// Until when nobody may ask; `None` when somebody may at `now`.
    #[must_use]
    pub fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.paused_until.filter(|until| *until > now)
    }

    /// The same, and why.
    #[must_use]
    pub fn pause_at(&self, now: Timestamp) -> Option<(Timestamp, PauseReason)> {
        self.paused_until(now).zip(self.paused_for)
    }

    /// Until when no further push is sent because the holder approved none for so long; `None` if one may be sent at `now`.
    #[must_use]
    pub fn spent_until(&self, limits: &PushLimits, now: Timestamp) -> Option<Timestamp> {
        let counted = |push: &&Push| push.counts(self.success, now);
        let counted: Vec<Timestamp> = self.pushes.iter().filter(counted).map(|push| push.at).collect();
        let excess = counted.len().checked_sub(limits.max_since_success)?;
        Some(counted[excess] + Self::MEMORY)
    }

    /// Whether the factor may be asked, or an approval of it counts, at `now`.
    ///
    /// # Errors
    /// [`Refusal::Paused`].
    pub fn require_unpaused(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.paused_until(now) {
            Some(until) => Err(Refusal::Paused {
                retry_after: until.since(now),
            }),
            None => Ok(()),
        }
    }

    /// When the holder last approved, as far as it is known.
    #[must_use]
    pub fn last_success(&self) -> Option<Timestamp> {
        self.success
    }

    /// How many wrong numbers in a row there were.
    #[must_use]
    pub fn wrong_numbers(&self) -> u8 {
        self.wrong_numbers
    }

    /// The challenges whose fate has to be known before the next push, each once, oldest first.
    #[must_use]
    pub fn remembered(&self, now: Timestamp) -> Vec<ChallengeSid> {
        let mut challenges: Vec<ChallengeSid> = Vec::new();
        for push in self.pushes.iter().filter(|push| push.may_count(now)) {
            if !challenges.contains(&push.challenge) {
                challenges.push(push.challenge);
            }
        }
        challenges
    }

    /// Counts the push of a new challenge. `fates` are those of [`PushGuard::remembered`].
    ///
    /// # Errors
    /// [`Refusal::Paused`], [`Refusal::TooManyPending`], [`Refusal::TooManyPushes`].
    pub fn ask(
        &mut self,
        challenge: ChallengeSid,
        expires_at: Timestamp,
        fates: &[(ChallengeSid, ChallengeFate)],
        limits: &PushLimits,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.require_unpaused(now)?;
        self.learn(fates, now);
        let pending = self.pending(fates, now);
        if pending.len() >= limits.max_pending {
            // With lowered limits there are more than one too many: as many have to go first.
            let freeing = pending[pending.len() - limits.max_pending];
            return Err(Refusal::TooManyPending {
                limit: limits.max_pending,
                retry_after: freeing.since(now).max(Duration::from_secs(1)),
            });
        }
        self.push(challenge, expires_at, limits, now)
    }

    /// Counts another notification of a challenge that waits. `fates` are those of [`PushGuard::remembered`].
    ///
    /// # Errors
    /// [`Refusal::Paused`], [`Refusal::TooManyPushes`].
    pub fn ask_again(
        &mut self,
        challenge: ChallengeSid,
        expires_at: Timestamp,
        fates: &[(ChallengeSid, ChallengeFate)],
        limits: &PushLimits,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.require_unpaused(now)?;
        self.learn(fates, now);
        self.push(challenge, expires_at, limits, now)
    }

    /// Counts a wrong number, the last of which pauses the factor. A pause that ends by itself forgives nothing: the next
    /// wrong number begins another.
    pub fn wrong_number(&mut self, pause: Duration, now: Timestamp) {
        self.wrong_numbers = self.wrong_numbers.saturating_add(1);
        if self.wrong_numbers >= Self::MAX_WRONG_NUMBERS {
            self.pause(PauseReason::WrongNumbers, pause, now);
        }
    }

    /// Forgets wrong numbers: the holder proved to see the page. A pause stays what it is.
    pub fn right_number(&mut self) {
        self.wrong_numbers = 0;
    }

    /// Lets nobody ask for a while. A pause that lasts longer is not shortened.
    pub fn pause(&mut self, why: PauseReason, pause: Duration, now: Timestamp) {
        if self.pause_at(now).is_none() {
            self.paused_for = Some(why);
        }
        self.paused_until = self.paused_until.max(Some(now + pause));
    }

    /// Forgives the pushes so far: the holder approved at `now`. Only needed where somebody is to be told that the limit is
    /// lifted; otherwise the next push learns it from the challenge.
    pub fn approved(&mut self, now: Timestamp) {
        self.success = self.success.max(Some(now));
    }

    /// Ends a pause, forgets what led to it, and forgives the pushes so far as an approval does. Challenges that wait still
    /// count as such.
    pub fn resume(&mut self, now: Timestamp) {
        self.paused_until = None;
        self.paused_for = None;
        self.wrong_numbers = 0;
        self.approved(now);
    }

    /// Takes in what became of the challenges, and forgets the pushes that can count no more.
    fn learn(&mut self, fates: &[(ChallengeSid, ChallengeFate)], now: Timestamp) {
        let approvals = fates.iter().filter_map(|(_, fate)| match fate {
            ChallengeFate::Approved(at) => Some(*at),
            ChallengeFate::Over | ChallengeFate::Pending => None,
        });
        // What lies in the future shows that the clock was set back since: it neither locks nor opens for the length of
        // that jump.
        self.success = approvals.max().max(self.success).map(|at| at.min(now));
        for push in &mut self.pushes {
            push.at = push.at.min(now);
        }
        let success = self.success;
        self.pushes
            .retain(|push| push.waits(fates, now) || push.counts(success, now));
    }

    fn push(
        &mut self,
        challenge: ChallengeSid,
        expires_at: Timestamp,
        limits: &PushLimits,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if let Some(until) = self.spent_until(limits, now) {
            return Err(Refusal::TooManyPushes {
                limit: limits.max_since_success,
                retry_after: until.since(now).max(Duration::from_secs(1)),
            });
        }
        self.pushes.push(Push {
            challenge,
            at: now,
            expires_at,
        });
        Ok(())
    }

    /// When the challenges that wait expire, the first one first.
    fn pending(&self, fates: &[(ChallengeSid, ChallengeFate)], now: Timestamp) -> Vec<Timestamp> {
        let mut waiting: Vec<(ChallengeSid, Timestamp)> = Vec::new();
        for push in self.pushes.iter().filter(|push| push.waits(fates, now)) {
            if !waiting.iter().any(|(challenge, _)| *challenge == push.challenge) {
                waiting.push((push.challenge, push.expires_at));
            }
        }
        let mut expiries: Vec<_> = waiting.into_iter().map(|(_, expires_at)| expires_at).collect();
        expiries.sort_unstable();
        expiries
    }
}

impl Push {
    fn is_recent(&self, now: Timestamp) -> bool {
        self.at > now.before(PushGuard::MEMORY)
    }

    fn may_count(&self, now: Timestamp) -> bool {
        self.is_recent(now) || self.expires_at > now
    }

    /// Whether it was made within the memory, and the holder approved nothing since.
    fn counts(&self, success: Option<Timestamp>, now: Timestamp) -> bool {
        self.is_recent(now) && success.is_none_or(|success| self.at > success)
    }

    fn waits(&self, fates: &[(ChallengeSid, ChallengeFate)], now: Timestamp) -> bool {
        let fate = fates.iter().find(|(challenge, _)| *challenge == self.challenge);
        self.expires_at > now && matches!(fate, Some((_, ChallengeFate::Pending)))
    }
}

#[cfg(test)]
mod tests;
