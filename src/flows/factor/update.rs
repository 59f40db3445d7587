//! Changes a factor, and verifies it.

use std::sync::Arc;

use crate::app::App;
use crate::domain::attached::AttachedChange;
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{
    CodeLength, Factor, FactorKind, FactorStatus, KeyProof, NotificationChannel, PushFactor, Refusal, Skew,
    TimeStep, TotpFactor, WebPushSubscription,
};
use crate::domain::sid::{AccountSid, FactorSid};
use crate::domain::text::{AppId, FriendlyName, NotificationToken};
use crate::domain::time::Timestamp;
use crate::domain::totp_algorithm::TotpAlgorithm;
use crate::flows::access::Actor;
use crate::flows::entity::LocatedEntity;
use crate::flows::event::announce;
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, audit, entity, factor, retry_on_conflict};
use crate::store::{Batch, StoreError, keys};

/// What a caller wants changed; `None` leaves it as it is. What does not belong to the factor's type is ignored.
#[derive(Clone, Debug, Default)]
pub struct FactorChanges {
    /// A name for people.
    pub friendly_name: Option<FriendlyName>,
    /// Of TOTP factors: the hash.
    pub algorithm: Option<TotpAlgorithm>,
    /// Of TOTP factors: how far clocks may differ.
    pub skew: Option<Skew>,
    /// Of TOTP factors: how many digits a code has.
    pub code_length: Option<CodeLength>,
    /// Of TOTP factors: how long a code lives.
    pub time_step: Option<TimeStep>,
    /// Of push factors: the app.
    pub app_id: Option<AppId>,
    /// Of push factors: what the dialect keeps with it.
    pub attached: Option<Arc<dyn AttachedChange>>,
    /// Of push factors: how the device is woken.
    pub platform: Option<Platform>,
    /// Of push factors: what the platform knows the device by.
    pub notification_token: Option<DeviceToken>,
    /// Of push factors: whether a pause and the limit of pushes are to be lifted, which only the account may ask for.
    pub resume: bool,
    /// Of TOTP factors: whether delays and limits are to be lifted, which only the account may ask for.
    pub forgive_codes: bool,
}

/// A proof of the enrolment, before anybody knows what kind of factor it is for: as the code that it may be, and as what a
/// device may have signed.
#[derive(Clone, Copy)]
pub struct EnrolmentProof<'a> {
    /// For a factor of codes.
    pub code: &'a str,
    /// For a push factor.
    pub key: &'a dyn KeyProof,
}

/// How a device is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// By Apple's push service.
    Apn,
    /// By Firebase Cloud Messaging.
    Fcm,
    /// Not at all.
    None,
    /// By the push service of its browser or its UnifiedPush distributor.
    WebPush,
}

/// What a platform knows a device by.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum DeviceToken {
    /// Apple's or Google's token.
    Provider(NotificationToken),
    Subscription(WebPushSubscription),
}

impl Platform {
    /// The channel of this platform with `token`.
    ///
    /// # Errors
    /// [`Refusal::TokenMissing`]; [`Refusal::TokenIsSubscription`] and [`Refusal::TokenNoSubscription`] for what another
    /// platform knows its devices by.
    pub fn channel(self, token: Option<DeviceToken>) -> Result<NotificationChannel, Refusal> {
        match (self, token) {
            (Self::None, _) => Ok(NotificationChannel::None),
            (Self::Apn, Some(DeviceToken::Provider(token))) => Ok(NotificationChannel::Apn(token)),
            (Self::Fcm, Some(DeviceToken::Provider(token))) => Ok(NotificationChannel::Fcm(token)),
            (Self::WebPush, Some(DeviceToken::Subscription(subscription))) => {
                Ok(NotificationChannel::WebPush(subscription))
            }
            (Self::Apn | Self::Fcm, Some(DeviceToken::Subscription(_))) => Err(Refusal::TokenIsSubscription),
            (Self::WebPush, Some(DeviceToken::Provider(_))) => Err(Refusal::TokenNoSubscription),
            (Self::Apn | Self::Fcm | Self::WebPush, None) => Err(Refusal::TokenMissing),
        }
    }
}

/// Makes `changes`, then checks `proof` of the enrolment if there is one. A wrong code is no error: the factor that is returned is still unverified.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Access`], as [`Platform::channel`]; for proofs [`Refusal::BadProof`],
/// [`Refusal::CodeMalformed`], [`Refusal::AlreadyVerified`], [`Refusal::TooManyAttempts`], [`Refusal::Delayed`],
/// [`Refusal::Disabled`]; [`Error::Failed`].
pub async fn update(
    app: &App,
    actor: impl Into<Admitted<Actor>>,
    name: &EntityName,
    sid: FactorSid,
    changes: FactorChanges,
    proof: Option<EnrolmentProof<'_>>,
) -> Result<(EntityScope, Factor), Error<Refusal>> {
    let Admitted { who, mut prior } = actor.into();
    retry_on_conflict(app, || {
        update_once(app, prior.reading(app), &who, name, sid, &changes, proof)
    })
    .await
}

async fn update_once(
    app: &App,
    mut reading: Reading<'_>,
    actor: &Actor,
    name: &EntityName,
    sid: FactorSid,
    changes: &FactorChanges,
    proof: Option<EnrolmentProof<'_>>,
) -> Result<(EntityScope, Factor), Error<Refusal>> {
    let account = actor.with_factor(name, sid).map_err(Refusal::Access)?;
    if changes.resume || changes.forgive_codes {
        // Whoever has the device must not undo what it reported.
        actor.account_only().map_err(Refusal::Access)?;
    }
    let located = entity::locate(&mut reading, account, name).await?;
    audit::note_factor(sid);
    let before = reading.require(&keys::factor(&located.scope, sid)).await?;
    let now = app.clock.now();
    let mut factor = before.clone();
    change(&mut factor, changes, now)?;
    let verified_now = match proof {
        Some(proof) => prove(app, &located.scope, &mut factor, proof, now)?,
        None => false,
    };
    let decided = ChangedFactor {
        located,
        before,
        factor,
        verified_now,
    };
    decided.commit(app, reading, now, Batch::new()).await
}

/// Checks a code of the enrolment of a TOTP factor as [`update`] does; if it verifies the factor, what `also` adds is
/// committed with that, all of it or nothing. A wrong one counts.
///
/// # Errors
/// As [`update`] for proofs.
pub(crate) async fn verify_within(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
    sid: FactorSid,
    code: &str,
    also: impl FnOnce(Batch) -> Result<Batch, StoreError>,
) -> Result<Factor, Error<Refusal>> {
    let located = entity::locate(&mut reading, account, name).await?;
    audit::note_factor(sid);
    let before = reading.require(&keys::factor(&located.scope, sid)).await?;
    let now = app.clock.now();
    let mut factor = before.clone();
    let verified_now = prove_by_code(app, &located.scope, &mut factor, code, now)?;
    let batch = if verified_now {
        also(Batch::new())?
    } else {
        Batch::new()
    };
    let decided = ChangedFactor {
        located,
        before,
        factor,
        verified_now,
    };
    decided
        .commit(app, reading, now, batch)
        .await
        .map(|(_, factor)| factor)
}

/// A change of a factor that is not committed yet.
struct ChangedFactor {
    located: LocatedEntity,
    before: Factor,
    factor: Factor,
    verified_now: bool,
}

impl ChangedFactor {
    /// Writes the factor, and tells of what became of it, with what is in `batch` already.
    async fn commit(
        self,
        app: &App,
        reading: Reading<'_>,
        now: Timestamp,
        mut batch: Batch,
    ) -> Result<(EntityScope, Factor), Error<Refusal>> {
        let Self {
            located,
            before,
            mut factor,
            verified_now,
        } = self;
        if verified_now {
            let event = Event::new(
                EventType::FactorVerified,
                now,
                &located.scope,
                factor.sid,
                factor.factor_type(),
            );
            batch = announce(app, &located.service, &event, &mut factor, batch)?;
        }
        batch = factor::announce_locks(app, &located, &before, &mut factor, now, batch)?;
        let key = keys::factor(&located.scope, factor.sid);
        reading.commit(factor::put(app, batch, key, &factor)?).await?;
        factor::tell_of_code(app, located.scope.account, &before, &factor, now);
        Ok((located.scope, factor))
    }
}

fn change(factor: &mut Factor, changes: &FactorChanges, now: Timestamp) -> Result<(), Error<Refusal>> {
    if let Some(name) = &changes.friendly_name {
        factor.friendly_name = name.clone();
    }
    match &mut factor.kind {
        FactorKind::Push(push) => change_push(push, changes, now)?,
        FactorKind::Totp(totp) => {
            change_totp(totp, changes, now);
            if changes.forgive_codes {
                factor.forgive_codes()?;
            }
        }
    }
    factor.date_updated = now;
    Ok(())
}

fn change_push(push: &mut PushFactor, changes: &FactorChanges, now: Timestamp) -> Result<(), Error<Refusal>> {
    if let Some(app_id) = &changes.app_id {
        push.app_id = app_id.clone();
    }
    if let Some(change) = &changes.attached {
        push.attached.change(change.as_ref())?;
    }
    if changes.resume {
        push.guard.resume(now);
    }
    let token = changes.notification_token.clone();
    let (current, known) = match &push.notification {
        NotificationChannel::Apn(token) => (Platform::Apn, Some(DeviceToken::Provider(token.clone()))),
        NotificationChannel::Fcm(token) => (Platform::Fcm, Some(DeviceToken::Provider(token.clone()))),
        NotificationChannel::None => (Platform::None, None),
        NotificationChannel::WebPush(subscription) => {
            let known = DeviceToken::Subscription(subscription.clone());
            (Platform::WebPush, Some(known))
        }
    };
    let platform = changes.platform.unwrap_or(current);
    if changes.platform.is_some() || token.is_some() {
        // One platform's token means nothing to the other.
        let kept = known.filter(|_| platform == current);
        push.change_notification(platform.channel(token.or(kept))?);
    }
    Ok(())
}

fn change_totp(totp: &mut TotpFactor, changes: &FactorChanges, now: Timestamp) {
    let mut config = totp.config;
    config.algorithm = changes.algorithm.unwrap_or(config.algorithm);
    config.skew = changes.skew.unwrap_or(config.skew);
    config.code_length = changes.code_length.unwrap_or(config.code_length);
    config.time_step = changes.time_step.unwrap_or(config.time_step);
    totp.change_config(config, now);
}

/// Whether `proof` verified the factor just now.
fn prove(
    app: &App,
    scope: &EntityScope,
    factor: &mut Factor,
    proof: EnrolmentProof<'_>,
    now: Timestamp,
) -> Result<bool, Error<Refusal>> {
    match &factor.kind {
        FactorKind::Totp(_) => prove_by_code(app, scope, factor, proof.code, now),
        FactorKind::Push(push) => {
            if !proof.key.is_signed(factor.sid, &push.public_key) {
                return Err(Refusal::BadProof.into());
            }
            // A device that did not hear the answer proves itself again: there is nothing to guess in a signature.
            let first = matches!(factor.status, FactorStatus::Unverified { .. });
            factor.status = FactorStatus::Verified;
            Ok(first)
        }
    }
}

/// The same for a factor of codes. No code proves anything of another one.
fn prove_by_code(
    app: &App,
    scope: &EntityScope,
    factor: &mut Factor,
    code: &str,
    now: Timestamp,
) -> Result<bool, Error<Refusal>> {
    let FactorKind::Totp(totp) = &factor.kind else {
        return Err(Refusal::BadProof.into());
    };
    factor.verification_attempts()?;
    let verdict = factor::check_code(app, scope, factor, totp, code, now)?;
    Ok(factor.verify_by_code(verdict, app.policy.totp_drift, now)?)
}
