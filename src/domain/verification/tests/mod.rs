//! The tables of the protocols' documents, played: what each one's rules let through, and when.

pub(crate) mod samples;

use std::time::Duration;

use self::samples::{begun, code, planned, replacing, same_code, text_then_call, waits_by_channel};
use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn wait(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sends over `channel` at `second` if that may be done, with a new code where the rules want one.
fn send(verification: &mut Verification, channel: Channel, second: u64) -> Result<(), Refusal> {
    verification.require_sendable(channel, at(second))?;
    let new = verification.needs_code(channel, at(second)).then(|| code(second));
    verification.record_send(channel, new, at(second));
    Ok(())
}

/// Gives a code at `second`, which is right or not.
fn check(verification: &mut Verification, right: bool, second: u64) -> Result<VerificationStatus, Refusal> {
    verification.require_checkable(at(second))?;
    verification.settle_check(right, Submission::default(), at(second));
    Ok(verification.status(at(second)))
}

/// Takes the next step of the plan at `second`.
fn step(verification: &mut Verification, second: u64) -> Result<(), Refusal> {
    let step = verification.require_step(at(second))?;
    let new = verification
        .needs_code(step.channel, at(second))
        .then(|| code(second));
    verification.record_send(step.channel, new, at(second));
    Ok(())
}

/// Whole seconds until it is possible, as Signal's metadata say it; `None` for never.
fn until(possible: Possible, second: u64) -> Option<u64> {
    match possible {
        Possible::Never => None,
        Possible::At(moment) => Some(moment.since(at(second)).as_secs()),
    }
}

/// The seconds until a text message, a call, a check and the end.
fn metadata(verification: &Verification, second: u64) -> (Option<u64>, Option<u64>, Option<u64>, u64) {
    let available = verification.availability(at(second));
    (
        until(available.sms, second),
        until(available.call, second),
        until(available.check, second),
        available.expires_at.since(at(second)).as_secs(),
    )
}

mod same_code {
    use super::*;

    #[test]
    fn five_sends_of_one_code_within_ten_minutes() {
        let mut verification = begun(same_code(), at(0));
        for second in 0..5 {
            send(&mut verification, Channel::Sms, second).unwrap();
        }
        assert_eq!(verification.codes.len(), 1);
        let refused = Refusal::TooManySends {
            retry_after: wait(595),
        };
        assert_eq!(send(&mut verification, Channel::Call, 5), Err(refused));
        assert_eq!(verification.status(at(599)), VerificationStatus::Pending);
        assert_eq!(verification.status(at(600)), VerificationStatus::Expired);
        assert_eq!(check(&mut verification, true, 600), Err(Refusal::NotFound));
        assert_eq!(verification.kept_until(), Some(at(600 + 86_400)));
    }

    #[test]
    fn five_checks_and_then_nothing_until_the_ten_minutes_are_over() {
        let mut verification = begun(same_code(), at(0));
        send(&mut verification, Channel::Sms, 0).unwrap();
        for second in 1..5 {
            assert_eq!(
                check(&mut verification, false, second),
                Ok(VerificationStatus::Pending)
            );
        }
        assert_eq!(
            check(&mut verification, false, 5),
            Ok(VerificationStatus::MaxAttemptsReached)
        );
        let refused = Refusal::TooManyChecks {
            retry_after: wait(590),
        };
        assert_eq!(check(&mut verification, true, 10), Err(refused.clone()));
        assert_eq!(verification.require_unblocked(at(10)), Err(refused));
        assert_eq!(send(&mut verification, Channel::Sms, 10), Err(Refusal::NotFound));
        assert_eq!(check(&mut verification, true, 600), Err(Refusal::NotFound));
        assert_eq!(verification.require_unblocked(at(600)), Ok(()));
        assert_eq!(
            verification.status(at(10_000)),
            VerificationStatus::MaxAttemptsReached
        );
    }

    #[test]
    fn a_new_code_for_each_sending_resets_no_count() {
        let policy = CodePolicy {
            reuse: CodeReuse::NewEachSend,
            ..same_code()
        };
        let mut verification = begun(policy, at(0));
        send(&mut verification, Channel::Sms, 0).unwrap();
        for second in 1..5 {
            check(&mut verification, false, second).unwrap();
        }
        send(&mut verification, Channel::Sms, 100).unwrap();
        assert_eq!(verification.codes.len(), 2);
        assert_eq!(
            check(&mut verification, false, 101),
            Ok(VerificationStatus::MaxAttemptsReached)
        );
    }

    #[test]
    fn the_right_code_is_accepted_once() {
        let mut verification = begun(same_code(), at(0));
        send(&mut verification, Channel::Sms, 0).unwrap();
        assert_eq!(
            check(&mut verification, true, 30),
            Ok(VerificationStatus::Approved)
        );
        assert_eq!(check(&mut verification, true, 30), Err(Refusal::NotFound));
        assert_eq!(verification.cancel(at(31)), Err(Refusal::NotFound));
        assert_eq!(send(&mut verification, Channel::Sms, 31), Err(Refusal::Approved));
        assert_eq!(verification.kept_until(), Some(at(30 + 86_400)));
    }
}

mod waits_by_channel {
    use super::*;

    #[test]
    fn what_may_be_done_after_each_thing_that_was() {
        let mut session = begun(waits_by_channel(), at(0));
        // Before the first message: no call, no check, ten minutes.
        assert_eq!(metadata(&session, 0), (Some(0), None, None, 600));
        assert_eq!(check(&mut session, true, 0), Err(Refusal::NoCodeSent));
        assert!(matches!(
            send(&mut session, Channel::Call, 0),
            Err(Refusal::TooManySends { .. })
        ));
        // k waits are k + 1 sendings, and the end is ten minutes after the last thing that can be done.
        send(&mut session, Channel::Sms, 10).unwrap();
        assert_eq!(metadata(&session, 10), (Some(60), Some(60), Some(0), 660));
        let soon = Refusal::TooSoon { retry_after: wait(1) };
        assert_eq!(send(&mut session, Channel::Sms, 69), Err(soon.clone()));
        assert_eq!(send(&mut session, Channel::Call, 69), Err(soon));
        send(&mut session, Channel::Call, 70).unwrap();
        assert_eq!(metadata(&session, 70), (Some(0), Some(60), Some(0), 660));
        send(&mut session, Channel::Sms, 70).unwrap();
        assert_eq!(metadata(&session, 70), (Some(120), Some(60), Some(0), 720));
        send(&mut session, Channel::Sms, 190).unwrap();
        assert_eq!(metadata(&session, 190), (Some(300), Some(0), Some(0), 900));
        send(&mut session, Channel::Sms, 490).unwrap();
        send(&mut session, Channel::Sms, 1_090).unwrap();
        assert_eq!(metadata(&session, 1_090), (None, Some(0), Some(0), 600));
        send(&mut session, Channel::Call, 1_090).unwrap();
        assert_eq!(metadata(&session, 1_090), (None, Some(300), Some(0), 900));
        send(&mut session, Channel::Call, 1_390).unwrap();
        assert_eq!(metadata(&session, 1_390), (None, None, Some(0), 600));
        assert_eq!(session.codes.len(), 8);
        assert_eq!(session.status(at(1_989)), VerificationStatus::Pending);
        assert_eq!(session.status(at(1_990)), VerificationStatus::Expired);
    }

    #[test]
    fn five_checks_of_each_code_with_longer_and_longer_waits() {
        let mut session = begun(waits_by_channel(), at(0));
        send(&mut session, Channel::Sms, 0).unwrap();
        for _ in 0..3 {
            check(&mut session, false, 5).unwrap();
        }
        assert_eq!(metadata(&session, 5).2, Some(60));
        assert_eq!(
            check(&mut session, true, 64),
            Err(Refusal::TooSoon { retry_after: wait(1) })
        );
        check(&mut session, false, 65).unwrap();
        assert_eq!(metadata(&session, 65).2, Some(120));
        check(&mut session, false, 185).unwrap();
        assert_eq!(metadata(&session, 185).2, None);
        assert!(matches!(
            check(&mut session, true, 200),
            Err(Refusal::TooManyChecks { .. })
        ));
        // A new code begins anew; what counts across codes is kept with the destination.
        send(&mut session, Channel::Sms, 200).unwrap();
        assert_eq!(metadata(&session, 200).2, Some(0));
        assert_eq!(check(&mut session, true, 200), Ok(VerificationStatus::Approved));
        assert_eq!(metadata(&session, 200).0, None);
        assert!(session.stays_approved());
        assert_eq!(session.kept_until(), Some(at(800)));
    }

    #[test]
    fn a_code_has_its_ten_minutes_while_the_session_goes_on() {
        let mut session = begun(waits_by_channel(), at(0));
        send(&mut session, Channel::Sms, 0).unwrap();
        assert_eq!(check(&mut session, true, 600), Err(Refusal::CodeExpired));
        assert_eq!(metadata(&session, 600).2, None);
        send(&mut session, Channel::Sms, 610).unwrap();
        assert_eq!(check(&mut session, true, 611), Ok(VerificationStatus::Approved));
    }

    #[test]
    fn a_number_that_takes_no_messages_can_be_called_at_once() {
        let mut session = begun(waits_by_channel(), at(0));
        send(&mut session, Channel::Sms, 10).unwrap();
        session.note_outcome(0, SendingOutcome::ChannelRefused, at(11));
        let (sms, call, _, _) = metadata(&session, 11);
        assert_eq!((sms, call), (None, Some(0)));
        let mut unavailable = begun(waits_by_channel(), at(0));
        send(&mut unavailable, Channel::Sms, 10).unwrap();
        unavailable.note_outcome(0, SendingOutcome::Unavailable, at(11));
        let (sms, call, _, _) = metadata(&unavailable, 11);
        assert_eq!((sms, call), (Some(0), Some(0)), "one was tried for");
    }
}

mod planned {
    use super::*;

    const WORKFLOW_1: [(Channel, u32); 3] = [(Channel::Sms, 125), (Channel::Call, 180), (Channel::Call, 300)];

    /// Plays a workflow to its end: when each event was, with which code, and when it was over.
    fn played(steps: &[(Channel, u32)], code_life: u32) -> (Vec<u64>, Vec<u8>, u64) {
        let mut request = begun(planned(steps, code_life), at(0));
        step(&mut request, 0).unwrap();
        while let Some(due) = request.next_step_at {
            assert!(request.is_pending(due));
            step(&mut request, due.since(at(0)).as_secs()).unwrap();
        }
        let times = request
            .sends
            .iter()
            .map(|send| send.at.since(at(0)).as_secs())
            .collect();
        let codes = request.sends.iter().map(|send| send.code).collect();
        (times, codes, request.expires_at.since(at(0)).as_secs())
    }

    #[test]
    fn workflows_last_as_long_as_their_waits_and_codes_as_long_as_they_live() {
        use Channel::{Call, Sms};
        assert_eq!(played(&WORKFLOW_1, 300), (vec![0, 125, 305], vec![0, 0, 1], 605));
        assert_eq!(
            played(&[(Sms, 125), (Sms, 180), (Call, 300)], 300),
            (vec![0, 125, 305], vec![0, 0, 1], 605)
        );
        assert_eq!(
            played(&[(Call, 150), (Call, 150)], 300),
            (vec![0, 150], vec![0, 0], 300)
        );
        assert_eq!(
            played(&[(Sms, 120), (Sms, 180)], 300),
            (vec![0, 120], vec![0, 0], 300)
        );
        assert_eq!(
            played(&[(Sms, 125), (Call, 300)], 300),
            (vec![0, 125], vec![0, 0], 425)
        );
        assert_eq!(played(&[(Sms, 300)], 300), (vec![0], vec![0], 300));
        // next_event_wait in place of every wait, and what the document says of each life of a code.
        let every_120 = WORKFLOW_1.map(|(channel, _)| (channel, 120));
        assert_eq!(played(&every_120, 360), (vec![0, 120, 240], vec![0, 0, 0], 360));
        assert_eq!(played(&every_120, 240), (vec![0, 120, 240], vec![0, 0, 1], 360));
        assert_eq!(played(&every_120, 120), (vec![0, 120, 240], vec![0, 1, 2], 360));
    }

    #[test]
    fn three_wrong_codes_of_one_fail_it_but_a_new_one_has_its_own_three() {
        let mut request = begun(planned(&WORKFLOW_1, 300), at(0));
        step(&mut request, 0).unwrap();
        check(&mut request, false, 10).unwrap();
        check(&mut request, false, 290).unwrap();
        step(&mut request, 125).unwrap();
        step(&mut request, 305).unwrap();
        check(&mut request, false, 310).unwrap();
        assert_eq!(check(&mut request, false, 311), Ok(VerificationStatus::Pending));
        assert_eq!(
            check(&mut request, false, 312),
            Ok(VerificationStatus::MaxAttemptsReached)
        );
        // Another one may begin at once.
        assert_eq!(request.require_unblocked(at(312)), Ok(()));
        assert_eq!(request.next_step_at, None);
    }

    #[test]
    fn between_two_codes_none_is_right() {
        let mut request = begun(planned(&WORKFLOW_1, 300), at(0));
        step(&mut request, 0).unwrap();
        step(&mut request, 125).unwrap();
        assert_eq!(check(&mut request, true, 302), Err(Refusal::CodeExpired));
    }

    #[test]
    fn it_is_canceled_after_half_a_minute_and_before_the_last_event() {
        let mut request = begun(planned(&WORKFLOW_1, 300), at(0));
        step(&mut request, 0).unwrap();
        let early = Refusal::NotCancellableYet { retry_after: wait(1) };
        assert_eq!(request.cancel(at(29)), Err(early));
        assert_eq!(request.clone().cancel(at(30)), Ok(()));
        step(&mut request, 40).unwrap();
        assert_eq!(request.next_step_at, Some(at(220)));
        step(&mut request, 50).unwrap();
        assert_eq!(request.expires_at, at(350));
        assert_eq!(step(&mut request, 60), Err(Refusal::NoStepLeft));
        assert_eq!(request.cancel(at(60)), Err(Refusal::NoStepLeft));
        assert!(request.is_pending(at(349)));
        assert_eq!(request.status(at(350)), VerificationStatus::Expired);
    }

    #[test]
    fn the_right_code_stops_the_plan() {
        let mut request = begun(planned(&WORKFLOW_1, 300), at(0));
        step(&mut request, 0).unwrap();
        check(&mut request, true, 20).unwrap();
        assert_eq!(request.next_step_at, None);
        assert_eq!(step(&mut request, 125), Err(Refusal::Approved));
        assert!(request.checks[0].submitted.is_none());
    }
}

mod replacing {
    use super::*;

    #[test]
    fn it_waits_until_it_is_replaced_but_its_code_does_not() {
        let mut phone = begun(replacing(), at(0));
        send(&mut phone, Channel::Sms, 0).unwrap();
        assert!(phone.is_pending(at(100 * 86_400)));
        assert_eq!(phone.kept_until(), None);
        assert_eq!(
            check(&mut phone.clone(), true, 3_599),
            Ok(VerificationStatus::Approved)
        );
        assert_eq!(check(&mut phone, true, 3_600), Err(Refusal::CodeExpired));
        phone.replace(at(4_000)).unwrap();
        assert_eq!(check(&mut phone, true, 4_000), Err(Refusal::NotFound));
        assert_eq!(phone.status(at(4_000)), VerificationStatus::Canceled);
        assert_eq!(phone.kept_until(), Some(at(4_000 + 86_400)));
    }
}

mod text_then_call {
    use super::*;

    #[test]
    fn the_same_code_comes_again_by_call_after_the_timeout() {
        let mut sign_in = begun(text_then_call(), at(0));
        send(&mut sign_in, Channel::Sms, 0).unwrap();
        assert_eq!(metadata(&sign_in, 0), (None, Some(60), Some(0), 600));
        assert!(matches!(
            send(&mut sign_in, Channel::Call, 59),
            Err(Refusal::TooSoon { .. })
        ));
        send(&mut sign_in, Channel::Call, 60).unwrap();
        assert_eq!(metadata(&sign_in, 60), (None, None, Some(0), 540));
        assert_eq!(sign_in.codes.len(), 1);
    }
}

#[test]
fn a_clock_set_back_makes_nobody_wait_for_the_jump() {
    let mut session = begun(waits_by_channel(), at(1_000_000));
    send(&mut session, Channel::Sms, 1_000_000).unwrap();
    for _ in 0..4 {
        session.settle_check(false, Submission::default(), at(1_000_000));
    }
    let (sms, call, check, _) = metadata(&session, 0);
    assert_eq!((sms, call, check), (Some(0), Some(0), Some(0)));
    let mut request = begun(
        planned(&[(Channel::Sms, 300), (Channel::Sms, 300)], 300),
        at(1_000_000),
    );
    step(&mut request, 1_000_000).unwrap();
    assert_eq!(request.cancel(at(0)), Ok(()));
}

#[test]
fn as_many_checks_are_remembered_as_fit_into_a_record() {
    let policy = CodePolicy {
        max_checks: u32::MAX,
        ..replacing()
    };
    let mut verification = begun(policy, at(0));
    send(&mut verification, Channel::Sms, 0).unwrap();
    for second in 0..250 {
        check(&mut verification, false, second).unwrap();
    }
    assert_eq!(verification.checks.len(), Verification::MOST_CHECKS);
    assert_eq!(verification.codes[0].failures, 250);
}
