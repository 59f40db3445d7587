//! Fetches a factor.

use crate::app::App;
use crate::domain::entity::EntityScope;
use crate::domain::factor::Factor;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{FactorSid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::Error;
use crate::flows::actor::Actor;
use crate::flows::entity::fetch_entity::locate;
use crate::store::keys;
use crate::store::records::{self, Stored};

/// The factor, if it is in the actor's reach.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Forbidden`], [`Error::Failed`].
pub async fn fetch_factor(
    app: &App,
    actor: &Actor,
    service: ServiceSid,
    identity: &Identity,
    sid: FactorSid,
) -> Result<(EntityScope, Factor), Error> {
    let account = actor.with_factor(service, identity, sid)?;
    let place = locate(app, account, service, identity).await?;
    let factor = read_factor(app, &place.scope, sid).await?.record;
    Ok((place.scope, factor))
}

/// The factor with its version.
pub(crate) async fn read_factor(
    app: &App,
    scope: &EntityScope,
    sid: FactorSid,
) -> Result<Stored<Factor>, Error> {
    let found = records::read(app.store.as_ref(), &keys::factor(scope, sid)).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}
