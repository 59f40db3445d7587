//! Users: what is known of them, and how their phone numbers are shown to be theirs.
//!
//! Invariant: a number and the verification that shows whose it is change in one commit: no code verifies a number that it was
//! not issued for.

mod phone;
mod totp;

pub use self::phone::{
    ChangedPhone, Issuing, NewPhone, PhoneProof, remove_phone, resend_phone_code, set_phone, verify_phone,
};

pub use self::totp::{TotpState, add_totp, remove_totp, totp_state, verify_totp};

use crate::app::App;
use crate::domain::entity::EntityName;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::Identity;
use crate::domain::user::{Refusal, User};
use crate::flows::reading::{Admitted, Foreseen, NotRead, Reading};
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, StoreError, keys};

/// What is going to be read to find the user, besides its service.
#[must_use]
pub fn foresee(service: ServiceSid, user: &Identity) -> Foreseen {
    Foreseen::default().and(keys::user(service, user))
}

/// The user, created if there was none.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Error::Failed`].
pub async fn ensure(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
) -> Result<User, Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || ensure_once(app, prior.reading(app), who, name)).await
}

async fn ensure_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
) -> Result<User, Error<Refusal>> {
    let (owner, key) = (
        keys::service(account, name.service),
        keys::user(name.service, &name.identity),
    );
    reading.prefetch([owner.bytes(), key.bytes()]).await?;
    reading.require(&owner).await?;
    if let Some(user) = reading.get(&key).await? {
        return Ok(user);
    }
    let user = User::new(account, name.service, name.identity.clone(), app.clock.now());
    reading.commit(put(Batch::new(), &user)?).await?;
    Ok(user)
}

/// The user, if there is one.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
) -> Result<User, Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    Ok(find(&mut prior.reading(app), who, name).await?.1)
}

/// Makes codes that are sent to the user's number a second factor, or ends that.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::PhoneUnverified`], [`Refusal::CodeBySmsUnchanged`], [`Error::Failed`].
pub async fn set_code_by_sms(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
    wanted: bool,
) -> Result<User, Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || {
        set_code_by_sms_once(app, prior.reading(app), who, name, wanted)
    })
    .await
}

async fn set_code_by_sms_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
    wanted: bool,
) -> Result<User, Error<Refusal>> {
    let (_, mut user) = find(&mut reading, account, name).await?;
    user.set_code_by_sms(wanted, app.clock.now())?;
    reading.commit(put(Batch::new(), &user)?).await?;
    Ok(user)
}

/// Reads the user and its service in one round trip. The decision rests on both.
async fn find(
    reading: &mut Reading<'_>,
    account: AccountSid,
    name: &EntityName,
) -> Result<(Service, User), NotRead> {
    let (owner, key) = (
        keys::service(account, name.service),
        keys::user(name.service, &name.identity),
    );
    reading.prefetch([owner.bytes(), key.bytes()]).await?;
    Ok((reading.require(&owner).await?, reading.require(&key).await?))
}

/// Writes the user.
pub(crate) fn put(batch: Batch, user: &User) -> Result<Batch, StoreError> {
    batch.put_record(keys::user(user.service, &user.identity), user)
}
