//! Webhooks.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::error::{ApiError, Parameter, of_parameter};
use super::form::Form;
use super::json::{self, Text};
use super::listing::Listing;
use crate::domain::events::{EventType, EventTypes};
use crate::domain::sid::{AccountSid, ServiceSid, WebhookSid};
use crate::domain::text::FriendlyName;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Webhook, WebhookChanges, WebhookStatus, WebhookUrl, WebhookVersion};
use crate::flows::webhook::{self, NewWebhook};

/// `POST /v2/Services/{ServiceSid}/Webhooks`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let form = &call.form;
    let url = form.required("WebhookUrl")?;
    let new = NewWebhook {
        friendly_name: FriendlyName::parse(form.required("FriendlyName")?)
            .map_err(of_parameter(Parameter::FRIENDLY_NAME))?,
        event_types: event_types(form)?.ok_or_else(|| ApiError::missing("EventTypes"))?,
        url: WebhookUrl::parse(url).map_err(of_parameter(Parameter::WEBHOOK_URL))?,
        status: form.parsed(Parameter::STATUS, status)?.unwrap_or_default(),
        version: form.parsed(Parameter::VERSION, version)?.unwrap_or_default(),
    };
    let service = call.sid("ServiceSid")?;
    let webhook = call.settle(webhook::create(call.app(), account, service, new).await)?;
    Ok(json::resource(
        StatusCode::CREATED,
        &WebhookJson::new(&call, account, service, &webhook),
    ))
}

/// `GET /v2/Services/{ServiceSid}/Webhooks/{WebhookSid}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let service = call.sid("ServiceSid")?;
    let found = webhook::fetch(call.app(), account, service, call.sid("WebhookSid")?).await;
    Ok(json::resource(
        StatusCode::OK,
        &WebhookJson::new(&call, account, service, &call.settle(found)?),
    ))
}

/// `POST /v2/Services/{ServiceSid}/Webhooks/{WebhookSid}`
pub(super) async fn update(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let form = &call.form;
    let changes = WebhookChanges {
        friendly_name: form.parsed(Parameter::FRIENDLY_NAME, FriendlyName::parse)?,
        event_types: event_types(form)?,
        url: form.parsed(Parameter::WEBHOOK_URL, WebhookUrl::parse)?,
        status: form.parsed(Parameter::STATUS, status)?,
        version: form.parsed(Parameter::VERSION, version)?,
    };
    let service = call.sid("ServiceSid")?;
    let updated = webhook::update(call.app(), account, service, call.sid("WebhookSid")?, changes).await;
    Ok(json::resource(
        StatusCode::OK,
        &WebhookJson::new(&call, account, service, &call.settle(updated)?),
    ))
}

/// `DELETE /v2/Services/{ServiceSid}/Webhooks/{WebhookSid}`
pub(super) async fn delete(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let service = call.sid("ServiceSid")?;
    call.settle(webhook::delete(call.app(), account, service, call.sid("WebhookSid")?).await)?;
    Ok(json::deleted())
}

/// `GET /v2/Services/{ServiceSid}/Webhooks`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let listing = Listing::read(&call.query, &[])?;
    let service = call.sid("ServiceSid")?;
    let page = call.settle(webhook::list(call.app(), account, service, listing.request).await)?;
    let page = page.map(|webhook| WebhookJson::new(&call, account, service, webhook));
    Ok(listing.answer(&call, "webhooks", &page))
}

/// The parameter comes once for each event.
fn event_types(form: &Form) -> Result<Option<EventTypes>, ApiError> {
    let expected = || {
        let names = EventType::ALL.map(EventType::name).join(", ");
        format!("must be *, or any of {names}")
    };
    let mut events = Vec::new();
    let names = form.items("EventTypes").ok_or_else(expected);
    for name in names.map_err(of_parameter(Parameter::EVENT_TYPES))? {
        if name == "*" {
            return Ok(Some(EventTypes::All));
        }
        let event = EventType::ALL.into_iter().find(|event| event.name() == name);
        let event = event
            .ok_or_else(expected)
            .map_err(of_parameter(Parameter::EVENT_TYPES))?;
        if !events.contains(&event) {
            events.push(event);
        }
    }
    Ok((!events.is_empty()).then_some(EventTypes::Only(events)))
}

fn status(name: &str) -> Result<WebhookStatus, &'static str> {
    match name {
        "enabled" => Ok(WebhookStatus::Enabled),
        "disabled" => Ok(WebhookStatus::Disabled),
        _ => Err("must be enabled or disabled"),
    }
}

fn version(name: &str) -> Result<WebhookVersion, &'static str> {
    match name {
        "v1" => Ok(WebhookVersion::V1),
        "v2" => Ok(WebhookVersion::V2),
        _ => Err("must be v1 or v2"),
    }
}

#[derive(Serialize)]
struct WebhookJson<'a> {
    sid: Text<WebhookSid>,
    service_sid: Text<ServiceSid>,
    account_sid: Text<AccountSid>,
    friendly_name: &'a str,
    event_types: Vec<&'static str>,
    status: &'static str,
    version: &'static str,
    webhook_url: &'a str,
    webhook_method: &'static str,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
    url: String,
}

impl<'a> WebhookJson<'a> {
    fn new(call: &Call, account: AccountSid, service: ServiceSid, webhook: &'a Webhook) -> Self {
        Self {
            sid: Text(webhook.sid),
            service_sid: Text(service),
            account_sid: Text(account),
            friendly_name: webhook.friendly_name.as_str(),
            event_types: match &webhook.event_types {
                EventTypes::All => vec!["*"],
                EventTypes::Only(events) => events.iter().map(|event| event.name()).collect(),
            },
            status: match webhook.status {
                WebhookStatus::Enabled => "enabled",
                WebhookStatus::Disabled => "disabled",
            },
            version: match webhook.version {
                WebhookVersion::V1 => "v1",
                WebhookVersion::V2 => "v2",
            },
            webhook_url: webhook.url.as_str(),
            webhook_method: "POST",
            date_created: Text(webhook.date_created),
            date_updated: Text(webhook.date_updated),
            url: call.url(format_args!("/v2/Services/{service}/Webhooks/{}", webhook.sid)),
        }
    }
}
