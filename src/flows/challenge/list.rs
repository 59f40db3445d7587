//! Lists an entity's challenges.

use std::collections::BTreeMap;

use crate::app::App;
use crate::domain::access;
use crate::domain::challenge::{Challenge, ChallengeStatus, Refusal};
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::sid::{ChallengeSid, FactorSid};
use crate::domain::time::Timestamp;
use crate::flows::access::Actor;
use crate::flows::page::{Cursor, Page, PageRequest, page};
use crate::flows::reading::{Admitted, DecisionEpoch, Reading};
use crate::flows::{Error, Fault, entity};
use crate::store::keys::{self, Key};
use crate::store::{self, Scan};

/// Which challenges; `None` means all.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChallengeFilter {
    /// Those of this factor.
    pub factor: Option<FactorSid>,
    /// Those with this status now.
    pub status: Option<ChallengeStatus>,
}

/// How many challenges are read for one page of a filtered listing.
pub const MOST_READ: usize = 5000;

/// A page of the entity's challenges. A device only sees its own factor's.
///
/// What a factor waits for is read from an index. Other filters read the challenges in order, at most
/// [`MOST_READ`] for one page: a page may hold fewer items than asked for, or none, and still have a next one.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Access`], [`Error::Failed`].
pub async fn list(
    app: &App,
    actor: impl Into<Admitted<Actor>>,
    name: &EntityName,
    mut filter: ChallengeFilter,
    request: PageRequest,
) -> Result<(EntityScope, Page<Challenge>), Error<Refusal>> {
    let Admitted { who, mut prior } = actor.into();
    let (account, only) = who.within(name).map_err(Refusal::Access)?;
    if let Some(own) = only {
        if filter.factor.is_some_and(|wanted| wanted != own) {
            return Err(Refusal::Access(access::Refusal::Forbidden).into());
        }
        filter.factor = Some(own);
    }
    let mut reading = prior.reading(app);
    let scope = entity::locate(&mut reading, account, name).await?.scope;
    let found = match filter {
        ChallengeFilter {
            factor: Some(factor),
            status: Some(ChallengeStatus::Pending),
        } => list_pending(app, &mut reading, &scope, factor, request).await?,
        ChallengeFilter {
            factor: None,
            status: None,
        } => list_all(app, &scope, request).await?,
        filter => list_filtered(app, &scope, filter, request).await?,
    };
    Ok((scope, found))
}

async fn list_pending(
    app: &App,
    reading: &mut Reading<'_>,
    scope: &EntityScope,
    factor: FactorSid,
    request: PageRequest,
) -> Result<Page<Challenge>, Fault> {
    let mut raw = page(app, &keys::pending(scope, factor), request).await?;
    let now = app.clock.now();
    let markers = std::mem::take(&mut raw.items);
    let sids = markers.into_iter().map(|(sid, _)| ChallengeSid::from_bytes(sid));
    let waiting: Vec<_> = sids.map(|sid| keys::challenge(scope, sid)).collect();
    reading.prefetch(waiting.iter().map(Key::bytes)).await?;
    let mut challenges = Vec::with_capacity(waiting.len());
    for key in waiting {
        let found = reading.glance(&key).await?;
        challenges.extend(found.filter(|challenge| challenge.status(now) == ChallengeStatus::Pending));
    }
    Ok(raw.with_items(challenges))
}

/// The pending challenges of a factor, all of them, and when they expire. Reads the index only.
pub(super) async fn pending_of(
    app: &App,
    scope: &EntityScope,
    factor: FactorSid,
) -> Result<BTreeMap<ChallengeSid, Timestamp>, Fault> {
    let scan = Scan {
        prefix: keys::pending(scope, factor).bytes().to_vec(),
        after: None,
        order: store::Order::Ascending,
        limit: usize::MAX,
    };
    let now = app.clock.now();
    let markers = Reading::new(app).scan(scan).await?;
    let pending = markers.into_iter().filter_map(|(key, marker)| {
        let sid = ChallengeSid::from_bytes(keys::last_sid(&key)?);
        Some((sid, marker.expires_at.filter(|expires_at| *expires_at > now)?))
    });
    Ok(pending.collect())
}

async fn list_all(app: &App, scope: &EntityScope, request: PageRequest) -> Result<Page<Challenge>, Fault> {
    let raw = page(app, &keys::challenges(scope), request).await?;
    Ok(raw.decoded(app)?)
}

/// Reads on in pieces until the page is full: a match in front must not cost what a long search costs.
async fn list_filtered(
    app: &App,
    scope: &EntityScope,
    filter: ChallengeFilter,
    request: PageRequest,
) -> Result<Page<Challenge>, Fault> {
    let now = app.clock.now();
    let wanted = |challenge: &Challenge| {
        filter.factor.is_none_or(|factor| factor == challenge.factor)
            && filter.status.is_none_or(|status| status == challenge.status(now))
    };
    let backwards = matches!(request.cursor, Cursor::Before(_));
    let piece = PageRequest {
        size: (2 * request.size).clamp(100, MOST_READ),
        ..request
    };
    let (mut matching, mut cursor, mut left) = (Vec::new(), request.cursor, MOST_READ);
    let epoch = DecisionEpoch::of(&app.memory.epoch);
    // Where the page's neighbours begin: at the outer ends of what was read.
    let (mut previous, mut next) = (None, None);
    loop {
        let size = piece.size.min(left);
        let raw = page(
            app,
            &keys::challenges(scope),
            PageRequest {
                size,
                cursor,
                ..piece
            },
        )
        .await?;
        if cursor == request.cursor {
            (previous, next) = (raw.previous, raw.next);
        } else if backwards {
            previous = raw.previous;
        } else {
            next = raw.next;
        }
        left = left.saturating_sub(raw.items.len());
        let mut found = Vec::new();
        for (sid, entry) in &raw.items {
            let challenge: Challenge = epoch.record(entry)?;
            if wanted(&challenge) {
                found.push((*sid, challenge));
            }
        }
        if backwards {
            found.append(&mut matching);
            matching = found;
        } else {
            matching.append(&mut found);
        }
        let further = if backwards { previous } else { next };
        match further {
            Some(further) if matching.len() <= request.size && left > 0 => cursor = further,
            _ => break,
        }
    }
    // The page ends at the last match that fits, on the side that it grows towards.
    if matching.len() > request.size {
        if backwards {
            matching.drain(..matching.len() - request.size);
            previous = matching.first().map(|(sid, _)| Cursor::Before(*sid));
        } else {
            matching.truncate(request.size);
            next = matching.last().map(|(sid, _)| Cursor::After(*sid));
        }
    }
    Ok(Page {
        items: matching.into_iter().map(|(_, challenge)| challenge).collect(),
        previous,
        next,
    })
}
