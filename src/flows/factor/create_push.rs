//! Enrols a device.

use std::sync::Arc;

use super::enrolment::{Enrolling, Enrolment};
use crate::app::App;
use crate::domain::attached::{Attached, AttachedChange};
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::factor::{
    Factor, FactorKind, FactorStatus, FactorType, NotificationChannel, PushFactor, Refusal,
};
use crate::domain::limits::{Failures, SlidingLog};
use crate::domain::opaque::DevicePublicKey;
use crate::domain::push_guard::PushGuard;
use crate::domain::sid::{AccessTokenSid, AccountSid, CredentialSid, FactorSid};
use crate::domain::text::{AppId, Attributes, FriendlyName};
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, retry_on_conflict};
use crate::store::Batch;

/// What a device says of itself.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct NewPushFactor {
    /// A name for people.
    pub friendly_name: FriendlyName,
    /// The public half of its key.
    pub public_key: DevicePublicKey,
    pub app_id: AppId,
    /// What the dialect keeps with it.
    pub attached: Option<Arc<dyn AttachedChange>>,
    /// How it is woken.
    pub notification: NotificationChannel,
    /// What it notes with the factor.
    pub metadata: Option<Attributes>,
}

/// Creates an unverified push factor, and its entity if there is none. The access token that permits it, if it is not
/// the account itself that asks, is spent in the same commit.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Refusal::AccessToken`], [`Refusal::Duplicate`], [`Refusal::Entity`], and
/// the limits of [`crate::domain::entity::Entity::add_factor`]; [`Error::Failed`].
pub async fn create_push(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    permit: Option<AccessTokenSid>,
    name: &EntityName,
    new: NewPushFactor,
) -> Result<(EntityScope, Factor), Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || {
        create_once(app, prior.reading(app), who, permit, name, &new)
    })
    .await
}

async fn create_once(
    app: &App,
    reading: Reading<'_>,
    account: AccountSid,
    permit: Option<AccessTokenSid>,
    name: &EntityName,
    new: &NewPushFactor,
) -> Result<(EntityScope, Factor), Error<Refusal>> {
    let now = app.clock.now();
    let sid = FactorSid::generate(now, app.sids.as_ref());
    let new_factor = Enrolling {
        account,
        name,
        factor: sid,
        kind: FactorType::Push,
        permit,
        replaced: None,
    };
    let enrolment = Enrolment::begin(app, reading, new_factor, Batch::new()).await?;
    let mut attached = Attached::default();
    if let Some(change) = &new.attached {
        attached.change(change.as_ref())?;
    }
    let push = PushFactor {
        credential: CredentialSid::generate(now, app.sids.as_ref()),
        public_key: new.public_key,
        fingerprint: app
            .vault
            .fingerprint(enrolment.scope.entity.as_bytes(), new.public_key.as_bytes()),
        app_id: new.app_id.clone(),
        attached,
        notification: new.notification.clone(),
        guard: PushGuard::default(),
        unreachable: None,
    };
    let mut factor = Factor {
        sid,
        friendly_name: new.friendly_name.clone(),
        status: FactorStatus::Unverified { attempts: 0 },
        kind: FactorKind::Push(Box::new(push)),
        metadata: new.metadata.clone(),
        date_created: now,
        date_updated: now,
        failures: Failures::default(),
        challenge_creations: SlidingLog::default(),
        last_event: None,
    };
    let scope = enrolment.commit(app, &mut factor).await?;
    Ok((scope, factor))
}
