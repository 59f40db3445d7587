//! Checks a one-time code against a factor, without counting it yet, and tells of a factor that wrong ones close.

use crate::app::App;
use crate::crypto::totp::{Code, TotpSecret, matching_steps};
use crate::domain::audit::{AuditAct, AuditOutcome, AuditSubject};
use crate::domain::entity::EntityScope;
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{CodeVerdict, Factor, FactorKind, FactorLock, Refusal, TotpFactor};
use crate::domain::limits::Failures;
use crate::domain::sealing::SealedField;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::flows::entity::LocatedEntity;
use crate::flows::event::announce;
use crate::flows::{Error, Fault, audit};
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
    audit::note_subject(AuditAct::CheckCode, || AuditSubject {
        service: Some(scope.service),
        identity: Some(scope.identity.clone()),
        factor: Some(factor.sid),
        ..AuditSubject::default()
    });
    let config = &totp.config;
    let code = Code::parse(payload, config.code_length.get()).ok_or(Refusal::CodeMalformed)?;
    factor.require_unthrottled(now)?;
    let place = keys::factor(scope, factor.sid);
    let what = || format!("factor {}", factor.sid);
    let opened = app
        .vault
        .open(place.bytes(), SealedField::TotpSecret, &totp.secret)
        .map_err(|error| Fault::unopened(what(), error))?;
    let secret =
        TotpSecret::from_bytes(opened).map_err(|error| Fault::Corrupt(format!("{}: {error}", what())))?;
    let last_honest = totp.last_honest_step(now);
    if totp.accepted.ahead_of(last_honest) {
        tracing::warn!(
            factor.sid = %factor.sid,
            "the clock was set back: factor {} accepted a code that is not due yet; was the time changed by hand?",
            factor.sid
        );
    }
    let live = || totp.live_steps(app.policy.totp_drift, now);
    let matching = matching_steps(&secret, config.algorithm, &code, live());
    let verdict = totp.accepted.judge(&matching, last_honest);
    audit_verdict(verdict, || {
        steps_off(&secret, totp, &code, &live().collect::<Vec<_>>())
    });
    Ok(verdict)
}

/// Has the audit log tell what became of a code.
fn audit_verdict(verdict: CodeVerdict, steps_off: impl FnOnce() -> Option<i64>) {
    match verdict {
        CodeVerdict::Fresh { .. } => audit::decide(AuditOutcome::Approved, || ("right_code", None)),
        CodeVerdict::Replayed => audit::decide(AuditOutcome::Refused, || {
            let why = "replayed: its time step, or a later one, was accepted before";
            ("replayed", Some(why.to_owned()))
        }),
        CodeVerdict::Wrong => audit::decide(AuditOutcome::Refused, || {
            let (code, why) = match steps_off() {
                Some(steps) => (
                    "outside_window",
                    format!("outside the window by {steps} time steps"),
                ),
                None => ("wrong_code", "wrong code".to_owned()),
            };
            (code, Some(why))
        }),
    }
}

/// How many time steps a wrong code is before (negative) or behind the live ones, if it is of one nearby: then somebody's clock
/// is off. Chance says so of one wrong code of six digits in four thousand.
fn steps_off(secret: &TotpSecret, totp: &TotpFactor, code: &Code, live: &[u64]) -> Option<i64> {
    let (first, last) = (live.iter().min()?, live.iter().max()?);
    let nearby = first.saturating_sub(LOOKED_AT)..=last + LOOKED_AT;
    let from_window = |step: u64| {
        let from = |live: &u64| i64::try_from(step).ok()?.checked_sub(i64::try_from(*live).ok()?);
        live.iter().filter_map(from).min_by_key(|steps| steps.abs())
    };
    let matching = matching_steps(secret, totp.config.algorithm, code, nearby);
    matching
        .into_iter()
        .filter_map(from_window)
        .min_by_key(|steps| steps.abs())
}

/// How many time steps before and behind the live ones are looked at to say how far a clock is off: an hour of the usual ones.
const LOOKED_AT: u64 = 122;

/// Takes in what became of a code, once it is committed: what the operator is told of.
pub(crate) fn tell_of_code(app: &App, account: AccountSid, before: &Factor, after: &Factor, now: Timestamp) {
    warn_of_failures(before, after);
    if let (FactorKind::Totp(before), FactorKind::Totp(totp)) = (&before.kind, &after.kind)
        && let Some(step) = totp.accepted.gained_since(&before.accepted)
        && before.config.time_step == totp.config.time_step
    {
        let ahead = totp.config.steps_ahead(step, now);
        app.memory.code_offsets.accepted(account, after.sid, ahead, now);
    }
}

/// Tells the operator of the wrong code from which on a factor is delayed and of the one that
/// disabled it: somebody is guessing, or somebody needs help.
fn warn_of_failures(before: &Factor, after: &Factor) {
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

/// Adds the events of what the change from `before` to `after` closes the factor by or opens it with; none of what ends or
/// begins in time alone.
pub(crate) fn announce_locks(
    app: &App,
    located: &LocatedEntity,
    before: &Factor,
    after: &mut Factor,
    now: Timestamp,
    mut batch: Batch,
) -> Result<Batch, StoreError> {
    let factor_type = after.factor_type();
    let event = |event_type| Event::new(event_type, now, &located.scope, before.sid, factor_type);
    if !before.failures.exhausted() && after.failures.exhausted() {
        return announce(
            app,
            &located.service,
            &event(EventType::FactorDisabled),
            after,
            batch,
        );
    }
    let limits = &app.policy.push;
    let (closed, now_closed) = (before.locks(limits, now), after.locks(limits, now));
    let is_among =
        |locks: &[FactorLock], lock: &FactorLock| locks.iter().any(|other| other.reason == lock.reason);
    for lock in now_closed.iter().filter(|lock| !is_among(&closed, lock)) {
        let event = event(EventType::FactorLocked).of_lock(*lock);
        batch = announce(app, &located.service, &event, after, batch)?;
    }
    for lock in closed.iter().filter(|lock| !is_among(&now_closed, lock)) {
        let lock = FactorLock { until: None, ..*lock };
        let event = event(EventType::FactorUnlocked).of_lock(lock);
        batch = announce(app, &located.service, &event, after, batch)?;
    }
    Ok(batch)
}
