//! Which sessions are remembered, for how long, and what becomes of those that are not.

use super::*;
use crate::dialect::telegram::session::{BadMessage, MessageArrival};
use crate::doubles::{ManualClock, SeededEntropy};

fn now(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(1_000_000 + seconds)
}

fn at(seconds: u64) -> i64 {
    i64::try_from((1_000_000 + seconds) << 32).unwrap()
}

fn sessions() -> Sessions {
    Sessions::new(&SeededEntropy::new(1), now(0))
}

fn open(sessions: &Sessions, key: i64, session: i64, at: u64) -> Arc<Mutex<Session>> {
    sessions
        .open(key, session, false, now(at))
        .expect("there is room")
}

fn take(sessions: &Sessions, session: i64, id: i64, at: u64) -> Result<MessageArrival, BadMessage> {
    let session = open(sessions, 1, session, at);
    session.lock().unwrap().take(id, 0, None)
}

#[test]
fn a_message_of_a_forgotten_session_is_not_taken_again() {
    let sessions = sessions();
    take(&sessions, 5, at(10), 10).unwrap();
    assert_eq!(take(&sessions, 5, at(10), 10), Ok(MessageArrival::Again));
    assert!(sessions.destroy(1, 5));
    assert!(!sessions.destroy(1, 5) && !sessions.destroy(2, 5));
    assert_eq!(take(&sessions, 5, at(10), 11), Err(BadMessage::TooLow));

    take(&sessions, 5, at(20), 20).unwrap();
    for other in 100..100 + i64::try_from(MOST_OF_A_KEY).unwrap() {
        open(&sessions, 1, other, 21);
    }
    assert_eq!(take(&sessions, 5, at(20), 21), Err(BadMessage::TooLow));
    assert_eq!(sessions.lock().count, MOST_OF_A_KEY);

    take(&sessions, 5, at(22), 22).unwrap();
    open(&sessions, 2, 9, 22 + LIFE.as_secs());
    assert_eq!(sessions.lock().count, 1);
    assert_eq!(take(&sessions, 5, at(22), 23), Err(BadMessage::TooLow));
}

#[test]
fn a_session_that_is_worked_on_is_left_alone_or_closed() {
    let sessions = sessions();
    let most = i64::try_from(MOST_OF_A_KEY).unwrap();
    let mut held: Vec<_> = (0..most).map(|session| open(&sessions, 1, session, 1)).collect();
    held.pop();
    open(&sessions, 1, most, 3);
    let closed = |held: &[Arc<Mutex<Session>>]| {
        let closed = held.iter().filter(|session| session.lock().unwrap().is_closed());
        closed.count()
    };
    assert_eq!(closed(&held), 0, "the one that nobody worked on went");
    held.push(open(&sessions, 1, most, 4));
    open(&sessions, 1, most + 1, 5);
    assert_eq!(closed(&held), 1);
    let third = open(&sessions, 9, 3, 6);
    assert!(sessions.destroy(9, 3) && third.lock().unwrap().is_closed());
}

#[test]
fn a_clock_that_is_set_back_begins_anew_with_other_salts() {
    let (sessions, entropy) = (sessions(), SeededEntropy::new(2));
    let of = |seconds| sessions.salting(&entropy, &ManualClock::new(now(seconds))).0;
    let first = of(100);
    take(&sessions, 5, at(100), 100).unwrap();
    assert_eq!(of(95), first, "it was corrected");
    assert_eq!(take(&sessions, 5, at(100), 95), Ok(MessageArrival::Again));
    assert_eq!(of(5000), first);
    sessions
        .to_refuse_in(1, 7)
        .lock()
        .unwrap()
        .next_id(now(5000), false);
    open(&sessions, 2, 9, 5000);
    let other = of(101);
    assert_ne!(other, first);
    let session = open(&sessions, 1, 7, 101);
    let id = session.lock().unwrap().next_id(now(101), false);
    assert!(id < at(102), "nothing is left of the time that was not yet");
    assert_eq!(take(&sessions, 5, at(101), 101), Ok(MessageArrival::New));
    assert_eq!(of(102), other);
}

#[test]
fn keys_that_anybody_makes_do_not_have_those_with_a_login_forgotten() {
    let sessions = sessions();
    for key in 0..100 {
        assert!(sessions.open(key, 5, true, now(1)).is_some());
    }
    let many = i64::try_from(MOST).unwrap();
    let (mut refused, mut last) = (0, 0);
    for key in 1000..1000 + many {
        // Their clocks are ahead, so that what is known of them has to stay.
        match sessions.open(key, 5, false, now(2)) {
            Some(session) => {
                session.lock().unwrap().take(at(30), 0, None).unwrap();
                last = key;
            }
            None => refused += 1,
        }
    }
    assert!(sessions.lock().weight() <= MOST + 1 && refused > many / 4);
    assert!(sessions.open(last, 5, false, now(2)).is_some(), "it is known");
    assert!(sessions.open(500, 5, true, now(2)).is_some(), "it has a login");
    for second in 3..60 {
        let _room_or_none = sessions.open(900_000 + i64::try_from(second).unwrap(), 5, false, now(second));
    }
    let mut table = sessions.lock();
    assert!(table.weight() < MANY, "others find room");
    assert_eq!((0..100).filter(|key| table.known(*key, 5).is_some()).count(), 100);
}

#[test]
fn the_few_without_a_login_are_left_alone_where_many_have_one() {
    let sessions = sessions();
    let many = i64::try_from(MANY / 2 - 100).unwrap();
    for key in 0..many {
        sessions.open(key, 5, true, now(1)).unwrap();
    }
    for key in many..many + 200 {
        let session = sessions.open(key, 5, false, now(2)).unwrap();
        session.lock().unwrap().take(at(2), 0, None).unwrap();
    }
    for second in 3..30 {
        sessions
            .open(many, i64::try_from(second).unwrap(), false, now(second))
            .unwrap();
    }
    let mut table = sessions.lock();
    assert!(table.weight() >= MANY);
    assert!((many + 1..many + 200).all(|key| table.known(key, 5).is_some()));
}

#[test]
fn what_was_forgotten_of_others_keeps_no_known_key_out() {
    let sessions = sessions();
    let known = sessions.open(1, 5, true, now(1)).unwrap();
    known.lock().unwrap().take(at(1), 0, None).unwrap();
    sessions.lock().forgotten = at(20);
    let other = sessions.open(1, 6, true, now(10)).unwrap();
    assert_eq!(
        other.lock().unwrap().take(at(10), 0, None),
        Ok(MessageArrival::New)
    );
    let stranger = sessions.open(2, 6, false, now(10)).unwrap();
    assert_eq!(
        stranger.lock().unwrap().take(at(10), 0, None),
        Err(BadMessage::TooLow)
    );
}

#[test]
fn keys_with_a_login_are_not_remembered_without_end_either() {
    let sessions = sessions();
    let many = i64::try_from(3 * MOST).unwrap();
    for key in 0..many {
        let second = u64::try_from(key / 10_000).unwrap();
        let _room_or_none = sessions.open(key, 5, true, now(second));
        assert!(sessions.lock().weight() <= 2 * MOST + 1);
    }
    assert!(sessions.open(many, 5, true, now(60)).is_some());
}

#[test]
fn refusing_makes_no_session_and_no_identifier_comes_twice() {
    let sessions = sessions();
    let said = |session: &Arc<Mutex<Session>>| session.lock().unwrap().next_id(now(1), false);
    let first = said(&sessions.to_refuse_in(1, 5));
    let second = said(&sessions.to_refuse_in(1, 5));
    assert_eq!(sessions.lock().count, 0);
    let session = open(&sessions, 1, 5, 1);
    let third = said(&session);
    let fourth = said(&sessions.to_refuse_in(1, 5));
    assert!(first < second && second < third && third < fourth);
    assert!(Arc::ptr_eq(&session, &sessions.to_refuse_in(1, 5)));
    assert_eq!(sessions.lock().count, 1);
}

#[test]
fn keys_whose_sessions_were_destroyed_count_too() {
    let sessions = sessions();
    let many = 2 * i64::try_from(MOST).unwrap();
    for key in 0..many {
        if let Some(session) = sessions.open(key, 5, false, now(1)) {
            let _taken_or_too_low = session.lock().unwrap().take(at(1), 0, None);
            assert!(sessions.destroy(key, 5));
        }
    }
    assert!(sessions.lock().of_keys.len() <= MOST);
    let again = open(&sessions, 0, 5, 2);
    assert_eq!(
        again.lock().unwrap().take(at(1), 0, None),
        Err(BadMessage::TooLow)
    );
}

#[test]
fn a_key_that_is_no_more_leaves_nothing() {
    let sessions = sessions();
    for id in 0..5 {
        open(&sessions, 1, id, 0);
        open(&sessions, 2, id, 0);
    }
    sessions.forget_key(1);
    sessions.forget_key(1);
    assert_eq!(sessions.lock().count, 5);
    assert_eq!(sessions.lock().of_keys.len(), 1);
    assert!(!sessions.destroy(1, 0) && sessions.destroy(2, 0));
    assert_eq!(sessions.lock().count, 4);
}
