//! The parameters of a new verification, each checked and bounded.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::destinations::destination_of;
use super::error::{ApiError, capitalized};
use super::form::{Form, attributes, sid};
use super::verification_policy::policy;
use crate::crypto::plain_code::PlainCode;
use crate::crypto::unique_json::parse_object;
use crate::domain::channel::Channel;
use crate::domain::destination::EmailAddress;
use crate::domain::message::locale::Locale;
use crate::domain::message::template::Templates;
use crate::domain::message::{self, MessageRequest, Unrenderable};
use crate::domain::service::ServiceSettings;
use crate::domain::sid::TemplateSid;
use crate::domain::text::{Attributes, Invalid, ProviderName, ServiceName};
use crate::domain::verification::{Alphabet, Content, EmailOptions, Payment};
use crate::flows::verification::NewVerification;

/// Reads the parameters of a new verification of a service with these settings. `available` are the channels that have a
/// sender.
pub(super) fn read(
    form: &Form,
    settings: &ServiceSettings,
    templates: &Templates,
    available: &[Channel],
) -> Result<NewVerification, ApiError> {
    let paid = form.filled("Amount").is_some() || form.filled("Payee").is_some();
    let channel = channel(form.required("Channel")?, available, paid)?;
    form.required("To")?;
    let destination = form
        .parsed("To", destination_of(channel))?
        .ok_or_else(|| ApiError::missing("To"))?;
    let new = NewVerification {
        destination,
        channel,
        policy: policy(settings),
        content: content(form, settings, templates, channel)?,
        custom_code: form.parsed("CustomCode", code)?,
        rate_limits: json_texts(form, "RateLimits")?,
        risk_check: form.parsed("RiskCheck", risk_check)?.unwrap_or(true),
        wants_sna_client_token: form.flag("EnableSnaClientToken")?.unwrap_or(false),
    };
    check_message(&new, templates)?;
    Ok(new)
}

/// `auto` is silent authentication where somebody can do that, and a text message elsewhere, or where a payment is to be
/// read before it is agreed to.
fn channel(name: &str, available: &[Channel], paid: bool) -> Result<Channel, ApiError> {
    if name.eq_ignore_ascii_case("auto") {
        let silent = available.contains(&Channel::Sna) && !paid;
        return Ok(if silent { Channel::Sna } else { Channel::Sms });
    }
    Channel::named(name).ok_or_else(|| {
        ApiError::invalid(
            "Channel",
            "must be one of sms, call, email, whatsapp, rcs, sna and auto",
        )
    })
}

fn content(
    form: &Form,
    settings: &ServiceSettings,
    templates: &Templates,
    channel: Channel,
) -> Result<Content, ApiError> {
    let name = form.parsed("CustomFriendlyName", ServiceName::parse)?;
    let name = name.as_ref().unwrap_or(&settings.friendly_name);
    let template = form.parsed("TemplateSid", sid::<TemplateSid>("must be HJ and 32 hex digits"))?;
    if template.is_some_and(|template| templates.by_sid(template).is_none()) {
        return Err(ApiError::template_unknown());
    }
    // The service's own template is only used where it can be.
    let usual = settings.default_template_sid.filter(|template| {
        let known = templates.by_sid(*template);
        known.is_some_and(|known| known.channels().contains(&channel))
    });
    let locale = form.parsed("Locale", Locale::parse)?;
    let app_hash = form.parsed("AppHash", |text| message::app_hash(text).map(str::to_owned))?;
    Ok(Content {
        friendly_name: name.as_str().to_owned(),
        locale: locale.map(|locale| locale.as_str().to_owned()),
        custom_message: custom_message(form)?,
        app_hash,
        template: template.or(usual),
        substitutions: json_texts(form, "TemplateCustomSubstitutions")?,
        payment: payment(form)?,
        warning: settings.do_not_share_warning_enabled,
        send_digits: form.parsed("SendDigits", send_digits)?,
        tags: tags(form)?,
        email: channel_configuration(form)?,
        device_ip: form.parsed("DeviceIp", device_ip)?,
    })
}

/// Whether the message that the caller wants can be written. The standard wording always can.
fn check_message(new: &NewVerification, templates: &Templates) -> Result<(), ApiError> {
    let content = &new.content;
    let template = content.template.and_then(|template| templates.by_sid(template));
    if template.is_none() && content.custom_message.is_none() {
        return Ok(());
    }
    // As long as the code that will be drawn.
    let any_code = "0".repeat(usize::from(new.policy.code_length));
    let locale = content
        .locale
        .as_deref()
        .and_then(|locale| Locale::parse(locale).ok());
    let request = MessageRequest {
        channel: new.channel,
        locale: &locale.unwrap_or_else(Locale::english),
        friendly_name: &content.friendly_name,
        code: new.custom_code.as_ref().map_or(&any_code, PlainCode::reveal),
        warning: content.warning,
        psd2: content
            .payment
            .as_ref()
            .map(|paid| (paid.amount.as_str(), paid.payee.as_str())),
        app_hash: content.app_hash.as_deref(),
        custom: content.custom_message.as_deref(),
        template: template.map(|template| (template.as_ref(), content.substitutions.as_slice())),
    };
    let written = message::render(&request).map_err(|unrenderable| match &unrenderable {
        Unrenderable::CodeMissing => {
            ApiError::invalid("CustomMessage", "must contain {{code}} or the CustomCode itself")
        }
        Unrenderable::SubstitutionsMissing(_) => ApiError::substitutions_missing(unrenderable.to_string()),
        Unrenderable::SubstitutionUnfit => ApiError::invalid(
            "TemplateCustomSubstitutions",
            "must have values of at most 64 characters, without control characters",
        ),
        Unrenderable::TemplateUnfit => ApiError::template_unfit(),
        Unrenderable::TooLong { .. } => ApiError::message_too_long(capitalized(&unrenderable.to_string())),
    });
    written.map(drop)
}

/// A code as Twilio's are: 4 to 10 digits.
pub(super) fn code(text: &str) -> Result<PlainCode, Invalid> {
    PlainCode::parse(text, Alphabet::Digits).ok_or(Invalid("must be 4 to 10 digits"))
}

fn custom_message(form: &Form) -> Result<Option<String>, ApiError> {
    let Some(text) = form.filled("CustomMessage") else {
        return Ok(None);
    };
    if text.chars().count() > MOST_MESSAGE {
        return Err(ApiError::message_too_long(
            "CustomMessage must be at most 500 characters long",
        ));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(ApiError::invalid(
            "CustomMessage",
            "must not have control characters",
        ));
    }
    Ok(Some(text.to_owned()))
}

fn send_digits(text: &str) -> Result<String, Invalid> {
    let dialled = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'*' | b'#' | b'w' | b'W');
    if (1..=32).contains(&text.len()) && text.bytes().all(dialled) {
        Ok(text.to_owned())
    } else {
        Err(Invalid(
            "must be 1 to 32 characters: digits, * and #, and w for each half second to wait",
        ))
    }
}

fn risk_check(text: &str) -> Result<bool, Invalid> {
    match text {
        _ if text.eq_ignore_ascii_case("enable") => Ok(true),
        _ if text.eq_ignore_ascii_case("disable") => Ok(false),
        _ => Err(Invalid("must be enable or disable")),
    }
}

fn device_ip(text: &str) -> Result<String, Invalid> {
    let address: Result<IpAddr, _> = text.parse();
    address
        .map(|address| address.to_canonical().to_string())
        .map_err(|_| Invalid("must be an IPv4 or IPv6 address"))
}

/// The amount and the payee belong together.
pub(super) fn payment(form: &Form) -> Result<Option<Payment>, ApiError> {
    let amount = form.parsed("Amount", amount)?;
    // A payee is as long, and as plain, as a sender's name.
    let payee = form.parsed("Payee", ProviderName::parse)?;
    match (amount, payee) {
        (Some(amount), Some(payee)) => Ok(Some(Payment {
            amount,
            payee: payee.as_str().to_owned(),
        })),
        (None, None) => Ok(None),
        _ => Err(ApiError::payment_incomplete()),
    }
}

fn amount(text: &str) -> Result<String, Invalid> {
    let plain = text.chars().count() <= 32 && !text.chars().any(char::is_control);
    plain.then(|| text.to_owned()).ok_or(Invalid(
        "must be 1 to 32 characters long, without control characters",
    ))
}

/// Names and texts: a JSON object of at most 1024 characters.
fn json_texts(form: &Form, name: &str) -> Result<Vec<(String, String)>, ApiError> {
    let given = form.filled(name).map(|text| attributes(name, text));
    Ok(given.transpose()?.unwrap_or_default().0)
}

/// At most 10 tags, of at most 128 characters on both sides.
fn tags(form: &Form) -> Result<Attributes, ApiError> {
    const EXPECTED: &str = "must be a JSON object with at most 10 tags, only strings as values, each name and value at most 128 \
         characters long";
    let Some(text) = form.filled("Tags") else {
        return Ok(Attributes::default());
    };
    let invalid = || ApiError::invalid("Tags", EXPECTED);
    let object = parse_object(text.as_bytes()).map_err(|_| invalid())?;
    if object.len() > 10 {
        return Err(invalid());
    }
    let short = |text: &str| text.chars().count() <= 128 && !text.chars().any(char::is_control);
    let tags = object.into_iter().map(|(name, value)| match value {
        Value::String(value) if short(&name) && short(&value) => Ok((name, value)),
        _ => Err(invalid()),
    });
    tags.collect::<Result<_, _>>().map(Attributes)
}

/// What the caller wants of an e-mail: a JSON object of at most 4096 characters.
fn channel_configuration(form: &Form) -> Result<Option<EmailOptions>, ApiError> {
    const EXPECTED: &str = "must be a JSON object with any of from (an e-mail address), from_name, template_id and \
                            substitutions (an object with only strings as values), at most 4096 characters long";
    let Some(text) = form.filled("ChannelConfiguration") else {
        return Ok(None);
    };
    let invalid = || ApiError::invalid("ChannelConfiguration", EXPECTED);
    if text.chars().count() > 4096 {
        return Err(invalid());
    }
    let object = parse_object(text.as_bytes()).map_err(|_| invalid())?;
    email_options(object).ok_or_else(invalid).map(Some)
}

fn email_options(object: Map<String, Value>) -> Option<EmailOptions> {
    let mut options = EmailOptions::default();
    for (name, value) in object {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("from", Value::String(from)) => {
                options.from = Some(EmailAddress::parse(&from).ok()?.as_str().to_owned());
            }
            ("from_name", Value::String(name)) => {
                options.from_name = Some(ProviderName::parse(&name).ok()?.as_str().to_owned());
            }
            ("template_id", Value::String(id)) => {
                options.template_id = Some(ProviderName::parse(&id).ok()?.as_str().to_owned());
            }
            ("substitutions", Value::Object(texts)) => {
                for (name, text) in texts {
                    let text = text.as_str()?.to_owned();
                    options.substitutions.push((name, text));
                }
            }
            _ => return None,
        }
    }
    Some(options)
}

/// The longest message that a caller may write, in characters.
const MOST_MESSAGE: usize = 500;
