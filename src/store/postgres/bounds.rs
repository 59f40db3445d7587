//! Within what time things are done, or given up.

use std::time::Duration;

/// Within what time things are done, or given up. Nothing takes longer than its bound and that of one statement.
#[derive(Clone, Copy, Debug)]
pub struct PostgresBounds {
    /// A session on one of the hosts.
    pub connect: Duration,
    /// An answer to a statement. The database itself gives one up after four fifths of that.
    pub statement: Duration,
    /// A read, on however many connections it is tried.
    pub read: Duration,
    /// A commit, from when it is asked for: clients wait some ten seconds.
    pub commit: Duration,
}

impl PostgresBounds {
    /// When the database gives a statement up, in milliseconds.
    pub(super) fn statement_timeout_millis(&self) -> u128 {
        (self.statement * 4 / 5).as_millis().max(1)
    }
}

impl Default for PostgresBounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(5),
            read: Duration::from_secs(8),
            commit: Duration::from_secs(10),
        }
    }
}
