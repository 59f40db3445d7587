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
}

#[derive(Debug)]
struct SessionTable {
    of_keys: HashMap<i64, OfKey>,
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
        let session = Arc::new(Mutex::new(Session::since(of_key.forgotten.max(forgotten))));
        of_key.sessions.push(Remembered {
            id,
            session: Arc::clone(&session),
            used: now,
        });
        table.count += added;
        session
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

    fn lock(&self) -> MutexGuard<'_, SessionTable> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionTable {
    /// Those that were not used for so long that their messages are too old by their moment alone go; if there are still too
    /// many, so do the oldest half.
    fn make_room(&mut self, now: Timestamp) {
        let is_crowded = self.count >= MOST;
        if !is_crowded && now.since(self.swept).as_secs() < SWEEP_SECONDS && now >= self.swept {
            return;
        }
        self.swept = now;
        self.keep(now, |known| {
            now.since(known.used).as_secs() < LIFE_SECONDS && known.used <= now
        });
        if self.count >= MOST {
            let sessions = self.of_keys.values().flat_map(|of_key| &of_key.sessions);
            let mut used: Vec<_> = sessions.map(|known| known.used).collect();
            let middle = used.len() / 2;
            let (_, middle, _) = used.select_nth_unstable(middle);
            let middle = *middle;
            // Nobody's clock that is ahead may keep others out.
            let this_moment = identifier(now);
            let latest = self.of_keys.values().flat_map(|of_key| &of_key.sessions);
            let latest = latest.map(Remembered::latest).max().unwrap_or(0);
            self.forgotten = self.forgotten.max(latest.min(this_moment));
            self.keep(now, |known| known.used > middle);
        }
    }

    fn keep(&mut self, now: Timestamp, stays: impl Fn(&Remembered) -> bool) {
        let long_past = identifier(now.before(Duration::from_secs(4 * LIFE_SECONDS)));
        self.of_keys.retain(|_, of_key| {
            let mut position = 0;
            while let Some(known) = of_key.sessions.get(position) {
                // One that a connection works on is left to it.
                if stays(known) || Arc::strong_count(&known.session) > 1 {
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

/// How many sessions are remembered.
const MOST: usize = 100_000;
/// How many of them may be of one key.
const MOST_OF_A_KEY: usize = 16;
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
}
