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
#[path = "tests/sessions.rs"]
mod tests;
