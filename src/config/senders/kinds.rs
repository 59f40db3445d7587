//! The keys of each kind of sender.

use std::time::Duration;

use url::Url;

use super::keys::{self, SenderKey};
use super::table::SenderTable;
use crate::config::ConfigError;
use crate::delivery::codes::gateway::{AnswerRules, BodySettings, GatewaySettings, RequestPlan};
use crate::delivery::codes::is_loopback;
use crate::delivery::codes::secret::SenderSecret;
use crate::delivery::codes::smpp::alphabet::SmppAlphabet;
use crate::delivery::codes::smpp::{LongText, Originator, SmppSettings};
use crate::delivery::codes::smtp::{Login, Security, SmtpSettings};
use crate::domain::channel::Channel;
use crate::domain::destination::EmailAddress;

/// What the secret is, under which key its file stands.
type Found = Result<Option<SenderSecret>, ConfigError>;

pub(super) fn smtp(
    table: &mut SenderTable<'_>,
    mut secret: impl FnMut(&mut SenderTable<'_>, &'static SenderKey) -> Found,
) -> Result<SmtpSettings, ConfigError> {
    let expected = "smtps://HOST or smtp://HOST, with a port if it is not 465 or 587";
    let url = table.parsed(&keys::URL, expected, |text| server(text, ["smtps", "smtp"]))?;
    let ServerAddress {
        host,
        port,
        is_secure,
    } = table.required(&keys::URL, url)?;
    let required = table.parsed(&keys::TLS, "required or none", |text| match text {
        "required" => Some(true),
        "none" => Some(false),
        _ => None,
    })?;
    let allowed = table.flag(&keys::ALLOW_PLAINTEXT)? || is_loopback(&host);
    let security = match (is_secure, required) {
        (true, Some(false)) => {
            return Err(table.wrong(&keys::TLS, "must not be none if the url begins with smtps://"));
        }
        (true, _) => Security::Tls,
        (false, None | Some(true)) => Security::StartTls,
        (false, Some(false)) if allowed => Security::None,
        (false, Some(false)) => return Err(table.wrong(&keys::TLS, PLAINTEXT)),
    };
    let username = table.text(&keys::USERNAME)?;
    let login = match (username, secret(table, &keys::PASSWORD_FILE)?) {
        (Some(username), Some(password)) => Some(Login { username, password }),
        (None, None) => None,
        (Some(_), None) => {
            return Err(table.wrong(&keys::PASSWORD_FILE, "must be given together with username"));
        }
        (None, Some(_)) => return Err(table.wrong(&keys::USERNAME, "must be given together with a password")),
    };
    let address = "an e-mail address such as codes@example.com";
    let from = table.parsed(&keys::FROM, address, |text| EmailAddress::parse(text).ok())?;
    Ok(SmtpSettings {
        security,
        port: port.unwrap_or(if is_secure { 465 } else { 587 }),
        host,
        authorities: table.authorities()?,
        login,
        from: table.required(&keys::FROM, from)?,
        from_name: table.text(&keys::FROM_NAME)?,
        hello_name: table.parsed(&keys::HELLO_NAME, "a host name", |text| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            (text.len() <= 253 && text.bytes().all(plain)).then(|| text.to_owned())
        })?,
        timeout: table.timeout()?,
    })
}

pub(super) fn smpp(
    table: &mut SenderTable<'_>,
    mut secret: impl FnMut(&mut SenderTable<'_>, &'static SenderKey) -> Found,
) -> Result<SmppSettings, ConfigError> {
    let expected = "smpps://HOST or smpp://HOST, with a port if it is not 3550 or 2775";
    let url = table.parsed(&keys::URL, expected, |text| server(text, ["smpps", "smpp"]))?;
    let ServerAddress {
        host,
        port,
        is_secure,
    } = table.required(&keys::URL, url)?;
    if !is_secure && !table.flag(&keys::ALLOW_PLAINTEXT)? && !is_loopback(&host) {
        return Err(table.wrong(
            &keys::URL,
            "must begin with smpps:// unless it leads to this machine, or allow_plaintext is true",
        ));
    }
    let short = |most: usize| {
        move |text: &str| {
            (text.len() <= most && text.bytes().all(|b| b.is_ascii_graphic())).then(|| text.to_owned())
        }
    };
    let system_id = table.parsed(
        &keys::SYSTEM_ID,
        "at most 15 characters without blanks",
        short(15),
    )?;
    let ton = table.number(&keys::FROM_TON, 0, 6)?;
    let npi = table.number(&keys::FROM_NPI, 0, 18)?;
    let from_type = match (ton, npi) {
        (Some(ton), Some(npi)) => Some((narrow(ton), narrow(npi))),
        (None, None) => None,
        (_, None) => return Err(table.wrong(&keys::FROM_NPI, "must be given together with from_ton")),
        (None, _) => return Err(table.wrong(&keys::FROM_TON, "must be given together with from_npi")),
    };
    let bind = table.parsed(&keys::BIND, "transmitter or transceiver", |text| match text {
        "transmitter" => Some(false),
        "transceiver" => Some(true),
        _ => None,
    })?;
    let alphabet = table.parsed(&keys::ALPHABET, "gsm7, latin1 or ucs2", |text| match text {
        "gsm7" => Some(SmppAlphabet::Gsm7),
        "latin1" => Some(SmppAlphabet::Latin1),
        "ucs2" => Some(SmppAlphabet::Ucs2),
        _ => None,
    })?;
    let long_text = table.parsed(&keys::LONG_TEXT, "parts or payload", |text| match text {
        "parts" => Some(LongText::Parts),
        "payload" => Some(LongText::Payload),
        _ => None,
    })?;
    let window = table.number(&keys::WINDOW, 1, 1000)?.unwrap_or(10);
    let enquire_link = table.number(&keys::ENQUIRE_LINK_SECONDS, 5, 3600)?.unwrap_or(30);
    Ok(SmppSettings {
        host,
        port: port.unwrap_or(if is_secure { 3550 } else { 2775 }),
        tls: is_secure,
        authorities: table.authorities()?,
        system_id: table.required(&keys::SYSTEM_ID, system_id)?,
        password: secret(table, &keys::PASSWORD_FILE)?,
        system_type: table
            .parsed(
                &keys::SYSTEM_TYPE,
                "at most 12 characters without blanks",
                short(12),
            )?
            .unwrap_or_default(),
        receives: bind.unwrap_or(false),
        from: table.parsed(
            &keys::FROM,
            "a number, or at most 11 characters of ASCII that the GSM alphabet has",
            Originator::parse,
        )?,
        from_type,
        alphabet: alphabet.unwrap_or(SmppAlphabet::Gsm7),
        long_text: long_text.unwrap_or(LongText::Parts),
        window: usize::try_from(window).unwrap_or(10),
        enquire_link: Duration::from_secs(enquire_link.into()),
        timeout: table.timeout()?,
    })
}

pub(super) fn http(
    table: &mut SenderTable<'_>,
    mut secret: impl FnMut(&mut SenderTable<'_>, &'static SenderKey) -> Found,
    channels: &[Channel],
) -> Result<RequestPlan, ConfigError> {
    let url = table.text(&keys::URL)?;
    let url = table.required(&keys::URL, url)?;
    let settings = GatewaySettings {
        url,
        method: table.text(&keys::METHOD)?.unwrap_or_else(|| "POST".to_owned()),
        headers: table.texts(&keys::HEADERS)?.unwrap_or_default(),
        body: body(table)?,
        constants: table.constants()?,
        from: table.text(&keys::FROM)?,
        username: table.text(&keys::USERNAME)?,
        secret: secret(table, &keys::SECRET_FILE)?,
        authorities: table.authorities()?,
        allow_plaintext: table.flag(&keys::ALLOW_PLAINTEXT)?,
        reading: reading(table)?,
        timeout: table.timeout()?,
    };
    // A network that answers "it is another number" answers, too, and often with 200.
    let tells = settings.reading.success_json.is_some() || !settings.reading.success_statuses.is_empty();
    if channels.contains(&Channel::Sna) && !tells {
        return Err(table.wrong(
            &keys::SUCCESS_JSON,
            "must be given for the channel sna (or success_statuses): it says which answers confirm the number",
        ));
    }
    let plan =
        RequestPlan::new(settings).map_err(|error| table.wrong_named(error.setting, &error.problem))?;
    if channels.contains(&Channel::Sna) && !plan.tells_device() {
        return Err(table.wrong(
            &keys::URL,
            "must have the place {{device_ip}} for the channel sna, or the headers or the body must: whose the device is \
             shows by its address",
        ));
    }
    Ok(plan)
}

fn body(table: &mut SenderTable<'_>) -> Result<BodySettings, ConfigError> {
    let form = table.texts(&keys::FORM)?.map(BodySettings::Form);
    let json = match table.take(&keys::JSON) {
        None => None,
        Some(toml::Value::String(text)) => {
            let value = serde_json::from_str(&text);
            Some(value.map_err(|error| table.wrong(&keys::JSON, &format!("must be JSON: {error}")))?)
        }
        Some(value) => {
            let value = serde_json::to_value(value)
                .ok()
                .filter(|value| value.is_object() || value.is_array());
            Some(value.ok_or_else(|| table.wrong(&keys::JSON, "must be JSON in a text, or a table"))?)
        }
    };
    let text = table.text(&keys::TEXT)?;
    let content_type = table.text(&keys::CONTENT_TYPE)?;
    if text.is_none() && content_type.is_some() {
        return Err(table.wrong(&keys::CONTENT_TYPE, "must be given together with text only"));
    }
    let text = text.map(|text| BodySettings::Text {
        content_type: content_type.unwrap_or_else(|| "text/plain; charset=utf-8".to_owned()),
        text,
    });
    let mut bodies = [form, json.map(BodySettings::Json), text].into_iter().flatten();
    match (bodies.next(), bodies.next()) {
        (body, None) => Ok(body.unwrap_or(BodySettings::None)),
        (_, Some(_)) => Err(table.wrong(
            &keys::FORM,
            "must not be given together with json or text; there is one body",
        )),
    }
}

fn reading(table: &mut SenderTable<'_>) -> Result<AnswerRules, ConfigError> {
    let pointer = |text: &str| text.starts_with('/').then(|| text.to_owned());
    let expected = "a JSON pointer such as /messages/0/status";
    let value = |value: &toml::Value| match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(choice) => Some(choice.to_string()),
        _ => None,
    };
    let statuses = table.list(&keys::SUCCESS_STATUSES, "numbers from 200 to 599", |value| {
        let status = value.as_integer().filter(|status| (200..600).contains(status))?;
        u16::try_from(status).ok()
    })?;
    let reading = AnswerRules {
        success_statuses: statuses.unwrap_or_default(),
        success_json: table.parsed(&keys::SUCCESS_JSON, expected, pointer)?,
        success_values: table
            .list(&keys::SUCCESS_VALUES, "texts, numbers or booleans", value)?
            .unwrap_or_default(),
        retry_values: table
            .list(&keys::RETRY_VALUES, "texts, numbers or booleans", value)?
            .unwrap_or_default(),
        reference_json: table.parsed(&keys::REFERENCE_JSON, expected, pointer)?,
    };
    let has_values = !reading.success_values.is_empty();
    if reading.success_json.is_some() && !has_values {
        return Err(table.wrong(&keys::SUCCESS_VALUES, "must be given together with success_json"));
    }
    if reading.success_json.is_none() && (has_values || !reading.retry_values.is_empty()) {
        return Err(table.wrong(
            &keys::SUCCESS_JSON,
            "must be given together with success_values and retry_values",
        ));
    }
    Ok(reading)
}

struct ServerAddress {
    host: String,
    port: Option<u16>,
    is_secure: bool,
}

/// A URL of nothing but scheme, host and port. The first scheme is the one with TLS.
fn server(text: &str, [secure, plain]: [&str; 2]) -> Option<ServerAddress> {
    let url = Url::parse(text).ok()?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && matches!(url.path(), "" | "/");
    let is_secure = url.scheme() == secure;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    (bare && (is_secure || url.scheme() == plain)).then(|| ServerAddress {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port(),
        is_secure,
    })
}

fn narrow(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

const PLAINTEXT: &str = "must not be none unless the url leads to this machine, or allow_plaintext is true";
