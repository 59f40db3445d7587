//! Those who were not let in, until that is written down.

use std::collections::HashMap;

use crate::domain::audit::AuditRequest;
use crate::domain::sid::AccountSid;

/// Those who were not let in as an account, since that was last written down.
#[derive(Debug)]
pub(crate) struct Strangers {
    /// How the last one asked.
    pub(crate) request: Option<AuditRequest>,
    pub(crate) count: u32,
}

/// Those who were not let in since that was last written down.
#[derive(Debug, Default)]
pub(crate) struct TakenStrangers {
    /// By the account that they named.
    pub(crate) by_account: HashMap<AccountSid, Strangers>,
    /// How many more there were, of more accounts than are told apart.
    pub(crate) beyond: u32,
}

impl TakenStrangers {
    pub(super) fn note(&mut self, account: AccountSid, request: Option<AuditRequest>) {
        if let Some(known) = self.by_account.get_mut(&account) {
            known.count = known.count.saturating_add(1);
            known.request = request;
        } else if self.by_account.len() < MOST_ACCOUNTS {
            self.by_account.insert(account, Strangers { request, count: 1 });
        } else {
            self.beyond = self.beyond.saturating_add(1);
        }
    }
}

/// Of how many accounts it is remembered how often somebody was not let in.
const MOST_ACCOUNTS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::audit::AuditMemory;

    fn account(number: usize) -> AccountSid {
        AccountSid::from_bytes((number as u128).to_be_bytes())
    }

    #[test]
    fn of_twice_as_many_accounts_as_are_told_apart_the_others_are_counted() {
        let memory = AuditMemory::default();
        for number in 0..2 * MOST_ACCOUNTS {
            memory.note_stranger(account(number), None);
        }
        // Those who were there first are told apart still.
        memory.note_stranger(account(3), None);
        let taken = memory.take_strangers();
        assert_eq!(taken.by_account.len(), MOST_ACCOUNTS);
        assert_eq!(taken.by_account[&account(3)].count, 2);
        assert_eq!(taken.beyond as usize, MOST_ACCOUNTS);
        let next = memory.take_strangers();
        assert!(next.by_account.is_empty() && next.beyond == 0);
    }
}
