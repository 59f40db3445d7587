//! Access tokens.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::error::{ApiError, Parameter, of_parameter};
use super::json::{self, Text};
use crate::domain::access_token::{AccessToken, TokenLife};
use crate::domain::entity::EntityName;
use crate::domain::sid::{AccessTokenSid, AccountSid, ServiceSid};
use crate::domain::text::FriendlyName;
use crate::domain::time::Timestamp;
use crate::flows::access_token;

/// `POST /v2/Services/{ServiceSid}/AccessTokens`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let form = &call.form;
    let (Some(identity), Some(factor_type)) = (form.filled("Identity"), form.filled("FactorType")) else {
        return Err(ApiError::access_token_incomplete());
    };
    let rule = call.app().policy.identities;
    let identity = rule.parse(identity).map_err(of_parameter(Parameter::IDENTITY))?;
    if factor_type != "push" {
        return Err(ApiError::invalid(Parameter::FACTOR_TYPE, "must be push"));
    }
    let name = form.parsed(Parameter::FACTOR_FRIENDLY_NAME, FriendlyName::parse)?;
    let life = form.seconds(Parameter::TTL, TokenLife::new)?.unwrap_or_default();
    let service = call.sid("ServiceSid")?;
    let device_of = EntityName { service, identity };
    let created = access_token::create(call.app(), account, &device_of, name, life).await;
    let (record, token) = call.settle(created)?;
    Ok(json::resource(
        StatusCode::CREATED,
        &AccessTokenJson::new(&call, service, &record, &token),
    ))
}

/// `GET /v2/Services/{ServiceSid}/AccessTokens/{AccessTokenSid}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let service = call.sid("ServiceSid")?;
    let sid = call.sid("AccessTokenSid")?;
    let (record, token) = call.settle(access_token::fetch(call.app(), account, service, sid).await)?;
    Ok(json::resource(
        StatusCode::OK,
        &AccessTokenJson::new(&call, service, &record, &token),
    ))
}

#[derive(Serialize)]
struct AccessTokenJson<'a> {
    sid: Text<AccessTokenSid>,
    account_sid: Text<AccountSid>,
    service_sid: Text<ServiceSid>,
    entity_identity: &'a str,
    factor_type: &'static str,
    factor_friendly_name: Option<&'a str>,
    token: &'a str,
    url: String,
    ttl: u16,
    date_created: Text<Timestamp>,
}

impl<'a> AccessTokenJson<'a> {
    fn new(call: &Call, service: ServiceSid, record: &'a AccessToken, token: &'a str) -> Self {
        Self {
            sid: Text(record.sid),
            account_sid: Text(record.account),
            service_sid: Text(service),
            entity_identity: record.identity.as_str(),
            factor_type: "push",
            factor_friendly_name: record.factor_friendly_name.as_ref().map(FriendlyName::as_str),
            token,
            url: call.url(format_args!("/v2/Services/{service}/AccessTokens/{}", record.sid)),
            ttl: record.life.seconds(),
            date_created: Text(record.date_created),
        }
    }
}
