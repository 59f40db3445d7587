//! What this process remembers for the audit log: whose entries are to be sealed, and how many refusals were written lately.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::audit::AuditRequest;
use crate::domain::sid::{AccountSid, AuditSid, SidSource};
use crate::domain::time::Timestamp;

/// What this process remembers for the audit log.
#[derive(Debug, Default)]
pub struct AuditMemory {
    unsealed: Mutex<BTreeSet<AccountSid>>,
    /// Behind which entry the next one of an account must come.
    sealed: Mutex<HashMap<AccountSid, AuditSid>>,
    refusals: Mutex<HashMap<AccountSid, RefusalCount>>,
    strangers: Mutex<HashMap<AccountSid, Strangers>>,
}

/// The refusals of an account within a second.
#[derive(Debug, Default)]
struct RefusalCount {
    second: u64,
    written: u32,
    unwritten: u32,
}

/// Those who were not let in as an account, since that was last written down.
#[derive(Debug)]
pub(crate) struct Strangers {
    /// How the last one asked.
    pub(crate) request: Option<AuditRequest>,
    pub(crate) count: u32,
}

impl AuditMemory {
    /// Notes that an account has entries that are not sealed.
    pub(crate) fn note_unsealed(&self, account: AccountSid) {
        locked(&self.unsealed).insert(account);
    }

    /// Notes up to which entry an account's are sealed.
    pub(crate) fn note_sealed(&self, account: AccountSid, last: AuditSid) {
        locked(&self.sealed).insert(account, last);
    }

    /// The identifier of an account's next entry: behind all that are sealed, also when the clock went back.
    pub(crate) fn next_entry(&self, account: AccountSid, now: Timestamp, sids: &dyn SidSource) -> AuditSid {
        self.note_unsealed(account);
        let sealed = locked(&self.sealed).get(&account).copied();
        AuditSid::generate_after(sealed, now, sids)
    }

    /// The accounts that have, as far as is known. They are forgotten: whoever does not get through notes them again.
    pub(crate) fn take_unsealed(&self) -> BTreeSet<AccountSid> {
        std::mem::take(&mut *locked(&self.unsealed))
    }

    /// Whether one more refusal of the account is to be written at `now`; if so, how many before it were not.
    pub(crate) fn admit_refusal(&self, account: AccountSid, now: Timestamp) -> Option<u32> {
        let mut refusals = locked(&self.refusals);
        let second = now.millis() / 1000;
        if refusals.len() >= MOST_ACCOUNTS && !refusals.contains_key(&account) {
            // What was only counted is lost for those who have been quiet since: as many accounts at once are no mistake of one.
            refusals.retain(|_, count| count.second >= second);
            if refusals.len() >= MOST_ACCOUNTS {
                return None;
            }
        }
        let count = refusals.entry(account).or_default();
        if count.second != second {
            (count.second, count.written) = (second, 0);
        }
        if count.written >= MOST_REFUSALS {
            count.unwritten = count.unwritten.saturating_add(1);
            return None;
        }
        count.written += 1;
        Some(std::mem::take(&mut count.unwritten))
    }

    /// Notes that somebody was not let in as `account`.
    pub(crate) fn note_stranger(&self, account: AccountSid, request: Option<AuditRequest>) {
        let mut strangers = locked(&self.strangers);
        if let Some(known) = strangers.get_mut(&account) {
            known.count = known.count.saturating_add(1);
            known.request = request;
        } else if strangers.len() < MOST_ACCOUNTS {
            strangers.insert(account, Strangers { request, count: 1 });
        }
    }

    /// Those who were noted since this was last asked.
    pub(crate) fn take_strangers(&self) -> HashMap<AccountSid, Strangers> {
        std::mem::take(&mut *locked(&self.strangers))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever is behind these locks is never half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many refusals of an account are written within a second. More are counted: else whoever is refused could fill the disk.
pub(crate) const MOST_REFUSALS: u32 = 20;

/// Of how many accounts is remembered how many refusals there were.
const MOST_ACCOUNTS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_refusals_are_written_in_a_second_and_the_next_one_says_how_many_were_not() {
        let memory = AuditMemory::default();
        let (one, other) = (AccountSid::from_bytes([1; 16]), AccountSid::from_bytes([2; 16]));
        let now = Timestamp::from_seconds(100);
        for _ in 0..MOST_REFUSALS {
            assert_eq!(memory.admit_refusal(one, now), Some(0));
        }
        for _ in 0..5 {
            assert_eq!(memory.admit_refusal(one, now), None);
        }
        assert_eq!(
            memory.admit_refusal(other, now),
            Some(0),
            "another account is not concerned"
        );
        assert_eq!(memory.admit_refusal(one, Timestamp::from_seconds(101)), Some(5));
        assert_eq!(memory.admit_refusal(one, Timestamp::from_seconds(101)), Some(0));
    }

    #[test]
    fn of_so_many_accounts_refusals_are_remembered_and_the_quiet_ones_make_room() {
        let memory = AuditMemory::default();
        let account = |number: u64| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            AccountSid::from_bytes(bytes)
        };
        let now = Timestamp::from_seconds(100);
        for number in 0..MOST_ACCOUNTS as u64 {
            assert_eq!(memory.admit_refusal(account(number), now), Some(0));
            memory.note_stranger(account(number), None);
        }
        let more = account(MOST_ACCOUNTS as u64);
        assert_eq!(memory.admit_refusal(more, now), None);
        assert_eq!(memory.admit_refusal(more, Timestamp::from_seconds(101)), Some(0));
        memory.note_stranger(more, None);
        memory.note_stranger(account(3), None);
        let strangers = memory.take_strangers();
        assert_eq!(strangers.len(), MOST_ACCOUNTS);
        assert_eq!(strangers[&account(3)].count, 2);
        assert!(memory.take_strangers().is_empty());
    }
}
