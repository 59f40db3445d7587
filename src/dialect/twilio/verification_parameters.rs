//! The parameters of a new verification: which of them is what.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::destinations::{channel_named, destination_of};
use super::error::{ApiError, Parameter, of_parameter};
use super::form::{Form, attributes, sid, texts};
use super::verification_policy::policy;
use crate::crypto::plain_code::PlainCode;
use crate::crypto::unique_json::{parse_array, parse_object};
use crate::domain::channel::ChannelChoice;
use crate::domain::destination::EmailAddress;
use crate::domain::message::custom::{CustomMessage, UnfitMessage};
use crate::domain::message::locale::Locale;
use crate::domain::message::{MOST_SEGMENTS, Unrenderable};
use crate::domain::sid::TemplateSid;
use crate::domain::text::{
    Amount, AppHash, Attributes, ProviderName, SendDigits, ServiceName, Substitutions, Tags,
};
use crate::domain::verification::{Alphabet, Content, EmailOptions, Payment};
use crate::flows::verification::{NewVerification, Rules};

pub(super) fn read(form: &Form) -> Result<NewVerification, ApiError> {
    let channel = channel(form.required("Channel")?)?;
    form.required("To")?;
    let destination = form
        .parsed(Parameter::TO, destination_of(channel))?
        .ok_or_else(|| ApiError::missing("To"))?;
    let templates = templates(form)?;
    let mut content = content(form)?;
    if !templates.is_empty() {
        content.template = None;
    }
    Ok(NewVerification {
        destination,
        channel,
        rules: Rules::OfService(policy),
        content,
        templates,
        custom_code: form.parsed(Parameter::CUSTOM_CODE, code)?,
        rate_limits: rate_limits(form)?,
        risk_check: form.parsed(Parameter::RISK_CHECK, risk_check)?.unwrap_or(true),
        wants_sna_client_token: form.flag(Parameter::ENABLE_SNA_CLIENT_TOKEN)?,
    })
}

fn channel(name: &str) -> Result<ChannelChoice, ApiError> {
    if name.eq_ignore_ascii_case("auto") {
        return Ok(ChannelChoice::Auto);
    }
    channel_named(name).map(ChannelChoice::Named).ok_or_else(|| {
        ApiError::invalid(
            Parameter::CHANNEL,
            "must be one of sms, call, email, whatsapp, rcs, sna and auto",
        )
    })
}

/// What the caller says of the message; the rest is what the service's owner chose.
fn content(form: &Form) -> Result<Content, ApiError> {
    Ok(Content {
        friendly_name: form.parsed(Parameter::CUSTOM_FRIENDLY_NAME, ServiceName::parse)?,
        template: form.parsed(
            Parameter::TEMPLATE_SID,
            sid::<TemplateSid>("must be HJ and 32 hex digits"),
        )?,
        warning: false,
        locale: form.parsed(Parameter::LOCALE, Locale::parse)?,
        app_hash: form.parsed(Parameter::APP_HASH, AppHash::parse)?,
        custom_message: custom_message(form)?,
        substitutions: substitutions(form)?,
        payment: payment(form)?,
        send_digits: form.parsed(Parameter::SEND_DIGITS, SendDigits::parse)?,
        tags: tags(form)?,
        email: channel_configuration(form)?,
        device_ip: form.parsed(Parameter::DEVICE_IP, device_ip)?,
    })
}

/// What the answer says when the message that the caller wants cannot be written.
pub(super) fn unwritable(why: &Unrenderable) -> ApiError {
    match why {
        Unrenderable::CodeMissing => ApiError::invalid(
            Parameter::CUSTOM_MESSAGE,
            "must contain {{code}} or the CustomCode itself",
        )
        .in_service(),
        Unrenderable::SubstitutionsMissing(names) => ApiError::substitutions_missing(format!(
            "TemplateCustomSubstitutions must also give: {}",
            names.join(", ")
        )),
        Unrenderable::SubstitutionUnfit => ApiError::invalid(
            Parameter::TEMPLATE_CUSTOM_SUBSTITUTIONS,
            "must have values of at most 64 characters, without control characters and marks of direction",
        )
        .in_service(),
        Unrenderable::TemplateUnfit => ApiError::template_unfit(),
        Unrenderable::TooLong { segments } => ApiError::message_too_long(format!(
            "The message would take {segments} text messages; it may take at most {MOST_SEGMENTS}"
        )),
    }
}

/// A code as Twilio's are: 4 to 10 digits.
pub(super) fn code(text: &str) -> Result<PlainCode, &'static str> {
    PlainCode::parse(text, Alphabet::Digits).ok_or("must be 4 to 10 digits")
}

fn custom_message(form: &Form) -> Result<Option<CustomMessage>, ApiError> {
    let message = form.filled("CustomMessage").map(CustomMessage::parse);
    message.transpose().map_err(|unfit| match unfit {
        UnfitMessage::ControlCharacter => ApiError::invalid(
            Parameter::CUSTOM_MESSAGE,
            "must not have control characters (but for line feeds) and marks of direction",
        ),
        UnfitMessage::TooLong => {
            ApiError::message_too_long("CustomMessage must be at most 500 characters long")
        }
    })
}

fn risk_check(text: &str) -> Result<bool, &'static str> {
    match text {
        _ if text.eq_ignore_ascii_case("enable") => Ok(true),
        _ if text.eq_ignore_ascii_case("disable") => Ok(false),
        _ => Err("must be enable or disable"),
    }
}

fn device_ip(text: &str) -> Result<IpAddr, &'static str> {
    let address: Result<IpAddr, _> = text.parse();
    address
        .map(|address| address.to_canonical())
        .map_err(|_| "must be an IPv4 or IPv6 address")
}

/// The amount and the payee belong together.
pub(super) fn payment(form: &Form) -> Result<Option<Payment>, ApiError> {
    let amount = form.parsed(Parameter::AMOUNT, Amount::parse)?;
    let payee = form.parsed(Parameter::PAYEE, ProviderName::parse)?;
    match (amount, payee) {
        (Some(amount), Some(payee)) => Ok(Some(Payment { amount, payee })),
        (None, None) => Ok(None),
        _ => Err(ApiError::payment_incomplete()),
    }
}

/// Names and texts: a JSON object of at most 1024 characters.
fn json_texts(form: &Form, parameter: Parameter) -> Result<Attributes, ApiError> {
    let given = form
        .filled(parameter.name)
        .map(|text| attributes(parameter, text));
    Ok(given.transpose()?.unwrap_or_default())
}

/// The templates that will do. They go before `TemplateSid`.
fn templates(form: &Form) -> Result<Vec<(TemplateSid, Substitutions)>, ApiError> {
    let Some(text) = form.filled(Parameter::TEMPLATES.name) else {
        return Ok(Vec::new());
    };
    let items = parse_array(text.as_bytes()).ok();
    let items = items.filter(|items| (1..=MOST_TEMPLATES).contains(&items.len()));
    let read = items.and_then(|items| items.into_iter().map(template).collect());
    read.ok_or_else(ApiError::templates_malformed)
}

fn template(item: Value) -> Option<(TemplateSid, Substitutions)> {
    let Value::Object(mut object) = item else {
        return None;
    };
    let sid = object.remove("sid")?.as_str()?.parse().ok()?;
    let substitutions = match object.remove("substitutions") {
        None | Some(Value::Null) => Substitutions::default(),
        Some(Value::Object(pairs)) => Substitutions::new(texts(pairs)?).ok()?,
        Some(_) => return None,
    };
    object.is_empty().then_some((sid, substitutions))
}

const MOST_TEMPLATES: usize = 10;

/// What the service's rate limits count. A value may be a whole number: it counts as its digits.
fn rate_limits(form: &Form) -> Result<Attributes, ApiError> {
    const EXPECTED: &str =
        "must be a JSON object with only strings and whole numbers as values, at most 1024 characters long";
    let Some(text) = form.filled(Parameter::RATE_LIMITS.name) else {
        return Ok(Attributes::default());
    };
    let invalid = || ApiError::invalid(Parameter::RATE_LIMITS, EXPECTED);
    if text.chars().count() > 1024 {
        return Err(invalid());
    }
    let object = parse_object(text.as_bytes()).map_err(|_| invalid())?;
    let in_words = object.into_iter().map(|(name, value)| match value {
        Value::Number(number) if number.is_u64() || number.is_i64() => {
            (name, Value::String(number.to_string()))
        }
        value => (name, value),
    });
    let pairs = texts(in_words.collect()).ok_or_else(invalid)?;
    Attributes::new(pairs).map_err(|_| invalid())
}

fn substitutions(form: &Form) -> Result<Substitutions, ApiError> {
    const NAME: Parameter = Parameter::TEMPLATE_CUSTOM_SUBSTITUTIONS;
    let given = json_texts(form, NAME)?;
    Substitutions::new(given.into_pairs()).map_err(of_parameter(NAME))
}

fn tags(form: &Form) -> Result<Tags, ApiError> {
    const EXPECTED: &str = "must be a JSON object with at most 10 tags, only strings as values, each name and value at most 128 \
         characters long, without control characters and marks of direction";
    let Some(text) = form.filled("Tags") else {
        return Ok(Tags::default());
    };
    let tags = parse_object(text.as_bytes()).ok().and_then(texts);
    let tags = tags.and_then(|tags| Tags::new(tags).ok());
    tags.ok_or_else(|| ApiError::invalid(Parameter::TAGS, EXPECTED))
}

/// What the caller wants of an e-mail: a JSON object of at most 4096 characters.
fn channel_configuration(form: &Form) -> Result<Option<EmailOptions>, ApiError> {
    const EXPECTED: &str = "must be a JSON object with any of from (an e-mail address), from_name, template_id and \
                            substitutions (an object with only strings as values), at most 4096 characters long, without control \
                            characters and marks of direction";
    let Some(text) = form.filled("ChannelConfiguration") else {
        return Ok(None);
    };
    let invalid = || ApiError::invalid(Parameter::CHANNEL_CONFIGURATION, EXPECTED);
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
            ("from", Value::String(from)) => options.from = Some(EmailAddress::parse(&from).ok()?),
            ("from_name", Value::String(name)) => options.from_name = Some(ProviderName::parse(&name).ok()?),
            ("template_id", Value::String(id)) => options.template_id = Some(ProviderName::parse(&id).ok()?),
            ("substitutions", Value::Object(object)) => {
                options.substitutions = Substitutions::new(texts(object)?).ok()?;
            }
            _ => return None,
        }
    }
    Some(options)
}
