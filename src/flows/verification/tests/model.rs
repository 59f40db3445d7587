//! A hundred thousand random histories, played on the state machine and on a small model of it.
//!
//! The model shares nothing with the machine but the policy: it keeps lists of what happened and answers each question by
//! counting in them.

use std::collections::BTreeMap;

use crate::domain::channel::Channel;
use crate::domain::entropy::Entropy;
use crate::domain::time::Timestamp;
use crate::domain::verification::tests::samples::{
    begun, code, planned, replacing, same_code, text_then_call, waits_by_channel,
};
use crate::domain::verification::*;
use crate::doubles::SeededEntropy;
use crate::store::records;

/// What the model remembers: everything, as it happened.
struct VerificationModel {
    policy: CodePolicy,
    begun: u64,
    end: Option<VerificationStatus>,
    /// When, and over which channel.
    sent: Vec<(u64, Channel)>,
    /// The number of each code, and when it was made.
    codes: Vec<(u64, u64)>,
    /// When, for which code (its position), and whether it was right.
    checked: Vec<(u64, usize, bool)>,
    over: u64,
    /// When its plan began to wait for the next step.
    step_from: u64,
}

impl VerificationModel {
    fn new(policy: CodePolicy, now: u64) -> Self {
        let mut model = Self {
            policy,
            begun: now,
            end: None,
            sent: Vec::new(),
            codes: Vec::new(),
            checked: Vec::new(),
            over: now,
            step_from: 0,
        };
        model.move_end(now);
        model
    }

    fn status(&self, now: u64) -> VerificationStatus {
        match self.end {
            Some(end) => end,
            None if now >= self.over => VerificationStatus::Expired,
            None => VerificationStatus::Pending,
        }
    }

    /// The code that is right at `now`.
    fn live_code(&self, now: u64) -> Option<u64> {
        let (number, made) = *self.codes.last()?;
        (now < self.code_end(made)).then_some(number)
    }

    fn code_end(&self, made: u64) -> u64 {
        let own = made + u64::from(self.policy.code_life);
        match self.policy.session_life {
            SessionLife::Fixed(life) => own.min(self.begun + u64::from(life)),
            _ => own,
        }
    }

    /// Wrong codes that count against the next one.
    fn wrong(&self) -> usize {
        let last = self.codes.len().saturating_sub(1);
        let counts = |code: usize| self.policy.check_scope == CheckScope::PerSession || code == last;
        self.checked
            .iter()
            .filter(|(_, code, right)| !right && counts(*code))
            .count()
    }

    /// The first moment at which a code may be checked; `None` for none.
    fn check_from(&self, now: u64) -> Option<u64> {
        self.live_code(now)?;
        let wrong = self.wrong();
        if wrong >= usize::try_from(self.policy.max_checks).unwrap() {
            return None;
        }
        let wait = (wrong > 0)
            .then(|| self.policy.check_waits.get(wrong - 1))
            .flatten();
        let last = self.checked.last().map(|(at, ..)| *at);
        Some(wait.zip(last).map_or(now, |(wait, last)| later(last, *wait, now)))
    }

    /// The first moment at which it may be sent over `channel`; `None` for none.
    fn send_from(&self, channel: Channel, now: u64) -> Option<u64> {
        if self.sent.len() >= usize::try_from(self.policy.max_sends.min(100)).unwrap() {
            return None;
        }
        if !self.policy.plan.is_empty() {
            let next = self.policy.plan.get(self.sent.len())?;
            let wait = self.policy.plan[self.sent.len() - 1].wait;
            return (next.channel == channel).then_some(self.step_from + u64::from(wait));
        }
        let mut from = self.begun.min(now);
        if let (Channel::Call, Some(wait)) = (channel, self.policy.call_after_sms) {
            let (first, _) = self.sent.iter().find(|(_, channel)| *channel == Channel::Sms)?;
            from = from.max(later(*first, wait, now));
        }
        let before: Vec<u64> = self
            .sent
            .iter()
            .filter(|(_, other)| *other == channel)
            .map(|(at, _)| *at)
            .collect();
        if let (Some(list), Some(last)) = (
            self.policy.send_waits.iter().find(|list| list.channel == channel),
            before.last(),
        ) {
            from = from.max(later(*last, *list.waits.get(before.len() - 1)?, now));
        }
        Some(from)
    }

    fn move_end(&mut self, now: u64) {
        let plan_left = |done: usize| -> u64 {
            let left = self.policy.plan.iter().skip(done.saturating_sub(1));
            left.map(|step| u64::from(step.wait)).sum()
        };
        let last = self.sent.last().map_or(self.begun, |(at, _)| *at);
        self.step_from = if last > now + CLOCKS_APART { now } else { last };
        self.over = match self.policy.session_life {
            SessionLife::Endless => u64::MAX,
            SessionLife::Fixed(life) => self.begun + u64::from(life),
            SessionLife::PlanEnd => self.step_from + plan_left(self.sent.len()),
            SessionLife::AfterLastPossibleAction(life) => {
                let life = u64::from(life);
                let mut ends = vec![self.begun + life];
                ends.extend(self.codes.iter().map(|(_, made)| self.code_end(*made)));
                for list in &self.policy.send_waits {
                    ends.extend(self.send_from(list.channel, now).map(|at| at + life));
                }
                if self.check_from(now).is_some() {
                    let waits = self.check_from(now).filter(|at| *at > now);
                    let made = self.codes.last().map(|(_, made)| (*made).min(now));
                    ends.extend(waits.or(self.past_wait(now)).or(made).map(|at| at + life));
                }
                ends.into_iter().max().unwrap()
            }
        };
    }

    /// When the wait for the next check ended, if there was one.
    fn past_wait(&self, now: u64) -> Option<u64> {
        let wait = self.policy.check_waits.get(self.wrong().checked_sub(1)?)?;
        let (last, ..) = self.checked.last()?;
        Some(later(*last, *wait, now))
    }
}

fn later(last: u64, wait: u32, now: u64) -> u64 {
    if last > now + CLOCKS_APART {
        now
    } else {
        last + u64::from(wait)
    }
}

/// By so many seconds another node's clock may be ahead; what lies farther ahead is of a clock that was set back.
const CLOCKS_APART: u64 = 10;

/// Numbers for the histories.
struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit
    }
}

/// One history: both sides, and what must hold at every moment.
struct History {
    machine: Verification,
    model: VerificationModel,
    now: u64,
    made: u64,
    approvals: u32,
    first_end: Option<Ending>,
}

impl History {
    fn new(policy: CodePolicy) -> Self {
        let now = 1_000_000;
        Self {
            machine: begun(policy.clone(), at(now)),
            model: VerificationModel::new(policy, now),
            now,
            made: 0,
            approvals: 0,
            first_end: None,
        }
    }

    fn go_on(&mut self, dice: &Dice) -> &'static str {
        match dice.below(16) {
            0..=2 => self.send(dice),
            3..=8 => self.check(dice),
            9..=12 => {
                let step = [1, 30, 60, 125, 300, 700][usize::try_from(dice.below(6)).unwrap()];
                self.now += dice.below(step) + 1;
                "time passes"
            }
            13 => {
                self.now -= dice.below(self.now.min(2_000));
                "the clock is set back"
            }
            14 => self.end(dice),
            _ => {
                // A restart: what is not in the record is forgotten.
                let bytes = records::encode(&self.machine).unwrap();
                self.machine = records::decode(&bytes).unwrap();
                "restart"
            }
        }
    }

    fn send(&mut self, dice: &Dice) -> &'static str {
        let now = at(self.now);
        let planned = !self.machine.policy.plan.is_empty();
        let channel = if dice.below(2) == 0 {
            Channel::Sms
        } else {
            Channel::Call
        };
        let (channel, allowed) = if planned {
            let step = self.model.policy.plan.get(self.model.sent.len());
            let expected = step.is_some() && self.model.status(self.now) == VerificationStatus::Pending;
            assert_eq!(self.machine.require_step(now).is_ok(), expected);
            (step.map_or(channel, |step| step.channel), expected)
        } else {
            let from = self.model.send_from(channel, self.now);
            let pending = self.model.status(self.now) == VerificationStatus::Pending;
            let expected = pending && from.is_some_and(|from| from <= self.now);
            assert_eq!(
                self.machine.require_sendable(channel, now).is_ok(),
                expected,
                "{channel:?}"
            );
            (channel, expected)
        };
        if !allowed {
            return "send refused";
        }
        let fresh =
            self.model.policy.reuse == CodeReuse::NewEachSend || self.model.live_code(self.now).is_none();
        assert_eq!(self.machine.needs_code(channel, now), fresh);
        self.made += u64::from(fresh);
        self.machine
            .record_send(channel, fresh.then(|| code(self.made)), now);
        self.model.sent.push((self.now, channel));
        if fresh {
            self.model.codes.push((self.made, self.now));
        }
        self.model.move_end(self.now);
        "send"
    }

    fn check(&mut self, dice: &Dice) -> &'static str {
        let now = at(self.now);
        // A code that was sent, an earlier one perhaps, or one that never was.
        let given = match dice.below(8) {
            0 => self.made,
            1 => 1 + dice.below(self.made.max(1)),
            _ => 0,
        };
        let pending = self.model.status(self.now) == VerificationStatus::Pending;
        let from = self.model.check_from(self.now);
        let expected = pending && from.is_some_and(|from| from <= self.now);
        let found = self
            .machine
            .require_checkable(now)
            .map(|code| code.sealed.clone());
        assert_eq!(found.is_ok(), expected, "{found:?}");
        let Ok(sealed) = found else {
            return "check refused";
        };
        let right = sealed == code(given).sealed;
        assert_eq!(right, self.model.live_code(self.now) == Some(given));
        self.machine.settle_check(right, Submission::default(), now);
        self.approvals += u32::from(right);
        self.model
            .checked
            .push((self.now, self.model.codes.len() - 1, right));
        let used_up = self.model.wrong() >= usize::try_from(self.model.policy.max_checks).unwrap();
        if right {
            self.model.end = Some(VerificationStatus::Approved);
            return "right code";
        }
        if used_up && self.model.policy.exhaustion != Exhaustion::AwaitsCode {
            self.model.end = Some(VerificationStatus::MaxAttemptsReached);
            return "last wrong code";
        }
        self.model.move_end(self.now);
        "wrong code"
    }

    fn end(&mut self, dice: &Dice) -> &'static str {
        let now = at(self.now);
        let pending = self.model.status(self.now) == VerificationStatus::Pending;
        let (done, expected, status) = match dice.below(12) {
            0 => {
                let done = self.machine.approve(now).is_ok();
                self.approvals += u32::from(done);
                (done, pending, VerificationStatus::Approved)
            }
            1 => (
                self.machine.replace(now).is_ok(),
                pending,
                VerificationStatus::Canceled,
            ),
            2..=4 => {
                let policy = &self.model.policy;
                let old = self.now >= self.model.begun + u64::from(policy.min_cancel_age)
                    || self.model.begun > self.now + CLOCKS_APART;
                let steps = !policy.cancel_needs_step || self.model.sent.len() < policy.plan.len();
                // One that is in the way of others is out of it then, unless a clock that was ahead began it.
                let in_the_way = self.model.status(self.now) == VerificationStatus::MaxAttemptsReached
                    && policy.exhaustion == Exhaustion::Blocks
                    && self.now < self.model.over
                    && self.model.begun <= self.now + 60;
                (
                    self.machine.cancel(now).is_ok(),
                    in_the_way || (pending && old && steps),
                    VerificationStatus::Canceled,
                )
            }
            _ => return "nothing",
        };
        assert_eq!(done, expected);
        if done {
            self.model.end = Some(status);
            return "ended";
        }
        "end refused"
    }

    /// What must hold whatever happened.
    fn look(&mut self) {
        let (machine, model) = (&self.machine, &self.model);
        let now = at(self.now);
        assert_eq!(machine.status(now), model.status(self.now));
        let policy = &machine.policy;
        assert!(self.approvals <= 1, "approved twice");
        assert!(
            machine.sends.len() <= usize::try_from(policy.max_sends.min(Verification::MOST_SENDS)).unwrap()
        );
        let of_codes = machine.codes.iter().map(|code| code.failures);
        let evaluated = match policy.check_scope {
            CheckScope::PerCode => of_codes.max().unwrap_or(0),
            CheckScope::PerSession => of_codes.sum(),
        };
        assert!(evaluated <= policy.max_checks);
        let how = machine.end.map(|end| end.how);
        let taken_out_of_the_way =
            (self.first_end, how) == (Some(Ending::MaxAttemptsReached), Some(Ending::Canceled));
        if self.first_end.is_some() && !taken_out_of_the_way {
            assert_eq!(how, self.first_end, "an end gave way to another");
        }
        self.first_end = how;
        assert!(machine.end.is_none() || machine.next_step_at.is_none());
        let available = machine.availability(now);
        let possible = |from: Option<u64>| {
            let from = from.filter(|_| model.status(self.now) == VerificationStatus::Pending);
            from.map(|from| from.saturating_sub(self.now))
        };
        let wait = |possible| match possible {
            Possible::Never => None,
            Possible::At(moment) => Some(moment.since(now).as_secs()),
        };
        assert_eq!(
            wait(available.sms),
            possible(model.send_from(Channel::Sms, self.now))
        );
        assert_eq!(
            wait(available.call),
            possible(model.send_from(Channel::Call, self.now))
        );
        assert_eq!(wait(available.check), possible(model.check_from(self.now)));
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

#[test]
fn a_hundred_thousand_histories_go_as_a_small_model_says() {
    let workflow_1 = [(Channel::Sms, 125), (Channel::Call, 180), (Channel::Call, 300)];
    let policies = [
        same_code(),
        CodePolicy {
            reuse: CodeReuse::NewEachSend,
            ..same_code()
        },
        waits_by_channel(),
        planned(&workflow_1, 300),
        replacing(),
        text_then_call(),
    ];
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..100_000_u64 {
        let dice = Dice(SeededEntropy::new(seed << 20));
        let policy = &policies[usize::try_from(seed).unwrap() % policies.len()];
        let mut history = History::new(policy.clone());
        let mut told = vec![history.send(&dice)];
        for _ in 0..8 + dice.below(12) {
            told.push(history.go_on(&dice));
            history.look();
        }
        for what in told {
            *seen.entry(what).or_default() += 1;
        }
    }
    // All of it came up, often enough to mean something.
    for what in [
        "send",
        "send refused",
        "right code",
        "wrong code",
        "last wrong code",
        "check refused",
        "ended",
        "end refused",
        "restart",
        "the clock is set back",
    ] {
        assert!(seen.get(what).copied().unwrap_or(0) > 1_000, "{what}: {seen:?}");
    }
}
