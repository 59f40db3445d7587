//! Lists an entity's factors.

use crate::app::App;
use crate::domain::entity::EntityScope;
use crate::domain::factor::Factor;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::Error;
use crate::flows::entity::fetch_entity::locate;
use crate::flows::page::{Page, PageRequest, page};
use crate::store::{keys, records};

/// A page of the entity's factors, in the order of their creation.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`] without such an entity, [`Error::Failed`].
pub async fn list_factors(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
    request: PageRequest,
) -> Result<(EntityScope, Page<Factor>), Error> {
    let scope = locate(app, account, service, identity).await?.scope;
    let mut raw = page(app, &keys::factors(&scope), request).await?;
    let entries = std::mem::take(&mut raw.items);
    let factors = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value))
        .collect::<Result<_, _>>()?;
    Ok((scope, raw.with_items(factors)))
}
