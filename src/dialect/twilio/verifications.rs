//! Verifications.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::destinations::which;
use super::error::{ApiError, Parameter};
use super::json::{self, Text};
use super::verification_parameters;
use crate::domain::channel::Channel;
use crate::domain::phone::LineKind;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, AttemptSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{Sending, Verification, VerificationStatus};
use crate::flows::service;
use crate::flows::verification::{self, Settlement};

/// `POST /v2/Services/{ServiceSid}/Verifications`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    start(&call).await.map_err(ApiError::may_put_to_sleep)
}

async fn start(call: &Call) -> Result<Response, ApiError> {
    let account = call.admitted_account()?;
    let (app, service_sid) = (call.app(), call.sid("ServiceSid")?);
    let new = match verification_parameters::read(&call.form) {
        Ok(new) => new,
        Err(error) => {
            // Of a service that is not there nothing else is said.
            call.settle(service::fetch(app, account, service_sid).await)?;
            return Err(error.in_service());
        }
    };
    let started = call.settle_verification(verification::start(app, account, service_sid, &new).await)?;
    let sna = started.sna_token.map(|token| SnaJson {
        url: call.url(format_args!("/v2/SilentAuth/{}", token.as_str())),
    });
    let json = VerificationJson {
        sna,
        ..VerificationJson::new(call, &started.service, &started.verification)
    };
    Ok(json::resource(StatusCode::CREATED, &json))
}

/// `GET /v2/Services/{ServiceSid}/Verifications/{VerificationSid}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let account = call.admitted_account()?;
    let found = verification::fetch(call.app(), account, call.sid("ServiceSid")?, &which(&call)?).await;
    let (service, verification) = call.settle(found)?;
    let paused = call.settle(verification::codes_paused_until(call.app(), &verification).await)?;
    let json = VerificationJson {
        codes_paused_until: paused.map(Text),
        ..VerificationJson::new(&call, &service, &verification)
    };
    Ok(json::resource(StatusCode::OK, &json))
}

/// `POST /v2/Services/{ServiceSid}/Verifications/{VerificationSid}`
pub(super) async fn update(call: Call) -> Result<Response, ApiError> {
    let account = call.admitted_account()?;
    call.form.required("Status")?;
    let settlement = call
        .form
        .parsed(Parameter::STATUS, settlement)
        .map_err(ApiError::in_service)?
        .ok_or_else(|| ApiError::missing("Status"))?;
    let (app, service) = (call.app(), call.sid("ServiceSid")?);
    let settled = verification::settle(app, account, service, &which(&call)?, settlement).await;
    let (service, verification) = call.settle_verification(settled)?;
    Ok(json::resource(
        StatusCode::OK,
        &VerificationJson::new(&call, &service, &verification),
    ))
}

fn settlement(name: &str) -> Result<Settlement, &'static str> {
    match name {
        "approved" => Ok(Settlement::Approve),
        "canceled" => Ok(Settlement::Cancel),
        _ => Err("must be approved or canceled"),
    }
}

/// What the API calls what holds of a verification.
pub(super) fn status(status: VerificationStatus) -> &'static str {
    match status {
        VerificationStatus::Approved => "approved",
        VerificationStatus::Canceled => "canceled",
        VerificationStatus::Expired => "expired",
        VerificationStatus::MaxAttemptsReached => "max_attempts_reached",
        VerificationStatus::Pending => "pending",
    }
}

#[derive(Serialize)]
struct VerificationJson<'a> {
    sid: Text<VerificationSid>,
    service_sid: Text<ServiceSid>,
    account_sid: Text<AccountSid>,
    to: &'a str,
    channel: Option<&'static str>,
    status: &'static str,
    valid: bool,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
    lookup: LookupJson,
    amount: Option<&'a str>,
    payee: Option<&'a str>,
    send_code_attempts: Vec<SendJson>,
    sna: Option<SnaJson>,
    /// Only when it is fetched, and while no code for the destination is looked at (not part of Twilio's API).
    #[serde(skip_serializing_if = "Option::is_none")]
    codes_paused_until: Option<Text<Timestamp>>,
    url: String,
}

/// Empty unless numbers are looked up.
#[derive(Serialize)]
struct LookupJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<CarrierJson>,
}

/// What the numbering plan says; only the carrier itself knows the rest.
#[derive(Serialize)]
struct CarrierJson {
    mobile_country_code: Option<&'static str>,
    #[serde(rename = "type")]
    kind: Option<&'static str>,
    error_code: Option<u32>,
    mobile_network_code: Option<&'static str>,
    name: Option<&'static str>,
}

#[derive(Serialize)]
struct SendJson {
    time: Text<Timestamp>,
    channel: &'static str,
    attempt_sid: Option<Text<AttemptSid>>,
}

#[derive(Serialize)]
struct SnaJson {
    url: String,
}

impl<'a> VerificationJson<'a> {
    fn new(call: &Call, service: &Service, verification: &'a Verification) -> Self {
        let now = verification.status(call.now());
        let payment = verification.content.payment.as_ref();
        Self {
            sid: Text(verification.sid),
            service_sid: Text(verification.service),
            account_sid: Text(verification.account),
            to: verification.destination.as_str(),
            channel: verification.channel().map(Channel::name),
            status: status(now),
            valid: now == VerificationStatus::Approved,
            date_created: Text(verification.date_created),
            date_updated: Text(verification.date_updated),
            lookup: LookupJson::new(service, verification),
            amount: payment.map(|payment| payment.amount.as_str()),
            payee: payment.map(|payment| payment.payee.as_str()),
            send_code_attempts: verification.sends.iter().map(SendJson::new).collect(),
            sna: None,
            codes_paused_until: None,
            url: call.url(format_args!(
                "/v2/Services/{}/Verifications/{}",
                verification.service, verification.sid
            )),
        }
    }
}

impl LookupJson {
    fn new(service: &Service, verification: &Verification) -> Self {
        let wanted = service.settings.lookup_enabled;
        let number = verification.destination.phone().filter(|_| wanted);
        let carrier = number.map(|number| CarrierJson {
            mobile_country_code: None,
            kind: line(number.facts().kind),
            error_code: None,
            mobile_network_code: None,
            name: None,
        });
        Self { carrier }
    }
}

/// The API knows three kinds of lines.
fn line(kind: LineKind) -> Option<&'static str> {
    match kind {
        LineKind::FixedLine => Some("landline"),
        LineKind::FixedLineOrMobile | LineKind::Mobile => Some("mobile"),
        LineKind::Voip => Some("voip"),
        LineKind::Other
        | LineKind::PremiumRate
        | LineKind::SharedCost
        | LineKind::TollFree
        | LineKind::Unknown => None,
    }
}

impl SendJson {
    fn new(sending: &Sending) -> Self {
        Self {
            time: Text(sending.at),
            channel: channel_of_sending(sending.channel),
            attempt_sid: sending.tries.last().map(|last| Text(last.attempt)),
        }
    }
}

/// The channels that Twilio had first are spelled in capitals here.
fn channel_of_sending(channel: Channel) -> &'static str {
    match channel {
        Channel::Call => "CALL",
        Channel::Email => "EMAIL",
        Channel::Sms => "SMS",
        Channel::Rcs | Channel::Sna | Channel::Whatsapp => channel.name(),
    }
}
