//! Reclaims what is over. Nothing depends on it but space: whether something is over is decided when it is read.

use crate::app::App;
use crate::domain::factor::{Factor, FactorKind};
use crate::domain::sid::ServiceSid;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::keys::KeyParts;
use crate::store::records::{self, Purge};
use crate::store::{Batch, Order, Scan, Version, keys};

/// How many entries one batch deletes at the most.
const CHUNK: usize = 200;

/// Deletes some of what has expired and of what deleted services left behind. Returns how many entries went: after a
/// full round there is likely more.
///
/// # Errors
/// [`Fault`].
pub async fn round(app: &App) -> Result<usize, Fault> {
    Ok(sweep_expired(app).await? + sweep_purges(app).await?)
}

async fn sweep_expired(app: &App) -> Result<usize, Fault> {
    let mut reading = Reading::new(app);
    let expired = reading.expired(app.clock.now(), CHUNK).await?;
    let (mut batch, count) = (Batch::new(), expired.len());
    for (key, version) in expired {
        reading.rest_on(key.clone(), version);
        batch = batch.delete(key);
    }
    commit_unless_changed(reading, batch)
        .await
        .map(|done| if done { count } else { 0 })
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
    for (key, entry) in Reading::new(app).scan(scan).await? {
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
        let entries = reading.scan(scan).await?;
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
    match reading.commit(batch).await {
        Ok(()) => Ok(true),
        Err(Fault::Conflict) => Ok(false),
        Err(fault) => Err(fault),
    }
}
