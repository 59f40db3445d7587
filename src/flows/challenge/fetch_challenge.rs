//! Fetches a challenge.

use crate::app::App;
use crate::domain::challenge::Challenge;
use crate::domain::entity::EntityScope;
use crate::domain::refusal::Refusal;
use crate::domain::sid::{ChallengeSid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::Error;
use crate::flows::actor::Actor;
use crate::flows::entity::fetch_entity::{Place, locate};
use crate::store::keys;
use crate::store::records::{self, Stored};

/// The challenge, if it is in the actor's reach.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Forbidden`], [`Error::Failed`].
pub async fn fetch_challenge(
    app: &App,
    actor: &Actor,
    service: ServiceSid,
    identity: &Identity,
    sid: ChallengeSid,
) -> Result<(EntityScope, Challenge), Error> {
    let (place, challenge) = read_challenge(app, actor, service, identity, sid).await?;
    Ok((place.scope, challenge.record))
}

/// The challenge with its version. To a device, the challenges of other factors do not exist.
pub(super) async fn read_challenge(
    app: &App,
    actor: &Actor,
    service: ServiceSid,
    identity: &Identity,
    sid: ChallengeSid,
) -> Result<(Place, Stored<Challenge>), Error> {
    let (account, only) = actor.within(service, identity)?;
    let place = locate(app, account, service, identity).await?;
    let found = records::read(app.store.as_ref(), &keys::challenge(&place.scope, sid)).await?;
    let in_reach = found.filter(|found| only.is_none_or(|own| own == found.record.factor));
    Ok((place, in_reach.ok_or(Refusal::NotFound)?))
}
