//! Which dead letters were said in the log lately, and how many were only counted.
//!
//! A tenant can cause as many as it likes, with as many receivers as it likes. So of each lane the first one in a window is said,
//! of so many lanes of an account, and the rest is counted: nobody's take the place of another one's.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::outbox::Lane;
use crate::domain::sid::AccountSid;

/// What was said of dead letters in this window.
#[derive(Debug, Default)]
pub struct SaidLetters(Mutex<BTreeMap<AccountSid, SaidLanes>>);

#[derive(Debug, Default)]
struct SaidLanes {
    /// How many more there were in each lane of which one was said.
    more: BTreeMap<Lane, u64>,
    /// How many there were in other lanes.
    beyond: u64,
}

/// Dead letters that were only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedLetters {
    /// Whose they are.
    pub account: AccountSid,
    /// The lane that they were in; `None` if they are those of all lanes of which nothing was said.
    pub lane: Option<Lane>,
    /// How many.
    pub count: u64,
}

impl SaidLetters {
    /// So many lanes of an account have a line in a window.
    pub const MOST_LANES: usize = 5;

    /// Whether it is to be said now that so many rows of the lane became dead letters. Otherwise they are counted.
    pub fn note(&self, lane: Lane, letters: u64) -> bool {
        let mut accounts = self.lock();
        let SaidLanes { more, beyond } = accounts.entry(lane.account).or_default();
        let has_place = more.len() < Self::MOST_LANES;
        let counted = match more.get_mut(&lane) {
            Some(more) => more,
            None if has_place => {
                more.insert(lane, 0);
                return true;
            }
            None => beyond,
        };
        *counted = counted.saturating_add(letters);
        false
    }

    /// Ends the window: what was counted in it, account by account.
    pub fn take(&self) -> Vec<CountedLetters> {
        let accounts = std::mem::take(&mut *self.lock());
        let counted = accounts
            .into_iter()
            .flat_map(|(account, SaidLanes { more, beyond })| {
                let lanes = more.into_iter().map(|(lane, count)| (Some(lane), count));
                let all = lanes.chain([(None, beyond)]);
                all.map(move |(lane, count)| CountedLetters { account, lane, count })
            });
        counted.filter(|counted| counted.count > 0).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AccountSid, SaidLanes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outbox::Receiver;
    use crate::domain::sid::WebhookSid;

    fn lane(account: u8, webhook: u8) -> Lane {
        Lane {
            account: AccountSid::from_bytes([account; 16]),
            receiver: Receiver::Webhook(WebhookSid::from_bytes([webhook; 16])),
        }
    }

    #[test]
    fn each_lane_has_one_line_in_a_window_and_no_account_has_them_all() {
        let letters = SaidLetters::default();
        let most = u8::try_from(SaidLetters::MOST_LANES).unwrap();
        for _ in 0..2 {
            for webhook in 0..200 {
                assert_eq!(letters.note(lane(1, webhook), 1), webhook < most, "{webhook}");
            }
            assert!(!letters.note(lane(1, 0), 7));
            // Another tenant's are said all the same.
            assert!(letters.note(lane(2, 0), 100));
            let counted = |webhook: Option<u8>, count| CountedLetters {
                account: AccountSid::from_bytes([1; 16]),
                lane: webhook.map(|webhook| lane(1, webhook)),
                count,
            };
            let beyond = counted(None, 200 - u64::from(most));
            assert_eq!(letters.take(), [counted(Some(0), 7), beyond]);
            assert_eq!(letters.take(), []);
        }
    }
}
