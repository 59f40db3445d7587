//! The seven workflows, and the rules of a request, as data for the core.

use crate::domain::attempt::Attempt;
use crate::domain::channel::Channel;
use crate::domain::verification::{
    Alphabet, CheckScope, CodePolicy, CodeReuse, Exhaustion, PlanStep, SentCodeLength, SessionLife,
    Uniqueness,
};

/// The workflow of requests that name none.
pub(super) const USUAL_WORKFLOW: u32 = 1;

/// How long a code is right if the request does not say, in seconds.
const CODE_LIFE: u32 = 300;

/// How long a code that the caller chose is right: longer than any plan, so that there is only this one.
const CHOSEN_CODE_LIFE: u32 = 24 * 60 * 60;

/// How long a request can be searched for after it ended, in seconds: a day less than its attempts are kept, which know its
/// price.
const RETENTION: u32 = 29 * 24 * 60 * 60;

/// What a caller chose of the rules.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timing {
    /// 1 to 7.
    pub(super) workflow: Option<u32>,
    /// In seconds.
    pub(super) next_event_wait: Option<u32>,
    /// In seconds.
    pub(super) pin_expiry: Option<u32>,
}

/// What a chosen code is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeKind {
    /// Drawn, with this many digits.
    Drawn(SentCodeLength),
    /// The caller's own, of these characters.
    Chosen(Alphabet, SentCodeLength),
}

/// The events of a workflow, each with the seconds until the next one.
fn events(workflow: u32) -> &'static [(Channel, u32)] {
    match workflow {
        2 => &[(Channel::Sms, 125), (Channel::Sms, 180), (Channel::Call, 300)],
        3 => &[(Channel::Call, 150), (Channel::Call, 150)],
        4 => &[(Channel::Sms, 120), (Channel::Sms, 180)],
        5 => &[(Channel::Sms, 125), (Channel::Call, 300)],
        6 => &[(Channel::Sms, 300)],
        7 => &[(Channel::Call, 300)],
        _ => &[(Channel::Sms, 125), (Channel::Call, 180), (Channel::Call, 300)],
    }
}

/// The rules of a request.
pub(super) fn policy(timing: Timing, code: CodeKind) -> CodePolicy {
    let steps = events(timing.workflow.unwrap_or(USUAL_WORKFLOW));
    let plan: Vec<_> = steps
        .iter()
        .map(|&(channel, wait)| PlanStep {
            channel,
            wait: timing.next_event_wait.unwrap_or(wait),
        })
        .collect();
    let (alphabet, code_length, code_life) = match code {
        CodeKind::Drawn(length) => (Alphabet::Digits, length, code_life(timing)),
        CodeKind::Chosen(alphabet, length) => (alphabet, length, CHOSEN_CODE_LIFE),
    };
    CodePolicy {
        alphabet,
        code_length,
        code_life,
        reuse: CodeReuse::KeepWhileValid,
        session_life: SessionLife::PlanEnd,
        max_sends: u32::try_from(plan.len()).unwrap_or(u32::MAX),
        plan,
        send_waits: Vec::new(),
        call_after_sms: None,
        check_waits: Vec::new(),
        max_checks: 3,
        check_scope: CheckScope::PerCode,
        min_cancel_age: 30,
        uniqueness: Uniqueness::RejectWithExisting,
        single_use: true,
        keeps_submitted: true,
        retention: RETENTION,
        exhaustion: Exhaustion::Ends,
        counts_malformed: false,
        cancel_needs_step: true,
        calls_tell_payments: true,
    }
}

/// How long a code is right. Where a caller says both, it must be a multiple of the wait, or else it is the wait.
fn code_life(timing: Timing) -> u32 {
    match (timing.pin_expiry, timing.next_event_wait) {
        (Some(life), Some(wait)) if !life.is_multiple_of(wait) => wait,
        (Some(life), _) => life,
        (None, _) => CODE_LIFE,
    }
}

const _: () = assert!((RETENTION as u64) < Attempt::RETENTION.as_secs());

#[cfg(test)]
mod tests {
    use super::*;

    fn with(workflow: u32, next_event_wait: Option<u32>, pin_expiry: Option<u32>) -> CodePolicy {
        let timing = Timing {
            workflow: Some(workflow),
            next_event_wait,
            pin_expiry,
        };
        policy(timing, CodeKind::Drawn(SentCodeLength::new(4).unwrap()))
    }

    #[test]
    fn workflows_take_as_long_as_their_table_says() {
        let lives = [1, 2, 3, 4, 5, 6, 7].map(|workflow| {
            let policy = with(workflow, None, None);
            policy.plan.iter().map(|step| step.wait).sum::<u32>()
        });
        assert_eq!(lives, [605, 605, 300, 300, 425, 300, 300]);
        let waits: Vec<_> = with(1, Some(60), None)
            .plan
            .iter()
            .map(|step| step.wait)
            .collect();
        assert_eq!(waits, [60, 60, 60]);
    }

    #[test]
    fn a_code_is_right_for_a_multiple_of_the_wait() {
        let life = |wait, expiry| with(1, wait, expiry).code_life;
        assert_eq!(life(None, None), 300);
        assert_eq!(life(None, Some(90)), 90);
        assert_eq!(life(Some(200), None), 300, "the rule is for who says both");
        for (expiry, expected) in [(360, 360), (240, 240), (120, 120), (90, 120), (200, 120)] {
            assert_eq!(life(Some(120), Some(expiry)), expected, "{expiry}");
        }
    }
}
