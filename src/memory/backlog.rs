//! How many messages of each account wait in the outbox, as far as this process knows: counted before it serves anybody, and
//! from then on with each commit.
//!
//! It is a hint: another process that shares the store adds and takes away unseen. So all is counted anew now and then, and
//! an account's own before anything is refused for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::sid::AccountSid;

/// How many messages of each account wait.
#[derive(Debug, Default)]
pub struct Backlog(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    waiting: HashMap<AccountSid, usize>,
    /// When those were counted anew that seemed to have too many.
    recounted: HashMap<AccountSid, Instant>,
}

impl Backlog {
    /// How often the messages of one account are counted anew because it seems to have too many.
    pub const RECOUNT_PERIOD: Duration = Duration::from_secs(1);

    /// How many messages of the account wait.
    pub fn of(&self, account: AccountSid) -> usize {
        self.lock().waiting.get(&account).copied().unwrap_or_default()
    }

    /// Counts what a commit is about to add, all of it or nothing: `false` if an account to which something is added would
    /// have more than `most` then.
    pub fn try_add(&self, added: &HashMap<AccountSid, usize>, most: usize) -> bool {
        let waiting = &mut self.lock().waiting;
        let fits = added.iter().all(|(account, more)| {
            let before = waiting.get(account).copied().unwrap_or_default();
            before.saturating_add(*more) <= most
        });
        if fits {
            for (account, more) in added {
                *waiting.entry(*account).or_default() += more;
            }
        }
        fits
    }

    /// Counts what a commit took away, or did not add after all.
    pub fn take(&self, taken: &HashMap<AccountSid, usize>) {
        let waiting = &mut self.lock().waiting;
        for (account, fewer) in taken {
            if let Some(count) = waiting.get_mut(account) {
                *count = count.saturating_sub(*fewer);
                if *count == 0 {
                    waiting.remove(account);
                }
            }
        }
    }

    /// Whether the account's messages are to be counted anew now, by whoever asks.
    pub fn may_recount(&self, account: AccountSid) -> bool {
        let now = Instant::now();
        let recounted = &mut self.lock().recounted;
        recounted.retain(|_, at| now.duration_since(*at) < Self::RECOUNT_PERIOD);
        let due = !recounted.contains_key(&account);
        if due {
            recounted.insert(account, now);
        }
        due
    }

    /// So many messages of the account were found to wait.
    pub fn set(&self, account: AccountSid, found: usize) {
        let waiting = &mut self.lock().waiting;
        if found == 0 {
            waiting.remove(&account);
        } else {
            waiting.insert(account, found);
        }
    }

    /// These were found to wait, and no others.
    pub fn set_all(&self, found: HashMap<AccountSid, usize>) {
        self.lock().waiting = found;
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: AccountSid = AccountSid::from_bytes([1; 16]);

    fn of(number: u8, count: usize) -> HashMap<AccountSid, usize> {
        HashMap::from([(AccountSid::from_bytes([number; 16]), count)])
    }

    fn add(backlog: &Backlog, number: u8, count: usize) -> bool {
        backlog.try_add(&of(number, count), 10)
    }

    #[test]
    fn an_account_has_so_many_and_no_other_one_minds() {
        let backlog = Backlog::default();
        assert!(add(&backlog, 1, 9));
        assert!(!add(&backlog, 1, 2), "all or nothing");
        assert!(add(&backlog, 1, 1));
        assert!(!add(&backlog, 1, 1));
        assert!(add(&backlog, 2, 10));
        backlog.take(&of(1, 3));
        assert_eq!(backlog.of(ACCOUNT), 7);
        backlog.take(&of(1, 100));
        assert_eq!(backlog.of(ACCOUNT), 0);
        assert_eq!(backlog.lock().waiting.len(), 1, "what is empty takes no room");
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_is_counted_anew_once_in_a_second() {
        let backlog = Backlog::default();
        let another = AccountSid::from_bytes([2; 16]);
        assert!(backlog.may_recount(ACCOUNT) && backlog.may_recount(another));
        assert!(!backlog.may_recount(ACCOUNT));
        tokio::time::advance(Backlog::RECOUNT_PERIOD).await;
        assert!(backlog.may_recount(ACCOUNT));
        backlog.set(ACCOUNT, 3);
        backlog.set_all(of(2, 4));
        assert_eq!((backlog.of(ACCOUNT), backlog.of(another)), (0, 4));
    }
}
