//! Factors, and under `NewFactors` in Twilio's documents their creation.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use zeroize::Zeroizing;

use super::call::Call;
use super::entities::entity_url;
use super::error::{ApiError, Expected, Parameter, of_parameter};
use super::factor_settings::SdkVersion;
use super::form::{Form, attributes};
use super::json::{self, Object, Text};
use super::listing::Listing;
use crate::crypto::qr::QrCode;
use crate::crypto::totp::TotpSecret;
use crate::domain::attached::AttachedError;
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::factor::{
    CodeLength, DriftLimit, Factor, FactorKind, FactorStatus, FactorType, KeyProof, NotificationChannel,
    Skew, TimeStep, WebPushSubscription,
};
use crate::domain::opaque::DevicePublicKey;
use crate::domain::sid::{AccountSid, CredentialSid, EntitySid, FactorSid, ServiceSid};
use crate::domain::text::{AppId, Attributes, FriendlyName, NotificationToken};
use crate::domain::time::Timestamp;
use crate::domain::totp_algorithm::TotpAlgorithm;
use crate::flows::factor::{
    self, DeviceToken, EnrolmentProof, FactorChanges, NewPushFactor, NewTotpFactor, Platform,
};

/// `POST /v2/Services/{ServiceSid}/Entities/{Identity}/Factors`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let name = call.entity()?;
    let form = &call.form;
    let friendly_name = form.required("FriendlyName")?;
    let friendly_name = FriendlyName::parse(friendly_name).map_err(of_parameter(Parameter::FRIENDLY_NAME))?;
    let metadata = metadata(form)?;
    match form.required("FactorType")? {
        "totp" => create_totp(&call, &name, friendly_name, metadata).await,
        "push" => create_push(&call, &name, friendly_name, metadata).await,
        _ => Err(ApiError::invalid(Parameter::FACTOR_TYPE, "must be push or totp")),
    }
}

/// `GET /v2/Services/{ServiceSid}/Entities/{Identity}/Factors/{FactorSid}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let name = call.entity()?;
    let sid = call.sid("FactorSid")?;
    let found = factor::fetch(call.app(), call.actor()?, &name, sid).await;
    let (scope, factor) = call.settle(found)?;
    Ok(json::resource(
        StatusCode::OK,
        &FactorJson::new(&call, &scope, &factor)?,
    ))
}

/// `POST /v2/Services/{ServiceSid}/Entities/{Identity}/Factors/{FactorSid}`
pub(super) async fn update(call: Call) -> Result<Response, ApiError> {
    let name = call.entity()?;
    let sid = call.sid("FactorSid")?;
    let changes = changes(&call.form)?;
    let payload = call.form.filled("AuthPayload");
    let signature = payload.map(SidSignature);
    let proof = payload.zip(signature.as_ref());
    let proof = proof.map(|(code, key)| EnrolmentProof { code, key });
    let updated = factor::update(call.app(), call.actor()?, &name, sid, changes, proof).await;
    let (scope, factor) = call.settle(updated)?;
    Ok(json::resource(
        StatusCode::OK,
        &FactorJson::new(&call, &scope, &factor)?,
    ))
}

/// `DELETE /v2/Services/{ServiceSid}/Entities/{Identity}/Factors/{FactorSid}`
pub(super) async fn delete(call: Call) -> Result<Response, ApiError> {
    let name = call.entity()?;
    let sid = call.sid("FactorSid")?;
    call.settle(factor::delete(call.app(), call.actor()?, &name, sid).await)?;
    Ok(json::deleted())
}

/// `GET /v2/Services/{ServiceSid}/Entities/{Identity}/Factors`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let account = call.admitted_account()?;
    let listing = Listing::read(&call.query, &[])?;
    let name = call.entity()?;
    let found = factor::list(call.app(), account, &name, listing.request).await;
    let (scope, page) = call.settle(found)?;
    let page = page.try_map(|factor| FactorJson::new(&call, &scope, factor))?;
    Ok(listing.answer(&call, "factors", &page))
}

/// A text that should be the signature of a device's key over its factor's SID: Base64 of DER.
struct SidSignature<'t>(&'t str);

impl KeyProof for SidSignature<'_> {
    fn is_signed(&self, factor: FactorSid, key: &DevicePublicKey) -> bool {
        let signature = STANDARD.decode(self.0);
        signature.is_ok_and(|signature| key.verify_der(factor.to_string().as_bytes(), &signature))
    }
}

async fn create_totp(
    call: &Call,
    name: &EntityName,
    friendly_name: FriendlyName,
    metadata: Option<Attributes>,
) -> Result<Response, ApiError> {
    let (account, permit) = call.enroller()?;
    let form = &call.form;
    let picture = Picture::read(&call.query)?;
    let secret = form
        .filled("Binding.Secret")
        .map(TotpSecret::from_base32)
        .transpose();
    let secret = secret.map_err(of_parameter(Parameter::BINDING_SECRET))?;
    let new = NewTotpFactor {
        friendly_name,
        secret,
        algorithm: form.parsed(Parameter::CONFIG_ALG, algorithm)?,
        skew: form.number(Parameter::CONFIG_SKEW, Skew::new)?,
        code_length: form.number(Parameter::CONFIG_CODE_LENGTH, CodeLength::new)?,
        time_step: form.number(Parameter::CONFIG_TIME_STEP, TimeStep::new)?,
        metadata,
    };
    let enrolled = call.settle(factor::create_totp(call.app(), account, permit, name, new).await)?;
    let uri = enrolled.uri.to_text();
    let secret = enrolled.secret();
    let drawing = picture.draw(&uri);
    let qr_code = drawing.as_ref().map(|drawing| drawing.as_str());
    let binding = BindingJson::Totp {
        secret: &secret,
        uri: &uri,
        qr_code,
    };
    let factor = FactorJson::new(call, &enrolled.scope, &enrolled.factor)?.with_binding(binding);
    Ok(json::resource(StatusCode::CREATED, &factor))
}

async fn create_push(
    call: &Call,
    name: &EntityName,
    friendly_name: FriendlyName,
    metadata: Option<Attributes>,
) -> Result<Response, ApiError> {
    let (account, permit) = call.enroller()?;
    let form = &call.form;
    if form.filled("Binding.Alg").is_some_and(|alg| alg != "ES256") {
        return Err(ApiError::invalid(Parameter::BINDING_ALG, "must be ES256"));
    }
    let public_key = DevicePublicKey::from_spki_base64(form.required("Binding.PublicKey")?)
        .map_err(of_parameter(Parameter::BINDING_PUBLIC_KEY))?;
    // An app of Apple's without a bundle identifier has an empty one.
    let app_id = form.filled("Config.AppId").unwrap_or_default();
    if !form.has("Config.AppId") {
        return Err(ApiError::missing("Config.AppId"));
    }
    let sdk_version = form.required("Config.SdkVersion")?;
    let platform = platform(form.required("Config.NotificationPlatform")?)
        .map_err(of_parameter(Parameter::CONFIG_NOTIFICATION_PLATFORM))?;
    let token = form.parsed(Parameter::CONFIG_NOTIFICATION_TOKEN, device_token(Some(platform)))?;
    let app_id = AppId::parse(app_id).map_err(of_parameter(Parameter::CONFIG_APP_ID))?;
    let sdk_version = SdkVersion::parse(sdk_version).map_err(of_parameter(Parameter::CONFIG_SDK_VERSION))?;
    let new = NewPushFactor {
        friendly_name,
        public_key,
        app_id,
        attached: Some(sdk_version.shared()),
        notification: call.refuse(platform.channel(token))?,
        metadata,
    };
    let created = factor::create_push(call.app(), account, permit, name, new).await;
    let (scope, factor) = call.settle(created)?;
    let binding = BindingJson::Push {
        alg: "ES256",
        public_key: public_key.to_spki_base64(),
    };
    let factor = FactorJson::new(call, &scope, &factor)?.with_binding(binding);
    Ok(json::resource(StatusCode::CREATED, &factor))
}

fn changes(form: &Form) -> Result<FactorChanges, ApiError> {
    let platform = form.parsed(Parameter::CONFIG_NOTIFICATION_PLATFORM, platform)?;
    Ok(FactorChanges {
        friendly_name: form.parsed(Parameter::FRIENDLY_NAME, FriendlyName::parse)?,
        algorithm: form.parsed(Parameter::CONFIG_ALG, algorithm)?,
        skew: form.number(Parameter::CONFIG_SKEW, Skew::new)?,
        code_length: form.number(Parameter::CONFIG_CODE_LENGTH, CodeLength::new)?,
        time_step: form.number(Parameter::CONFIG_TIME_STEP, TimeStep::new)?,
        app_id: form.parsed(Parameter::CONFIG_APP_ID, AppId::parse)?,
        attached: form
            .parsed(Parameter::CONFIG_SDK_VERSION, SdkVersion::parse)?
            .map(SdkVersion::shared),
        platform,
        notification_token: form.parsed(Parameter::CONFIG_NOTIFICATION_TOKEN, device_token(platform))?,
        resume: lifted(form, Parameter::CONFIG_PUSH_PAUSED)?,
        forgive_codes: lifted(form, Parameter::CONFIG_CODES_PAUSED)?,
    })
}

/// Whether what reports or wrong answers closed is to be opened: it can only be ended here (not part of Twilio's API).
fn lifted(form: &Form, parameter: Parameter) -> Result<bool, ApiError> {
    match form.flag(parameter)? {
        None => Ok(false),
        Some(false) => Ok(true),
        Some(true) => Err(ApiError::invalid(
            parameter,
            "can only be set to false: reports and wrong answers pause a factor",
        )),
    }
}

fn metadata(form: &Form) -> Result<Option<Attributes>, ApiError> {
    form.filled("Metadata")
        .map(|text| attributes(Parameter::METADATA, text))
        .transpose()
}

fn algorithm(name: &str) -> Result<TotpAlgorithm, &'static str> {
    TotpAlgorithm::from_name(&name.to_ascii_lowercase()).ok_or("must be sha1, sha256 or sha512")
}

fn platform(name: &str) -> Result<Platform, &'static str> {
    match name {
        "apn" => Ok(Platform::Apn),
        "fcm" => Ok(Platform::Fcm),
        "none" => Ok(Platform::None),
        "webpush" => Ok(Platform::WebPush),
        _ => Err("must be apn, fcm, webpush or none"),
    }
}

/// Reads a device's token. No provider's token begins with a brace: what does is a push subscription, whatever platform
/// is named with it or was before.
fn device_token(platform: Option<Platform>) -> impl Fn(&str) -> Result<DeviceToken, Expected> {
    move |text| {
        if platform == Some(Platform::WebPush) || text.starts_with('{') {
            Ok(DeviceToken::Subscription(WebPushSubscription::parse(text)?))
        } else {
            Ok(DeviceToken::Provider(NotificationToken::parse(text)?))
        }
    }
}

/// Which picture of the URI the creator of a TOTP factor wants (`?QrCode=svg` or `png`; not part of Twilio's API).
enum Picture {
    None,
    Png,
    Svg,
}

impl Picture {
    fn read(query: &Form) -> Result<Self, ApiError> {
        match query.filled("QrCode") {
            None => Ok(Self::None),
            Some("png") => Ok(Self::Png),
            Some("svg") => Ok(Self::Svg),
            Some(_) => Err(ApiError::invalid(Parameter::QR_CODE, "must be svg or png")),
        }
    }

    /// A URI of the longest issuer and label has room in a QR code, so there is always a picture if one is wanted.
    fn draw(&self, uri: &str) -> Option<Zeroizing<String>> {
        let picture = match self {
            Self::None => return None,
            Self::Png => QrCode::new(uri).map(|code| code.png_data_uri()),
            Self::Svg => QrCode::new(uri).map(|code| code.svg_data_uri()),
        };
        picture.ok().map(Zeroizing::new)
    }
}

#[derive(Serialize)]
struct FactorJson<'a> {
    sid: Text<FactorSid>,
    account_sid: Text<AccountSid>,
    service_sid: Text<ServiceSid>,
    entity_sid: Text<EntitySid>,
    identity: &'a str,
    #[serde(flatten)]
    created: Option<CreatedJson<'a>>,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
    friendly_name: &'a str,
    status: &'static str,
    factor_type: &'static str,
    config: ConfigJson<'a>,
    metadata: Option<Object<'a>>,
    url: String,
}

/// Shown on creation only.
#[derive(Serialize)]
struct CreatedJson<'a> {
    binding: BindingJson<'a>,
    /// What a browser makes a passkey from; no factor is one.
    options: Option<()>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum BindingJson<'a> {
    Push {
        alg: &'static str,
        public_key: String,
    },
    Totp {
        secret: &'a str,
        uri: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        qr_code: Option<&'a str>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum ConfigJson<'a> {
    Push {
        sdk_version: String,
        app_id: &'a str,
        notification_platform: &'static str,
        notification_token: Option<Cow<'a, str>>,
        credential_sid: Text<CredentialSid>,
        /// Only while it is paused (not part of Twilio's API).
        #[serde(skip_serializing_if = "Option::is_none")]
        push_paused_until: Option<Text<Timestamp>>,
        /// `unreachable`, once the platform has said so (not part of Twilio's API).
        #[serde(skip_serializing_if = "Option::is_none")]
        notification_status: Option<&'static str>,
        /// In the platform's words (not part of Twilio's API).
        #[serde(skip_serializing_if = "Option::is_none")]
        notification_error: Option<&'a str>,
    },
    Totp {
        alg: &'static str,
        skew: u8,
        code_length: u8,
        time_step: u8,
        /// Only `true`, and only if it has fewer than 128 bits (not part of Twilio's API).
        #[serde(skip_serializing_if = "Option::is_none")]
        legacy_secret: Option<bool>,
        /// Only while no code is looked at (not part of Twilio's API).
        #[serde(skip_serializing_if = "Option::is_none")]
        codes_paused_until: Option<Text<Timestamp>>,
        /// Only if it is used and not 0: by how many time steps the device's clock is ahead (not part of Twilio's API).
        #[serde(skip_serializing_if = "Option::is_none")]
        learned_drift: Option<i8>,
    },
}

impl<'a> FactorJson<'a> {
    fn new(call: &Call, scope: &'a EntityScope, factor: &'a Factor) -> Result<Self, ApiError> {
        let config = ConfigJson::new(factor, call.app().policy.totp_drift, call.now())
            .map_err(|error| ApiError::unreadable(&error))?;
        Ok(Self {
            sid: Text(factor.sid),
            account_sid: Text(scope.account),
            service_sid: Text(scope.service),
            entity_sid: Text(scope.entity),
            identity: scope.identity.as_str(),
            created: None,
            date_created: Text(factor.date_created),
            date_updated: Text(factor.date_updated),
            friendly_name: factor.friendly_name.as_str(),
            status: status_name(factor.status),
            factor_type: type_name(factor.factor_type()),
            config,
            metadata: factor.metadata.as_ref().map(Object),
            url: format!("{}/Factors/{}", entity_url(call, scope), factor.sid),
        })
    }

    fn with_binding(mut self, binding: BindingJson<'a>) -> Self {
        self.created = Some(CreatedJson {
            binding,
            options: None,
        });
        self
    }
}

impl<'a> ConfigJson<'a> {
    fn new(factor: &'a Factor, limit: DriftLimit, now: Timestamp) -> Result<Self, AttachedError> {
        Ok(match &factor.kind {
            FactorKind::Push(push) => Self::Push {
                sdk_version: SdkVersion::of(push)?,
                app_id: push.app_id.as_str(),
                notification_platform: push.notification.platform(),
                notification_token: shown_token(&push.notification),
                credential_sid: Text(push.credential),
                push_paused_until: push.guard.paused_until(now).map(Text),
                notification_status: push.unreachable.as_ref().map(|_| "unreachable"),
                notification_error: push
                    .unreachable
                    .as_ref()
                    .map(|unreachable| unreachable.why.as_str()),
            },
            FactorKind::Totp(totp) => Self::Totp {
                alg: totp.config.algorithm.as_str(),
                skew: totp.config.skew.get(),
                code_length: totp.config.code_length.get(),
                time_step: totp.config.time_step.get(),
                legacy_secret: totp.legacy_secret.then_some(true),
                codes_paused_until: factor.failures.delay(now).map(|delay| Text(now + delay)),
                learned_drift: totp.drift.within(limit).filter(|steps| *steps != 0),
            },
        })
    }
}

fn shown_token(channel: &NotificationChannel) -> Option<Cow<'_, str>> {
    match channel {
        NotificationChannel::Apn(token) | NotificationChannel::Fcm(token) => Some(token.as_str().into()),
        NotificationChannel::None => None,
        NotificationChannel::WebPush(subscription) => Some(subscription.to_json().into()),
    }
}

/// The SDKs know two words only. A disabled factor is as little use as an unverified one.
fn status_name(status: FactorStatus) -> &'static str {
    match status {
        FactorStatus::Verified => "verified",
        FactorStatus::Disabled | FactorStatus::Unverified { .. } => "unverified",
    }
}

pub(super) fn type_name(kind: FactorType) -> &'static str {
    match kind {
        FactorType::Push => "push",
        FactorType::Totp => "totp",
    }
}
