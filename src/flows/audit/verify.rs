//! Finds out whether entries are missing, changed or out of order.

use super::integrity::LOST_HEAD;
use crate::app::App;
use crate::crypto::audit_chain::{StretchDigest, hash_of};
use crate::domain::audit::{AuditEntry, AuditHead, AuditSeal, SETTLED};
use crate::domain::sid::{AccountSid, AuditSid};
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::{Entry, Order, Scan, keys, records};

/// How far a chain was followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainPosition {
    /// The last seal that was looked at, and its hash.
    pub seal: Option<(u64, [u8; 32])>,
    /// The last entry that it covers.
    pub last: Option<AuditSid>,
    /// Behind the last seal: up to which entry those that are not sealed were counted.
    pub counted: Option<AuditSid>,
}

/// What was found in some part of a chain.
#[derive(Clone, Debug, Default)]
pub struct ChainPart {
    /// Where the next part begins.
    pub position: ChainPosition,
    /// Whether this one was the last.
    pub is_last: bool,
    /// How many entries are as they were sealed.
    pub entries: u64,
    /// How many are not sealed yet.
    pub unsealed: u64,
    /// What is wrong, in words.
    pub problems: Vec<String>,
}

/// Follows an account's chain of seals from `position`, a bounded part of it.
///
/// Whoever can write the store, but has no master key, can take away or put back whole entries and seals: that a seal fits the
/// one before it and all its entries, and the head the last one, tells.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn follow(app: &App, account: AccountSid, position: ChainPosition) -> Result<ChainPart, Fault> {
    let now = app.clock.now();
    // Each before the next: what is sealed meanwhile seems to be neither missing nor too much.
    let sealed = app.memory.audit.sealed_up_to(account);
    let head = Reading::new(app).glance(&keys::audit_head(account)).await;
    let mut part = ChainPart {
        position,
        ..ChainPart::default()
    };
    let head = match head {
        Err(Fault::Forged(why)) => {
            part.problems.push(format!("the head of the chain: {why}"));
            None
        }
        head => head?,
    };
    if part.position.counted.is_some() {
        count_unsealed(app, account, now, &mut part).await?;
        return Ok(part);
    }
    let listing = keys::audit_seals(account);
    let after = part
        .position
        .last
        .map(|last| listing.key(last.as_bytes()).into_bytes());
    let seals = scan(app, listing.bytes(), after, SEALS_AT_ONCE).await?;
    part.is_last = seals.len() < SEALS_AT_ONCE;
    for (key, entry) in seals {
        match records::decode::<AuditSeal>(&entry.value) {
            Ok(seal) => follow_seal(app, account, &key, &seal, now, &mut part).await?,
            Err(error) => part.problems.push(format!("a seal cannot be read: {error}")),
        }
        if head
            .as_ref()
            .is_some_and(|head| Some(head.last) == part.position.last)
        {
            part.is_last = true;
            break;
        }
    }
    if part.is_last {
        // It may fit what is there, and all of it be of an earlier time.
        if head.as_ref().map(|head| head.last) < sealed {
            part.problems.push(format!("the head of the chain: {LOST_HEAD}"));
        }
        finish(app, account, head.as_ref(), now, &mut part).await?;
    }
    Ok(part)
}

async fn follow_seal(
    app: &App,
    account: AccountSid,
    key: &[u8],
    seal: &AuditSeal,
    now: Timestamp,
    part: &mut ChainPart,
) -> Result<(), Fault> {
    let number = seal.number;
    if keys::last_sid(key).map(AuditSid::from_bytes) != Some(seal.last) {
        part.problems
            .push(format!("seal {number} stands in another one's place"));
    }
    let before = part.position.seal.map_or(0, |(before, _)| before);
    let follows = before + 1 == number;
    match part.position.seal {
        Some((_, hash)) if follows => {
            if seal.previous != hash {
                part.problems
                    .push(format!("seal {number} is of another seal than the one before it"));
            }
        }
        // What is between ended since the one before it was looked at.
        Some(_) if before < number && seal.previous_ends_at.is_some_and(|end| end <= now) => {}
        Some(_) => part.problems.push(format!(
            "behind seal {before} comes seal {number}: what is between is missing"
        )),
        // The first one that is left: those before it ended, or never were.
        None if follows => {}
        None if seal.previous_ends_at.is_some_and(|end| end <= now) => {}
        None => part.problems.push(format!(
            "the seals before seal {number} are missing, and they are not to be reclaimed yet"
        )),
    }
    let (mut digest, mut after) = (StretchDigest::default(), part.position.last);
    let from = (!follows).then_some(seal.first);
    loop {
        let found = entries(app, account, after).await?;
        // Those that it covers may all be gone: then the first one found is another's.
        let is_through =
            found.len() < ENTRIES_AT_ONCE || found.last().is_some_and(|(sid, _)| *sid >= seal.last);
        for (sid, entry) in found.into_iter().take_while(|(sid, _)| *sid <= seal.last) {
            after = Some(sid);
            // Before a seal that follows none that is left there may be what ended.
            if from.is_none_or(|from| sid >= from) {
                digest.add(sid, &entry.value);
            }
            if let Err(error) = records::decode::<AuditEntry>(&entry.value) {
                part.problems.push(format!("entry {sid} cannot be read: {error}"));
            }
        }
        if is_through {
            break;
        }
    }
    let count = digest.entries();
    if digest.finish() == seal.digest {
        part.entries += u64::from(count);
    } else if count >= seal.entries || seal.whole_until > now {
        part.problems.push(format!(
            "the entries from {} to {} are not as they were sealed: {count} are there, {} were sealed",
            seal.first, seal.last, seal.entries
        ));
    }
    part.position.seal = Some((number, hash_of(seal)));
    part.position.last = Some(seal.last);
    Ok(())
}

/// Compares the end of the chain with what the head says of it, and counts what comes behind.
async fn finish(
    app: &App,
    account: AccountSid,
    head: Option<&AuditHead>,
    now: Timestamp,
    part: &mut ChainPart,
) -> Result<(), Fault> {
    match (head, part.position.seal) {
        (Some(head), Some(seal)) if seal == (head.seals, head.hash) => {}
        // All of them ended, or those that were not looked at did meanwhile.
        (Some(head), seal) if head.ends_at <= now && seal.is_none_or(|(number, _)| number < head.seals) => {
            part.position.last = Some(head.last);
        }
        (None, None) => {}
        (Some(head), _) => part.problems.push(format!(
            "the last of {} seals is missing, or is another one",
            head.seals
        )),
        (None, Some(_)) => part.problems.push("the head of the chain is missing".to_owned()),
    }
    count_unsealed(app, account, now, part).await
}

/// Counts some of the entries behind the last seal.
async fn count_unsealed(
    app: &App,
    account: AccountSid,
    now: Timestamp,
    part: &mut ChainPart,
) -> Result<(), Fault> {
    let is_first = part.position.counted.is_none();
    let mut after = part.position.counted.or(part.position.last);
    for _ in 0..SEALS_AT_ONCE {
        let found = entries(app, account, after).await?;
        part.is_last = found.len() < ENTRIES_AT_ONCE;
        for (sid, _) in found {
            after = Some(sid);
            part.unsealed += 1;
            if is_first && part.unsealed == 1 && now.since(sid.created_at()) > SETTLED * 60 {
                part.problems.push(format!(
                    "the entries from {sid} on are not sealed, and have been there for more than an hour; does a server run?"
                ));
            }
        }
        if part.is_last {
            break;
        }
    }
    part.position.counted = after;
    Ok(())
}

async fn entries(
    app: &App,
    account: AccountSid,
    after: Option<AuditSid>,
) -> Result<Vec<(AuditSid, Entry)>, Fault> {
    let listing = keys::audit_entries(account);
    let after = after.map(|after| listing.key(after.as_bytes()).into_bytes());
    let found = scan(app, listing.bytes(), after, ENTRIES_AT_ONCE).await?;
    let with_sid =
        |(key, entry): (Vec<u8>, Entry)| Some((AuditSid::from_bytes(keys::last_sid(&key)?), entry));
    Ok(found.into_iter().filter_map(with_sid).collect())
}

async fn scan(
    app: &App,
    prefix: &[u8],
    after: Option<Vec<u8>>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, Entry)>, Fault> {
    let scan = Scan {
        prefix: prefix.to_vec(),
        after,
        order: Order::Ascending,
        limit,
    };
    Reading::new(app).scan_past(scan).await
}

/// How many seals one part follows, or stretches of entries behind them: somebody waits for the answer.
pub(super) const SEALS_AT_ONCE: usize = 10;

const ENTRIES_AT_ONCE: usize = 500;
