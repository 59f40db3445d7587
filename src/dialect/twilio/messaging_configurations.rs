//! Messaging configurations of a service.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::error::{ApiError, Parameter, of_parameter};
use super::form::sid;
use super::json::{self, Text};
use super::listing::Listing;
use crate::domain::messaging_configuration::{MessagingConfiguration, Region};
use crate::domain::sid::{AccountSid, MessagingServiceSid, ServiceSid};
use crate::domain::time::Timestamp;
use crate::flows::messaging_configuration;

/// `POST /v2/Services/{ServiceSid}/MessagingConfigurations`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let region = Region::parse(call.form.required("Country")?).map_err(of_parameter(Parameter::COUNTRY))?;
    let sender = messaging_service(&call)?;
    let service = call.sid("ServiceSid")?;
    let created = messaging_configuration::create(call.app(), account, service, region, sender).await;
    Ok(json::resource(
        StatusCode::CREATED,
        &ConfigurationJson::new(&call, account, service, &call.settle(created)?),
    ))
}

/// `GET /v2/Services/{ServiceSid}/MessagingConfigurations/{Country}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let service = call.sid("ServiceSid")?;
    let found = messaging_configuration::fetch(call.app(), account, service, region(&call)?).await;
    Ok(json::resource(
        StatusCode::OK,
        &ConfigurationJson::new(&call, account, service, &call.settle(found)?),
    ))
}

/// `POST /v2/Services/{ServiceSid}/MessagingConfigurations/{Country}`
pub(super) async fn update(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let sender = messaging_service(&call)?;
    let service = call.sid("ServiceSid")?;
    let region = region(&call)?;
    let updated = messaging_configuration::update(call.app(), account, service, region, sender).await;
    Ok(json::resource(
        StatusCode::OK,
        &ConfigurationJson::new(&call, account, service, &call.settle(updated)?),
    ))
}

/// `DELETE /v2/Services/{ServiceSid}/MessagingConfigurations/{Country}`
pub(super) async fn delete(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let service = call.sid("ServiceSid")?;
    call.settle(messaging_configuration::delete(call.app(), account, service, region(&call)?).await)?;
    Ok(json::deleted())
}

/// `GET /v2/Services/{ServiceSid}/MessagingConfigurations`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let listing = Listing::read(&call.query, &[])?;
    let service = call.sid("ServiceSid")?;
    let page = messaging_configuration::list(call.app(), account, service, listing.request).await;
    let page = call.settle(page)?;
    let page = page.map(|found| ConfigurationJson::new(&call, account, service, found));
    Ok(listing.answer(&call, "messaging_configurations", &page))
}

/// The region in the path. What is none has no configuration.
fn region(call: &Call) -> Result<Region, ApiError> {
    call.name("Country")
        .and_then(Region::stored)
        .ok_or_else(|| call.not_found())
}

fn messaging_service(call: &Call) -> Result<MessagingServiceSid, ApiError> {
    let parse = sid("must be MG and 32 hexadecimal digits");
    parse(call.form.required("MessagingServiceSid")?).map_err(of_parameter(Parameter::MESSAGING_SERVICE_SID))
}

#[derive(Serialize)]
struct ConfigurationJson {
    account_sid: Text<AccountSid>,
    service_sid: Text<ServiceSid>,
    country: Text<Region>,
    messaging_service_sid: Text<MessagingServiceSid>,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
    url: String,
}

impl ConfigurationJson {
    fn new(call: &Call, account: AccountSid, service: ServiceSid, found: &MessagingConfiguration) -> Self {
        let region = found.region;
        Self {
            account_sid: Text(account),
            service_sid: Text(service),
            country: Text(region),
            messaging_service_sid: Text(found.messaging_service),
            date_created: Text(found.date_created),
            date_updated: Text(found.date_updated),
            url: call.url(format_args!(
                "/v2/Services/{service}/MessagingConfigurations/{region}"
            )),
        }
    }
}
