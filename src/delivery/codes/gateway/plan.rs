//! What the operator wants to be requested, read once at the start.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::answer::AnswerRules;
use super::escape;
use super::template::{Pattern, Values, is_taken};
use crate::delivery::codes::secret::SenderSecret;
use crate::delivery::codes::{SettingError, is_loopback};
use crate::delivery::http::HttpRequest;
use crate::delivery::trust::Authorities;
use crate::domain::text::may_be_shown;
use crate::domain::web_url;

/// A gateway as the operator describes it. Texts hold places such as `{{to}}`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct GatewaySettings {
    /// Where to; places stand in its path and query only.
    pub url: String,
    /// `GET`, `POST`, `PUT` or `PATCH`.
    pub method: String,
    /// Headers beside those that belong to the body.
    pub headers: Vec<(String, String)>,
    pub body: BodySettings,
    /// Places of the operator's own, and what stands there.
    pub constants: BTreeMap<String, String>,
    /// Whom messages come from that do not say so.
    pub from: Option<String>,
    /// Whom the server knows this one as (Basic authentication, with the secret as the password).
    pub username: Option<String>,
    /// What stands in the place `{{secret}}`.
    pub secret: Option<SenderSecret>,
    /// The authorities that are trusted instead of the system's.
    pub authorities: Option<Authorities>,
    /// Whether codes may leave this machine without TLS.
    pub allow_plaintext: bool,
    pub reading: AnswerRules,
    /// How long an exchange takes at most.
    pub timeout: Duration,
}

/// The body of a request; but for a text, it says which content type goes with it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum BodySettings {
    /// Names and values, as `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
    /// A JSON value; places stand in its texts.
    Json(Value),
    None,
    /// A text of any kind. If the type is one of XML, values are written so that they stay text.
    Text {
        content_type: String,
        text: String,
    },
}

/// A gateway whose description was found good.
#[derive(Debug)]
pub struct RequestPlan {
    pub(super) timeout: Duration,
    pub(super) authorities: Option<Authorities>,
    pub(super) secret: Option<SenderSecret>,
    pub(super) reading: AnswerRules,
    method: Method,
    url: Pattern,
    headers: Vec<(HeaderName, Pattern)>,
    body: RequestBody,
    from: Option<String>,
    username: Option<String>,
}

#[derive(Debug)]
enum RequestBody {
    Form(Vec<(String, Pattern)>),
    Json(JsonTemplate),
    None,
    Text {
        content_type: HeaderValue,
        is_xml: bool,
        text: Pattern,
    },
}

/// A JSON value with places in its texts. The names of members have none.
#[derive(Debug)]
enum JsonTemplate {
    Array(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
    Other(Value),
    Text(Pattern),
}

impl RequestPlan {
    /// Reads the description.
    ///
    /// # Errors
    /// [`SettingError`] with what is wrong with it.
    pub fn new(settings: GatewaySettings) -> Result<Self, SettingError> {
        let constants = &settings.constants;
        if let Some(name) = constants.keys().find(|name| is_taken(name)) {
            return Err(SettingError::new(
                "constants",
                format!("must not have {name}, which is the name of a place"),
            ));
        }
        let read = |setting: &'static str, text: &str| {
            Pattern::parse(text, constants).map_err(|problem| SettingError::new(setting, problem))
        };
        let method = match settings.method.as_str() {
            "GET" => Method::GET,
            "PATCH" => Method::PATCH,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            other => {
                return Err(SettingError::new(
                    "method",
                    format!("must be GET, PATCH, POST or PUT, not {other:?}"),
                ));
            }
        };
        let url = read("url", &settings.url)?;
        check_url(&url, settings.allow_plaintext)?;
        let mut headers = Vec::new();
        for (name, text) in &settings.headers {
            headers.push((header_name(name)?, read("headers", text)?));
        }
        let body = match &settings.body {
            BodySettings::None => RequestBody::None,
            _ if method == Method::GET => {
                return Err(SettingError::new("method", "must not be GET if there is a body"));
            }
            BodySettings::Form(fields) => RequestBody::Form(
                fields
                    .iter()
                    .map(|(name, text)| Ok((name.clone(), read("form", text)?)))
                    .collect::<Result<_, SettingError>>()?,
            ),
            BodySettings::Json(value) => {
                RequestBody::Json(JsonTemplate::parse(value, &|text| read("json", text))?)
            }
            BodySettings::Text { content_type, .. } if let Some(setting) = has_own_setting(content_type) => {
                return Err(SettingError::new(
                    "content_type",
                    format!(
                        "must not be that of a {setting}: give {setting} instead of text, so that values stay values"
                    ),
                ));
            }
            BodySettings::Text { content_type, text } => RequestBody::Text {
                content_type: HeaderValue::from_str(content_type).map_err(|_| {
                    SettingError::new(
                        "content_type",
                        "must be a media type such as text/plain; charset=utf-8",
                    )
                })?,
                is_xml: is_xml(content_type),
                text: read("text", text)?,
            },
        };
        let plan = Self {
            method,
            timeout: settings.timeout,
            authorities: settings.authorities,
            secret: settings.secret,
            reading: settings.reading,
            url,
            headers,
            body,
            from: settings.from,
            username: settings.username,
        };
        plan.check_secret()?;
        plan.check_headers()?;
        Ok(plan)
    }

    /// What is known of a header before there is a message can be sent as it is: a mistake is the operator's to hear of
    /// now, not every message's later.
    fn check_headers(&self) -> Result<(), SettingError> {
        let secret = self.secret.as_ref().map(SenderSecret::expose);
        for (name, template) in &self.headers {
            if !is_field_value(&template.rehearse(self.from(), secret)) {
                return Err(SettingError::new(
                    "headers",
                    format!("must have visible ASCII only, without blanks at the ends, in {name}"),
                ));
            }
        }
        let shown = |text: &str| text.chars().all(may_be_shown) && text.trim() == text;
        if self.from().is_some_and(|from| !shown(from)) {
            let problem = "must have no control characters, marks of direction or blanks at the ends";
            return Err(SettingError::new("from", problem));
        }
        Ok(())
    }

    fn check_secret(&self) -> Result<(), SettingError> {
        let needed = self.any(&Pattern::has_secret) || self.username.is_some();
        let problem = match (&self.secret, needed) {
            (None, true) => "must be given, because the request needs it",
            (Some(_), false) => {
                "must not be given: no {{secret}} stands in the request, and there is no username"
            }
            (_, _) => return self.check_authorization(),
        };
        Err(SettingError::new("secret_file", problem))
    }

    /// Whether the device's address is told: without it nobody can say whose the device is.
    #[must_use]
    pub fn tells_device(&self) -> bool {
        self.any(&Pattern::has_device_ip)
    }

    /// Whether a text of the request is as `is` says.
    fn any(&self, is: &dyn Fn(&Pattern) -> bool) -> bool {
        let in_body = match &self.body {
            RequestBody::Form(fields) => fields.iter().any(|(_, text)| is(text)),
            RequestBody::Json(value) => value.any(is),
            RequestBody::None => false,
            RequestBody::Text { text, .. } => is(text),
        };
        in_body || is(&self.url) || self.headers.iter().any(|(_, text)| is(text))
    }

    fn check_authorization(&self) -> Result<(), SettingError> {
        let given = self.headers.iter().any(|(name, _)| *name == AUTHORIZATION);
        let twice = given && self.username.is_some();
        let colon = self.username.as_deref().is_some_and(|name| name.contains(':'));
        if twice {
            return Err(SettingError::new(
                "username",
                "must not be given together with the header authorization",
            ));
        }
        if colon {
            return Err(SettingError::new("username", "must not have a colon"));
        }
        Ok(())
    }

    /// Whom messages come from that do not say so.
    pub(super) fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    /// Fills all places; `None` if that gives something that HTTP cannot carry, or a URL that leads elsewhere.
    pub(super) fn request(&self, values: Values<'_>) -> Option<HttpRequest> {
        let text = self.url.render(values, escape::url);
        let path = text.split(['?', '#']).next().unwrap_or_default();
        if path.split(['/', '\\']).any(escape::is_dot_segment) {
            return None;
        }
        let url = web_url::read(&text)?;
        let mut headers = HeaderMap::new();
        if let Some(kind) = self.content_type() {
            headers.insert(reqwest::header::CONTENT_TYPE, kind);
        }
        for (name, template) in &self.headers {
            let Some(text) = template.render_plain(values) else {
                continue;
            };
            if !is_field_value(&text) {
                return None;
            }
            let mut value = HeaderValue::from_str(&text).ok()?;
            value.set_sensitive(template.has_secret() || *name == AUTHORIZATION);
            headers.append(name, value);
        }
        if let (Some(username), Some(secret)) = (&self.username, values.secret) {
            use base64::Engine as _;
            let login = zeroize::Zeroizing::new(format!("{username}:{secret}"));
            let login = base64::engine::general_purpose::STANDARD.encode(login.as_bytes());
            let login = zeroize::Zeroizing::new(format!("Basic {login}"));
            let mut value = HeaderValue::from_str(&login).ok()?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Some(HttpRequest {
            method: self.method.clone(),
            url,
            headers,
            body: self.body(values)?,
        })
    }

    fn content_type(&self) -> Option<HeaderValue> {
        match &self.body {
            RequestBody::Form(_) => Some(HeaderValue::from_static("application/x-www-form-urlencoded")),
            RequestBody::Json(_) => Some(HeaderValue::from_static("application/json")),
            RequestBody::None => None,
            RequestBody::Text { content_type, .. } => Some(content_type.clone()),
        }
    }

    fn body(&self, values: Values<'_>) -> Option<Vec<u8>> {
        match &self.body {
            RequestBody::Form(fields) => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                for (name, template) in fields {
                    if let Some(text) = template.render_plain(values) {
                        form.append_pair(name, &text);
                    }
                }
                Some(form.finish().into_bytes())
            }
            RequestBody::Json(template) => {
                serde_json::to_vec(&template.render(values).unwrap_or_default()).ok()
            }
            RequestBody::None => Some(Vec::new()),
            RequestBody::Text { text, is_xml, .. } => {
                let escape = if *is_xml { escape::xml } else { escape::plain };
                Some(text.render(values, escape).as_bytes().to_vec())
            }
        }
    }
}

impl JsonTemplate {
    fn parse(
        value: &Value,
        read: &dyn Fn(&str) -> Result<Pattern, SettingError>,
    ) -> Result<Self, SettingError> {
        Ok(match value {
            Value::String(text) => Self::Text(read(text)?),
            Value::Array(values) => Self::Array(
                values
                    .iter()
                    .map(|value| Self::parse(value, read))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Self::parse(value, read)?)))
                    .collect::<Result<_, SettingError>>()?,
            ),
            other => Self::Other(other.clone()),
        })
    }

    fn any(&self, is: &dyn Fn(&Pattern) -> bool) -> bool {
        match self {
            Self::Array(values) => values.iter().any(|value| value.any(is)),
            Self::Object(members) => members.iter().any(|(_, value)| value.any(is)),
            Self::Other(_) => false,
            Self::Text(text) => is(text),
        }
    }

    /// The value; `None` if it is one place alone and nothing stands there.
    fn render(&self, values: Values<'_>) -> Option<Value> {
        Some(match self {
            Self::Array(all) => all.iter().filter_map(|value| value.render(values)).collect(),
            Self::Object(members) => members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.render(values)?)))
                .collect(),
            Self::Other(value) => value.clone(),
            Self::Text(text) => Value::String(text.render_plain(values)?.to_string()),
        })
    }
}

/// Whether a header can have this value: HTTP would take blanks at the ends away, and has no agreed meaning for what is not
/// ASCII.
fn is_field_value(text: &str) -> bool {
    text.trim() == text && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Places stand behind the host only, so that no message chooses where it goes.
fn check_url(url: &Pattern, allow_plaintext: bool) -> Result<(), SettingError> {
    let expected = || {
        SettingError::new(
            "url",
            "must be an https URL without user, password and fragment, with places behind the host only",
        )
    };
    let beginning = url.beginning();
    let authority = beginning.split_once("://").map_or("", |(_, behind)| behind);
    // What stands behind too many slashes would be taken for the host.
    let unclear = authority.starts_with(['/', '\\', '?']);
    if url.has_places() && (unclear || !authority.contains(['/', '?'])) {
        return Err(expected());
    }
    let parsed = web_url::read(beginning).ok_or_else(expected)?;
    let whole = url.render_literals();
    let path = whole.split('?').next().unwrap_or_default();
    if whole.contains('#') || path.split(['/', '\\']).any(escape::is_dot_segment) {
        return Err(expected());
    }
    match parsed.scheme() {
        "https" => Ok(()),
        "http" if allow_plaintext || is_loopback(parsed.host_str().unwrap_or_default()) => Ok(()),
        "http" => Err(SettingError::new(
            "url",
            "must begin with https:// unless it leads to this machine, or allow_plaintext is true",
        )),
        _ => Err(expected()),
    }
}

fn header_name(name: &str) -> Result<HeaderName, SettingError> {
    let refuse = |problem: &str| SettingError::new("headers", format!("must not have {name:?}: {problem}"));
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse("it is no name of a header"))?;
    let ours = [
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    if ours.contains(&parsed.as_str()) {
        return Err(refuse("it belongs to the connection or the body"));
    }
    Ok(parsed)
}

/// The setting for bodies of this type, if there is one: in a text no value would be escaped.
fn has_own_setting(content_type: &str) -> Option<&'static str> {
    match essence(content_type).as_str() {
        "application/x-www-form-urlencoded" => Some("form"),
        "application/json" | "text/json" => Some("json"),
        _ => None,
    }
}

/// A media type without its parameters.
fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn is_xml(content_type: &str) -> bool {
    let essence = essence(content_type);
    matches!(essence.as_str(), "application/xml" | "text/xml") || essence.ends_with("+xml")
}
