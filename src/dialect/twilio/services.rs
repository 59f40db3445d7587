//! Services.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::error::{ApiError, Parameter};
use super::form::{Form, sid};
use super::json::{self, Text};
use super::listing::Listing;
use super::service_settings::{MailerSid, OwnServiceChanges, OwnServiceSettings};
use crate::domain::factor::{CodeLength, Skew, TimeStep};
use crate::domain::number_matching::NumberLength;
use crate::domain::service::{Service, ServiceChanges};
use crate::domain::sid::{AccountSid, CredentialSid, MessagingServiceSid, ServiceSid, TemplateSid};
use crate::domain::text::{Issuer, ProviderName, ServiceName};
use crate::domain::time::Timestamp;
use crate::domain::verification::SentCodeLength;
use crate::flows::push::web_push::vapid_public_key;
use crate::flows::service;

/// `POST /v2/Services`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    call.form.required("FriendlyName")?;
    let mut changes = changes(&call.form)?;
    let name = changes
        .friendly_name
        .take()
        .ok_or_else(|| ApiError::missing("FriendlyName"))?;
    let vapid = vapid(&call).await?;
    let service = call.settle(service::create(call.app(), account, name, changes).await)?;
    Ok(json::resource(
        StatusCode::CREATED,
        &ServiceJson::new(&call, &service, &vapid)?,
    ))
}

/// `GET /v2/Services/{ServiceSid}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let sid = call.sid("ServiceSid")?;
    let account = call.account_of_service(sid)?;
    let service = call.settle(service::fetch(call.app(), account, sid).await)?;
    let vapid = vapid(&call).await?;
    Ok(json::resource(
        StatusCode::OK,
        &ServiceJson::new(&call, &service, &vapid)?,
    ))
}

/// `POST /v2/Services/{ServiceSid}`
pub(super) async fn update(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let changes = changes(&call.form)?;
    let vapid = vapid(&call).await?;
    let service =
        call.settle(service::update(call.app(), account, call.sid("ServiceSid")?, changes).await)?;
    Ok(json::resource(
        StatusCode::OK,
        &ServiceJson::new(&call, &service, &vapid)?,
    ))
}

/// `DELETE /v2/Services/{ServiceSid}`
pub(super) async fn delete(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    call.settle(service::delete(call.app(), account, call.sid("ServiceSid")?).await)?;
    Ok(json::deleted())
}

/// `GET /v2/Services`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let listing = Listing::read(&call.query, &[])?;
    let page = call.settle(service::list(call.app(), account, listing.request).await)?;
    let vapid = vapid(&call).await?;
    let page = page.try_map(|service| ServiceJson::new(&call, service, &vapid))?;
    Ok(listing.answer(&call, "services", &page))
}

/// The key that apps subscribe to their push service with; not part of Twilio's API.
async fn vapid(call: &Call) -> Result<String, ApiError> {
    let key = vapid_public_key(call.app()).await;
    let key = key.map_err(|fault| ApiError::from_fault(&fault))?;
    Ok(key.to_base64url())
}

fn changes(form: &Form) -> Result<ServiceChanges, ApiError> {
    read_changes(form).map_err(ApiError::in_service)
}

fn read_changes(form: &Form) -> Result<ServiceChanges, ApiError> {
    Ok(ServiceChanges {
        friendly_name: form.parsed(Parameter::FRIENDLY_NAME, ServiceName::parse)?,
        code_length: form.number(Parameter::CODE_LENGTH, SentCodeLength::new)?,
        lookup_enabled: form.flag(Parameter::LOOKUP_ENABLED)?,
        psd2_enabled: form.flag(Parameter::PSD2_ENABLED)?,
        skip_sms_to_landlines: form.flag(Parameter::SKIP_SMS_TO_LANDLINES)?,
        attached: OwnServiceChanges::read(form)?.shared(),
        do_not_share_warning_enabled: form.flag(Parameter::DO_NOT_SHARE_WARNING_ENABLED)?,
        custom_code_enabled: form.flag(Parameter::CUSTOM_CODE_ENABLED)?,
        push_apn_credential_sid: form.clearable(Parameter::PUSH_APN_CREDENTIAL_SID, credential())?,
        push_fcm_credential_sid: form.clearable(Parameter::PUSH_FCM_CREDENTIAL_SID, credential())?,
        push_number_matching: form.number(Parameter::PUSH_NUMBER_MATCHING, NumberLength::parse)?,
        totp_issuer: form.clearable(Parameter::TOTP_ISSUER, Issuer::parse)?,
        totp_time_step: form.number(Parameter::TOTP_TIME_STEP, TimeStep::new)?,
        totp_code_length: form.number(Parameter::TOTP_CODE_LENGTH, CodeLength::new)?,
        totp_skew: form.number(Parameter::TOTP_SKEW, Skew::new)?,
        default_template_sid: form.clearable(
            Parameter::DEFAULT_TEMPLATE_SID,
            sid::<TemplateSid>("must be HJ and 32 hex digits"),
        )?,
        new_code_on_resend: form.flag(Parameter::NEW_CODE_ON_RESEND)?,
    })
}

fn credential() -> impl Fn(&str) -> Result<CredentialSid, &'static str> {
    sid("must be CR and 32 hex digits")
}

#[derive(Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the API has these flags, each with a meaning of its own"
)]
struct ServiceJson<'a> {
    sid: Text<ServiceSid>,
    account_sid: Text<AccountSid>,
    friendly_name: &'a str,
    code_length: u8,
    lookup_enabled: bool,
    psd2_enabled: bool,
    skip_sms_to_landlines: bool,
    dtmf_input_required: bool,
    tts_name: Option<ProviderName>,
    mailer_sid: Option<Text<MailerSid>>,
    do_not_share_warning_enabled: bool,
    custom_code_enabled: bool,
    push: PushJson<'a>,
    totp: TotpJson<'a>,
    default_template_sid: Option<Text<TemplateSid>>,
    whatsapp: WhatsappJson,
    /// There are none: passkeys are not spoken.
    passkeys: Option<()>,
    verify_event_subscription_enabled: bool,
    /// Not part of Twilio's API.
    new_code_on_resend: bool,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
    url: String,
    links: ServiceLinks,
}

#[derive(Serialize)]
struct PushJson<'a> {
    include_date: bool,
    apn_credential_sid: Option<Text<CredentialSid>>,
    fcm_credential_sid: Option<Text<CredentialSid>>,
    vapid_public_key: &'a str,
    /// Not part of Twilio's API.
    number_matching: u8,
}

#[derive(Serialize)]
struct TotpJson<'a> {
    issuer: Option<&'a str>,
    time_step: Option<u8>,
    code_length: Option<u8>,
    skew: Option<u8>,
}

#[derive(Serialize)]
struct WhatsappJson {
    msg_service_sid: Option<Text<MessagingServiceSid>>,
    from: Option<ProviderName>,
}

#[derive(Serialize)]
struct ServiceLinks {
    verification_checks: String,
    verifications: String,
    rate_limits: String,
    messaging_configurations: String,
    entities: String,
    webhooks: String,
    access_tokens: String,
}

impl<'a> ServiceJson<'a> {
    fn new(call: &Call, service: &'a Service, vapid_public_key: &'a str) -> Result<Self, ApiError> {
        let settings = &service.settings;
        let own = OwnServiceSettings::of(service).map_err(|error| ApiError::unreadable(&error))?;
        let url = call.url(format_args!("/v2/Services/{}", service.sid));
        let below = |name: &str| format!("{url}/{name}");
        Ok(Self {
            sid: Text(service.sid),
            account_sid: Text(service.account),
            friendly_name: settings.friendly_name.as_str(),
            code_length: settings.code_length.get(),
            lookup_enabled: settings.lookup_enabled,
            psd2_enabled: settings.psd2_enabled,
            skip_sms_to_landlines: settings.skip_sms_to_landlines,
            dtmf_input_required: own.dtmf_input_required,
            tts_name: own.tts_name,
            mailer_sid: own.mailer_sid.map(Text),
            do_not_share_warning_enabled: settings.do_not_share_warning_enabled,
            custom_code_enabled: settings.custom_code_enabled,
            push: PushJson {
                include_date: own.push_include_date,
                apn_credential_sid: settings.push.apn_credential_sid.map(Text),
                fcm_credential_sid: settings.push.fcm_credential_sid.map(Text),
                vapid_public_key,
                number_matching: settings.push.number_matching.map_or(0, NumberLength::get),
            },
            totp: TotpJson {
                issuer: settings.totp.issuer.as_ref().map(Issuer::as_str),
                time_step: settings.totp.time_step.map(TimeStep::get),
                code_length: settings.totp.code_length.map(CodeLength::get),
                skew: settings.totp.skew.map(Skew::get),
            },
            default_template_sid: settings.default_template_sid.map(Text),
            whatsapp: WhatsappJson {
                msg_service_sid: own.whatsapp_msg_service_sid.map(Text),
                from: own.whatsapp_from,
            },
            passkeys: None,
            verify_event_subscription_enabled: own.verify_event_subscription_enabled,
            new_code_on_resend: settings.new_code_on_resend,
            date_created: Text(service.date_created),
            date_updated: Text(service.date_updated),
            links: ServiceLinks {
                verification_checks: below("VerificationCheck"),
                verifications: below("Verifications"),
                rate_limits: below("RateLimits"),
                messaging_configurations: below("MessagingConfigurations"),
                entities: below("Entities"),
                webhooks: below("Webhooks"),
                access_tokens: below("AccessTokens"),
            },
            url,
        })
    }
}
