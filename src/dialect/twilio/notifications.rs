//! Notifications.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::error::{ApiError, Parameter};
use super::json::{self, Text};
use crate::domain::notification::NotificationLife;
use crate::domain::sid::{AccountSid, ChallengeSid, EntitySid, NotificationSid, ServiceSid};
use crate::domain::time::Timestamp;
use crate::flows::challenge;

/// `POST /v2/Services/{ServiceSid}/Entities/{Identity}/Challenges/{ChallengeSid}/Notifications`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let account = call.admitted_account()?;
    let name = call.entity()?;
    let challenge = call.sid("ChallengeSid")?;
    let life = call
        .form
        .seconds(Parameter::TTL, NotificationLife::new)?
        .unwrap_or_default();
    let created = challenge::notify(call.app(), account, &name, challenge, life).await;
    let (scope, notification) = call.settle(created)?;
    let json = NotificationJson {
        sid: Text(notification.sid),
        account_sid: Text(scope.account),
        service_sid: Text(scope.service),
        entity_sid: Text(scope.entity),
        identity: scope.identity.as_str(),
        challenge_sid: Text(notification.challenge),
        priority: "high",
        ttl: notification.life.seconds(),
        date_created: Text(notification.date_created),
    };
    Ok(json::resource(StatusCode::CREATED, &json))
}

#[derive(Serialize)]
struct NotificationJson<'a> {
    sid: Text<NotificationSid>,
    account_sid: Text<AccountSid>,
    service_sid: Text<ServiceSid>,
    entity_sid: Text<EntitySid>,
    identity: &'a str,
    challenge_sid: Text<ChallengeSid>,
    priority: &'static str,
    ttl: u16,
    date_created: Text<Timestamp>,
}
