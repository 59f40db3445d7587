//! Which messages of a session are taken, and what is remembered of those that are sent.

use super::*;

const NOW: Timestamp = Timestamp::MAX;

fn at(seconds: u64) -> i64 {
    i64::try_from(seconds << 32).unwrap()
}

#[test]
fn identifiers_are_of_this_moment_and_a_clients() {
    let now = Timestamp::from_seconds(1_800_000_000);
    for (id, taken) in [
        (at(1_800_000_000), Ok(())),
        (at(1_800_000_000 - 300), Ok(())),
        (at(1_800_000_000 - 301), Err(BadMessage::TooLow)),
        (at(1_800_000_030), Ok(())),
        (at(1_800_000_031), Err(BadMessage::TooHigh)),
        (at(1_800_000_000) + 1, Err(BadMessage::NotAClients)),
        (at(1_800_000_000) + 2, Err(BadMessage::NotAClients)),
        (-4, Err(BadMessage::NotAClients)),
        (0, Err(BadMessage::TooLow)),
    ] {
        assert_eq!(require_timely(id, now), taken, "{id:x}");
    }
    assert_eq!(require_timely(i64::MAX - 3, NOW), Err(BadMessage::TooLow));
}

#[test]
fn a_message_is_taken_once() {
    let mut session = Session::default();
    assert_eq!(session.take(8, 1, Some(true)), Ok(MessageArrival::New));
    assert_eq!(session.take(8, 1, Some(true)), Ok(MessageArrival::Again));
    assert_eq!(
        session.take(4, 0, Some(false)),
        Ok(MessageArrival::New),
        "in any order"
    );
    assert_eq!(session.take(4, 0, Some(false)), Ok(MessageArrival::Again));
}

#[test]
fn what_is_too_old_to_be_told_apart_is_not_taken() {
    let mut session = Session::since(400);
    assert_eq!(session.take(400, 1, None), Err(BadMessage::TooLow));
    let count = i64::try_from(MOST_RECEIVED).unwrap() + 1;
    for number in 1..=count {
        let seqno = u32::try_from(2 * number + 1).unwrap();
        assert_eq!(
            session.take(400 + 4 * number, seqno, None),
            Ok(MessageArrival::New)
        );
    }
    assert_eq!(session.take(404, 3, None), Err(BadMessage::TooOld));
    assert_eq!(session.take(408, 5, None), Ok(MessageArrival::Again));
    assert_eq!(session.received.len(), MOST_RECEIVED);
}

#[test]
fn numbers_grow_with_identifiers_and_say_what_is_to_be_confirmed() {
    let mut session = Session::default();
    assert_eq!(session.take(40, 5, Some(true)), Ok(MessageArrival::New));
    for (id, seqno, confirmed, why) in [
        (44, 5, Some(true), BadMessage::NumberTooLow),
        (44, 3, Some(true), BadMessage::NumberTooLow),
        (36, 5, Some(true), BadMessage::NumberTooHigh),
        (36, 7, Some(true), BadMessage::NumberTooHigh),
        (44, 6, Some(true), BadMessage::NumberEven),
        (44, 7, Some(false), BadMessage::NumberOdd),
    ] {
        assert_eq!(session.take(id, seqno, confirmed), Err(why));
    }
    assert_eq!(session.take(44, 6, Some(false)), Ok(MessageArrival::New));
    assert_eq!(session.take(48, 7, Some(true)), Ok(MessageArrival::New));
}

#[test]
fn identifiers_that_are_sent_grow_whatever_the_clock_does() {
    let mut session = Session::default();
    let mut last = 0;
    for seconds in [100, 100, 50, 101, 0] {
        for is_answer in [true, false] {
            let id = session.next_id(Timestamp::from_seconds(seconds), is_answer);
            assert!(id > last);
            assert_eq!(id % 4, if is_answer { 1 } else { 3 });
            last = id;
        }
    }
}

#[test]
fn answers_are_kept_until_they_are_confirmed_and_never_too_many() {
    let mut session = Session::default();
    session.take(8, 1, Some(true)).unwrap();
    let now = Timestamp::from_seconds(100);
    assert_eq!(session.state_of(8, now), 4);
    let answer = session.send(now, vec![1; 8], Some(8), true);
    assert_eq!(session.state_of(8, now), 76);
    assert_eq!(session.answer_to(8).map(|sent| sent.id), Some(answer.id));
    session.confirm(&[answer.id]);
    assert!(session.answer_to(8).is_none() && session.sent(answer.id).is_none());
    for _ in 0..100 {
        session.send(now, vec![1; 8], None, true);
    }
    assert_eq!(session.sent.len(), MOST_SENT);
    session.send(now, vec![1; MOST_SENT_BYTES], None, true);
    assert_eq!(session.sent.len(), 1);
    session.send(now, vec![1; MOST_SENT_BYTES + 1], None, true);
    assert_eq!(session.sent.len(), 1, "it alone has no room");
}

#[test]
fn results_of_calls_stay_rather_than_what_can_be_asked_for_again() {
    let mut session = Session::default();
    let now = Timestamp::from_seconds(100);
    let result = session.send(now, RPC_RESULT.to_le_bytes().to_vec(), Some(8), true);
    for _ in 0..2 * MOST_SENT {
        session.send(now, vec![1; 200], None, true);
    }
    assert!(session.sent(result.id).is_some());
    assert!(session.sent.len() <= MOST_SENT);
}

#[test]
fn what_was_sent_on_another_connection_is_sent_once_more_on_this_one() {
    let mut session = Session::default();
    let now = Timestamp::from_seconds(100);
    session.speak_on(1);
    let first = session.send(now, vec![1; 8], Some(8), true);
    assert!(session.unheard().is_empty(), "it is this one");
    session.speak_on(2);
    let second = session.send(now, vec![1; 8], Some(12), true);
    let ids = |sent: Vec<SentMessage>| sent.iter().map(|sent| sent.id).collect::<Vec<_>>();
    assert_eq!(ids(session.unheard()), [first.id]);
    assert!(session.unheard().is_empty(), "once");
    session.speak_on(3);
    session.confirm(&[first.id]);
    assert_eq!(ids(session.unheard()), [second.id]);
}

#[test]
fn states_tell_what_has_come_and_what_cannot_be_told() {
    let now = Timestamp::from_seconds(1_000_000);
    let mut session = Session::since(at(999_990));
    session.take(at(1_000_000), 1, None).unwrap();
    for (id, state) in [
        (at(999_980), 1),
        (at(999_995), 2),
        (at(1_000_100), 3),
        (at(1_000_000), 4),
    ] {
        assert_eq!(session.state_of(id, now), state, "{id:x}");
    }
}
