//! Reclaims what is over. Nothing depends on it but space: whether something is over is decided when it is read.

mod lapse;

use std::sync::Arc;
use std::time::Duration;

use self::lapse::Lapsed;
use crate::app::App;
use crate::domain::factor::{Factor, FactorKind};
use crate::domain::node::Duty;
use crate::domain::sid::ServiceSid;
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::keys::KeyParts;
use crate::store::kinds::Lifetime;
use crate::store::records::{self, Purge};
use crate::store::{Batch, ExpiredPage, ExpiryPosition, Order, Scan, Version, keys};

/// How many entries one batch deletes at the most.
const CHUNK: usize = 1000;

/// How many factors and entities go in one batch at the most, each with what belongs to it.
const LAPSED_AT_ONCE: usize = 100;

/// Into how many a batch is divided if one of its entries changed since it was read: whoever keeps writing to something that
/// expires keeps nothing else from being reclaimed.
const PIECES: usize = 20;

/// The rest while there is little to reclaim.
const PAUSE: Duration = Duration::from_millis(100);

/// How often is looked whether there is.
const PERIOD: Duration = Duration::from_secs(30);

/// Reclaims space, for ever. Behind a full round there is more, so it goes on at once: it is one client among many, with four
/// batches under way, and rests as soon as it has caught up.
pub async fn keep_up(app: Arc<App>) {
    let (mut failing, mut after) = (false, None);
    loop {
        if !app.memory.nodes.has_duty(Duty::Sweep, app.clock.now()) {
            tokio::time::sleep(PERIOD).await;
            continue;
        }
        let swept = sweep(&app, over_by(&app), &mut after).await;
        match swept {
            Ok(CHUNK..) => tokio::task::yield_now().await,
            Ok(1..) => tokio::time::sleep(PAUSE).await,
            Ok(0) if after.is_some() => tokio::time::sleep(PAUSE).await,
            Ok(0) | Err(_) => tokio::time::sleep(PERIOD).await,
        }
        // A store that failed stays so: one line says it.
        if let (Err(error), false) = (&swept, failing) {
            tracing::error!("space is not reclaimed: {error}");
        }
        failing = swept.is_err();
    }
}

/// Deletes some of what has expired and of what deleted services left behind. Returns how many entries went: after a
/// full round there is likely more.
///
/// # Errors
/// [`Fault`].
pub async fn round(app: &App) -> Result<usize, Fault> {
    let mut after = None;
    loop {
        let swept = sweep(app, app.clock.now(), &mut after).await?;
        if swept > 0 || after.is_none() {
            return Ok(swept);
        }
    }
}

/// Sweeps a page, and moves `after` behind it. What stays there is looked at again once the end was reached: entries that
/// somebody else wrote or gave an end to, which nobody may delete, hold up none of those behind them.
async fn sweep(app: &App, over_by: Timestamp, after: &mut Option<ExpiryPosition>) -> Result<usize, Fault> {
    // On the heap: it is large, and part of everything around it.
    Ok(Box::pin(sweep_expired(app, over_by, after)).await? + sweep_purges(app).await?)
}

/// What ended by then is reclaimed beside a server. What is over here may still count on another node whose clock is behind, where
/// others share the store.
fn over_by(app: &App) -> Timestamp {
    let now = app.clock.now();
    if app.shares_store() {
        now.before(BEHIND)
    } else {
        now
    }
}

/// For how long what is over is kept for nodes whose clocks are behind.
const BEHIND: Duration = Duration::from_mins(1);

async fn sweep_expired(
    app: &App,
    over_by: Timestamp,
    after: &mut Option<ExpiryPosition>,
) -> Result<usize, Fault> {
    // Four batches are under way at once: most of the time each waits for the disk. Should one fail, all begins anew.
    let from = after.take();
    let reading = Reading::new(app);
    let ExpiredPage { entries, next } = reading.expired(over_by, from.as_ref(), 4 * CHUNK).await?;
    let (mut lapsed, mut alone) = (Vec::new(), Vec::with_capacity(entries.len()));
    for (key, entry) in entries {
        if stays(&key) {
            continue;
        }
        match Lapsed::of(&key, entry.version) {
            Some(found) => lapsed.push(found),
            None => alone.push((key, entry.version)),
        }
    }
    let mut parts = alone.chunks(CHUNK).chain(std::iter::repeat(&[][..]));
    let mut part = || delete_expired(app, parts.next().unwrap_or_default());
    let (first, second, third, fourth, lapsed) =
        tokio::try_join!(part(), part(), part(), part(), delete_lapsed(app, lapsed))?;
    *after = next;
    Ok(first + second + third + fourth + lapsed)
}

/// Whether what is at `key` has no end, whatever the engine says of one.
fn stays(key: &[u8]) -> bool {
    KeyParts::parse(key).is_some_and(|parts| parts.kind().lifetime == Lifetime::Stays)
}

/// Deletes what must not go alone, four batches at a time, too. Those of one entity lie in one batch as far as they can, so that
/// batches do not come in each other's way.
async fn delete_lapsed(app: &App, mut lapsed: Vec<Lapsed>) -> Result<usize, Fault> {
    lapsed.sort_unstable_by(|one, other| one.key().cmp(other.key()));
    let (mut swept, mut parts) = (0, lapsed.chunks(LAPSED_AT_ONCE));
    while parts.len() > 0 {
        let mut next = || lapse::delete(app, parts.next().unwrap_or_default());
        let (first, second, third, fourth) = tokio::try_join!(next(), next(), next(), next())?;
        swept += first + second + third + fourth;
    }
    Ok(swept)
}

/// How many of the entries were deleted. What changed meanwhile stays, and what it was read with is left to the next round.
async fn delete_expired(app: &App, entries: &[(Vec<u8>, Version)]) -> Result<usize, Fault> {
    if delete_unless_changed(app, entries).await? {
        return Ok(entries.len());
    }
    let mut swept = 0;
    for piece in entries.chunks(CHUNK / PIECES) {
        if delete_unless_changed(app, piece).await? {
            swept += piece.len();
        }
    }
    Ok(swept)
}

/// Whether the entries were deleted: all of them, if none has changed.
async fn delete_unless_changed(app: &App, entries: &[(Vec<u8>, Version)]) -> Result<bool, Fault> {
    let mut reading = Reading::new(app);
    let mut batch = Batch::new();
    for (key, version) in entries {
        reading.rest_on(key.clone(), *version);
        batch = batch.delete(key.clone());
    }
    commit_unless_changed(reading, batch).await
}

async fn sweep_purges(app: &App) -> Result<usize, Fault> {
    let prefix = keys::purges().bytes().to_vec();
    let scan = Scan {
        prefix,
        after: None,
        order: Order::Ascending,
        limit: CHUNK,
    };
    let mut swept = 0;
    for (key, entry) in Reading::new(app).scan_past(scan).await? {
        let Some(service) = keys::last_sid(&key).map(ServiceSid::from_bytes) else {
            continue;
        };
        let _: Purge = records::decode(&entry.value)?;
        swept += sweep_service(app, service, entry.version).await?;
    }
    Ok(swept)
}

/// Deletes a chunk of what is below a deleted service; when nothing is left, the note that it is to be swept, too. Whoever
/// writes below a service asserts it, so nothing comes after.
async fn sweep_service(app: &App, service: ServiceSid, purge: Version) -> Result<usize, Fault> {
    let mut reading = Reading::new(app);
    for prefix in keys::below_service(service) {
        let scan = Scan {
            prefix,
            after: None,
            order: Order::Ascending,
            limit: CHUNK,
        };
        let entries = reading.scan_past(scan).await?;
        if entries.is_empty() {
            continue;
        }
        let (mut batch, count) = (Batch::new(), entries.len());
        for (key, entry) in entries {
            if let Some(KeyParts::Factor(..)) = KeyParts::parse(&key)
                && let Ok(Factor {
                    kind: FactorKind::Push(push),
                    ..
                }) = records::decode(&entry.value)
            {
                batch = batch.delete(keys::device(push.credential).into_bytes());
            }
            reading.rest_on(key.clone(), entry.version);
            batch = batch.delete(key);
        }
        return commit_unless_changed(reading, batch)
            .await
            .map(|done| if done { count } else { 0 });
    }
    let key = keys::purge(service).into_bytes();
    reading.rest_on(key.clone(), purge);
    let batch = Batch::new().delete(key);
    commit_unless_changed(reading, batch).await.map(usize::from)
}

/// Whether the batch was committed; one whose entries changed since they were read is left to the next round.
async fn commit_unless_changed(reading: Reading<'_>, batch: Batch) -> Result<bool, Fault> {
    if batch.is_empty() {
        return Ok(false);
    }
    match reading.commit_unaudited(batch).await {
        Ok(()) => Ok(true),
        Err(Fault::Conflict(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::{ManualClock, TestParts};

    /// What is over for a node whose clock is ahead may count for the others.
    #[tokio::test(start_paused = true)]
    async fn what_counts_on_a_node_that_is_behind_is_not_reclaimed() {
        let behind = TestParts::default().wire();
        let now = behind.clock.now();
        let clock = Arc::new(ManualClock::new(now + Duration::from_secs(30)));
        let parts = TestParts {
            clock: clock.clone(),
            ..TestParts::of(&behind)
        };
        let ahead = Arc::new(parts.wire());
        let batch = Batch::new().put_until(b"~counts".to_vec(), vec![1], now + Duration::from_secs(1));
        behind.store.commit(batch).await.unwrap();
        let sweeping = tokio::spawn(keep_up(Arc::clone(&ahead)));
        tokio::time::sleep(PERIOD * 3).await;
        assert!(behind.store.get(b"~counts").await.unwrap().is_some());
        clock.advance(Duration::from_secs(31));
        tokio::time::sleep(PERIOD * 3).await;
        assert!(behind.store.get(b"~counts").await.unwrap().is_none());
        sweeping.abort();
    }
}
