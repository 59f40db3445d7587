//! Seals entries once they have settled: each seal covers those behind the one before it, and the head names the last one.

use std::sync::Arc;
use std::time::Duration;

use super::integrity::record_forged;
use super::strangers::record_strangers;
use crate::app::App;
use crate::crypto::audit_chain::{StretchDigest, hash_of};
use crate::domain::audit::{AuditDetail, AuditHead, AuditSeal, MOST_SEALED, SETTLED};
use crate::domain::sid::{AccountSid, AuditSid};
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::{Batch, Order, Scan, keys};

/// Seals what has settled, for ever. Entries that a server left unsealed when it ended are found at the start of any.
pub async fn keep_up(app: Arc<App>) {
    if app.policy.audit_detail == AuditDetail::Off {
        return;
    }
    let mut failing = match note_all(&app).await {
        Ok(()) => false,
        Err(error) => {
            tracing::error!("cannot look for audit entries that are not sealed: {error}");
            true
        }
    };
    loop {
        tokio::time::sleep(PERIOD).await;
        record_strangers(&app).await;
        record_forged(&app).await;
        let sealed = Box::pin(round(&app)).await;
        if let (Err(error), false) = (&sealed, failing) {
            tracing::error!("audit entries are not sealed: {error}");
        }
        failing = sealed.is_err();
    }
}

/// How often is looked for what has settled.
const PERIOD: Duration = Duration::from_secs(5);

pub(super) async fn note_all(app: &App) -> Result<(), Fault> {
    let scan = Scan {
        prefix: keys::accounts().bytes().to_vec(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let accounts = Reading::new(app).scan(scan).await?;
    let accounts = accounts.iter().filter_map(|(key, _)| keys::last_sid(key));
    for account in accounts.map(AccountSid::from_bytes).chain([super::NOBODY]) {
        app.memory.audit.note_unsealed(account);
        if let Some(head) = Reading::new(app).glance(&keys::audit_head(account)).await? {
            app.memory.audit.note_sealed(account, head.last);
        }
    }
    Ok(())
}

/// Seals what has settled by now.
///
/// # Errors
/// [`Fault`]: what is not sealed then is sealed in a later round.
pub async fn round(app: &App) -> Result<(), Fault> {
    let mut failed = Ok(());
    for account in app.memory.audit.take_unsealed() {
        // One account whose entries cannot be sealed keeps no other's from it.
        let sealed = seal_account(app, account).await;
        if !matches!(sealed, Ok(Rest::Nothing)) {
            app.memory.audit.note_unsealed(account);
        }
        failed = failed.and(sealed.map(drop));
    }
    failed
}

/// What is left of an account's entries.
enum Rest {
    Nothing,
    /// Some that have not settled.
    Unsettled,
}

async fn seal_account(app: &App, account: AccountSid) -> Result<Rest, Fault> {
    loop {
        match seal_once(app, account).await {
            Ok(Some(rest)) => return Ok(rest),
            // Another server has sealed the same, or there is more.
            Ok(None) | Err(Fault::Conflict(_)) => tokio::task::yield_now().await,
            Err(fault) => return Err(fault),
        }
    }
}

/// Seals a stretch. Whether nothing is left that could be sealed now.
async fn seal_once(app: &App, account: AccountSid) -> Result<Option<Rest>, Fault> {
    let settled = app.clock.now().before(SETTLED);
    let mut reading = Reading::new(app);
    let head_key = keys::audit_head(account);
    let head = reading.get(&head_key).await?;
    if let Some(head) = &head {
        app.memory.audit.note_sealed(account, head.last);
    }
    let entries = keys::audit_entries(account);
    let scan = Scan {
        prefix: entries.bytes().to_vec(),
        after: head
            .as_ref()
            .map(|head| entries.key(head.last.as_bytes()).into_bytes()),
        order: Order::Ascending,
        limit: MOST_SEALED,
    };
    let found = reading.scan(scan).await?;
    let (mut digest, mut ends) = (StretchDigest::default(), Vec::with_capacity(found.len()));
    let mut stretch: Option<(AuditSid, AuditSid)> = None;
    let mut rest = Rest::Nothing;
    for (key, entry) in &found {
        let Some(sid) = keys::last_sid(key).map(AuditSid::from_bytes) else {
            continue;
        };
        if sid.created_at() > settled {
            rest = Rest::Unsettled;
            break;
        }
        digest.add(sid, &entry.value);
        ends.extend(entry.expires_at);
        stretch = Some((stretch.map_or(sid, |(first, _)| first), sid));
    }
    let Some((first, last)) = stretch else {
        return Ok(Some(rest));
    };
    let bound = |end: Option<&Timestamp>| end.copied().unwrap_or(last.created_at());
    let seal = AuditSeal {
        number: head.as_ref().map_or(0, |head| head.seals) + 1,
        previous: head.as_ref().map_or([0; 32], |head| head.hash),
        first,
        last,
        entries: digest.entries(),
        digest: digest.finish(),
        whole_until: bound(ends.iter().min()),
        ends_at: bound(ends.iter().max()),
        previous_ends_at: head.as_ref().map(|head| head.ends_at),
    };
    let next = AuditHead {
        seals: seal.number,
        hash: hash_of(&seal),
        last,
        ends_at: seal.ends_at,
        entries: head.as_ref().map_or(0, |head| head.entries) + u64::from(seal.entries),
    };
    let key = keys::audit_seal(account, last);
    let batch = Batch::new()
        .put_new_record_until(key, &seal, seal.ends_at)?
        .put_record(head_key, &next)?;
    reading.commit_unaudited(batch).await?;
    Ok(None)
}
