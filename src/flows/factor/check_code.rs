//! Checks a one-time code against a factor, without counting it yet, and tells of a factor that wrong ones close.

use crate::app::App;
use crate::crypto::totp::{Code, TotpSecret, matching_steps};
use crate::domain::entity::EntityScope;
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{CodeVerdict, Factor, FactorKind, Refusal, TotpFactor};
use crate::domain::limits::Failures;
use crate::domain::time::Timestamp;
use crate::flows::Error;
use crate::flows::entity::LocatedEntity;
use crate::flows::event::announce;
use crate::store::{Batch, StoreError, keys};

/// What `payload` is as a code of `factor` at `now`. The caller counts the verdict and commits it with the factor's
/// version asserted; until then it means nothing.
///
/// # Errors
/// [`Refusal::CodeMalformed`] when it is no code of the factor's length: that is no guess. [`Refusal::Delayed`] and
/// [`Refusal::Disabled`] when the factor had too many wrong codes: this one is not looked at.
pub(crate) fn check_code(
    app: &App,
    scope: &EntityScope,
    factor: &Factor,
    totp: &TotpFactor,
    payload: &str,
    now: Timestamp,
) -> Result<CodeVerdict, Error<Refusal>> {
    let config = &totp.config;
    let code = Code::parse(payload, config.code_length.get()).ok_or(Refusal::CodeMalformed)?;
    factor.require_unthrottled(now)?;
    let place = keys::factor(scope, factor.sid);
    let unreadable =
        |error: &dyn std::fmt::Display| StoreError::Corrupt(format!("factor {}: {error}", factor.sid));
    let opened = app
        .vault
        .open(place.bytes(), &totp.secret)
        .map_err(|error| unreadable(&error))?;
    let secret = TotpSecret::from_bytes(opened).map_err(|error| unreadable(&error))?;
    let last_honest = config.last_honest_step(now);
    if totp.accepted.ahead_of(last_honest) {
        tracing::warn!(
            factor.sid = %factor.sid,
            "the clock was set back: factor {} accepted a code that is not due yet; was the time changed by hand?",
            factor.sid
        );
    }
    let matching = matching_steps(&secret, config.algorithm, &code, config.live_steps(now));
    Ok(totp.accepted.judge(&matching, last_honest))
}

/// Tells the operator, once it is committed, of the wrong code from which on a factor is delayed and of the one that
/// disabled it: somebody is guessing, or somebody needs help.
pub(crate) fn warn_of_failures(before: &Factor, after: &Factor) {
    let failures = after.failures.count();
    let what = match failures {
        _ if failures <= before.failures.count() => return,
        Failures::DELAYED_FROM => "each further one is followed by a growing delay",
        Failures::DISABLED_AT => "it is disabled and has to be enrolled anew",
        _ => return,
    };
    tracing::warn!(
        factor.sid = %after.sid,
        failures,
        "factor {} had {failures} wrong codes in a row: {what}",
        after.sid
    );
}

/// Adds the event of a factor that the change from `before` to `after` closes for a while or for good; none if it was
/// closed already, or is not.
pub(crate) fn announce_lock(
    app: &App,
    located: &LocatedEntity,
    before: &Factor,
    after: &mut Factor,
    now: Timestamp,
    batch: Batch,
) -> Result<Batch, StoreError> {
    let Some(event_type) = closed_by(before, after, now) else {
        return Ok(batch);
    };
    let event = Event::new(event_type, now, &located.scope, after.sid, after.factor_type());
    announce(app, &located.service, &event, after, batch)
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
