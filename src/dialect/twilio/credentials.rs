//! Credentials: the keys of push providers, as Notify v1 has them, with provider tokens in the place of certificates.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::error::{ApiError, Parameter, of_parameter};
use super::form::Form;
use super::json::{self, Text};
use super::listing::Listing;
use crate::crypto::provider_key::P256Pem;
use crate::crypto::service_account::ServiceAccount;
use crate::crypto::unique_json::parse_object;
use crate::domain::credential::{Credential, CredentialKey, CredentialKind};
use crate::domain::service::Change;
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::domain::text::{ApnsIdentifier, ApnsTopic, FriendlyName};
use crate::domain::time::Timestamp;
use crate::flows::credential::{self, CredentialChanges, NewCredential, NewKey};

/// `POST /v1/Credentials`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let form = &call.form;
    let key = match form.required("Type")? {
        "apn" => new_apn(form)?,
        "fcm" => new_fcm(form)?,
        "gcm" => {
            return Err(ApiError::invalid(
                Parameter::TYPE,
                "must not be gcm, which Google switched off: create one of type fcm, with a service account in Secret",
            ));
        }
        _ => return Err(ApiError::invalid(Parameter::TYPE, "must be apn or fcm")),
    };
    let new = NewCredential {
        friendly_name: form.parsed(Parameter::FRIENDLY_NAME, FriendlyName::parse)?,
        key,
    };
    let credential = call.settle(credential::create(call.app(), account, new).await)?;
    Ok(json::resource(
        StatusCode::CREATED,
        &CredentialJson::new(&call, &credential),
    ))
}

/// `GET /v1/Credentials/{CredentialSid}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let found = credential::fetch(call.app(), account, call.sid("CredentialSid")?).await;
    Ok(json::resource(
        StatusCode::OK,
        &CredentialJson::new(&call, &call.settle(found)?),
    ))
}

/// `POST /v1/Credentials/{CredentialSid}`
pub(super) async fn update(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let sid = call.sid("CredentialSid")?;
    // What the parameters mean depends on the type, which never changes.
    let (found, prior) = call.settle(credential::find(call.app(), account, sid).await)?;
    let changes = changes(&call.form, found.provider())?;
    let updated = credential::update(call.app(), account, sid, prior, changes).await;
    Ok(json::resource(
        StatusCode::OK,
        &CredentialJson::new(&call, &call.settle(updated)?),
    ))
}

/// `DELETE /v1/Credentials/{CredentialSid}`
pub(super) async fn delete(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    call.settle(credential::delete(call.app(), account, call.sid("CredentialSid")?).await)?;
    Ok(json::deleted())
}

/// `GET /v1/Credentials`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let listing = Listing::read(&call.query, &[])?;
    let page = call.settle(credential::list(call.app(), account, listing.request).await)?;
    let page = page.map(|credential| CredentialJson::new(&call, credential));
    Ok(listing.answer(&call, "credentials", &page))
}

fn new_apn(form: &Form) -> Result<NewKey, ApiError> {
    let ApnParameters {
        private_key,
        key_id,
        team_id,
        topic,
        sandbox,
    } = apn_parameters(form)?;
    Ok(NewKey::Apn {
        private_key: private_key.ok_or_else(|| ApiError::missing("PrivateKey"))?,
        key_id: key_id.ok_or_else(|| ApiError::missing("KeyId"))?,
        team_id: team_id.ok_or_else(|| ApiError::missing("TeamId"))?,
        topic: match topic {
            Change::Set(topic) => Some(topic),
            Change::Clear | Change::Keep => None,
        },
        sandbox: sandbox.unwrap_or_default(),
    })
}

fn new_fcm(form: &Form) -> Result<NewKey, ApiError> {
    let file = service_account(form)?;
    file.map(NewKey::Fcm).ok_or_else(|| ApiError::missing("Secret"))
}

fn changes(form: &Form, provider: CredentialKind) -> Result<CredentialChanges, ApiError> {
    let mut changes = CredentialChanges {
        friendly_name: form.clearable(Parameter::FRIENDLY_NAME, FriendlyName::parse)?,
        ..CredentialChanges::default()
    };
    match provider {
        CredentialKind::Apn => {
            let apn = apn_parameters(form)?;
            changes.private_key = apn.private_key;
            changes.key_id = apn.key_id;
            changes.team_id = apn.team_id;
            changes.topic = apn.topic;
            changes.sandbox = apn.sandbox;
        }
        CredentialKind::Fcm => changes.service_account = service_account(form)?,
    }
    Ok(changes)
}

struct ApnParameters {
    private_key: Option<P256Pem>,
    key_id: Option<ApnsIdentifier>,
    team_id: Option<ApnsIdentifier>,
    topic: Change<ApnsTopic>,
    sandbox: Option<bool>,
}

/// The parameters of Apple's keys. `KeyId`, `TeamId` and `Topic` are not part of Twilio's API; clients that cannot send
/// them put `{"key_id": "..", "team_id": "..", "topic": ".."}` into `Secret`, which Apple's keys have no other use for.
fn apn_parameters(form: &Form) -> Result<ApnParameters, ApiError> {
    if form.filled("Certificate").is_some() {
        return Err(ApiError::invalid(
            Parameter::CERTIFICATE,
            "is not supported: leave it out and send a token signing key instead, the text of the .p8 file in PrivateKey \
             with KeyId, TeamId and, if it is not the app's identifier, Topic",
        ));
    }
    let mut given = ApnParameters {
        private_key: private_key(form)?,
        key_id: form.parsed(Parameter::KEY_ID, ApnsIdentifier::parse)?,
        team_id: form.parsed(Parameter::TEAM_ID, ApnsIdentifier::parse)?,
        topic: form.clearable(Parameter::TOPIC, ApnsTopic::parse)?,
        sandbox: form.flag(Parameter::SANDBOX)?,
    };
    let Some(text) = form.filled("Secret") else {
        return Ok(given);
    };
    let invalid = |why| ApiError::invalid(Parameter::SECRET, why);
    let members = parse_object(text.as_bytes()).map_err(|_| {
        invalid("must, for type apn, be a JSON object with key_id, team_id and topic, or left out")
    })?;
    for (name, value) in members {
        let text = value
            .as_str()
            .ok_or_else(|| invalid("must only have texts as values"))?;
        match name.as_str() {
            "key_id" => {
                given.key_id = Some(ApnsIdentifier::parse(text).map_err(of_parameter(Parameter::SECRET))?);
            }
            "team_id" => {
                given.team_id = Some(ApnsIdentifier::parse(text).map_err(of_parameter(Parameter::SECRET))?);
            }
            "topic" => {
                given.topic = Change::Set(ApnsTopic::parse(text).map_err(of_parameter(Parameter::SECRET))?);
            }
            _ => return Err(invalid("must only have the members key_id, team_id and topic")),
        }
    }
    Ok(given)
}

fn private_key(form: &Form) -> Result<Option<P256Pem>, ApiError> {
    form.filled("PrivateKey")
        .map(|pem| P256Pem::parse(pem).map_err(of_parameter(Parameter::PRIVATE_KEY)))
        .transpose()
}

fn service_account(form: &Form) -> Result<Option<ServiceAccount>, ApiError> {
    if form.filled("ApiKey").is_some() {
        return Err(ApiError::invalid(
            Parameter::API_KEY,
            "is not supported: leave it out and send the JSON of a service account's private key in Secret",
        ));
    }
    form.filled("Secret")
        .map(|text| ServiceAccount::parse(text).map_err(of_parameter(Parameter::SECRET)))
        .transpose()
}

#[derive(Serialize)]
struct CredentialJson<'a> {
    sid: Text<CredentialSid>,
    account_sid: Text<AccountSid>,
    friendly_name: Option<&'a str>,
    r#type: &'static str,
    /// A text, as in Twilio's answers.
    sandbox: Option<&'static str>,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
    url: String,
}

impl<'a> CredentialJson<'a> {
    fn new(call: &Call, credential: &'a Credential) -> Self {
        Self {
            sid: Text(credential.sid),
            account_sid: Text(credential.account),
            friendly_name: credential.friendly_name.as_ref().map(FriendlyName::as_str),
            r#type: match credential.provider() {
                CredentialKind::Apn => "apn",
                CredentialKind::Fcm => "fcm",
            },
            sandbox: match &credential.key {
                CredentialKey::Apn(apn) if apn.sandbox => Some("True"),
                CredentialKey::Apn(_) => Some("False"),
                CredentialKey::Fcm { .. } => None,
            },
            date_created: Text(credential.date_created),
            date_updated: Text(credential.date_updated),
            url: call.url(format_args!("/v1/Credentials/{}", credential.sid)),
        }
    }
}
