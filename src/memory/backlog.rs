//! How many messages of each account wait in the outbox, as far as this process knows: counted before it serves anybody, and
//! from then on with each commit.
//!
//! It is a hint: another process that shares the store adds and takes away unseen. So all is counted anew now and then, and
//! an account's own before anything is refused for it. What commits of this process are just adding counts as well, as the store
//! does not show it yet.

use std::collections::{HashMap, HashSet};
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
    /// What is being added by commits whose outcome is not known yet, of which a count may have seen the end.
    under_way: HashMap<AccountSid, Vec<Added>>,
    /// What was added while an account's messages are counted anew: the count has it, or not.
    counting: HashMap<AccountSid, Vec<Added>>,
    /// When those were counted anew that seemed to have too many.
    recounted: HashMap<AccountSid, Instant>,
}

/// What one commit adds to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// How many messages.
    pub count: usize,
    /// Where the store has one of them once it is written.
    pub key: Vec<u8>,
}

impl Backlog {
    /// How often the messages of one account are counted anew because it seems to have too many.
    pub const RECOUNT_PERIOD: Duration = Duration::from_secs(1);

    /// How many messages of the account wait.
    pub fn of(&self, account: AccountSid) -> usize {
        self.lock().of(account)
    }

    /// Counts what a commit is about to add, all of it or nothing: nothing if an account to which something is added would
    /// have more than `most` then.
    pub fn try_add(&self, added: &HashMap<AccountSid, Added>, most: usize) -> Option<AddedMessages<'_>> {
        let counts = &mut *self.lock();
        let fits =
            |(account, more): (&AccountSid, &Added)| counts.of(*account).saturating_add(more.count) <= most;
        if !added.iter().all(fits) {
            return None;
        }
        for (account, more) in added {
            counts.under_way.entry(*account).or_default().push(more.clone());
        }
        Some(AddedMessages {
            backlog: self,
            added: added.clone(),
            is_written: true,
        })
    }

    /// Counts what a commit took away.
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
        let counts = &mut *self.lock();
        let recounted = &mut counts.recounted;
        recounted.retain(|_, at| now.duration_since(*at) < Self::RECOUNT_PERIOD);
        let due = !recounted.contains_key(&account);
        if due {
            recounted.insert(account, now);
            counts.counting.insert(account, Vec::new());
        }
        due
    }

    /// These messages of the account were found to wait since [`Self::may_recount`], by their keys.
    pub fn set(&self, account: AccountSid, found: &HashSet<Vec<u8>>) {
        let counts = &mut *self.lock();
        let count = |added: &[Added], is_found: bool| -> usize {
            let alike = added.iter().filter(|one| found.contains(&one.key) == is_found);
            alike.map(|one| one.count).sum()
        };
        let ended = counts.counting.remove(&account).unwrap_or_default();
        let under_way = counts.under_way.get(&account).map_or(&[][..], Vec::as_slice);
        // What ended after the store was looked at is missing there, and what has not ended may be there already.
        let waiting = (found.len() + count(&ended, false)).saturating_sub(count(under_way, true));
        if waiting == 0 {
            counts.waiting.remove(&account);
        } else {
            counts.waiting.insert(account, waiting);
        }
    }

    /// The account's messages are not counted anew after all.
    pub fn give_up_recount(&self, account: AccountSid) {
        self.lock().counting.remove(&account);
    }

    /// These were found to wait, and no others.
    pub fn set_all(&self, found: HashMap<AccountSid, usize>) {
        self.lock().waiting = found;
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn of(&self, account: AccountSid) -> usize {
        let under_way = self.under_way.get(&account);
        let under_way: usize = under_way.map_or(0, |added| added.iter().map(|one| one.count).sum());
        self.waiting.get(&account).copied().unwrap_or_default() + under_way
    }
}

/// What a commit adds. When this is dropped, it counts as added: whether a commit that nobody waits for any more was written is
/// not known, and too high a count heals before anything is refused.
#[must_use]
#[derive(Debug)]
pub struct AddedMessages<'b> {
    backlog: &'b Backlog,
    added: HashMap<AccountSid, Added>,
    is_written: bool,
}

impl AddedMessages<'_> {
    /// The commit was not written.
    pub fn withdraw(mut self) {
        self.is_written = false;
    }
}

impl Drop for AddedMessages<'_> {
    fn drop(&mut self) {
        let counts = &mut *self.backlog.lock();
        for (account, more) in std::mem::take(&mut self.added) {
            if let Some(under_way) = counts.under_way.get_mut(&account) {
                if let Some(position) = under_way.iter().position(|one| *one == more) {
                    under_way.swap_remove(position);
                }
                if under_way.is_empty() {
                    counts.under_way.remove(&account);
                }
            }
            if self.is_written {
                *counts.waiting.entry(account).or_default() += more.count;
                if let Some(ended) = counts.counting.get_mut(&account) {
                    ended.push(more);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: AccountSid = AccountSid::from_bytes([1; 16]);

    fn of(number: u8, count: usize) -> HashMap<AccountSid, usize> {
        HashMap::from([(AccountSid::from_bytes([number; 16]), count)])
    }

    fn adding(backlog: &Backlog, number: u8, count: usize) -> Option<AddedMessages<'_>> {
        let key = vec![number, u8::try_from(count).unwrap()];
        let added = HashMap::from([(AccountSid::from_bytes([number; 16]), Added { count, key })]);
        backlog.try_add(&added, 10)
    }

    fn add(backlog: &Backlog, number: u8, count: usize) -> bool {
        adding(backlog, number, count).is_some()
    }

    fn rows<const N: usize>(keys: [[u8; 2]; N]) -> HashSet<Vec<u8>> {
        keys.into_iter().map(Vec::from).collect()
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
        backlog.set(ACCOUNT, &rows([[1, 0], [1, 1], [1, 2]]));
        backlog.set_all(of(2, 4));
        assert_eq!((backlog.of(ACCOUNT), backlog.of(another)), (0, 4));
    }

    #[test]
    fn what_is_being_added_counts_once_whether_the_store_shows_it_or_not() {
        let backlog = Backlog::default();
        let seen = adding(&backlog, 1, 2).unwrap();
        let unseen = adding(&backlog, 1, 1).unwrap();
        let ended = adding(&backlog, 1, 3).unwrap();
        assert!(backlog.may_recount(ACCOUNT));
        drop(ended);
        // The store was looked at when it had two of the first, and one of before.
        backlog.set(ACCOUNT, &rows([[1, 2], [1, 0], [9, 9]]));
        assert_eq!(backlog.of(ACCOUNT), 3 + 3 + 1);
        drop(seen);
        unseen.withdraw();
        assert_eq!(backlog.of(ACCOUNT), 6);
        assert!(!add(&backlog, 1, 5) && add(&backlog, 1, 4));
        let counts = backlog.lock();
        assert!(counts.under_way.is_empty() && counts.counting.is_empty());
    }
}
