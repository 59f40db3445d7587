//! Entities.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::error::{ApiError, Parameter, of_parameter};
use super::json::{self, Text};
use super::listing::Listing;
use crate::domain::entity::{Entity, EntityName, EntityScope};
use crate::domain::sid::{AccountSid, EntitySid, ServiceSid};
use crate::domain::time::Timestamp;
use crate::flows::entity;

/// `POST /v2/Services/{ServiceSid}/Entities`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let rule = call.app().policy.identities;
    let identity = rule.parse(call.form.required("Identity")?);
    let identity = identity.map_err(of_parameter(Parameter::IDENTITY))?;
    let service = call.sid("ServiceSid")?;
    let name = EntityName { service, identity };
    let (scope, entity) = call.settle(entity::create(call.app(), account, &name).await)?;
    Ok(json::resource(
        StatusCode::CREATED,
        &EntityJson::new(&call, &scope, &entity),
    ))
}

/// `GET /v2/Services/{ServiceSid}/Entities/{Identity}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let account = call.admitted_account()?;
    let name = call.entity()?;
    let (scope, entity) = call.settle(entity::fetch(call.app(), account, &name).await)?;
    Ok(json::resource(
        StatusCode::OK,
        &EntityJson::new(&call, &scope, &entity),
    ))
}

/// `DELETE /v2/Services/{ServiceSid}/Entities/{Identity}`
pub(super) async fn delete(call: Call) -> Result<Response, ApiError> {
    let account = call.admitted_account()?;
    let name = call.entity()?;
    call.settle(entity::delete(call.app(), account, &name).await)?;
    Ok(json::deleted())
}

/// `GET /v2/Services/{ServiceSid}/Entities`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let listing = Listing::read(&call.query, &[])?;
    let service = call.sid("ServiceSid")?;
    let page = call.settle(entity::list(call.app(), account, service, listing.request).await)?;
    let page = page.map(|(scope, entity)| EntityJson::new(&call, scope, entity));
    Ok(listing.answer(&call, "entities", &page))
}

#[derive(Serialize)]
struct EntityJson<'a> {
    sid: Text<EntitySid>,
    identity: &'a str,
    account_sid: Text<AccountSid>,
    service_sid: Text<ServiceSid>,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
    url: String,
    links: EntityLinks,
}

#[derive(Serialize)]
struct EntityLinks {
    factors: String,
    new_factors: String,
    challenges: String,
}

impl<'a> EntityJson<'a> {
    fn new(call: &Call, scope: &'a EntityScope, entity: &'a Entity) -> Self {
        let url = entity_url(call, scope);
        Self {
            sid: Text(entity.sid),
            identity: entity.identity.as_str(),
            account_sid: Text(scope.account),
            service_sid: Text(scope.service),
            date_created: Text(entity.date_created),
            date_updated: Text(entity.date_updated),
            links: EntityLinks {
                factors: format!("{url}/Factors"),
                new_factors: format!("{url}/Factors"),
                challenges: format!("{url}/Challenges"),
            },
            url,
        }
    }
}

pub(super) fn entity_url(call: &Call, scope: &EntityScope) -> String {
    call.url(format_args!(
        "/v2/Services/{}/Entities/{}",
        scope.service, scope.identity
    ))
}
