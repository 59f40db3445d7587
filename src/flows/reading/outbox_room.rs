//! How many messages of each account a commit adds to the outbox, and what is left out where there is no room.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::domain::outbox::Receiver;
use crate::domain::sid::AccountSid;
use crate::flows::Fault;
use crate::memory::backlog::{Added, Backlog};
use crate::store::{Batch, Order, Scan, ScanPage, Store, keys};

/// Counts anew how many messages of the account wait, unless that was done a moment ago or takes too long. Whether it did.
///
/// # Errors
/// [`Fault::Unavailable`].
pub(super) async fn recount(
    store: &dyn Store,
    backlog: &Backlog,
    account: AccountSid,
) -> Result<bool, Fault> {
    if !backlog.may_recount(account) {
        return Ok(false);
    }
    let found = waiting_of(store, account).await;
    match found {
        Ok(Some(found)) => {
            backlog.set(account, &found);
            Ok(true)
        }
        // What is known stays: fewer than there are would let in more than there is room for.
        Ok(None) => {
            backlog.give_up_recount(account);
            Ok(false)
        }
        Err(fault) => {
            backlog.give_up_recount(account);
            Err(fault)
        }
    }
}

/// The keys of all messages of the account that wait. `None` if somebody else wrote so much among them that it takes too long to
/// get past that: a request waits for this.
async fn waiting_of(store: &dyn Store, account: AccountSid) -> Result<Option<HashSet<Vec<u8>>>, Fault> {
    let (mut found, mut cut) = (HashSet::new(), 0);
    for prefix in keys::lanes_of(account) {
        let mut after = None;
        loop {
            let scan = Scan {
                prefix: prefix.clone(),
                after: after.take(),
                order: Order::Ascending,
                limit: COUNTED_AT_ONCE,
            };
            let ScanPage { entries, next } = store.scan_some(scan).await?;
            cut += u32::from(next.is_some());
            if cut > MOST_CUT_PIECES {
                return Ok(None);
            }
            let last = entries.last().map(|(key, _)| key.clone());
            found.extend(entries.into_iter().map(|(key, _)| key));
            after = next.or(last);
            if after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(Some(found))
}

/// How many pieces that end at what somebody else wrote are read at the most. Of the others there are as many as the account may
/// have rows.
const MOST_CUT_PIECES: u32 = 10;

/// How many rows are read in one round trip only to be counted.
pub(crate) const COUNTED_AT_ONCE: usize = 1000;

/// Leaves out of `batch` what it tells webhooks beyond the room that their accounts have.
pub(super) fn drop_events(batch: &mut Batch, mut room: HashMap<AccountSid, usize>) {
    let written = batch.written_keys().filter(|key| !batch.rests_on(key));
    let added: BTreeSet<Vec<u8>> = written.map(<[u8]>::to_vec).collect();
    batch.drop_puts(|key| {
        let lane = keys::lane_of(key).filter(|lane| matches!(lane.receiver, Receiver::Webhook(_)));
        let lane = lane.filter(|_| added.contains(key));
        match lane.and_then(|lane| room.get_mut(&lane.account)) {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    });
}

/// How many rows of whom there are more or fewer in the outbox by a batch.
pub(super) struct OutboxChange {
    pub(super) more: HashMap<AccountSid, Added>,
    pub(super) fewer: HashMap<AccountSid, usize>,
}

impl OutboxChange {
    /// What is written over a row of which the batch rests on a version is no addition; nor is what takes another row's place.
    pub(super) fn of(batch: &Batch) -> Self {
        let (mut more, mut fewer): (HashMap<_, Added>, HashMap<_, usize>) = Default::default();
        for key in batch.written_keys() {
            if let Some(lane) = keys::lane_of(key)
                && !batch.rests_on(key)
            {
                let key = || Added {
                    count: 0,
                    key: key.to_vec(),
                };
                more.entry(lane.account).or_insert_with(key).count += 1;
            }
        }
        for lane in batch.deleted_keys().filter_map(keys::lane_of) {
            match more.get_mut(&lane.account) {
                Some(added) if added.count > 0 => added.count -= 1,
                _ => *fewer.entry(lane.account).or_default() += 1,
            }
        }
        more.retain(|_, added| added.count > 0);
        Self { more, fewer }
    }

    pub(super) fn is_none(&self) -> bool {
        self.more.is_empty() && self.fewer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::App;
    use crate::domain::outbox::Lane;
    use crate::domain::sid::{EventSid, WebhookSid};
    use crate::doubles::TestParts;

    /// Puts so many entries in front of the account's three messages that no server wrote.
    async fn forge(app: &App, account: AccountSid, entries: u32) {
        let lane = Lane {
            account,
            receiver: Receiver::Webhook(WebhookSid::from_bytes([1; 16])),
        };
        let key = |first: u8, number: u32| {
            let mut sid = [first; 16];
            sid[12..].copy_from_slice(&number.to_be_bytes());
            keys::outbox_row(lane, EventSid::from_bytes(sid)).into_bytes()
        };
        let put = |batch: Batch, number| batch.put(key(9, number), vec![1]);
        app.store.commit((0..3).fold(Batch::new(), put)).await.unwrap();
        for begin in (0..entries).step_by(1000) {
            let forge = |batch: Batch, number| batch.put(key(0, number), vec![7; 40]);
            let chunk = begin..(begin + 1000).min(entries);
            app.engine.commit(chunk.fold(Batch::new(), forge)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_somebody_else_wrote_makes_no_account_have_fewer_messages() {
        let app = TestParts::default().wire();
        let backlog = &app.memory.backlog;
        for (number, entries, is_counted, waiting) in
            [(1, 0, true, 3), (2, 5000, true, 3), (3, 100_000, false, 100)]
        {
            let account = AccountSid::from_bytes([number; 16]);
            forge(&app, account, entries).await;
            backlog.set_all(HashMap::from([(account, 100)]));
            let counted = recount(app.store.as_ref(), backlog, account).await.unwrap();
            assert_eq!((counted, backlog.of(account)), (is_counted, waiting), "{entries}");
        }
    }
}
