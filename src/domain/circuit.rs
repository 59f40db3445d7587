//! Circuit breakers: whoever fails is left alone for a while, so that a dead one costs next to nothing.
//!
//! What is said of one recipient is not said of the sender. A circuit opens when its owner cannot be reached several times
//! in a row, when it answers at many different recipients alike that it takes nothing, and for some time without taking
//! anything else, or when it says at several that it has too much to do.
//!
//! While a circuit is open nothing is given to its owner before the pause is over. Then one thing is tried (half-open), and
//! rather for somebody who has not failed: if that goes well the circuit is closed again, otherwise the next pause begins,
//! which is longer. Where only recipients were refused the owner is there, so somebody who has not failed need not even wait
//! for the pause: each account may try one such at a time. So may an account, where others were told that there is too much
//! to do: somebody may have asked for just the recipients that it is said of.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::sid::AccountSid;
use super::time::Timestamp;

/// Whom the failure of a try is about: whether it says anything of the next message to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureScope {
    /// The provider has too much to do, and says so.
    Overload,
    /// This recipient or this message: the provider was reached and let this server in, so it works.
    Recipient {
        /// What it answered, by its protocol: what was answered alike is the same failure. 0 if it did not answer in time.
        status: u32,
    },
    /// The provider, or the way to it.
    Sender,
}

/// For whom something is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TryTarget {
    /// In whose name.
    pub account: AccountSid,
    /// Who is to get it: a device, a number, a mailbox.
    pub recipient: RecipientId,
    /// What counts as one, however many recipients it has: a user, a number, a mail domain.
    pub group: RecipientId,
}

/// Tells recipients apart, without naming them.
pub type RecipientId = [u8; 16];

/// One circuit. How long it pauses is its user's to say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker {
    /// How often it could not be reached in a row.
    failures: u32,
    /// Whom it did not take anything for since it took something, by what it said.
    doubts: HashMap<Option<u32>, HashSet<RecipientId>>,
    /// Since when there are such.
    doubted_since: Option<Timestamp>,
    /// Who failed since it took something.
    failing: HashSet<RecipientId>,
    /// For which accounts something failed since.
    told: HashSet<AccountSid>,
    opened_by: Option<OpenedBy>,
    /// How often it was paused in a row.
    pauses: u32,
    /// Until when it is left alone, by its failures or because it asked for it.
    resume_at: Option<Timestamp>,
    /// Until when a try that is under way is waited for.
    probe_until: Option<Timestamp>,
    /// The same for tries within a pause, by account.
    early_probes: HashMap<AccountSid, Timestamp>,
}

/// Why it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenedBy {
    Failures,
    Overload,
    Recipients,
}

impl Breaker {
    /// After so many failures in a row a circuit opens. One that fails now and then is worth neither a pause nor a line in
    /// the log.
    pub(crate) const FAILURES_UNTIL_OPEN: u32 = 5;

    /// The same failure at so many different groups of recipients speaks of the sender.
    pub(crate) const MANY_RECIPIENTS: usize = 10;

    /// If it has taken nothing for so long: somebody with many bad addresses writes to all of them within a moment.
    pub(crate) const WITHOUT_SUCCESS: Duration = Duration::from_secs(30);

    /// One who says to so many groups of recipients that it has too much to do has. A provider may count by recipient, too.
    pub(crate) const OVERLOADED_FOR: usize = 3;

    /// Whether only single tries are made.
    #[must_use]
    pub(crate) fn is_open(&self) -> bool {
        self.opened_by.is_some()
    }

    /// Whether it is open, but its owner was reached.
    #[must_use]
    pub(crate) fn is_reached(&self) -> bool {
        self.opened_by == Some(OpenedBy::Recipients)
    }

    /// Until when it is left alone altogether, if that is after `now`.
    #[must_use]
    pub(crate) fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        let resume_at = self.resume_at?;
        let probe = self.probe_until.filter(|until| *until > now);
        // Who waits for a try looks again soon: it rarely takes as long as it may.
        let looks_again = probe.map(|until| until.min(now + SOON));
        looks_again.or(Some(resume_at).filter(|at| *at > now))
    }

    /// Whether something new of the account is to be given to it at `now`: no pause concerns it, or the account has heard of
    /// no failure, and the owner was reached.
    #[must_use]
    pub(crate) fn is_open_to(&self, account: AccountSid, now: Timestamp) -> bool {
        let hearsay =
            self.opened_by.is_some_and(|by| by != OpenedBy::Failures) && !self.told.contains(&account);
        hearsay || self.paused_until(now).is_none()
    }

    /// Who failed since the owner took something, while the circuit is open.
    pub(crate) fn failing(&self) -> HashSet<RecipientId> {
        if self.is_open() {
            self.failing.clone()
        } else {
            HashSet::new()
        }
    }

    /// Asks to try something for `target` at `now`, and lets others wait for it for `probe` if the circuit is half-open.
    ///
    /// # Errors
    /// [`CircuitOpen`] while it is.
    pub(crate) fn begin(
        &mut self,
        target: &TryTarget,
        now: Timestamp,
        probe: Duration,
    ) -> Result<(), CircuitOpen> {
        let fresh = !self.failing.contains(&target.recipient);
        let untold = self.opened_by == Some(OpenedBy::Overload) && !self.told.contains(&target.account);
        if fresh && (self.is_reached() || untold) {
            self.early_probes.retain(|_, until| *until > now);
            if let Some(until) = self.early_probes.get(&target.account) {
                let until = (*until).min(now + SOON);
                return Err(CircuitOpen { until });
            }
            self.early_probes.insert(target.account, now + probe);
            return Ok(());
        }
        if let Some(until) = self.paused_until(now) {
            return Err(CircuitOpen { until });
        }
        if self.is_open() {
            // Who has failed leaves the try to somebody else, if there is one.
            let turn = self.resume_at.map(|at| at + SOON);
            if let Some(until) = turn.filter(|turn| !fresh && *turn > now) {
                return Err(CircuitOpen { until });
            }
            self.probe_until = Some(now + probe);
        }
        Ok(())
    }

    /// It works. Whether that closed the circuit.
    pub(crate) fn succeeded(&mut self) -> bool {
        std::mem::take(self).is_open()
    }

    /// It failed for `target`, and rests for as long as `pause` says of the number of pauses before, or as long as it
    /// `asked` for if it has too much to do. Whether that opened the circuit.
    pub(crate) fn failed(
        &mut self,
        target: &TryTarget,
        about: FailureScope,
        asked: Option<Duration>,
        now: Timestamp,
        pause: impl FnOnce(u32) -> Duration,
    ) -> bool {
        let was_open = self.is_open();
        self.probe_until = None;
        self.early_probes.remove(&target.account);
        if self.failing.len() < MOST_FAILING {
            self.failing.insert(target.recipient);
        }
        if self.told.len() < MOST_FAILING {
            self.told.insert(target.account);
        }
        let opens = match about {
            FailureScope::Overload => {
                self.reached(OpenedBy::Failures);
                self.doubt(None, target, now) >= Self::OVERLOADED_FOR
            }
            FailureScope::Recipient { status } => {
                if status != 0 {
                    self.reached(OpenedBy::Failures);
                    self.reached(OpenedBy::Overload);
                }
                let doubted_since = self.doubted_since.unwrap_or(now);
                let many = self.doubt(Some(status), target, now) >= Self::MANY_RECIPIENTS;
                many && now.since(doubted_since) >= Self::WITHOUT_SUCCESS
            }
            FailureScope::Sender => {
                self.failures = self.failures.saturating_add(1);
                self.failures >= Self::FAILURES_UNTIL_OPEN
            }
        };
        if opens {
            self.opened_by = Some(match about {
                FailureScope::Overload => OpenedBy::Overload,
                FailureScope::Recipient { .. } => OpenedBy::Recipients,
                FailureScope::Sender => OpenedBy::Failures,
            });
        }
        // Those that were under way together and fail together are one reason for one pause.
        if self.is_open() && self.paused_until(now).is_none() {
            self.resume_at = Some(now + pause(self.pauses));
            self.pauses = self.pauses.saturating_add(1);
        }
        if self.is_open()
            && about == FailureScope::Overload
            && let Some(asked) = asked
        {
            self.rest(now + asked);
        }
        self.is_open() && !was_open
    }

    /// It wants to be left alone until then.
    pub(crate) fn rest(&mut self, until: Timestamp) {
        self.resume_at = self.resume_at.max(Some(until));
    }

    /// An answer shows that this is not, or not any more, why it is to be left alone.
    fn reached(&mut self, by: OpenedBy) {
        self.failures = 0;
        if self.opened_by == Some(by) {
            self.opened_by = None;
            self.resume_at = None;
            self.pauses = 0;
        }
        if by == OpenedBy::Overload {
            self.doubts.remove(&None);
        }
    }

    /// At how many groups it failed so.
    fn doubt(&mut self, status: Option<u32>, target: &TryTarget, now: Timestamp) -> usize {
        self.doubted_since.get_or_insert(now);
        if self.doubts.len() >= MOST_STATUSES && !self.doubts.contains_key(&status) {
            return 0;
        }
        let groups = self.doubts.entry(status).or_default();
        if groups.len() < Self::MANY_RECIPIENTS {
            groups.insert(target.group);
        }
        groups.len()
    }
}

/// It is not to be given anything now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitOpen {
    /// When to ask again.
    pub until: Timestamp,
}

/// When to look again for the end of a try.
const SOON: Duration = Duration::from_secs(1);

/// How many are remembered that failed.
const MOST_FAILING: usize = 1024;

/// How many different failures are told apart.
const MOST_STATUSES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: FailureScope = FailureScope::Recipient { status: 450 };

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    fn id(number: u32) -> RecipientId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        id
    }

    fn to(account: u8, recipient: u32, group: u32) -> TryTarget {
        TryTarget {
            account: AccountSid::from_bytes([account; 16]),
            recipient: id(recipient),
            group: id(group),
        }
    }

    fn fail(breaker: &mut Breaker, target: TryTarget, about: FailureScope, seconds: u64) -> bool {
        let at = now() + Duration::from_secs(seconds);
        breaker.failed(&target, about, None, at, |_| Duration::from_secs(5))
    }

    #[test]
    fn one_that_fails_many_times_does_not_count_as_many() {
        let mut breaker = Breaker::default();
        for second in 0..10_000 {
            assert!(!fail(&mut breaker, to(1, 1, 1), FULL, second));
            // Nor do the many recipients of one group.
            let number = u32::try_from(second).unwrap();
            assert!(!fail(&mut breaker, to(1, number, 2), FULL, second));
            assert!(!fail(
                &mut breaker,
                to(1, number, 2),
                FailureScope::Overload,
                second
            ));
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn the_same_failure_at_many_speaks_of_the_sender_once_it_took_nothing_for_a_while() {
        let mut breaker = Breaker::default();
        for number in 0..400 {
            assert!(!fail(&mut breaker, to(1, number, number), FULL, 29), "at once");
        }
        assert!(!breaker.succeeded());
        for number in 0..9 {
            assert!(!fail(&mut breaker, to(1, number, number), FULL, 30));
        }
        // Other failures are others.
        for number in 0..9 {
            let other = FailureScope::Recipient { status: 451 };
            assert!(!fail(&mut breaker, to(1, number, number), other, 70));
        }
        assert!(fail(&mut breaker, to(1, 9, 9), FULL, 70));
        assert!(breaker.is_open());
    }

    #[test]
    fn somebody_who_has_not_failed_is_tried_at_once_if_only_recipients_were_refused() {
        let mut breaker = Breaker::default();
        let at = now() + Duration::from_secs(40);
        let probe = Duration::from_secs(30);
        for number in 0..10 {
            fail(&mut breaker, to(1, number, number), FULL, 4 * u64::from(number));
        }
        assert!(breaker.is_open());
        // Those who failed wait; of each account one that has not is tried.
        assert!(breaker.begin(&to(1, 0, 0), at, probe).is_err());
        assert_eq!(breaker.begin(&to(1, 50, 50), at, probe), Ok(()));
        assert!(breaker.begin(&to(1, 51, 51), at, probe).is_err());
        assert_eq!(breaker.begin(&to(2, 52, 52), at, probe), Ok(()));
        assert!(breaker.succeeded());
        assert_eq!(breaker.begin(&to(1, 0, 0), at, probe), Ok(()));
    }

    #[test]
    fn the_try_behind_a_pause_is_for_somebody_who_has_not_failed_if_there_is_one() {
        let mut breaker = Breaker::default();
        for number in 0..5 {
            fail(&mut breaker, to(1, number, number), FailureScope::Sender, 0);
        }
        let (over, probe) = (now() + Duration::from_secs(5), Duration::from_secs(30));
        let later = over + SOON;
        assert_eq!(
            breaker.begin(&to(1, 0, 0), over, probe),
            Err(CircuitOpen { until: later })
        );
        let mut alone = breaker.clone();
        assert_eq!(breaker.begin(&to(1, 50, 50), over, probe), Ok(()));
        assert!(breaker.begin(&to(1, 0, 0), later, probe).is_err());
        assert_eq!(alone.begin(&to(1, 0, 0), later, probe), Ok(()));
    }

    #[test]
    fn one_who_has_too_much_to_do_is_left_alone_for_as_long_as_it_asks() {
        let mut breaker = Breaker::default();
        let asked = Some(Duration::from_secs(90));
        for number in 0..3 {
            assert!(!breaker.is_open(), "it may have counted one recipient");
            let about = FailureScope::Overload;
            let target = to(1, number, number);
            breaker.failed(&target, about, asked, now(), |_| Duration::from_secs(5));
        }
        let until = now() + Duration::from_secs(90);
        assert_eq!(breaker.paused_until(now()), Some(until));
        let fresh = to(1, 50, 50);
        assert_eq!(breaker.begin(&fresh, now(), SOON), Err(CircuitOpen { until }));
        assert_eq!(breaker.begin(&fresh, until, SOON), Ok(()));
        assert!(
            breaker.begin(&to(1, 51, 51), until, SOON).is_err(),
            "one at a time"
        );
    }

    #[test]
    fn what_one_account_is_told_keeps_no_other_from_trying() {
        let asked = Some(Duration::from_hours(1));
        let mut breaker = Breaker::default();
        for number in 0..400 {
            let target = to(1, number, number);
            breaker.failed(&target, FailureScope::Overload, asked, now(), |_| {
                Duration::from_secs(5)
            });
        }
        let probe = Duration::from_secs(30);
        let (one, other) = (to(1, 900, 900), to(2, 901, 901));
        assert!(breaker.begin(&one, now(), probe).is_err());
        assert!(!breaker.is_open_to(one.account, now()));
        assert!(breaker.is_open_to(other.account, now()));
        assert_eq!(breaker.begin(&other, now(), probe), Ok(()));
        assert!(
            breaker.begin(&to(2, 902, 902), now(), probe).is_err(),
            "one at a time"
        );
        // It is told the same: from now on it waits, too.
        breaker.failed(&other, FailureScope::Overload, asked, now(), |_| {
            Duration::from_secs(5)
        });
        assert!(!breaker.is_open_to(other.account, now()));
        assert!(breaker.begin(&to(2, 902, 902), now(), probe).is_err());
        assert_eq!(breaker.begin(&to(3, 903, 903), now(), probe), Ok(()));
        assert!(breaker.succeeded());
        assert_eq!(breaker.begin(&one, now(), probe), Ok(()));
    }

    #[test]
    fn an_answer_about_a_recipient_shows_that_the_sender_is_reached_again() {
        let mut breaker = Breaker::default();
        for number in 0..5 {
            fail(&mut breaker, to(1, number, number), FailureScope::Sender, 0);
        }
        assert!(!fail(
            &mut breaker,
            to(1, 9, 9),
            FailureScope::Recipient { status: 0 },
            9
        ));
        assert!(breaker.is_open(), "no answer is none");
        fail(&mut breaker, to(1, 9, 9), FULL, 20);
        assert!(!breaker.is_open());
    }
}
