//! What a push factor's guard lets through.

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
