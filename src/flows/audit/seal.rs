//! Seals entries once they have settled: each seal covers those behind the one before it, and the head names the last one.

use std::sync::Arc;
use std::time::Duration;

use super::integrity::{LOST_HEAD, record_forged, record_lost_head};
use super::left_out::{record_all_left_out, record_left_out};
use super::strangers::record_strangers;
use crate::app::App;
use crate::crypto::audit_chain::{StretchDigest, hash_of};
use crate::domain::audit::{AuditDetail, AuditHead, AuditSeal, MOST_SEALED, SETTLED};
use crate::domain::sid::{AccountSid, AuditSid};
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::{Batch, Order, Scan, keys};

/// Seals what has settled, for ever, and writes down what nobody waited for. Entries that a server left unsealed when it ended are
/// found at the start of any.
pub async fn keep_up(app: Arc<App>) {
    if app.policy.audit_detail == AuditDetail::Off {
        return tell_again_and_again(&app).await;
    }
    // Neither waits for the other: there may be much to seal.
    tokio::join!(tell_again_and_again(&app), seal_again_and_again(&app));
}

/// Writes down what is known in memory only, when the process ends.
pub async fn tell_the_rest(app: &App) {
    record_strangers(app).await;
    if app.policy.audit_detail != AuditDetail::Off {
        record_forged(app).await;
        record_all_left_out(app).await;
    }
}

async fn tell_again_and_again(app: &App) {
    loop {
        tokio::time::sleep(PERIOD).await;
        record_strangers(app).await;
        if app.policy.audit_detail != AuditDetail::Off {
            record_forged(app).await;
            record_left_out(app).await;
        }
    }
}

async fn seal_again_and_again(app: &App) {
    let (mut are_noted, mut failing) = (false, false);
    loop {
        if !are_noted {
            let noted = note_all(app).await;
            if let (Err(error), false) = (&noted, failing) {
                tracing::error!("cannot look for all audit entries that are not sealed: {error}");
            }
            are_noted = noted.is_ok();
            tokio::time::sleep(PERIOD).await;
        }
        let sealed = Box::pin(round(app)).await;
        if let (Err(error), false) = (&sealed, failing) {
            tracing::error!("audit entries are not sealed: {error}");
        }
        failing = sealed.is_err();
        match sealed {
            // One client among many, as the sweeper is.
            Ok(Round::HasMore) => tokio::task::yield_now().await,
            Ok(Round::IsThrough) | Err(_) => tokio::time::sleep(PERIOD).await,
        }
    }
}

/// How often is looked for what has settled.
const PERIOD: Duration = Duration::from_secs(5);

/// Notes what is to be sealed, of whatever server.
///
/// # Errors
/// [`Fault`].
pub async fn note_all(app: &App) -> Result<(), Fault> {
    let scan = Scan {
        prefix: keys::accounts().bytes().to_vec(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let accounts = Reading::new(app).scan_past(scan).await?;
    let accounts = accounts.iter().filter_map(|(key, _)| keys::last_sid(key));
    let mut failed = Ok(());
    for account in accounts.map(AccountSid::from_bytes).chain([super::NOBODY]) {
        app.memory.audit.note_unsealed(account, app.clock.now());
        match Reading::new(app).glance(&keys::audit_head(account)).await {
            Ok(Some(head)) => app.memory.audit.note_sealed(account, head.last),
            Ok(None) => {}
            // One account whose head somebody else wrote keeps no other's entries from being found. Its own are refused later.
            Err(fault) if fault.is_of_a_record() => {}
            Err(fault) => failed = Err(fault),
        }
    }
    failed
}

/// Whether a round has sealed all there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// What is left has not settled.
    IsThrough,
    /// Some account has more than its share of a round, or another server sealed the same.
    HasMore,
}

/// Seals some of what has settled by now: a stretch of each account in its turn, and a bounded number of them, so that one which has
/// much makes no other wait.
///
/// # Errors
/// [`Fault`]: what is not sealed then is sealed in a later round.
pub async fn round(app: &App) -> Result<Round, Fault> {
    let memory = &app.memory.audit;
    let mut failed = Ok(());
    let mut in_turn = memory.take_due(app.clock.now());
    for _ in 0..MOST_TURNS {
        let mut again = Vec::new();
        for account in in_turn {
            match seal_stretch(app, account).await {
                Ok(Rest::Settled) | Err(Fault::Conflict(_)) => again.push(account),
                Ok(Rest::Unsettled(first)) => {
                    // Not a few at a time: others come after the first one.
                    let now = app.clock.now();
                    let due = (first.created_at() + SETTLED).clamp(now + PERIOD, now + SETTLED);
                    memory.note_unsealed(account, due);
                }
                Ok(Rest::Nothing) => {}
                // One account whose entries cannot be sealed keeps no other's from it.
                Err(fault) => {
                    memory.note_unsealed(account, app.clock.now() + PERIOD);
                    failed = failed.and(Err(fault));
                }
            }
        }
        in_turn = again;
    }
    for account in &in_turn {
        memory.note_unsealed(*account, app.clock.now());
    }
    failed.map(|()| {
        if in_turn.is_empty() {
            Round::IsThrough
        } else {
            Round::HasMore
        }
    })
}

/// How many stretches of an account are sealed in a round.
pub(super) const MOST_TURNS: usize = 10;

/// What is left of an account's entries.
enum Rest {
    Nothing,
    /// Some that have not settled, from this one on.
    Unsettled(AuditSid),
    /// There may be some that have.
    Settled,
}

/// Seals the first entries of an account that have settled.
async fn seal_stretch(app: &App, account: AccountSid) -> Result<Rest, Fault> {
    let settled = app.clock.now().before(SETTLED);
    let mut reading = Reading::new(app);
    let head_key = keys::audit_head(account);
    let head = reading.get(&head_key).await?;
    if app
        .memory
        .audit
        .is_sealed_beyond(account, head.as_ref().map(|head| head.last))
    {
        record_lost_head(app, account).await;
        // What comes behind it is not sealed as if nothing had been.
        return Err(Fault::Forged(LOST_HEAD.to_owned()));
    }
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
    let found = reading.scan_past(scan).await?;
    let (mut digest, mut ends) = (StretchDigest::default(), Vec::with_capacity(found.len()));
    let mut stretch: Option<(AuditSid, AuditSid)> = None;
    let mut rest = if found.len() < MOST_SEALED {
        Rest::Nothing
    } else {
        Rest::Settled
    };
    for (key, entry) in &found {
        let Some(sid) = keys::last_sid(key).map(AuditSid::from_bytes) else {
            continue;
        };
        if sid.created_at() > settled {
            rest = Rest::Unsettled(sid);
            break;
        }
        digest.add(sid, &entry.value);
        ends.extend(entry.expires_at);
        stretch = Some((stretch.map_or(sid, |(first, _)| first), sid));
    }
    let Some((first, last)) = stretch else {
        return Ok(rest);
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
        .append_record_until(key, &seal, seal.ends_at)?
        .put_record(head_key, &next)?;
    reading.commit_unaudited(batch).await?;
    app.memory.audit.note_sealed(account, last);
    Ok(rest)
}
