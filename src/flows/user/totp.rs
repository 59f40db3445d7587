//! The app of a user that makes codes: a TOTP factor of the entity that has the user's identity.
//!
//! A protocol that knows users has one such app for each, an entity has as many factors as its account enrols. Which of them
//! is meant: the verified one that was created first; where none is verified, the one that waits for its first code and was
//! created last; where none waits, the last one that wrong codes disabled. So what is added is what is verified next, and
//! whoever has a verified one keeps it whatever else is enrolled. What is removed is that one alone: of several factors, those
//! that their account enrolled otherwise stay.

use super::{find, put};
use crate::app::App;
use crate::crypto::totp::TotpSecret;
use crate::domain::entity::EntityName;
use crate::domain::factor::{Factor, FactorStatus, FactorType};
use crate::domain::sid::AccountSid;
use crate::domain::text::FriendlyName;
use crate::domain::user::{Refusal, User};
use crate::flows::factor::{
    EnrolledTotpFactor, NewTotpFactor, StoredTotpFactor, TotpOrder, create_totp_within, delete_within,
    verify_within,
};
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, Fault, retry_on_conflict};
use crate::store::{Batch, keys};

/// What is known of the app that makes a user's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TotpState {
    /// It is verified.
    Ready,
    /// It waits for its first code, or wrong ones disabled it.
    Unready,
}

/// Enrols an app, with a secret that is shown this once and what the service's owner chose for its codes. It takes the place
/// of one that waits for its first code.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::TotpReady`], [`Refusal::Factor`] with what keeps a factor from being enrolled;
/// [`Error::Failed`].
pub async fn add_totp(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
) -> Result<(User, EnrolledTotpFactor), Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    // An identity is shorter than a name may be, and has no characters that a name may not have.
    let friendly_name =
        FriendlyName::parse(name.identity.as_str()).map_err(|error| Error::corrupt(error.to_string()))?;
    let new = NewTotpFactor {
        friendly_name,
        secret: None,
        algorithm: None,
        skew: None,
        code_length: None,
        time_step: None,
        metadata: None,
    };
    let order = TotpOrder {
        account: who,
        name,
        new: &new,
        replaced: None,
    };
    let secret = order.draw_secret(app);
    let (user, stored) = retry_on_conflict(app, || add_once(app, prior.reading(app), order, &secret)).await?;
    Ok((user, stored.shown_with(secret)))
}

async fn add_once(
    app: &App,
    mut reading: Reading<'_>,
    order: TotpOrder<'_>,
    secret: &TotpSecret,
) -> Result<(User, StoredTotpFactor), Error<Refusal>> {
    let TotpOrder { account, name, .. } = order;
    let (_, mut user) = find(&mut reading, account, name).await?;
    let factors = totp_factors(&mut reading, account, name).await?;
    let replaced = match meant(&factors) {
        Some(factor) if is_verified(factor) => return Err(Refusal::TotpReady.into()),
        Some(factor) if factor.status != FactorStatus::Disabled => Some(factor.sid),
        Some(_) | None => None,
    };
    user.change(app.clock.now());
    let order = TotpOrder { replaced, ..order };
    let batch = put(Batch::new(), &user)?;
    let stored = create_totp_within(app, reading, order, secret, batch).await;
    Ok((user, stored.map_err(Error::into_area)?))
}

/// Checks the first code of the app that waits for it, which verifies it. `None` for a wrong code, which counts.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::TotpMissing`], [`Refusal::TotpReady`], [`Refusal::Factor`] as
/// [`update`](crate::flows::factor::update) for proofs; [`Error::Failed`].
pub async fn verify_totp(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
    code: &str,
) -> Result<Option<User>, Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || verify_once(app, prior.reading(app), who, name, code)).await
}

async fn verify_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
    code: &str,
) -> Result<Option<User>, Error<Refusal>> {
    let (_, mut user) = find(&mut reading, account, name).await?;
    let factors = totp_factors(&mut reading, account, name).await?;
    let factor = meant(&factors).ok_or(Refusal::TotpMissing)?;
    if is_verified(factor) {
        return Err(Refusal::TotpReady.into());
    }
    user.change(app.clock.now());
    let with_user = |batch| put(batch, &user);
    let checked = verify_within(app, reading, account, name, factor.sid, code, with_user).await;
    let factor = checked.map_err(Error::into_area::<Refusal>)?;
    Ok(is_verified(&factor).then_some(user))
}

/// Removes the app.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::TotpMissing`], [`Error::Failed`].
pub async fn remove_totp(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
) -> Result<User, Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || remove_once(app, prior.reading(app), who, name)).await
}

async fn remove_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
) -> Result<User, Error<Refusal>> {
    let (_, mut user) = find(&mut reading, account, name).await?;
    let factors = totp_factors(&mut reading, account, name).await?;
    let sid = meant(&factors).ok_or(Refusal::TotpMissing)?.sid;
    user.change(app.clock.now());
    let batch = put(Batch::new(), &user)?;
    let deleted = delete_within(app, reading, account, name, sid, batch).await;
    deleted.map_err(Error::into_area::<Refusal>)?;
    Ok(user)
}

/// Whether the user has an app, and whether it can be used.
///
/// # Errors
/// [`Fault`].
pub async fn totp_state(
    app: &App,
    account: AccountSid,
    name: &EntityName,
) -> Result<Option<TotpState>, Fault> {
    let factors = totp_factors(&mut Reading::new(app), account, name).await?;
    Ok(meant(&factors).map(|factor| {
        if is_verified(factor) {
            TotpState::Ready
        } else {
            TotpState::Unready
        }
    }))
}

/// The TOTP factors of the entity, in the order of their creation; none if there is no such entity. The decision rests on
/// each of them, and on there being no more.
async fn totp_factors(
    reading: &mut Reading<'_>,
    account: AccountSid,
    name: &EntityName,
) -> Result<Vec<Factor>, Fault> {
    // A factor is only ever created or deleted together with a write of its entity.
    let entity = reading.get(&keys::entity(name.service, &name.identity)).await?;
    let Some(entity) = entity.filter(|entity| entity.account == account) else {
        return Ok(Vec::new());
    };
    let scope = name.scope(account, entity.sid);
    let mut factors = reading.list(&keys::factors(&scope), usize::MAX).await?;
    factors.retain(|factor| factor.factor_type() == FactorType::Totp);
    for factor in &factors {
        reading.contains(&keys::factor(&scope, factor.sid)).await?;
    }
    Ok(factors)
}

/// The one that is meant, as the head of this file says.
fn meant(factors: &[Factor]) -> Option<&Factor> {
    let waits = |factor: &&Factor| matches!(factor.status, FactorStatus::Unverified { .. });
    let verified = factors.iter().find(|factor| is_verified(factor));
    verified
        .or_else(|| factors.iter().rfind(waits))
        .or_else(|| factors.last())
}

fn is_verified(factor: &Factor) -> bool {
    factor.status == FactorStatus::Verified
}
