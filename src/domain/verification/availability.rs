//! What may be done with a verification, and when: decided from the record and the time alone.
//!
//! A list of `k` waits allows `k + 1` actions: the first at once, each further one so long after the one before. An action
//! that lies far in the future shows that the clock was set back since; nobody waits for the length of that jump. One that lies
//! ahead by no more than [`CLOCKS_APART`](crate::domain::time::CLOCKS_APART) was taken on a node whose clock is ahead, and the
//! wait counts from it.

use std::time::Duration;

use super::{CheckScope, IssuedCode, SendingOutcome, SessionLife, Verification};
use crate::domain::channel::Channel;
use crate::domain::time::Timestamp;

/// What may be done next, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Availability {
    /// A text message.
    pub sms: Possible,
    /// A voice call.
    pub call: Possible,
    /// Checking a code.
    pub check: Possible,
    /// From when on nothing is possible.
    pub expires_at: Timestamp,
}

/// Whether, and from when on, something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Possible {
    /// As things are, not any more, or not before something else was done.
    Never,
    /// From this moment on, which may be past.
    At(Timestamp),
}

impl Verification {
    /// What may be done after `now` if nothing else is done meanwhile.
    #[must_use]
    pub fn availability(&self, now: Timestamp) -> Availability {
        let while_pending = |possible| {
            if self.is_pending(now) {
                possible
            } else {
                Possible::Never
            }
        };
        Availability {
            sms: while_pending(self.next_send(Channel::Sms, now)),
            call: while_pending(self.next_send(Channel::Call, now)),
            check: while_pending(self.next_check(now)),
            expires_at: self.expires_at,
        }
    }

    /// When the caller may have it sent over `channel`; for one that follows a plan, when the plan does.
    pub(super) fn next_send(&self, channel: Channel, now: Timestamp) -> Possible {
        if self.sends_left() == 0 {
            return Possible::Never;
        }
        if !self.policy.plan.is_empty() {
            let step = self.next_step().filter(|step| step.channel == channel);
            return match (step, self.next_step_at) {
                (Some(_), Some(due)) => Possible::At(due),
                _ => Possible::Never,
            };
        }
        match (self.gate(channel, now), self.channel_wait(channel, now)) {
            (Possible::At(gate), Possible::At(wait)) => Possible::At(gate.max(wait)),
            _ => Possible::Never,
        }
    }

    /// When a code may be checked.
    pub(super) fn next_check(&self, now: Timestamp) -> Possible {
        match self.codes.last() {
            Some(code) if now < code.expires_at => self.check_wait(code, now),
            _ => Possible::Never,
        }
    }

    /// When `code`, the last one, may be checked as far as that depends on the checks so far.
    pub(super) fn check_wait(&self, code: &IssuedCode, now: Timestamp) -> Possible {
        let used = self.checks_used();
        if used >= self.policy.max_checks {
            return Possible::Never;
        }
        let wait = index(used.checked_sub(1)).and_then(|position| self.policy.check_waits.get(position));
        match (wait, self.checks.last()) {
            (Some(wait), Some(last)) => Possible::At(after(last.at, *wait, now)),
            _ => Possible::At(code.issued_at.min(now)),
        }
    }

    /// How many sendings are left altogether.
    pub(super) fn sends_left(&self) -> u32 {
        let most = self.policy.max_sends.min(Self::MOST_SENDS);
        let used = u32::try_from(self.sends.len()).unwrap_or(u32::MAX);
        most.saturating_sub(used)
    }

    /// How many wrong codes were evaluated of those that the last code, or all together, may take.
    pub(super) fn checks_used(&self) -> u32 {
        match self.policy.check_scope {
            CheckScope::PerCode => self.codes.last().map_or(0, |code| code.failures),
            CheckScope::PerSession => self
                .codes
                .iter()
                .fold(0, |sum, code| sum.saturating_add(code.failures)),
        }
    }

    /// Sets when it is over and when its plan goes on, after something was done with it at `now`.
    pub(super) fn settle_times(&mut self, now: Timestamp) {
        let steps = &self.policy.plan;
        let done = self.sends.len();
        let last_sent = self.sends.last().map_or(self.date_created, |send| send.at);
        // A plan whose last sending lies far in the future goes on from here: the clock was set back.
        let last_sent = if last_sent.was_set_back(now) {
            now
        } else {
            last_sent
        };
        self.next_step_at = match (done.checked_sub(1), self.end) {
            (Some(last), None) if done < steps.len() => Some(last_sent + seconds(steps[last].wait)),
            _ => None,
        };
        self.expires_at = match self.policy.session_life {
            SessionLife::AfterLastPossibleAction(life) => self.last_possible_action(life, now),
            SessionLife::Endless => Timestamp::MAX,
            SessionLife::Fixed(life) => self.date_created + seconds(life),
            SessionLife::PlanEnd => {
                let left = &steps[done.saturating_sub(1).min(steps.len())..];
                left.iter().fold(last_sent, |end, step| end + seconds(step.wait))
            }
        };
    }

    /// `life` seconds after the last thing that could be done, but no earlier than the last code is over.
    fn last_possible_action(&self, life: u32, now: Timestamp) -> Timestamp {
        let sends = self
            .policy
            .send_waits
            .iter()
            .map(|waits| self.next_send(waits.channel, now));
        let actions = sends.chain([self.next_check(now)]);
        let ends = actions.filter_map(|action| match action {
            Possible::At(moment) => Some(moment + seconds(life)),
            Possible::Never => None,
        });
        let codes = self.codes.iter().map(|code| code.expires_at);
        let begun = self.date_created + seconds(life);
        ends.chain(codes).fold(begun, Timestamp::max)
    }

    /// From when on the order of channels lets this one: the first call comes after the first text message.
    fn gate(&self, channel: Channel, now: Timestamp) -> Possible {
        let (Channel::Call, Some(wait)) = (channel, self.policy.call_after_sms) else {
            return Possible::At(self.date_created.min(now));
        };
        let mut messages = self.sends.iter().filter(|send| send.channel == Channel::Sms);
        if let Some(refused) = messages
            .clone()
            .find(|send| send.outcome == SendingOutcome::ChannelRefused)
        {
            return Possible::At(refused.at.min(now));
        }
        let tried = messages.clone().next();
        match (
            messages.find(|send| send.outcome == SendingOutcome::Counts),
            tried,
        ) {
            (Some(first), _) => Possible::At(after(first.at, wait, now)),
            // None could be sent: there is nothing to wait for.
            (None, Some(tried)) => Possible::At(tried.at.min(now)),
            (None, None) => Possible::Never,
        }
    }

    /// From when on the channel's own waits let it.
    fn channel_wait(&self, channel: Channel, now: Timestamp) -> Possible {
        let mut same = self.sends.iter().filter(|send| send.channel == channel);
        if same
            .clone()
            .any(|send| send.outcome == SendingOutcome::ChannelRefused)
        {
            return Possible::Never;
        }
        let Some(waits) = self.policy.send_waits.iter().find(|own| own.channel == channel) else {
            return Possible::At(self.date_created.min(now));
        };
        let counted = same
            .clone()
            .filter(|send| send.outcome == SendingOutcome::Counts)
            .count();
        let last = same.rfind(|send| send.outcome == SendingOutcome::Counts);
        match (
            last,
            counted.checked_sub(1).map(|position| waits.waits.get(position)),
        ) {
            (Some(last), Some(Some(wait))) => Possible::At(after(last.at, *wait, now)),
            (Some(_), _) => Possible::Never,
            (None, _) => Possible::At(self.date_created.min(now)),
        }
    }
}

/// `wait` seconds after `last`; at once if the clock was set back since.
fn after(last: Timestamp, wait: u32, now: Timestamp) -> Timestamp {
    if last.was_set_back(now) {
        now
    } else {
        last + seconds(wait)
    }
}

pub(super) fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

fn index(count: Option<u32>) -> Option<usize> {
    count.and_then(|count| usize::try_from(count).ok())
}
