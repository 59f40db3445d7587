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
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_mins(5);
    const LIMITS: PushLimits = PushLimits {
        max_pending: 3,
        max_since_success: 6,
        pause: Duration::from_hours(1),
    };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + seconds)
    }

    fn challenge(number: u8) -> ChallengeSid {
        ChallengeSid::from_bytes([number; 16])
    }

    /// Asks with a new challenge, while `fates` hold and all others are over.
    fn ask(
        guard: &mut PushGuard,
        number: u8,
        fates: &[(u8, ChallengeFate)],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let known = |sid| fates.iter().find(|(number, _)| challenge(*number) == sid);
        let fates: Vec<_> = guard
            .remembered(now)
            .into_iter()
            .map(|sid| (sid, known(sid).map_or(ChallengeFate::Over, |(_, fate)| *fate)))
            .collect();
        guard.ask(challenge(number), now + LIFE, &fates, &LIMITS, now)
    }

    #[test]
    fn only_so_many_challenges_wait_at_once() {
        let mut guard = PushGuard::default();
        let waiting: Vec<_> = (0..3).map(|number| (number, ChallengeFate::Pending)).collect();
        for number in 0..3 {
            ask(&mut guard, number, &waiting, at(u64::from(number))).unwrap();
        }
        let before = guard.clone();
        let refused = ask(&mut guard, 3, &waiting, at(100));
        let retry_after = Duration::from_secs(200);
        assert_eq!(
            refused,
            Err(Refusal::TooManyPending {
                limit: 3,
                retry_after
            })
        );
        assert_eq!(guard, before);
        // The first one is expired whether or not anybody looked.
        ask(&mut guard, 3, &waiting, at(300)).unwrap();
        // One that was answered makes room.
        let mut answered = [
            (1, ChallengeFate::Over),
            (2, ChallengeFate::Pending),
            (3, ChallengeFate::Pending),
        ];
        ask(&mut guard.clone(), 4, &answered, at(300)).unwrap();
        answered[0].1 = ChallengeFate::Pending;
        ask(&mut guard, 4, &answered, at(300)).unwrap_err();
    }

    #[test]
    fn pushes_count_until_one_is_approved_or_a_day_is_over() {
        let mut guard = PushGuard::default();
        for number in 0..6 {
            ask(&mut guard, number, &[], at(10 * u64::from(number))).unwrap();
        }
        let refused = ask(&mut guard, 6, &[], at(60));
        let retry_after = Duration::from_mins(24 * 60 - 1);
        assert_eq!(
            refused,
            Err(Refusal::TooManyPushes {
                limit: 6,
                retry_after
            })
        );
        ask(&mut guard.clone(), 6, &[], at(24 * 3600 - 1)).unwrap_err();
        ask(&mut guard.clone(), 6, &[], at(24 * 3600)).unwrap();
        // An approval forgives what was before it, also later, when nobody remembers the approved challenge any more.
        let approved = [(2, ChallengeFate::Approved(at(45))), (5, ChallengeFate::Pending)];
        for number in 6..11 {
            ask(&mut guard, number, &approved, at(70)).unwrap();
        }
        assert!(
            !guard.remembered(at(70)).contains(&challenge(2)),
            "its work is done"
        );
        assert_eq!(
            guard.pushes.len(),
            6,
            "the one that was pushed after the approval, and five"
        );
        ask(&mut guard, 11, &approved[1..], at(80)).unwrap_err();
    }

    #[test]
    fn a_challenge_from_before_an_approval_waits_but_was_not_pushed_in_vain() {
        let mut guard = PushGuard::default();
        ask(&mut guard, 0, &[], at(0)).unwrap();
        ask(&mut guard, 1, &[(0, ChallengeFate::Pending)], at(1)).unwrap();
        let mut fates = vec![(0, ChallengeFate::Pending), (1, ChallengeFate::Approved(at(2)))];
        for number in 2..4 {
            ask(&mut guard, number, &fates, at(3)).unwrap();
            fates.push((number, ChallengeFate::Pending));
        }
        let refused = ask(&mut guard, 4, &fates, at(4)).unwrap_err();
        assert!(
            matches!(refused, Refusal::TooManyPending { .. }),
            "0, 2 and 3 wait"
        );
        for (_, fate) in &mut fates {
            *fate = ChallengeFate::Over;
        }
        for number in 4..8 {
            ask(&mut guard, number, &fates, at(5)).unwrap();
        }
        ask(&mut guard, 8, &fates, at(5)).unwrap_err();
    }

    #[test]
    fn another_notification_counts_as_a_push_and_not_as_a_challenge() {
        let mut guard = PushGuard::default();
        ask(&mut guard, 0, &[], at(0)).unwrap();
        let fates = [(challenge(0), ChallengeFate::Pending)];
        for _ in 0..5 {
            guard
                .ask_again(challenge(0), at(300), &fates, &LIMITS, at(1))
                .unwrap();
        }
        let refused = guard
            .ask_again(challenge(0), at(300), &fates, &LIMITS, at(1))
            .unwrap_err();
        assert!(matches!(refused, Refusal::TooManyPushes { .. }));
        assert_eq!(guard.pending(&fates, at(1)), [at(300)]);
    }

    #[test]
    fn the_third_wrong_number_in_a_row_pauses_and_each_further_one_again() {
        let mut guard = PushGuard::default();
        guard.wrong_number(LIMITS.pause, at(0));
        guard.wrong_number(LIMITS.pause, at(0));
        guard.right_number();
        guard.wrong_number(LIMITS.pause, at(1));
        guard.wrong_number(LIMITS.pause, at(1));
        assert_eq!(guard.paused_until(at(1)), None);
        guard.wrong_number(LIMITS.pause, at(1));
        assert_eq!(guard.paused_until(at(1)), Some(at(3601)));
        let retry_after = Duration::from_secs(1);
        assert_eq!(
            ask(&mut guard, 0, &[], at(3600)),
            Err(Refusal::Paused { retry_after })
        );
        ask(&mut guard, 0, &[], at(3601)).unwrap();
        guard.wrong_number(LIMITS.pause, at(4000));
        assert_eq!(
            guard.paused_until(at(4000)),
            Some(at(7600)),
            "time forgives nothing"
        );
        guard.resume(at(4000));
        assert_eq!((guard.paused_until(at(4000)), guard.wrong_numbers()), (None, 0));
    }

    #[test]
    fn whoever_ends_a_pause_forgives_the_pushes_so_far_but_not_the_challenges_that_wait() {
        let mut guard = PushGuard::default();
        for number in 0..6 {
            ask(&mut guard, number, &[], at(u64::from(number))).unwrap();
        }
        assert!(matches!(
            ask(&mut guard, 6, &[], at(10)),
            Err(Refusal::TooManyPushes { .. })
        ));
        guard.resume(at(10));
        let waiting: Vec<_> = (6..9).map(|number| (number, ChallengeFate::Pending)).collect();
        for number in 6..9 {
            ask(&mut guard, number, &waiting, at(11)).unwrap();
        }
        guard.resume(at(12));
        assert!(matches!(
            ask(&mut guard, 9, &waiting, at(12)),
            Err(Refusal::TooManyPending { .. })
        ));
        // What comes behind it counts anew.
        for number in 10..16 {
            ask(&mut guard, number, &[], at(13)).unwrap();
        }
        ask(&mut guard, 16, &[], at(13)).unwrap_err();
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out_and_opens_nothing() {
        let mut guard = PushGuard::default();
        for number in 0..6 {
            ask(&mut guard, number, &[], at(1_000_000)).unwrap();
        }
        ask(&mut guard, 6, &[], at(0)).unwrap_err();
        let approved = [(0, ChallengeFate::Approved(at(1_000_000)))];
        // The first is in the very moment up to which everything is forgiven.
        for number in 6..13 {
            ask(&mut guard, number, &approved, at(u64::from(number))).unwrap();
        }
        ask(&mut guard, 13, &[], at(13)).unwrap_err();
        ask(&mut guard, 13, &[], at(24 * 3600 + 7)).unwrap();
    }
}
