//! The entries of an account, for whoever looks for some.

use crate::app::App;
use crate::domain::audit::{AuditEntry, AuditOutcome};
use crate::domain::sid::{AccountSid, AuditSid, FactorSid};
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::{Order, Scan, ScanPage, keys, records};

/// Which entries are looked for. What is not said does not matter.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct AuditFilter {
    pub identity: Option<String>,
    pub factor: Option<FactorSid>,
    /// A phone number or an e-mail address, as it was given or as it is counted.
    pub destination: Option<String>,
    pub outcome: Option<AuditOutcome>,
    /// At this moment or later.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    fn admits(&self, entry: &AuditEntry) -> bool {
        let subject = entry.decision.as_ref().map(|decision| &decision.subject);
        let names = |text: &str| entry.changes.iter().any(|change| change.what.contains(text));
        let identity = self.identity.as_ref().is_none_or(|wanted| {
            let identity = subject.and_then(|subject| subject.identity.as_ref());
            identity.is_some_and(|identity| identity.as_str() == wanted) || names(wanted)
        });
        let factor = self.factor.is_none_or(|wanted| {
            subject.and_then(|subject| subject.factor) == Some(wanted) || names(&wanted.to_string())
        });
        let destination = self.destination.as_ref().is_none_or(|wanted| {
            let destination = subject.and_then(|subject| subject.destination.as_ref());
            destination.is_some_and(|destination| destination.as_str() == wanted) || names(wanted)
        });
        let outcome = self.outcome.is_none_or(|wanted| entry.outcome() == wanted);
        identity && factor && destination && outcome
    }
}

/// Some of the entries that were looked for.
#[derive(Debug)]
pub struct AuditPage {
    /// In the order that was asked for.
    pub entries: Vec<(AuditSid, AuditEntry)>,
    /// Where to go on; `None` behind the last one.
    pub next: Option<AuditSid>,
    /// Those that were looked at and that this release cannot read: a later one wrote them.
    pub unreadable: Vec<AuditSid>,
}

/// The entries that `filter` admits, up to `limit`, behind `after` in this order. A page may have fewer, or none, and not be the
/// last: it looks at a bounded number.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn page(
    app: &App,
    account: AccountSid,
    filter: &AuditFilter,
    order: Order,
    after: Option<AuditSid>,
    limit: usize,
) -> Result<AuditPage, Fault> {
    let listing = keys::audit_entries(account);
    let mut after = after.or_else(|| beginning(filter, order));
    let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
    for _ in 0..MOST_SCANS {
        let scan = Scan {
            prefix: listing.bytes().to_vec(),
            after: after.map(|after| listing.key(after.as_bytes()).into_bytes()),
            order,
            limit: SCANNED_AT_ONCE,
        };
        let ScanPage { entries: found, next } = Reading::new(app).scan_some(scan).await?;
        let is_last = next.is_none() && found.len() < SCANNED_AT_ONCE;
        for (key, entry) in found {
            let Some(sid) = keys::last_sid(&key).map(AuditSid::from_bytes) else {
                continue;
            };
            let at = sid.created_at();
            let (is_early, is_late) = (
                filter.since.is_some_and(|since| at < since),
                filter.until.is_some_and(|until| at >= until),
            );
            if matches!(
                (order, is_early, is_late),
                (Order::Ascending, _, true) | (Order::Descending, true, _)
            ) {
                return Ok(AuditPage {
                    entries,
                    next: None,
                    unreadable,
                });
            }
            after = Some(sid);
            let Ok(record) = records::decode::<AuditEntry>(&entry.value) else {
                if !is_early && !is_late {
                    unreadable.push(sid);
                }
                continue;
            };
            if !is_early && !is_late && filter.admits(&record) {
                entries.push((sid, record));
                if entries.len() == limit {
                    return Ok(AuditPage {
                        entries,
                        next: after,
                        unreadable,
                    });
                }
            }
        }
        if is_last {
            return Ok(AuditPage {
                entries,
                next: None,
                unreadable,
            });
        }
        if let Some(key) = next {
            // Behind what is no entry's key there is nothing that a caller can name.
            let exact = keys::last_sid(&key).filter(|sid| listing.key(sid).into_bytes() == key);
            let sid = exact.ok_or_else(|| Fault::Forged(SO_MANY_FORGED.to_owned()))?;
            after = Some(AuditSid::from_bytes(sid));
        }
    }
    Ok(AuditPage {
        entries,
        next: after,
        unreadable,
    })
}

/// The latest entries of an account that somebody wants to see.
#[derive(Debug, Default)]
pub struct LatestEntries {
    /// The newest first.
    pub entries: Vec<(AuditSid, AuditEntry)>,
    /// Back to when entries were looked at, if there may be older ones that were not.
    pub looked_back_to: Option<Timestamp>,
    /// How many of those that were looked at this release cannot read: a later one wrote them.
    pub unreadable: u64,
}

/// Which of the latest entries somebody wants to see.
pub struct WantedEntries<'a> {
    /// Whether this is one.
    pub is_wanted: &'a (dyn Fn(&AuditEntry) -> bool + Sync),
    /// How many at the most.
    pub limit: usize,
}

/// The latest entries of each kind that is `wanted`, all of them in one pass. It looks at a bounded number, from the newest on.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn latest<const KINDS: usize>(
    app: &App,
    account: AccountSid,
    wanted: [WantedEntries<'_>; KINDS],
) -> Result<[LatestEntries; KINDS], Fault> {
    let listing = keys::audit_entries(account);
    let mut latest = std::array::from_fn(|_| LatestEntries::default());
    // Those of which there are as many as are wanted, and another one.
    let mut is_full = [false; KINDS];
    let mut after: Option<Vec<u8>> = None;
    for _ in 0..MOST_SCANS {
        let scan = Scan {
            prefix: listing.bytes().to_vec(),
            after: after.clone(),
            order: Order::Descending,
            limit: SCANNED_AT_ONCE,
        };
        let ScanPage { entries: found, next } = Reading::new(app).scan_some(scan).await?;
        let is_last = next.is_none() && found.len() < SCANNED_AT_ONCE;
        for (key, entry) in found {
            if let Some(sid) = keys::last_sid(&key).map(AuditSid::from_bytes) {
                let Ok(record) = records::decode::<AuditEntry>(&entry.value) else {
                    for latest in &mut latest {
                        latest.unreadable += 1;
                    }
                    continue;
                };
                for ((wanted, latest), is_full) in wanted.iter().zip(&mut latest).zip(&mut is_full) {
                    add(latest, wanted, is_full, sid, &record);
                }
            }
            after = Some(key);
        }
        after = next.or(after);
        if is_full.iter().all(|full| *full) {
            break;
        }
        if is_last {
            for (latest, is_full) in latest.iter_mut().zip(is_full) {
                latest.looked_back_to = latest.looked_back_to.filter(|_| is_full);
            }
            break;
        }
    }
    Ok(latest)
}

fn add(
    latest: &mut LatestEntries,
    wanted: &WantedEntries<'_>,
    is_full: &mut bool,
    sid: AuditSid,
    record: &AuditEntry,
) {
    if *is_full {
        return;
    }
    latest.looked_back_to = Some(sid.created_at());
    if (wanted.is_wanted)(record) {
        if latest.entries.len() == wanted.limit {
            *is_full = true;
        } else {
            latest.entries.push((sid, record.clone()));
        }
    }
}

/// Behind which identifier the entries begin that the filter's times admit.
fn beginning(filter: &AuditFilter, order: Order) -> Option<AuditSid> {
    let first_at = |moment: Timestamp| {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&moment.millis().to_be_bytes()[2..]);
        AuditSid::from_bytes(bytes)
    };
    match order {
        Order::Ascending => filter.since.map(first_at),
        Order::Descending => filter.until.map(first_at),
    }
}

const SO_MANY_FORGED: &str = "so many entries of the audit log are not as a server of this store wrote them that they cannot be \
                              gone past; `countersign audit verify` and `countersign store check` say more";

/// How many scans one page takes at the most, and of how many entries each.
const MOST_SCANS: usize = 20;
const SCANNED_AT_ONCE: usize = 500;
