//! Rate limits of a service.
//!
//! Paths name a rate limit by its SID; its `UniqueName` is what the `RateLimits` parameter of a new verification names it by.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::error::{ApiError, Parameter, of_parameter};
use super::json::{self, Text};
use super::listing::Listing;
use crate::domain::rate_limit::RateLimit;
use crate::domain::sid::{AccountSid, RateLimitSid, ServiceSid};
use crate::domain::text::{Description, UniqueName};
use crate::domain::time::Timestamp;
use crate::flows::rate_limit::{self, NewRateLimit};

/// `POST /v2/Services/{ServiceSid}/RateLimits`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let form = &call.form;
    let new = NewRateLimit {
        unique_name: UniqueName::parse(form.required("UniqueName")?)
            .map_err(of_parameter(Parameter::UNIQUE_NAME))?,
        description: form.parsed(Parameter::DESCRIPTION, Description::parse)?,
    };
    let service = call.sid("ServiceSid")?;
    let limit = call.settle(rate_limit::create(call.app(), account, service, new).await)?;
    Ok(json::resource(
        StatusCode::CREATED,
        &RateLimitJson::new(&call, account, service, &limit),
    ))
}

/// `GET /v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let service = call.sid("ServiceSid")?;
    let found = rate_limit::fetch(call.app(), account, service, call.sid("RateLimitSid")?).await;
    Ok(json::resource(
        StatusCode::OK,
        &RateLimitJson::new(&call, account, service, &call.settle(found)?),
    ))
}

/// `POST /v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}`
pub(super) async fn update(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let description = call.form.clearable(Parameter::DESCRIPTION, Description::parse)?;
    let service = call.sid("ServiceSid")?;
    let sid = call.sid("RateLimitSid")?;
    let updated = rate_limit::update(call.app(), account, service, sid, description).await;
    Ok(json::resource(
        StatusCode::OK,
        &RateLimitJson::new(&call, account, service, &call.settle(updated)?),
    ))
}

/// `DELETE /v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}`
pub(super) async fn delete(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let service = call.sid("ServiceSid")?;
    call.settle(rate_limit::delete(call.app(), account, service, call.sid("RateLimitSid")?).await)?;
    Ok(json::deleted())
}

/// `GET /v2/Services/{ServiceSid}/RateLimits`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let listing = Listing::read(&call.query, &[])?;
    let service = call.sid("ServiceSid")?;
    let page = call.settle(rate_limit::list(call.app(), account, service, listing.request).await)?;
    let page = page.map(|limit| RateLimitJson::new(&call, account, service, limit));
    Ok(listing.answer(&call, "rate_limits", &page))
}

#[derive(Serialize)]
struct RateLimitJson<'a> {
    sid: Text<RateLimitSid>,
    service_sid: Text<ServiceSid>,
    account_sid: Text<AccountSid>,
    unique_name: &'a str,
    description: Option<&'a str>,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
    links: RateLimitLinks,
    url: String,
}

#[derive(Serialize)]
struct RateLimitLinks {
    buckets: String,
}

impl<'a> RateLimitJson<'a> {
    fn new(call: &Call, account: AccountSid, service: ServiceSid, limit: &'a RateLimit) -> Self {
        let url = call.url(format_args!("/v2/Services/{service}/RateLimits/{}", limit.sid));
        Self {
            sid: Text(limit.sid),
            service_sid: Text(service),
            account_sid: Text(account),
            unique_name: limit.unique_name.as_str(),
            description: limit.description.as_ref().map(Description::as_str),
            date_created: Text(limit.date_created),
            date_updated: Text(limit.date_updated),
            links: RateLimitLinks {
                buckets: format!("{url}/Buckets"),
            },
            url,
        }
    }
}
