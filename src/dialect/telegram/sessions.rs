//! The sessions of all keys, whichever connection they are used on.
//!
//! Invariant: a message that was taken once is not taken again, whatever is forgotten here: of a session that is new to this
//! process only messages are taken that are later than all of those that were forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::session::Session;
use crate::domain::time::Timestamp;

/// The sessions that are remembered.
#[derive(Debug)]
pub struct Sessions {
    keys: Mutex<SessionTable>,
    /// What is refused without a session is refused in this one.
    refusing: Arc<Mutex<Session>>,
}

#[derive(Debug)]
struct SessionTable {
    of_keys: HashMap<i64, OfKey>,
    /// Of all keys together.
    count: usize,
    /// Messages up to this identifier may have come before.
    forgotten: i64,
    swept: Timestamp,
}

/// What is remembered of one key. Nobody else is kept from anything by what its owner sends.
#[derive(Debug)]
struct OfKey {
    sessions: Vec<Remembered>,
    /// Messages up to this identifier may have come before, in a session that was forgotten.
    forgotten: i64,
    /// Whether somebody was logged in with it when it was last used: anybody can make keys, and a login takes a code.
    has_login: bool,
}

#[derive(Debug)]
struct Remembered {
    id: i64,
    session: Arc<Mutex<Session>>,
    used: Timestamp,
}

impl Sessions {
    /// None yet: a process that begins at `now` knows nothing of the messages before.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let table = SessionTable {
            of_keys: HashMap::new(),
            count: 0,
            forgotten: identifier(now),
            swept: now,
        };
        Self {
            keys: Mutex::new(table),
            refusing: Arc::default(),
        }
    }

    /// The session of a key, made if it is not known.
    pub fn open(&self, key: i64, id: i64, now: Timestamp) -> Arc<Mutex<Session>> {
        let mut table = self.lock();
        table.make_room(now);
        let forgotten = table.forgotten;
        let of_key = table.of_keys.entry(key).or_insert_with(|| OfKey {
            sessions: Vec::new(),
            forgotten,
            has_login: false,
        });
        if let Some(known) = of_key.sessions.iter_mut().find(|known| known.id == id) {
            known.used = now;
            return Arc::clone(&known.session);
        }
        let mut added = 1;
        if of_key.sessions.len() >= MOST_OF_A_KEY {
            let sessions = of_key.sessions.iter().enumerate();
            if let Some((oldest, _)) = sessions.min_by_key(|(_, known)| known.used) {
                of_key.forget(oldest);
                added = 0;
            }
        }
        let mut session = Session::since(of_key.forgotten.max(forgotten));
        // Clients ignore a message with an identifier that they have had, and they may have been refused a moment ago.
        session.go_on_from(&self.refusing.lock().unwrap_or_else(PoisonError::into_inner));
        let session = Arc::new(Mutex::new(session));
        of_key.sessions.push(Remembered {
            id,
            session: Arc::clone(&session),
            used: now,
        });
        table.count += added;
        session
    }

    /// In which session a message is refused that is none of this moment: in its own, if that is known. That is no use of it, and
    /// makes none.
    pub fn to_refuse_in(&self, key: i64, id: i64) -> Arc<Mutex<Session>> {
        self.known(key, id).unwrap_or_else(|| Arc::clone(&self.refusing))
    }

    fn known(&self, key: i64, id: i64) -> Option<Arc<Mutex<Session>>> {
        let table = self.lock();
        let sessions = table.of_keys.get(&key).map(|of_key| &of_key.sessions);
        let known = sessions?.iter().find(|known| known.id == id);
        known.map(|known| Arc::clone(&known.session))
    }

    /// Whether somebody is logged in with a key: its sessions are kept rather than those of keys that anybody can make.
    pub fn note_login(&self, key: i64, has_login: bool) {
        if let Some(of_key) = self.lock().of_keys.get_mut(&key) {
            of_key.has_login = has_login;
        }
    }

    /// Forgets a session; says whether it was known. What it was sent is not taken again.
    pub fn destroy(&self, key: i64, id: i64) -> bool {
        let mut table = self.lock();
        let Some(of_key) = table.of_keys.get_mut(&key) else {
            return false;
        };
        let Some(position) = of_key.sessions.iter().position(|known| known.id == id) else {
            return false;
        };
        of_key.forget(position);
        table.count -= 1;
        true
    }

    /// Forgets all sessions of a key that is no more.
    pub fn forget_key(&self, key: i64) {
        let mut table = self.lock();
        if let Some(of_key) = table.of_keys.remove(&key) {
            table.count -= of_key.sessions.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, SessionTable> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionTable {
    /// Those that were not used for so long that their messages are too old by their moment alone go. If there are still too
    /// many, the longer unused half goes of those of keys without a login; if that is not enough, of all.
    fn make_room(&mut self, now: Timestamp) {
        let is_crowded = self.weight() >= MOST;
        if !is_crowded && now.since(self.swept).as_secs() < SWEEP_SECONDS && now >= self.swept {
            return;
        }
        self.swept = now;
        self.keep(now, |_, known| {
            now.since(known.used).as_secs() < LIFE_SECONDS && known.used <= now
        });
        for with_login in [false, true] {
            // So that there is room for many before this has to be done again.
            if self.weight() >= MOST / 4 * 3 {
                self.halve(now, with_login);
            }
        }
    }

    /// How much is remembered: also of keys whose sessions were forgotten.
    fn weight(&self) -> usize {
        self.count + self.of_keys.len()
    }

    /// Forgets the longer unused half of the sessions, of keys with a login only if `with_login`; and all keys without a session.
    fn halve(&mut self, now: Timestamp, with_login: bool) {
        let concerned = self
            .of_keys
            .values()
            .filter(|of_key| with_login || !of_key.has_login);
        let sessions = concerned.flat_map(|of_key| &of_key.sessions);
        let mut used: Vec<_> = sessions.map(|known| known.used).collect();
        let latest = self.of_keys.values().map(OfKey::latest).max().unwrap_or(0);
        // Nobody's clock that is ahead may keep others out.
        self.forgotten = self.forgotten.max(latest.min(identifier(now)));
        if !used.is_empty() {
            let middle = used.len() / 2;
            let (_, middle, _) = used.select_nth_unstable(middle);
            let middle = *middle;
            self.keep(now, |has_login, known| {
                known.used > middle || has_login && !with_login
            });
        }
        let forgotten = self.forgotten;
        self.of_keys
            .retain(|_, of_key| !of_key.sessions.is_empty() || of_key.forgotten > forgotten);
    }

    fn keep(&mut self, now: Timestamp, stays: impl Fn(bool, &Remembered) -> bool) {
        let long_past = identifier(now.before(Duration::from_secs(4 * LIFE_SECONDS)));
        self.of_keys.retain(|_, of_key| {
            let mut position = 0;
            while let Some(known) = of_key.sessions.get(position) {
                // One that a connection works on is left to it.
                if stays(of_key.has_login, known) || Arc::strong_count(&known.session) > 1 {
                    position += 1;
                } else {
                    of_key.forget(position);
                }
            }
            // What is known of a key is of use for as long as its messages are not too old by their moment.
            !of_key.sessions.is_empty() || of_key.forgotten > long_past
        });
        self.count = self.of_keys.values().map(|of_key| of_key.sessions.len()).sum();
    }
}

impl OfKey {
    fn forget(&mut self, position: usize) {
        let known = self.sessions.swap_remove(position);
        self.forgotten = self.forgotten.max(known.latest());
    }

    fn latest(&self) -> i64 {
        let sessions = self.sessions.iter().map(Remembered::latest);
        sessions.fold(self.forgotten, i64::max)
    }
}

/// What messages of a moment are called.
fn identifier(moment: Timestamp) -> i64 {
    i64::try_from(moment.seconds() << 32).unwrap_or(i64::MAX)
}

impl Remembered {
    fn latest(&self) -> i64 {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.latest()
    }
}

/// How many sessions and keys are remembered together.
const MOST: usize = 60_000;
/// How many sessions may be of one key.
const MOST_OF_A_KEY: usize = 8;
/// How long a session is remembered that is not used: longer than a message may be old.
const LIFE_SECONDS: u64 = 900;
/// How often those are looked for that can go.
const SWEEP_SECONDS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::telegram::session::{BadMessage, MessageArrival};

    fn now(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    fn at(seconds: u64) -> i64 {
        i64::try_from((1_000_000 + seconds) << 32).unwrap()
    }

    fn take(sessions: &Sessions, session: i64, id: i64, at: u64) -> Result<MessageArrival, BadMessage> {
        let session = sessions.open(1, session, now(at));
        session.lock().unwrap().take(id, 0, None)
    }

    #[test]
    fn nothing_of_before_the_start_is_taken() {
        let sessions = Sessions::new(now(0));
        assert_eq!(take(&sessions, 5, at(0), 1), Err(BadMessage::TooLow));
        assert_eq!(take(&sessions, 5, at(1), 1), Ok(MessageArrival::New));
        assert_eq!(take(&sessions, 5, at(1), 1), Ok(MessageArrival::Again));
    }

    #[test]
    fn a_message_of_a_forgotten_session_is_not_taken_again() {
        let sessions = Sessions::new(now(0));
        take(&sessions, 5, at(10), 10).unwrap();
        assert!(sessions.destroy(1, 5));
        assert!(!sessions.destroy(1, 5) && !sessions.destroy(2, 5));
        assert_eq!(take(&sessions, 5, at(10), 11), Err(BadMessage::TooLow));

        take(&sessions, 5, at(20), 20).unwrap();
        for other in 100..100 + i64::try_from(MOST_OF_A_KEY).unwrap() {
            sessions.open(1, other, now(21));
        }
        assert_eq!(take(&sessions, 5, at(20), 21), Err(BadMessage::TooLow));
        assert_eq!(sessions.lock().count, MOST_OF_A_KEY);

        take(&sessions, 5, at(22), 22).unwrap();
        sessions.open(2, 9, now(22 + LIFE_SECONDS));
        assert_eq!(sessions.lock().count, 1);
        assert_eq!(take(&sessions, 5, at(22), 23), Err(BadMessage::TooLow));
    }

    #[test]
    fn keys_that_anybody_makes_do_not_have_those_with_a_login_forgotten() {
        let sessions = Sessions::new(now(0));
        for key in 0..100 {
            sessions.open(key, 5, now(1));
            sessions.note_login(key, true);
        }
        let greedy = i64::try_from(2 * MOST).unwrap();
        for key in 1000..greedy {
            sessions.open(key, 5, now(2));
            let weight = sessions.lock().weight();
            assert!(weight <= MOST + 2, "{weight}");
        }
        let kept = (0..100).filter(|key| sessions.known(*key, 5).is_some());
        assert_eq!(kept.count(), 100);
        assert!(sessions.known(1000, 5).is_none(), "some had to go");
        // As many with a login are not kept for ever either.
        for key in 1000..greedy {
            sessions.open(key, 5, now(3));
            sessions.note_login(key, true);
        }
        assert!(sessions.lock().weight() <= MOST + 2);
    }

    #[test]
    fn refusing_makes_no_session_and_no_identifier_comes_twice() {
        let sessions = Sessions::new(now(0));
        let said = |session: &Arc<Mutex<Session>>| session.lock().unwrap().next_id(now(1), false);
        let first = said(&sessions.to_refuse_in(1, 5));
        let second = said(&sessions.to_refuse_in(1, 5));
        assert_eq!(sessions.lock().count, 0);
        let session = sessions.open(1, 5, now(1));
        let third = said(&session);
        let fourth = said(&sessions.to_refuse_in(1, 5));
        assert!(first < second && second < third && third < fourth);
        assert!(Arc::ptr_eq(&session, &sessions.to_refuse_in(1, 5)));
        assert_eq!(sessions.lock().count, 1);
    }

    #[test]
    fn keys_whose_sessions_were_destroyed_count_too() {
        let sessions = Sessions::new(now(0));
        for key in 0..i64::try_from(2 * MOST).unwrap() {
            let _taken_or_not = take_of(&sessions, key, at(1));
            assert!(sessions.destroy(key, 5));
        }
        assert!(sessions.lock().of_keys.len() <= MOST);
        for key in [0, i64::try_from(2 * MOST).unwrap() - 1] {
            assert_eq!(take_of(&sessions, key, at(1)), Err(BadMessage::TooLow), "{key}");
        }
    }

    fn take_of(sessions: &Sessions, key: i64, id: i64) -> Result<MessageArrival, BadMessage> {
        let session = sessions.open(key, 5, now(1));
        session.lock().unwrap().take(id, 0, None)
    }

    #[test]
    fn a_key_that_is_no_more_leaves_nothing() {
        let sessions = Sessions::new(now(0));
        for id in 0..5 {
            sessions.open(1, id, now(0));
            sessions.open(2, id, now(0));
        }
        sessions.forget_key(1);
        sessions.forget_key(1);
        assert_eq!(sessions.lock().count, 5);
        assert_eq!(sessions.lock().of_keys.len(), 1);
        assert!(!sessions.destroy(1, 0) && sessions.destroy(2, 0));
        assert_eq!(sessions.lock().count, 4);
    }
}
