//! The sessions of all keys, whichever connection they are used on.
//!
//! Invariant: a message that was taken once is not taken again, whatever is forgotten here. Of a session that is new to this
//! process only messages are taken that are later than those that were forgotten, and only with its salts, which no other
//! process has; where the clock is set back, everything begins anew, with other salts.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::session::Session;
use crate::domain::entropy::Entropy;
use crate::domain::time::{Clock, Timestamp};

/// The sessions that are remembered.
#[derive(Debug)]
pub struct Sessions {
    table: Mutex<SessionTable>,
}

#[derive(Debug)]
struct SessionTable {
    of_keys: HashMap<i64, OfKey>,
    /// Of all keys together.
    count: usize,
    /// Messages up to this identifier may have come before.
    forgotten: i64,
    swept: Timestamp,
    /// The latest moment at which anything was asked.
    latest: Timestamp,
    salting: Salting,
    /// What is refused without a session is refused in this one.
    refusing: Arc<Mutex<Session>>,
}

/// What salts are made with: what was recorded of one process is nothing to another one.
#[derive(Clone, Copy)]
pub struct Salting(pub(super) [u8; 32]);

impl Salting {
    fn new(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Debug for Salting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salting(..)")
    }
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
    /// None yet.
    #[must_use]
    pub fn new(entropy: &dyn Entropy, now: Timestamp) -> Self {
        let table = SessionTable {
            of_keys: HashMap::new(),
            count: 0,
            forgotten: 0,
            swept: now,
            latest: now,
            salting: Salting::new(entropy),
            refusing: Arc::default(),
        };
        Self {
            table: Mutex::new(table),
        }
    }

    /// What the salts of this moment are made with. A clock that was set back makes times come again in which messages were
    /// taken: all that is known of them is of no use then, and neither are they, since their salts are not known any more.
    pub fn salting(&self, entropy: &dyn Entropy, clock: &dyn Clock) -> Salting {
        let mut table = self.lock();
        // Looked at under the lock: whoever has to wait for it does not take an earlier moment for a clock that was set back.
        let now = clock.now();
        if table.latest.since(now) > BACKWARDS {
            *table = Self::new(entropy, now).into_table();
        }
        table.latest = table.latest.max(now);
        table.salting
    }

    fn into_table(self) -> SessionTable {
        self.table.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of a key, made if it is not known; `None` if there is no room for another one. `has_login` says whether
    /// somebody was logged in with the key when it was last read.
    pub fn open(&self, key: i64, id: i64, has_login: bool, now: Timestamp) -> Option<Arc<Mutex<Session>>> {
        let mut table = self.lock();
        if let Some(known) = table.known(key, id) {
            known.used = now;
            return Some(Arc::clone(&known.session));
        }
        table.make_room(now);
        let weight = table.weight();
        let forgotten = table.forgotten;
        let before = table.of_keys.get(&key);
        let has_login = has_login || before.is_some_and(|of_key| of_key.has_login);
        // Whoever has a login is not kept out by keys that anybody can make.
        if weight >= if has_login { 2 * MOST } else { MOST } {
            return None;
        }
        let refused = locked(&table.refusing).last_sent();
        let of_key = table.of_keys.entry(key).or_insert_with(|| OfKey {
            sessions: Vec::new(),
            forgotten,
            has_login,
        });
        of_key.has_login = has_login;
        let mut added = 1;
        if of_key.sessions.len() >= MOST_OF_A_KEY {
            of_key.forget_longest_unused();
            added = 0;
        }
        // What was forgotten of others says nothing of a key that is remembered.
        let mut session = Session::since(of_key.forgotten);
        // Clients ignore a message with an identifier that they have had, and they may have been refused a moment ago.
        session.go_on_from(refused);
        let session = Arc::new(Mutex::new(session));
        of_key.sessions.push(Remembered {
            id,
            session: Arc::clone(&session),
            used: now,
        });
        table.count += added;
        Some(session)
    }

    /// In which session a message is refused that is none of this moment: in its own, if that is known. That is no use of it, and
    /// makes none.
    pub fn to_refuse_in(&self, key: i64, id: i64) -> Arc<Mutex<Session>> {
        let mut table = self.lock();
        let known = table.known(key, id).map(|known| Arc::clone(&known.session));
        known.unwrap_or_else(|| Arc::clone(&table.refusing))
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
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn locked(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SessionTable {
    fn known(&mut self, key: i64, id: i64) -> Option<&mut Remembered> {
        let of_key = self.of_keys.get_mut(&key)?;
        of_key.sessions.iter_mut().find(|known| known.id == id)
    }

    /// Those that were not used for so long that their messages are too old by their moment alone go. Where there are many, the
    /// longer unused half of those of keys without a login goes as well; of keys with one only if they alone are many. All are
    /// looked at once a second at the most.
    fn make_room(&mut self, now: Timestamp) {
        let is_crowded = self.weight() >= MANY;
        let pause = if is_crowded { CROWDED_SWEEP } else { SWEEP };
        if now.since(self.swept) < pause {
            return;
        }
        self.swept = now;
        self.keep(now, |_, known| now.since(known.used) < LIFE);
        // Those of others alone are not what makes it crowded if they are few.
        if self.weight() >= MANY && self.weight_of(false) >= MANY / 4 {
            self.halve(now, false);
        }
        if self.weight_of(true) >= MANY {
            self.halve(now, true);
        }
    }

    /// How much is remembered: also of keys whose sessions were forgotten.
    fn weight(&self) -> usize {
        self.count + self.of_keys.len()
    }

    fn weight_of(&self, with_login: bool) -> usize {
        let keys = self.of_keys.values();
        let concerned = keys.filter(|of_key| of_key.has_login == with_login);
        concerned.map(|of_key| 1 + of_key.sessions.len()).sum()
    }

    /// Forgets the longer unused half of the sessions of keys with a login, or of those without; and all keys without a session.
    fn halve(&mut self, now: Timestamp, with_login: bool) {
        let concerned = || {
            let keys = self.of_keys.values();
            keys.filter(|of_key| of_key.has_login == with_login)
        };
        let sessions = concerned().flat_map(|of_key| &of_key.sessions);
        let mut used: Vec<_> = sessions.map(|known| known.used).collect();
        let latest = concerned().map(OfKey::latest).max().unwrap_or(0);
        // Nobody's clock that is ahead may keep others out.
        self.forgotten = self.forgotten.max(latest.min(identifier(now)));
        if !used.is_empty() {
            let middle = used.len() / 2;
            let (_, middle, _) = used.select_nth_unstable(middle);
            let middle = *middle;
            self.keep(now, |has_login, known| {
                known.used > middle || has_login != with_login
            });
        }
        let forgotten = self.forgotten;
        self.of_keys
            .retain(|_, of_key| !of_key.sessions.is_empty() || of_key.forgotten > forgotten);
    }

    fn keep(&mut self, now: Timestamp, stays: impl Fn(bool, &Remembered) -> bool) {
        let long_past = identifier(now.before(4 * LIFE));
        self.of_keys.retain(|_, of_key| {
            let mut position = 0;
            while let Some(known) = of_key.sessions.get(position) {
                if stays(of_key.has_login, known) || known.is_at_work() {
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
    /// One that a connection works on is left to it, if there is another one.
    fn forget_longest_unused(&mut self) {
        let sessions = self.sessions.iter().enumerate();
        let oldest = sessions.min_by_key(|(_, known)| (known.is_at_work(), known.used));
        if let Some((oldest, _)) = oldest {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, position: usize) {
        let known = self.sessions.swap_remove(position);
        let mut session = locked(&known.session);
        // Whoever still has it takes nothing more in it.
        session.close();
        self.forgotten = self.forgotten.max(session.latest());
    }

    fn latest(&self) -> i64 {
        let sessions = self.sessions.iter().map(|known| locked(&known.session).latest());
        sessions.fold(self.forgotten, i64::max)
    }
}

impl Remembered {
    fn is_at_work(&self) -> bool {
        Arc::strong_count(&self.session) > 1
    }
}

/// What messages of a moment are called.
fn identifier(moment: Timestamp) -> i64 {
    i64::try_from(moment.seconds() << 32).unwrap_or(i64::MAX)
}

/// How many sessions and keys are remembered together.
const MOST: usize = 40_000;
/// From how many on some are forgotten before their time.
const MANY: usize = MOST / 4 * 3;
/// How many sessions may be of one key.
const MOST_OF_A_KEY: usize = 8;
/// How long a session is remembered that is not used: longer than a message may be old.
const LIFE: Duration = Duration::from_mins(15);
/// How often those are looked for that can go.
const SWEEP: Duration = Duration::from_mins(1);
/// The same where there are many.
const CROWDED_SWEEP: Duration = Duration::from_secs(1);
/// How far the clock may go back, as it does when it is corrected: less than matters to anything here.
const BACKWARDS: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
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
            let _room_or_none =
                sessions.open(900_000 + i64::try_from(second).unwrap(), 5, false, now(second));
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
}
