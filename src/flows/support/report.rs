//! How things stand with somebody, and what was decided lately.

use super::find::{FoundUser, KnownPlace, UserHandle};
use super::guards::{DestinationBlock, holding};
use crate::app::App;
use crate::domain::account::Account;
use crate::domain::audit::{AuditAct, AuditChange, AuditEntry, AuditOutcome};
use crate::domain::challenge::Challenge;
use crate::domain::destination::Destination;
use crate::domain::factor::{Factor, FactorKind};
use crate::domain::fraud::BlockReason;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ChallengeSid, FactorSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::domain::wrong_codes::WrongCodes;
use crate::flows::Fault;
use crate::flows::audit::list::{LatestEntries, WantedEntries, latest};
use crate::flows::page::{Cursor, Order, PageRequest, page};
use crate::flows::reading::Reading;
use crate::store::Scan;
use crate::store::keys::{self, Key};

/// How things stand with somebody.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct UserReport {
    pub account: Account,
    pub at: Timestamp,
    pub places: Vec<PlaceReport>,
    pub has_more_places: bool,
    /// Whether they were named by what is the SID of somebody's and the identity of somebody else.
    pub is_ambiguous: bool,
    pub destinations: Vec<DestinationReport>,
    /// What was decided about them, the newest first.
    pub decisions: LatestEntries,
    /// Who was not let in to the account: nobody knows whether that is about them.
    pub strangers: LatestEntries,
}

impl UserReport {
    /// Whether nothing at all is known of them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
            && self.decisions.entries.is_empty()
            && self.destinations.iter().all(DestinationReport::is_empty)
    }
}

/// How things stand in one service.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct PlaceReport {
    pub place: KnownPlace,
    pub factors: Vec<FactorReport>,
    /// The latest ones, the newest first.
    pub challenges: Vec<Challenge>,
    pub has_more_challenges: bool,
}

/// A factor, and how many challenges wait for it.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct FactorReport {
    pub factor: Factor,
    /// Of a push factor, as far as [`MOST_PENDING`].
    pub pending: usize,
}

/// How things stand with a number or an address, in all services of the account.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct DestinationReport {
    pub destination: Destination,
    pub wrong_codes: Option<WrongCodes>,
    /// What closes it now.
    pub blocks: Vec<DestinationBlock>,
    /// Whether it is on the account's safe list, so that no guard against toll fraud holds.
    pub is_safe: bool,
    /// The services that remember it.
    pub services: Vec<ServiceSid>,
    /// The latest ones, the newest first.
    pub verifications: Vec<Verification>,
    /// Whether there may be older ones that were not looked for.
    pub has_more_verifications: bool,
}

impl DestinationReport {
    fn is_empty(&self) -> bool {
        self.wrong_codes.is_none() && self.blocks.is_empty() && self.services.is_empty()
    }
}

/// How many challenges that wait for a factor are counted.
pub const MOST_PENDING: usize = 100;

/// How things stand with whoever was `found` by one of `handles`: the latest `limit` of challenges, verifications and, if it
/// `has_decisions`, of these. `None` if there is no such account.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn report(
    app: &App,
    account: AccountSid,
    handles: &[UserHandle],
    found: FoundUser,
    limit: usize,
    has_decisions: bool,
) -> Result<Option<UserReport>, Fault> {
    let Some(owner) = Reading::new(app).glance(&keys::account(account)).await? else {
        return Ok(None);
    };
    let at = app.clock.now();
    let (mut places, mut destinations) = (Vec::new(), Vec::new());
    for place in found.places {
        places.push(report_place(app, account, place, limit).await?);
    }
    let services = Reading::new(app)
        .list::<Service>(&keys::services(account), usize::MAX)
        .await?;
    let services: Vec<_> = services.iter().map(|service| service.sid).collect();
    for destination in found.destinations {
        let named = found.named.as_ref();
        destinations.push(report_destination(app, account, &services, destination, named, limit).await?);
    }
    let [decisions, strangers] = if has_decisions {
        let concerned = Concerned::new(handles, &places, &destinations);
        let about_them = WantedEntries {
            is_wanted: &|entry| concerned.is_in(entry),
            limit,
        };
        let of_strangers = WantedEntries {
            is_wanted: &is_of_a_stranger,
            limit: limit.min(MOST_STRANGERS),
        };
        latest(app, account, [about_them, of_strangers]).await?
    } else {
        Default::default()
    };
    Ok(Some(UserReport {
        account: owner,
        at,
        places,
        has_more_places: found.has_more_places,
        is_ambiguous: found.is_ambiguous,
        destinations,
        decisions,
        strangers,
    }))
}

async fn report_place(
    app: &App,
    account: AccountSid,
    place: KnownPlace,
    limit: usize,
) -> Result<PlaceReport, Fault> {
    let Some(entity) = &place.entity else {
        return Ok(PlaceReport {
            place,
            factors: Vec::new(),
            challenges: Vec::new(),
            has_more_challenges: false,
        });
    };
    let scope = place.name.scope(account, entity.sid);
    let mut factors = Vec::new();
    let listed: Vec<Factor> = Reading::new(app).list(&keys::factors(&scope), usize::MAX).await?;
    for factor in listed {
        let pending = match factor.kind {
            FactorKind::Push(_) => {
                let prefix = keys::pending(&scope, factor.sid).bytes().to_vec();
                let scan = Scan {
                    prefix,
                    after: None,
                    order: Order::Ascending,
                    limit: MOST_PENDING,
                };
                let now = app.clock.now();
                let waiting = Reading::new(app).scan(scan).await?.into_iter();
                waiting
                    .filter(|(_, marker)| marker.expires_at.is_some_and(|end| end > now))
                    .count()
            }
            FactorKind::Totp(_) => 0,
        };
        factors.push(FactorReport { factor, pending });
    }
    let request = latest_page(limit, Cursor::Start);
    let raw = page(app, &keys::challenges(&scope), request).await?;
    let challenges = raw.decoded::<Challenge>(app)?;
    Ok(PlaceReport {
        place,
        factors,
        has_more_challenges: challenges.next.is_some(),
        challenges: challenges.items,
    })
}

fn latest_page(size: usize, cursor: Cursor) -> PageRequest {
    PageRequest {
        size,
        cursor,
        order: Order::Descending,
    }
}

async fn report_destination(
    app: &App,
    account: AccountSid,
    services: &[ServiceSid],
    destination: Destination,
    named: Option<&Verification>,
    limit: usize,
) -> Result<DestinationReport, Fault> {
    let now = app.clock.now();
    let mut reading = Reading::new(app);
    let wrong_codes: Option<WrongCodes> = reading.glance(&keys::wrong_codes(account, &destination)).await?;
    let is_safe = match destination.phone() {
        Some(number) => reading.glimpse(&keys::safe_number(account, number)).await?,
        None => false,
    };
    let mut blocks = Vec::new();
    let closed = wrong_codes.as_ref().and_then(|codes| codes.closed_until(now));
    // Between two delays of a row a code is looked at.
    if let Some(until) = closed.filter(|until| *until > now) {
        blocks.push(DestinationBlock::until(BlockReason::WrongCodes, until));
    }
    let mut report = DestinationReport {
        destination,
        wrong_codes,
        blocks,
        is_safe,
        services: Vec::new(),
        verifications: Vec::new(),
        has_more_verifications: false,
    };
    let mut left = MOST_READ;
    for (service, last) in remembering(app, services, &report.destination).await? {
        report.services.push(service);
        let mut found = verifications_to(app, service, last, &report.destination, limit, &mut left).await?;
        found.items.retain(|found| found.account == account);
        report.has_more_verifications |= found.next.is_some();
        report.verifications.append(&mut found.items);
    }
    if let Some(named) = named.filter(|named| named.destination.is_same(&report.destination))
        && !report.verifications.iter().any(|found| found.sid == named.sid)
    {
        report.verifications.push(named.clone());
    }
    report
        .verifications
        .sort_by_key(|found| std::cmp::Reverse(found.sid));
    report.has_more_verifications |= report.verifications.len() > limit.max(1);
    let is_kept = |place: usize, found: &Verification| {
        place < limit || named.is_some_and(|named| named.sid == found.sid) || found.is_pending(now)
    };
    let mut place = 0;
    report.verifications.retain(|found| {
        place += 1;
        is_kept(place - 1, found)
    });
    let blocking = report.verifications.iter().filter(|found| found.blocks(now));
    report.blocks.extend(blocking.map(|found| DestinationBlock {
        service: Some(found.service),
        ..DestinationBlock::until(BlockReason::MaxAttempts, found.expires_at)
    }));
    let guards = holding(app, account, &report.services, &report.destination, is_safe).await?;
    report.blocks.extend(guards);
    Ok(report)
}

/// The services that remember the destination, each with the last verification there.
async fn remembering(
    app: &App,
    services: &[ServiceSid],
    destination: &Destination,
) -> Result<Vec<(ServiceSid, VerificationSid)>, Fault> {
    let mut remembering = Vec::new();
    for services in services.chunks(READ_AT_ONCE) {
        let mut reading = Reading::new(app);
        let keys: Vec<_> = services
            .iter()
            .map(|service| keys::destination(*service, destination))
            .collect();
        reading.prefetch(keys.iter().map(Key::bytes)).await?;
        for (service, key) in services.iter().zip(keys) {
            let last = reading.glance(&key).await?.and_then(|record| record.last);
            remembering.extend(last.map(|last| (*service, last)));
        }
    }
    Ok(remembering)
}

/// What was found of the verifications of a service.
struct FoundVerifications {
    items: Vec<Verification>,
    /// Where to go on, if more is to be looked at.
    next: Option<Cursor>,
}

/// The latest verifications of the service to the destination, of which `last` is the last. No index has the others: what was begun
/// before is looked at one after the other, no more than `left`.
async fn verifications_to(
    app: &App,
    service: ServiceSid,
    last: VerificationSid,
    destination: &Destination,
    limit: usize,
    left: &mut usize,
) -> Result<FoundVerifications, Fault> {
    let mut items = Vec::new();
    let key = keys::verification(service, last);
    items.extend(Reading::new(app).glance(&key).await?);
    let mut next = Some(Cursor::After(*last.as_bytes()));
    while let Some(cursor) = next
        && items.len() < limit
        && *left > 0
    {
        let request = latest_page(PAGE.min(*left), cursor);
        let raw = page(app, &keys::verifications(service), request).await?;
        let read = raw.decoded::<Verification>(app)?;
        *left = left.saturating_sub(read.items.len().max(1));
        next = read.next;
        items.extend(
            read.items
                .into_iter()
                .filter(|found| found.destination.to_key() == destination.to_key()),
        );
    }
    Ok(FoundVerifications { items, next })
}

/// How many verifications are looked at in all for one destination.
const MOST_READ: usize = 5000;
/// How many of them at once.
const PAGE: usize = 500;
/// How many keys are read in one round trip.
const READ_AT_ONCE: usize = 200;
/// How many entries are shown of who was not let in.
const MOST_STRANGERS: usize = 5;

/// Whom entries of the audit log are looked for.
struct Concerned<'a> {
    handles: &'a [UserHandle],
    /// Services and identities.
    names: Vec<(ServiceSid, &'a str)>,
    factors: Vec<FactorSid>,
    challenges: Vec<ChallengeSid>,
    destinations: Vec<Vec<u8>>,
    verifications: Vec<VerificationSid>,
    /// What changes name them by.
    words: Vec<String>,
}

impl<'a> Concerned<'a> {
    fn new(
        handles: &'a [UserHandle],
        places: &'a [PlaceReport],
        destinations: &'a [DestinationReport],
    ) -> Self {
        let names: Vec<_> = places
            .iter()
            .map(|place| (place.place.name.service, place.place.name.identity.as_str()))
            .collect();
        let mut words: Vec<_> = names
            .iter()
            .map(|(service, identity)| format!(" {identity} of {service}"))
            .collect();
        let mut factors: Vec<FactorSid> = places
            .iter()
            .flat_map(|place| place.factors.iter().map(|factor| factor.factor.sid))
            .collect();
        let mut challenges = Vec::new();
        let mut keys: Vec<_> = destinations
            .iter()
            .map(|report| report.destination.to_key())
            .collect();
        let mut verifications: Vec<_> = destinations
            .iter()
            .flat_map(|report| report.verifications.iter().map(|found| found.sid))
            .collect();
        for handle in handles {
            match handle {
                UserHandle::Challenge(sid) => challenges.push(*sid),
                UserHandle::Destination(destination) => keys.push(destination.to_key()),
                UserHandle::Factor(sid) => factors.push(*sid),
                UserHandle::Identity(identity) => words.push(format!(" {identity} of VA")),
                UserHandle::Verification(sid) => verifications.push(*sid),
                UserHandle::Entity(sid) => words.push(sid.to_string()),
            }
        }
        words.extend(factors.iter().map(ToString::to_string));
        words.extend(challenges.iter().map(ToString::to_string));
        words.extend(verifications.iter().map(ToString::to_string));
        Self {
            handles,
            names,
            factors,
            challenges,
            destinations: keys,
            verifications,
            words,
        }
    }

    fn is_in(&self, entry: &AuditEntry) -> bool {
        let is_told =
            |change: &AuditChange| self.words.iter().any(|word| change.what.contains(word.as_str()));
        if entry.changes.iter().any(is_told) {
            return true;
        }
        let Some(decision) = &entry.decision else {
            return false;
        };
        let subject = &decision.subject;
        let has_identity = subject.identity.as_ref().is_some_and(|identity| {
            let is_handle = |handle: &UserHandle| *handle == UserHandle::Identity(identity.clone());
            self.handles.iter().any(is_handle)
                || subject
                    .service
                    .is_some_and(|service| self.names.contains(&(service, identity.as_str())))
        });
        has_identity
            || subject.factor.is_some_and(|sid| self.factors.contains(&sid))
            || subject
                .challenge
                .is_some_and(|sid| self.challenges.contains(&sid))
            || subject
                .verification
                .is_some_and(|sid| self.verifications.contains(&sid))
            || subject
                .destination
                .as_ref()
                .is_some_and(|destination| self.destinations.contains(&destination.to_key()))
    }
}

/// Whether somebody was not let in: whose credentials are wrong is not known, so it belongs to no user.
fn is_of_a_stranger(entry: &AuditEntry) -> bool {
    entry.decision.as_ref().is_some_and(|decision| {
        decision.act == AuditAct::Authenticate && decision.outcome == AuditOutcome::Refused
    })
}
