//! How many messages of each account wait in the outbox, as far as this process knows: counted once before it serves anybody,
//! and from then on with each commit.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::sid::AccountSid;

/// How many messages of each account wait.
#[derive(Debug, Default)]
pub struct Backlog(Mutex<HashMap<AccountSid, usize>>);

impl Backlog {
    /// How many messages of the account wait.
    pub fn of(&self, account: AccountSid) -> usize {
        self.lock().get(&account).copied().unwrap_or_default()
    }

    /// Counts what a commit is about to add, all of it or nothing: `false` if an account to which something is added would
    /// have more than `most` then.
    pub fn try_add(&self, added: &HashMap<AccountSid, usize>, most: usize) -> bool {
        let mut waiting = self.lock();
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
        let mut waiting = self.lock();
        for (account, fewer) in taken {
            if let Some(count) = waiting.get_mut(account) {
                *count = count.saturating_sub(*fewer);
                if *count == 0 {
                    waiting.remove(account);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountSid, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: u8, count: usize) -> HashMap<AccountSid, usize> {
        HashMap::from([(AccountSid::from_bytes([number; 16]), count)])
    }

    #[test]
    fn an_account_has_so_many_and_no_other_one_minds() {
        let backlog = Backlog::default();
        assert!(backlog.try_add(&of(1, 9), 10));
        assert!(!backlog.try_add(&of(1, 2), 10), "all or nothing");
        assert!(backlog.try_add(&of(1, 1), 10));
        assert!(!backlog.try_add(&of(1, 1), 10));
        assert!(backlog.try_add(&of(2, 10), 10));
        backlog.take(&of(1, 3));
        assert_eq!(backlog.of(AccountSid::from_bytes([1; 16])), 7);
        backlog.take(&of(1, 100));
        assert_eq!(backlog.of(AccountSid::from_bytes([1; 16])), 0);
        assert_eq!(backlog.lock().len(), 1, "what is empty takes no room");
    }
}
