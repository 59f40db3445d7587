//! Which receivers have something to get, and what.

use std::collections::HashMap;

use crate::app::App;
use crate::domain::events::OutboxRow;
use crate::domain::outbox::Lane;
use crate::domain::sid::{AccountSid, EventSid};
use crate::flows::Fault;
use crate::flows::reading::{COUNTED_AT_ONCE, Reading};
use crate::store::{Order, Scan, keys, records};

/// The lanes that have rows. It costs one row each, however many there are in it.
pub(super) async fn lanes(app: &App) -> Result<Vec<Lane>, Fault> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let scan = Scan {
            prefix: keys::lanes(),
            after: after.take(),
            order: Order::Ascending,
            limit: 1,
        };
        let Some((key, _)) = Reading::new(app).scan_past(scan).await?.pop() else {
            return Ok(found);
        };
        after = match keys::lane_of(&key) {
            Some(lane) => {
                found.push(lane);
                Some(keys::outbox(lane).key(&[u8::MAX; 16]).into_bytes())
            }
            None => Some(key),
        };
        if found.len() % BREATH == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Whether something that leads to messages may begin for the account.
///
/// # Errors
/// [`Fault::OutboxFull`], [`Fault::Unavailable`].
pub(crate) async fn require_room(app: &App, account: AccountSid) -> Result<(), Fault> {
    let backlog = &app.memory.backlog;
    let has_room = || backlog.of(account) < app.policy.outbox_rows_per_account;
    if !has_room() {
        Reading::new(app).recount(account).await?;
    }
    if has_room() {
        Ok(())
    } else {
        Err(Fault::OutboxFull)
    }
}

/// Counts what waits, before anything is served or delivered, and again now and then.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn count_waiting(app: &App) -> Result<(), Fault> {
    let (mut found, mut after): (HashMap<AccountSid, usize>, _) = (HashMap::new(), None);
    loop {
        let scan = Scan {
            prefix: keys::lanes(),
            after: after.take(),
            order: Order::Ascending,
            limit: COUNTED_AT_ONCE,
        };
        let rows = Reading::new(app).scan_past(scan).await?;
        for lane in rows.iter().filter_map(|(key, _)| keys::lane_of(key)) {
            *found.entry(lane.account).or_default() += 1;
        }
        match rows.into_iter().next_back() {
            Some((key, _)) => after = Some(key),
            None => break,
        }
        tokio::task::yield_now().await;
    }
    app.memory.backlog.set_all(found);
    Ok(())
}

/// Where a page begins: behind this row, which need not exist any more.
pub type After = (Lane, EventSid);

/// At most `limit` rows, receiver by receiver, each receiver's oldest first; and where the next page begins, if there are
/// more.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn list_waiting(
    app: &App,
    after: Option<After>,
    limit: usize,
) -> Result<(Vec<OutboxRow>, Option<After>), Fault> {
    let scan = Scan {
        prefix: keys::lanes(),
        after: after.map(|(lane, sid)| keys::outbox_row(lane, sid).into_bytes()),
        order: Order::Ascending,
        limit: limit + 1,
    };
    let entries = Reading::new(app).scan_past(scan).await?;
    let more = entries.len() > limit;
    let rows = entries
        .iter()
        .take(limit)
        .map(|(_, entry)| records::decode::<OutboxRow>(&entry.value));
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let next = rows
        .last()
        .filter(|_| more)
        .map(|row| (row.message.lane(), row.sid));
    Ok((rows, next))
}

/// How many lanes are looked at before others get their turn.
const BREATH: usize = 100;
