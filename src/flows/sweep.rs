//! Reclaims what is over. Nothing depends on it but space: whether something is over is decided when it is read.

use crate::app::App;
use crate::domain::factor::{Factor, FactorKind};
use crate::domain::sid::ServiceSid;
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault};
use crate::store::keys::KeyParts;
use crate::store::records::{self, Purge, Stored};
use crate::store::{Batch, Order, Scan, keys};

/// How many entries one batch deletes at the most.
const CHUNK: usize = 200;

/// Deletes some of what has expired and of what deleted services left behind. Returns how many entries went: after a
/// full round there is likely more.
///
/// # Errors
/// [`Error::Failed`].
pub async fn sweep(app: &App) -> Result<usize, Error> {
    Ok(sweep_expired(app).await? + sweep_purges(app).await?)
}

async fn sweep_expired(app: &App) -> Result<usize, Error> {
    let expired = app.store.expired(app.clock.now(), CHUNK).await?;
    let mut batch = Batch::new();
    let count = expired.len();
    for (key, version) in expired {
        batch = batch.assert_at(key.clone(), version).delete(key);
    }
    commit_unless_changed(app, batch)
        .await
        .map(|done| if done { count } else { 0 })
}

async fn sweep_purges(app: &App) -> Result<usize, Error> {
    let prefix = keys::purges().bytes().to_vec();
    let scan = Scan {
        prefix,
        after: None,
        order: Order::Ascending,
        limit: CHUNK,
    };
    let mut swept = 0;
    for (key, entry) in app.store.scan(scan).await? {
        let Some(service) = keys::last_sid(&key).map(ServiceSid::from_bytes) else {
            continue;
        };
        let purge = Stored {
            record: records::decode::<Purge>(&entry.value)?,
            version: entry.version,
        };
        swept += sweep_service(app, service, &purge).await?;
    }
    Ok(swept)
}

/// Deletes a chunk of what is below a deleted service; when nothing is left, the note that it is to be swept, too. Whoever
/// writes below a service asserts it, so nothing comes after.
async fn sweep_service(app: &App, service: ServiceSid, purge: &Stored<Purge>) -> Result<usize, Error> {
    for prefix in keys::below_service(service) {
        let scan = Scan {
            prefix,
            after: None,
            order: Order::Ascending,
            limit: CHUNK,
        };
        let entries = app.store.scan(scan).await?;
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
            batch = batch.assert_at(key.clone(), entry.version).delete(key);
        }
        return commit_unless_changed(app, batch)
            .await
            .map(|done| if done { count } else { 0 });
    }
    let key = keys::purge(service);
    let batch = Batch::new().assert_read(&key, purge).delete(key.into_bytes());
    commit_unless_changed(app, batch).await.map(usize::from)
}

/// Whether the batch was committed; one whose entries changed since they were read is left to the next round.
async fn commit_unless_changed(app: &App, batch: Batch) -> Result<bool, Error> {
    if batch.is_empty() {
        return Ok(false);
    }
    match Reading::new(app).commit(batch).await {
        Ok(()) => Ok(true),
        Err(Fault::Conflict) => Ok(false),
        Err(fault) => Err(fault.into()),
    }
}
