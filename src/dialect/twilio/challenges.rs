//! Challenges.

use std::fmt::Write as _;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

use super::approval::{Approval, SIGNATURE_FIELDS};
use super::call::Call;
use super::entities::entity_url;
use super::error::{ApiError, Parameter, of_parameter};
use super::factors::type_name;
use super::form::{Form, attributes, sid};
use super::json::{self, Object, Text};
use super::listing::Listing;
use super::service_settings::OwnServiceSettings;
use crate::crypto::unique_json::parse_object;
use crate::domain::challenge::{Challenge, ChallengeStatus, DenyReason, Details, Field, Fields};
use crate::domain::entity::EntityScope;
use crate::domain::factor::FactorType;
use crate::domain::number_matching::{MatchingNumber, NumberLength};
use crate::domain::push_answer::GivenAnswer;
use crate::domain::sid::{AccountSid, ChallengeSid, EntitySid, FactorSid, ServiceSid};
use crate::domain::text::{FieldLabel, FieldValue, Message};
use crate::domain::time::Timestamp;
use crate::flows::challenge::{self, ChallengeFilter, ChallengeUpdate, NewChallenge};
use crate::flows::page::Order;

/// `POST /v2/Services/{ServiceSid}/Entities/{Identity}/Challenges`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let account = call.admitted_account()?;
    let name = call.entity()?;
    let form = &call.form;
    let factor = sid::<FactorSid>(FACTOR_SID)(form.required("FactorSid")?);
    let new = NewChallenge {
        factor: factor.map_err(of_parameter(Parameter::FACTOR_SID))?,
        expires_at: form.parsed(Parameter::EXPIRATION_DATE, expiration)?,
        message: form.parsed(Parameter::DETAILS_MESSAGE, Message::parse)?,
        fields: fields(form)?,
        hidden_details: form
            .filled("HiddenDetails")
            .map(|text| attributes(Parameter::HIDDEN_DETAILS, text))
            .transpose()?,
        number_matching: form
            .number(Parameter::DETAILS_NUMBER_MATCHING, NumberLength::parse)?
            .flatten(),
        shows_date: |service| OwnServiceSettings::of(service).map(|own| own.push_include_date),
    };
    let code = form.filled("AuthPayload");
    let created = challenge::create(call.app(), account, &name, &new, code).await;
    let (scope, challenge) = call.settle(created)?;
    Ok(json::resource(
        StatusCode::CREATED,
        &ChallengeJson::new(&call, &scope, &challenge).with_number(&challenge),
    ))
}

/// `GET /v2/Services/{ServiceSid}/Entities/{Identity}/Challenges/{ChallengeSid}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let name = call.entity()?;
    let sid = call.sid("ChallengeSid")?;
    let found = match call.wait()? {
        None => challenge::fetch(call.app(), call.actor()?, &name, sid).await,
        Some(longest) => {
            let actor = call.actor()?;
            challenge::wait_for_decision(call.app(), actor, &call.admission()?, &name, sid, longest).await
        }
    };
    let (scope, challenge) = call.settle(found)?;
    let mut response = json::resource(StatusCode::OK, &ChallengeJson::new(&call, &scope, &challenge));
    if challenge.factor_type == FactorType::Push {
        let (name, fields) = SIGNATURE_FIELDS;
        response.headers_mut().insert(name, fields);
    }
    Ok(response)
}

/// `POST /v2/Services/{ServiceSid}/Entities/{Identity}/Challenges/{ChallengeSid}`
pub(super) async fn update(call: Call) -> Result<Response, ApiError> {
    let name = call.entity()?;
    let sid = call.sid("ChallengeSid")?;
    let form = &call.form;
    let approval = form.filled("AuthPayload").map(Approval);
    let update = ChallengeUpdate {
        answer: approval.as_ref().map(|approval| approval as &dyn GivenAnswer),
        metadata: form
            .filled("Metadata")
            .map(|text| attributes(Parameter::METADATA, text))
            .transpose()?,
    };
    let answered = challenge::answer(call.app(), call.actor()?, &name, sid, &update).await;
    let (scope, challenge) = call.settle(answered)?;
    Ok(json::resource(
        StatusCode::OK,
        &ChallengeJson::new(&call, &scope, &challenge),
    ))
}

/// `GET /v2/Services/{ServiceSid}/Entities/{Identity}/Challenges`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let name = call.entity()?;
    let mut listing = Listing::read(&call.query, &["FactorSid", "Status", "Order"])?;
    let filter = ChallengeFilter {
        factor: call.query.parsed(Parameter::FACTOR_SID, sid(FACTOR_SID))?,
        status: call.query.parsed(Parameter::STATUS, status)?,
    };
    listing.request.order = call
        .query
        .parsed(Parameter::ORDER, order)?
        .unwrap_or(Order::Ascending);
    let (app, request) = (call.app(), listing.request);
    let found = match (call.wait()?, filter.status) {
        (None, _) => challenge::list(app, call.actor()?, &name, filter, request).await,
        (Some(longest), Some(ChallengeStatus::Pending)) => {
            let (actor, admission) = (call.actor()?, call.admission()?);
            challenge::wait_for_pending(app, actor, &admission, &name, filter.factor, request, longest).await
        }
        (Some(_), _) => {
            return Err(ApiError::invalid(
                Parameter::WAIT,
                "needs Status=pending in a list",
            ));
        }
    };
    let (scope, page) = call.settle(found)?;
    let page = page.map(|challenge| ChallengeJson::new(&call, &scope, challenge));
    Ok(listing.answer(&call, "challenges", &page))
}

const FACTOR_SID: &str = "must be YF and 32 hex digits";

fn expiration(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse_iso8601(text).ok_or("must be an ISO 8601 date and time, as in 2026-01-31T12:00:00Z")
}

fn status(name: &str) -> Result<ChallengeStatus, &'static str> {
    match name {
        "approved" => Ok(ChallengeStatus::Approved),
        "denied" => Ok(ChallengeStatus::Denied),
        "expired" => Ok(ChallengeStatus::Expired),
        "pending" => Ok(ChallengeStatus::Pending),
        _ => Err("must be pending, expired, approved or denied"),
    }
}

fn order(name: &str) -> Result<Order, &'static str> {
    match name {
        "asc" => Ok(Order::Ascending),
        "desc" => Ok(Order::Descending),
        _ => Err("must be asc or desc"),
    }
}

fn fields(form: &Form) -> Result<Fields, ApiError> {
    let items = form.items("Details.Fields").ok_or(FIELD);
    let items = items.map_err(of_parameter(Parameter::DETAILS_FIELDS))?;
    let fields = items.iter().map(|item| field(item));
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    Fields::new(fields).map_err(of_parameter(Parameter::DETAILS_FIELDS))
}

const FIELD: &str = r#"must each be a JSON object such as {"label": "Action", "value": "Log in"}"#;

fn field(text: &str) -> Result<Field, ApiError> {
    let invalid = of_parameter(Parameter::DETAILS_FIELDS);
    let object = parse_object(text.as_bytes()).map_err(|_| invalid(FIELD))?;
    let member = |name| {
        object
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| invalid(FIELD))
    };
    Ok(Field {
        label: FieldLabel::parse(member("label")?).map_err(of_parameter(Parameter::DETAILS_FIELDS_LABEL))?,
        value: FieldValue::parse(member("value")?).map_err(of_parameter(Parameter::DETAILS_FIELDS_VALUE))?,
    })
}

/// A challenge as callers see it.
#[derive(Serialize)]
pub(super) struct ChallengeJson<'a> {
    sid: Text<ChallengeSid>,
    account_sid: Text<AccountSid>,
    service_sid: Text<ServiceSid>,
    entity_sid: Text<EntitySid>,
    identity: &'a str,
    factor_sid: Text<FactorSid>,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
    date_responded: Option<Text<Timestamp>>,
    expiration_date: Text<Timestamp>,
    status: &'static str,
    responded_reason: &'static str,
    details: Option<DetailsJson<'a>>,
    hidden_details: Option<Object<'a>>,
    metadata: Option<Object<'a>>,
    factor_type: &'static str,
    /// Only if the challenge asks for a number (not part of Twilio's API).
    #[serde(skip_serializing_if = "Option::is_none")]
    number_matching: Option<NumberMatchingJson<'a>>,
    /// Only if one is known (not part of Twilio's API).
    #[serde(skip_serializing_if = "Option::is_none")]
    deny_reason: Option<&'static str>,
    url: String,
    links: ChallengeLinks,
}

#[derive(Serialize)]
struct NumberMatchingJson<'a> {
    digits: usize,
    /// Only in the answer to the creation: the device reads the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<&'a str>,
}

#[derive(Serialize)]
struct ChallengeLinks {
    notifications: String,
}

#[derive(Serialize)]
pub(super) struct DetailsJson<'a> {
    message: Option<&'a str>,
    fields: Vec<FieldJson<'a>>,
    /// Never `null`: the Android SDK would take that for a date that it cannot read.
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<Text<Timestamp>>,
}

#[derive(Serialize)]
struct FieldJson<'a> {
    label: &'a str,
    value: &'a str,
}

impl<'a> ChallengeJson<'a> {
    pub(super) fn new(call: &Call, scope: &'a EntityScope, challenge: &'a Challenge) -> Self {
        let mut url = entity_url(call, scope);
        // Writing into a text cannot fail.
        let _ = write!(url, "/Challenges/{}", challenge.sid);
        Self {
            sid: Text(challenge.sid),
            account_sid: Text(scope.account),
            service_sid: Text(scope.service),
            entity_sid: Text(scope.entity),
            identity: scope.identity.as_str(),
            factor_sid: Text(challenge.factor),
            date_created: Text(challenge.date_created),
            date_updated: Text(challenge.date_updated),
            date_responded: challenge.answer().map(|answer| Text(answer.at)),
            expiration_date: Text(challenge.expires_at),
            status: status_name(challenge.status(call.now())),
            responded_reason: "none",
            details: challenge.details.as_ref().map(DetailsJson::new),
            hidden_details: challenge.hidden_details.as_ref().map(Object),
            metadata: challenge.metadata.as_ref().map(Object),
            factor_type: type_name(challenge.factor_type),
            number_matching: challenge.number.as_ref().map(|number| NumberMatchingJson {
                digits: number.length(),
                number: None,
            }),
            deny_reason: challenge.deny_reason.map(reason_name),
            links: ChallengeLinks {
                notifications: [&url, "/Notifications"].concat(),
            },
            url,
        }
    }

    /// With the number, for the backend that created the challenge to show it.
    fn with_number(mut self, challenge: &'a Challenge) -> Self {
        if let Some(json) = &mut self.number_matching {
            json.number = challenge.number.as_ref().map(MatchingNumber::digits);
        }
        self
    }
}

impl<'a> DetailsJson<'a> {
    pub(super) fn new(details: &'a Details) -> Self {
        let field = |field: &'a Field| FieldJson {
            label: field.label.as_str(),
            value: field.value.as_str(),
        };
        Self {
            message: details.message.as_ref().map(Message::as_str),
            fields: details.fields.as_slice().iter().map(field).collect(),
            date: details.date.map(Text),
        }
    }
}

fn reason_name(reason: DenyReason) -> &'static str {
    match reason {
        DenyReason::NotMe => "not_me",
        DenyReason::WrongNumber => "wrong_number",
    }
}

/// A status as it is written.
pub(super) fn status_name(status: ChallengeStatus) -> &'static str {
    match status {
        ChallengeStatus::Approved => "approved",
        ChallengeStatus::Denied => "denied",
        ChallengeStatus::Expired => "expired",
        ChallengeStatus::Pending => "pending",
    }
}
