//! How many messages of each account a commit adds to the outbox, and what is left out where there is no room.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::domain::outbox::Receiver;
use crate::domain::sid::AccountSid;
use crate::flows::Fault;
use crate::memory::backlog::{Added, Backlog};
use crate::store::{Batch, Order, Scan, ScanPage, Store, keys};

/// Counts anew how many messages of the account wait, unless that was done a moment ago. Whether it did.
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
    let mut found = HashSet::new();
    for prefix in keys::lanes_of(account) {
        let mut after = None;
        // A request waits for this, so not all of what somebody else wrote is passed over.
        for _ in 0..MOST_PIECES {
            let scan = Scan {
                prefix: prefix.clone(),
                after: after.take(),
                order: Order::Ascending,
                limit: COUNTED_AT_ONCE,
            };
            let ScanPage { entries, next } = store.scan_some(scan).await?;
            let last = entries.last().map(|(key, _)| key.clone());
            found.extend(entries.into_iter().map(|(key, _)| key));
            after = next.or(last);
            if after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    backlog.set(account, &found);
    Ok(true)
}

/// How many times as many rows of one kind are counted at the most.
const MOST_PIECES: usize = 1000;

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
