//! What this process remembers for the audit log: whose entries are to be sealed, and what was refused lately.

mod refusals;
mod strangers;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::refusals::RefusalBudgets;
pub(crate) use self::refusals::UntoldRefusals;
#[cfg(test)]
pub(crate) use self::refusals::{MOST_AT_ONCE, MOST_PER_HOUR};
pub(crate) use self::strangers::{Strangers, TakenStrangers};
use crate::domain::audit::{AuditRequest, Author, SETTLED};
use crate::domain::sid::{AccountSid, AuditSid, SidSource};
use crate::domain::time::Timestamp;

/// What this process remembers for the audit log.
#[derive(Debug, Default)]
pub struct AuditMemory {
    entries: Mutex<EntryMemory>,
    refusals: Mutex<RefusalBudgets>,
    strangers: Mutex<TakenStrangers>,
}

/// What is known of the entries that were written.
#[derive(Debug, Default)]
struct EntryMemory {
    /// The accounts that have, as far as is known, entries that are not sealed.
    unsealed: HashMap<AccountSid, Unsealed>,
    /// How far an account's are sealed.
    sealed: HashMap<AccountSid, SealedUpTo>,
    /// Whose chain's head is known to be gone.
    lost_heads: HashSet<AccountSid>,
    /// The last identifier that was given.
    last: Option<AuditSid>,
}

#[derive(Clone, Copy, Debug)]
struct SealedUpTo {
    /// The next entry must come behind this one.
    last: AuditSid,
    /// Whether the store still has it so: it may have lost what it had acknowledged.
    is_certain: bool,
}

#[derive(Debug)]
struct Unsealed {
    /// When some of them may be sealed.
    due: Timestamp,
    /// When the last of them was begun, whose commit may still be under way.
    newest: Timestamp,
}

impl AuditMemory {
    /// Notes that an account has entries that are not sealed, of which some may be from `due` on.
    pub(crate) fn note_unsealed(&self, account: AccountSid, due: Timestamp) {
        locked(&self.entries).note_unsealed(account, due, Timestamp::default());
    }

    /// Notes up to which entry an account's are sealed.
    pub(crate) fn note_sealed(&self, account: AccountSid, last: AuditSid) {
        let mut entries = locked(&self.entries);
        let sealed = entries.sealed.entry(account).or_insert(SealedUpTo {
            last,
            is_certain: true,
        });
        // What may be lost is not certain again because something before it is there.
        sealed.is_certain |= last >= sealed.last;
        sealed.last = sealed.last.max(last);
    }

    /// Whether an account's entries are known to be sealed farther than `last`, the last one that its head names: nothing takes a
    /// seal back.
    pub(crate) fn is_sealed_beyond(&self, account: AccountSid, last: Option<AuditSid>) -> bool {
        last < self.sealed_up_to(account)
    }

    /// Up to which entry an account's are known to be sealed.
    pub(crate) fn sealed_up_to(&self, account: AccountSid) -> Option<AuditSid> {
        let entries = locked(&self.entries);
        let known = entries.sealed.get(&account).filter(|sealed| sealed.is_certain);
        known.map(|sealed| sealed.last)
    }

    /// Whether it is news that the head of an account's chain is gone.
    pub(crate) fn note_lost_head(&self, account: AccountSid) -> bool {
        locked(&self.entries).lost_heads.insert(account)
    }

    /// The store may have lost what was sealed lately.
    pub(crate) fn note_loss(&self) {
        let mut entries = locked(&self.entries);
        entries
            .sealed
            .values_mut()
            .for_each(|sealed| sealed.is_certain = false);
    }

    /// The identifier of an account's next entry: behind all that are sealed, and all that were given before, also when the clock
    /// went back.
    ///
    /// Within a millisecond each is the next number behind the one before. The first of a millisecond is random like any other, so
    /// those of two processes differ; nobody is kept from guessing a neighbour, who has to be an operator to see any.
    pub(crate) fn next_entry(&self, account: AccountSid, now: Timestamp, sids: &dyn SidSource) -> AuditSid {
        let mut entries = locked(&self.entries);
        entries.note_unsealed(account, now + SETTLED, now);
        let sealed = entries.sealed.get(&account).map(|sealed| sealed.last);
        let behind = entries.last.max(sealed);
        let next = match entries.last {
            Some(last) if Some(last) == behind && last.created_at() >= now => following(last),
            _ => AuditSid::generate_after(behind, now, sids),
        };
        entries.last = Some(next);
        next
    }

    /// The accounts that have entries which may be sealed at `now`; who has waited longest comes first. Those of which none is under
    /// way are forgotten: who does not get through is noted again.
    pub(crate) fn take_due(&self, now: Timestamp) -> Vec<AccountSid> {
        let mut taken = Vec::new();
        locked(&self.entries).unsealed.retain(|account, unsealed| {
            // Nobody waits for a clock that was set back.
            if unsealed.due > now && unsealed.due <= now + SETTLED {
                return true;
            }
            taken.push((unsealed.due, *account));
            unsealed.due = now + SETTLED;
            unsealed.newest + SETTLED > now
        });
        taken.sort_unstable();
        taken.into_iter().map(|(_, account)| account).collect()
    }

    /// Whether one more refusal of what `author` wants of the account is to be written at `now`; if so, how many before it were
    /// not.
    pub(crate) fn admit_refusal(&self, account: AccountSid, author: &Author, now: Timestamp) -> Option<u32> {
        locked(&self.refusals).admit(account, author, now)
    }

    /// The refusals that were only counted, and that no entry has told of, of accounts of which none came since one could have been
    /// written.
    pub(crate) fn take_left_out(&self, now: Timestamp) -> UntoldRefusals {
        locked(&self.refusals).take_left_out(now)
    }

    /// All that were only counted, for who ends now.
    pub(crate) fn take_all_left_out(&self) -> UntoldRefusals {
        locked(&self.refusals).take_all_left_out()
    }

    /// Notes that somebody was not let in as `account`.
    pub(crate) fn note_stranger(&self, account: AccountSid, request: Option<AuditRequest>) {
        locked(&self.strangers).note(account, request);
    }

    /// Those who were noted since this was last asked.
    pub(crate) fn take_strangers(&self) -> TakenStrangers {
        std::mem::take(&mut *locked(&self.strangers))
    }
}

impl EntryMemory {
    fn note_unsealed(&mut self, account: AccountSid, due: Timestamp, newest: Timestamp) {
        let noted = self.unsealed.entry(account).or_insert(Unsealed { due, newest });
        noted.due = due.min(noted.due);
        noted.newest = newest.max(noted.newest);
    }
}

fn following(sid: AuditSid) -> AuditSid {
    let next = u128::from_be_bytes(*sid.as_bytes()).saturating_add(1);
    AuditSid::from_bytes(next.to_be_bytes())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever is behind these locks is never half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::doubles::SeededEntropy;
    use crate::memory::sids::RisingSids;

    const ACCOUNT: AccountSid = AccountSid::from_bytes([1; 16]);
    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn sids(seed: u64) -> RisingSids {
        RisingSids::new(Arc::new(SeededEntropy::new(seed)))
    }

    /// Readers take the order of identifiers for that of time.
    #[test]
    fn entries_rise_within_a_millisecond_over_accounts_and_with_a_clock_that_goes_back() {
        let (memory, sids) = (AuditMemory::default(), sids(1));
        let mut moments = vec![START; 5000];
        moments.extend(vec![START + Duration::from_millis(1); 5000]);
        moments.extend([START.before(Duration::from_hours(1)); 100]);
        moments.push(START + Duration::from_secs(1));
        let accounts = [ACCOUNT, AccountSid::from_bytes([2; 16])].into_iter().cycle();
        let given: Vec<_> = moments
            .iter()
            .zip(accounts)
            .map(|(moment, account)| memory.next_entry(account, *moment, &sids))
            .collect();
        assert!(given.is_sorted_by(|earlier, later| earlier < later));
        for (moment, sid) in moments.iter().zip(&given).take(10_000) {
            assert_eq!(sid.created_at(), *moment, "they tell the time");
        }
        assert_eq!(given.last().unwrap().created_at(), START + Duration::from_secs(1));
    }

    /// What may be lost is not taken for known again because an older seal is there, only when the chain has come so far.
    #[test]
    fn an_older_seal_does_not_vouch_for_a_lost_one() {
        let (memory, sids) = (AuditMemory::default(), sids(1));
        let [first, second, third] = [0, 1, 2].map(|_| memory.next_entry(ACCOUNT, START, &sids));
        memory.note_sealed(ACCOUNT, second);
        assert!(memory.is_sealed_beyond(ACCOUNT, Some(first)));
        memory.note_loss();
        memory.note_sealed(ACCOUNT, first);
        assert!(!memory.is_sealed_beyond(ACCOUNT, Some(first)));
        assert!(
            memory.next_entry(ACCOUNT, START, &sids) > third,
            "no identifier comes again"
        );
        memory.note_sealed(ACCOUNT, third);
        assert!(memory.is_sealed_beyond(ACCOUNT, Some(second)));
    }

    /// Nothing looks whether an identifier was used before it is written.
    #[test]
    fn processes_that_write_within_one_millisecond_differ() {
        let mut all = BTreeSet::new();
        for process in 0..50 {
            let (memory, sids) = (AuditMemory::default(), sids(process));
            all.extend((0..1000).map(|_| memory.next_entry(ACCOUNT, START, &sids)));
        }
        assert_eq!(all.len(), 50_000);
    }

    #[test]
    fn an_entry_comes_behind_what_another_process_has_sealed() {
        let (memory, sids) = (AuditMemory::default(), sids(2));
        let first = memory.next_entry(ACCOUNT, START, &sids);
        let ahead = AuditSid::generate_at(START + Duration::from_hours(1), &SeededEntropy::new(3));
        memory.note_sealed(ACCOUNT, ahead);
        let next = memory.next_entry(ACCOUNT, START, &sids);
        assert!(first < ahead && ahead < next);
        let other = memory.next_entry(AccountSid::from_bytes([2; 16]), START, &sids);
        assert!(next < other);
    }

    #[test]
    fn an_account_is_due_once_its_first_entry_has_settled_and_also_when_the_clock_was_set_back() {
        let (memory, sids) = (AuditMemory::default(), sids(4));
        memory.next_entry(ACCOUNT, START, &sids);
        let longer = AccountSid::from_bytes([2; 16]);
        memory.note_unsealed(longer, START);
        assert_eq!(memory.take_due(START + Duration::from_secs(59)), [longer]);
        memory.note_unsealed(longer, START);
        assert_eq!(memory.take_due(START + SETTLED), [longer, ACCOUNT]);
        assert_eq!(memory.take_due(START + SETTLED * 2), []);
        memory.next_entry(ACCOUNT, START, &sids);
        assert_eq!(memory.take_due(START.before(Duration::from_hours(1))), [ACCOUNT]);
    }

    /// It is not there yet when those before it are sealed.
    #[test]
    fn an_entry_whose_commit_is_under_way_is_not_forgotten() {
        let (memory, sids) = (AuditMemory::default(), sids(5));
        memory.next_entry(ACCOUNT, START, &sids);
        memory.next_entry(ACCOUNT, START + Duration::from_secs(50), &sids);
        assert_eq!(memory.take_due(START + SETTLED), [ACCOUNT]);
        assert_eq!(memory.take_due(START + SETTLED + Duration::from_secs(59)), []);
        assert_eq!(memory.take_due(START + SETTLED * 2), [ACCOUNT]);
        assert_eq!(memory.take_due(START + SETTLED * 3), []);
    }
}
