//! The keys of each kind of sender.

use std::time::Duration;

use url::Url;

use super::ConfigError;
use super::sender_table::SenderTable;
use crate::delivery::codes::gateway::{BodySettings, GatewaySettings, Plan, Reading};
use crate::delivery::codes::is_loopback;
use crate::delivery::codes::secret::Secret;
use crate::delivery::codes::smpp::alphabet::Alphabet;
use crate::delivery::codes::smpp::{LongText, SmppSettings};
use crate::delivery::codes::smtp::{Login, Security, SmtpSettings};
use crate::domain::channel::Channel;
use crate::domain::destination::EmailAddress;

/// What the secret is, under which key its file stands.
type Found = Result<Option<Secret>, ConfigError>;

pub(super) fn smtp(
    table: &mut SenderTable<'_>,
    mut secret: impl FnMut(&mut SenderTable<'_>, &'static str) -> Found,
) -> Result<SmtpSettings, ConfigError> {
    let expected = "smtps://HOST or smtp://HOST, with a port if it is not 465 or 587";
    let url = table.parsed("url", expected, |text| server(text, ["smtps", "smtp"]))?;
    let Server {
        host,
        port,
        is_secure,
    } = table.required("url", url)?;
    let required = table.parsed("tls", "required or none", |text| match text {
        "required" => Some(true),
        "none" => Some(false),
        _ => None,
    })?;
    let allowed = table.flag("allow_plaintext")? || is_loopback(&host);
    let security = match (is_secure, required) {
        (true, Some(false)) => {
            return Err(table.wrong("tls", "must not be none if the url begins with smtps://"));
        }
        (true, _) => Security::Tls,
        (false, None | Some(true)) => Security::StartTls,
        (false, Some(false)) if allowed => Security::None,
        (false, Some(false)) => return Err(table.wrong("tls", PLAINTEXT)),
    };
    let username = table.text("username")?;
    let login = match (username, secret(table, "password_file")?) {
        (Some(username), Some(password)) => Some(Login { username, password }),
        (None, None) => None,
        (Some(_), None) => return Err(table.wrong("password_file", "must be given together with username")),
        (None, Some(_)) => return Err(table.wrong("username", "must be given together with a password")),
    };
    let address = "an e-mail address such as codes@example.com";
    let from = table.parsed("from", address, |text| EmailAddress::parse(text).ok())?;
    Ok(SmtpSettings {
        security,
        port: port.unwrap_or(if is_secure { 465 } else { 587 }),
        host,
        authorities: table.authorities()?,
        login,
        from: table.required("from", from)?,
        from_name: table.text("from_name")?,
        hello_name: table.parsed("hello_name", "a host name", |text| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            (text.len() <= 253 && text.bytes().all(plain)).then(|| text.to_owned())
        })?,
        timeout: table.timeout()?,
    })
}

pub(super) fn smpp(
    table: &mut SenderTable<'_>,
    mut secret: impl FnMut(&mut SenderTable<'_>, &'static str) -> Found,
) -> Result<SmppSettings, ConfigError> {
    let expected = "smpps://HOST or smpp://HOST, with a port if it is not 3550 or 2775";
    let url = table.parsed("url", expected, |text| server(text, ["smpps", "smpp"]))?;
    let Server {
        host,
        port,
        is_secure,
    } = table.required("url", url)?;
    if !is_secure && !table.flag("allow_plaintext")? && !is_loopback(&host) {
        return Err(table.wrong(
            "url",
            "must begin with smpps:// unless it leads to this machine, or allow_plaintext is true",
        ));
    }
    let short = |most: usize| {
        move |text: &str| {
            (text.len() <= most && text.bytes().all(|b| b.is_ascii_graphic())).then(|| text.to_owned())
        }
    };
    let system_id = table.parsed("system_id", "at most 15 characters without blanks", short(15))?;
    let ton = table.number("from_ton", 0, 6)?;
    let npi = table.number("from_npi", 0, 18)?;
    let from_type = match (ton, npi) {
        (Some(ton), Some(npi)) => Some((narrow(ton), narrow(npi))),
        (None, None) => None,
        (_, None) => return Err(table.wrong("from_npi", "must be given together with from_ton")),
        (None, _) => return Err(table.wrong("from_ton", "must be given together with from_npi")),
    };
    let bind = table.parsed("bind", "transmitter or transceiver", |text| match text {
        "transmitter" => Some(false),
        "transceiver" => Some(true),
        _ => None,
    })?;
    let alphabet = table.parsed("alphabet", "gsm7, latin1 or ucs2", |text| match text {
        "gsm7" => Some(Alphabet::Gsm7),
        "latin1" => Some(Alphabet::Latin1),
        "ucs2" => Some(Alphabet::Ucs2),
        _ => None,
    })?;
    let long_text = table.parsed("long_text", "parts or payload", |text| match text {
        "parts" => Some(LongText::Parts),
        "payload" => Some(LongText::Payload),
        _ => None,
    })?;
    let window = table.number("window", 1, 1000)?.unwrap_or(10);
    let enquire_link = table.number("enquire_link_seconds", 5, 3600)?.unwrap_or(30);
    Ok(SmppSettings {
        host,
        port: port.unwrap_or(if is_secure { 3550 } else { 2775 }),
        tls: is_secure,
        authorities: table.authorities()?,
        system_id: table.required("system_id", system_id)?,
        password: secret(table, "password_file")?,
        system_type: table
            .parsed("system_type", "at most 12 characters without blanks", short(12))?
            .unwrap_or_default(),
        receives: bind.unwrap_or(false),
        from: table.text("from")?,
        from_type,
        alphabet: alphabet.unwrap_or(Alphabet::Gsm7),
        long_text: long_text.unwrap_or(LongText::Parts),
        window: usize::try_from(window).unwrap_or(10),
        enquire_link: Duration::from_secs(enquire_link.into()),
        timeout: table.timeout()?,
    })
}

pub(super) fn http(
    table: &mut SenderTable<'_>,
    mut secret: impl FnMut(&mut SenderTable<'_>, &'static str) -> Found,
    channels: &[Channel],
) -> Result<Plan, ConfigError> {
    let url = table.text("url")?;
    let url = table.required("url", url)?;
    let settings = GatewaySettings {
        url,
        method: table.text("method")?.unwrap_or_else(|| "POST".to_owned()),
        headers: table.texts("headers")?.unwrap_or_default(),
        body: body(table)?,
        constants: table.constants()?,
        from: table.text("from")?,
        username: table.text("username")?,
        secret: secret(table, "secret_file")?,
        authorities: table.authorities()?,
        allow_plaintext: table.flag("allow_plaintext")?,
        reading: reading(table)?,
        timeout: table.timeout()?,
    };
    // A network that answers "it is another number" answers, too, and often with 200.
    let tells = settings.reading.success_json.is_some() || !settings.reading.success_statuses.is_empty();
    if channels.contains(&Channel::Sna) && !tells {
        return Err(table.wrong(
            "success_json",
            "must be given for the channel sna (or success_statuses): it says which answers confirm the number",
        ));
    }
    let plan = Plan::new(settings).map_err(|error| table.wrong(error.setting, &error.problem))?;
    if channels.contains(&Channel::Sna) && !plan.tells_device() {
        return Err(table.wrong(
            "url",
            "must have the place {{device_ip}} for the channel sna, or the headers or the body must: whose the device is \
             shows by its address",
        ));
    }
    Ok(plan)
}

fn body(table: &mut SenderTable<'_>) -> Result<BodySettings, ConfigError> {
    let form = table.texts("form")?.map(BodySettings::Form);
    let json = match table.take("json") {
        None => None,
        Some(toml::Value::String(text)) => {
            let value = serde_json::from_str(&text);
            Some(value.map_err(|error| table.wrong("json", &format!("must be JSON: {error}")))?)
        }
        Some(value) => {
            let value = serde_json::to_value(value)
                .ok()
                .filter(|value| value.is_object() || value.is_array());
            Some(value.ok_or_else(|| table.wrong("json", "must be JSON in a text, or a table"))?)
        }
    };
    let text = table.text("text")?;
    let content_type = table.text("content_type")?;
    if text.is_none() && content_type.is_some() {
        return Err(table.wrong("content_type", "must be given together with text only"));
    }
    let text = text.map(|text| BodySettings::Text {
        content_type: content_type.unwrap_or_else(|| "text/plain; charset=utf-8".to_owned()),
        text,
    });
    let mut bodies = [form, json.map(BodySettings::Json), text].into_iter().flatten();
    match (bodies.next(), bodies.next()) {
        (body, None) => Ok(body.unwrap_or(BodySettings::None)),
        (_, Some(_)) => Err(table.wrong(
            "form",
            "must not be given together with json or text; there is one body",
        )),
    }
}

fn reading(table: &mut SenderTable<'_>) -> Result<Reading, ConfigError> {
    let pointer = |text: &str| text.starts_with('/').then(|| text.to_owned());
    let expected = "a JSON pointer such as /messages/0/status";
    let value = |value: &toml::Value| match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(choice) => Some(choice.to_string()),
        _ => None,
    };
    let statuses = table.list("success_statuses", "numbers from 200 to 599", |value| {
        let status = value.as_integer().filter(|status| (200..600).contains(status))?;
        u16::try_from(status).ok()
    })?;
    let reading = Reading {
        success_statuses: statuses.unwrap_or_default(),
        success_json: table.parsed("success_json", expected, pointer)?,
        success_values: table
            .list("success_values", "texts, numbers or booleans", value)?
            .unwrap_or_default(),
        retry_values: table
            .list("retry_values", "texts, numbers or booleans", value)?
            .unwrap_or_default(),
        reference_json: table.parsed("reference_json", expected, pointer)?,
    };
    let has_values = !reading.success_values.is_empty();
    if reading.success_json.is_some() && !has_values {
        return Err(table.wrong("success_values", "must be given together with success_json"));
    }
    if reading.success_json.is_none() && (has_values || !reading.retry_values.is_empty()) {
        return Err(table.wrong(
            "success_json",
            "must be given together with success_values and retry_values",
        ));
    }
    Ok(reading)
}

struct Server {
    host: String,
    port: Option<u16>,
    is_secure: bool,
}

/// A URL of nothing but scheme, host and port. The first scheme is the one with TLS.
fn server(text: &str, [secure, plain]: [&str; 2]) -> Option<Server> {
    let url = Url::parse(text).ok()?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && matches!(url.path(), "" | "/");
    let is_secure = url.scheme() == secure;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    (bare && (is_secure || url.scheme() == plain)).then(|| Server {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port(),
        is_secure,
    })
}

fn narrow(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

const PLAINTEXT: &str = "must not be none unless the url leads to this machine, or allow_plaintext is true";
