//! Tells of a factor that was closed, in the commit that closes it.

use crate::app::App;
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind};
use crate::domain::limits::Failures;
use crate::domain::time::Timestamp;
use crate::flows::Error;
use crate::flows::entity::fetch_entity::Place;
use crate::flows::event::announce;
use crate::store::Batch;

/// Adds the event of a factor that the change from `before` to `after` closes for a while or for good; none if it was
/// closed already, or is not.
pub(crate) fn announce_lock(
    app: &App,
    place: &Place,
    (before, after): (&Factor, &Factor),
    now: Timestamp,
    batch: Batch,
) -> Result<Batch, Error> {
    let Some(event_type) = closed_by(before, after, now) else {
        return Ok(batch);
    };
    let of = (after.sid, after.factor_type());
    let event = Event::new(event_type, now, &place.scope, of);
    announce(app, &place.service.record, &event, batch)
}

fn closed_by(before: &Factor, after: &Factor, now: Timestamp) -> Option<EventType> {
    let crossed = |count: u32| before.failures.count() < count && after.failures.count() >= count;
    if crossed(Failures::DISABLED_AT) {
        return Some(EventType::FactorDisabled);
    }
    let paused_now = !is_paused(before, now) && is_paused(after, now);
    (crossed(Failures::DELAYED_FROM) || paused_now).then_some(EventType::FactorLocked)
}

fn is_paused(factor: &Factor, now: Timestamp) -> bool {
    match &factor.kind {
        FactorKind::Push(push) => push.guard.paused_until(now).is_some(),
        FactorKind::Totp(_) => false,
    }
}
