//! One HTTP exchange with the server, as the mobile SDKs make it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, DATE, HeaderMap, USER_AGENT};
use reqwest::{Certificate, Client, Method, Response};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::error::DeviceError;
use crate::domain::text::may_be_shown;

/// The server at one base URL.
pub(super) struct ServerUrl {
    client: Client,
    base: String,
}

/// One request: the path below `/v2/`, and query or form pairs.
pub(super) struct DeviceRequest<'a> {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) pairs: &'a [(&'a str, String)],
}

/// What came back.
pub(super) struct DeviceAnswer {
    pub(super) status: u16,
    /// The server's clock in Unix seconds, when it told.
    pub(super) date: Option<i64>,
    /// `Twilio-Verify-Signature-Fields`.
    pub(super) signature_fields: Option<String>,
    /// The body; `null` when it is no JSON.
    pub(super) body: Value,
}

impl ServerUrl {
    /// A client of the server at `base`, which may end in `/v2` or not. With `ca` only that PEM certificate is trusted.
    pub(super) fn new(base: &str, ca: Option<&str>) -> Result<Self, DeviceError> {
        let url = url::Url::parse(base).map_err(|error| {
            DeviceError::Input(format!(
                "{base:?} is no URL ({error}): give one like https://verify.example.com"
            ))
        })?;
        // A second installation in one process changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none());
        // The system's roots are loaded only when they are needed: a bare machine has none.
        if let Some(pem) = ca {
            let certificate = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|error| {
                DeviceError::Input(format!("the certificate to trust cannot be read: {error}"))
            })?;
            builder = builder.tls_certs_only(certificate);
        } else if url.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let client = builder
            .build()
            .map_err(|error| DeviceError::Input(format!("cannot set up TLS: {}", reason(&error))))?;
        let base = url.as_str().trim_end_matches('/');
        Ok(Self {
            client,
            base: base.strip_suffix("/v2").unwrap_or(base).to_owned(),
        })
    }

    /// The base URL without `/v2`.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Sends `request` with the password of user `token`, whatever the outcome.
    pub(super) async fn send(
        &self,
        request: &DeviceRequest<'_>,
        token: &str,
    ) -> Result<DeviceAnswer, DeviceError> {
        let url = format!("{}/v2/{}", self.base, request.path);
        let mut builder = self
            .client
            .request(request.method.clone(), &url)
            .basic_auth("token", Some(token))
            .header(USER_AGENT, user_agent());
        // The SDKs ask for a form when they read; servers answer JSON all the same.
        builder = if request.method == Method::GET {
            builder
                .header(ACCEPT, "application/x-www-form-urlencoded")
                .query(request.pairs)
        } else {
            builder.header(ACCEPT, "application/json").form(request.pairs)
        };
        let network = |error: reqwest::Error| DeviceError::Network {
            url: self.base.clone(),
            reason: reason(&error),
        };
        let response = builder.send().await.map_err(network)?;
        DeviceAnswer::read(response).await.map_err(network)
    }

    /// Opens the event stream at `path`; what is answered instead, if there is none.
    pub(super) async fn listen(
        &self,
        path: &str,
        last_id: Option<&str>,
        token: &str,
    ) -> Result<Result<Response, DeviceAnswer>, DeviceError> {
        // Longer than any JWT: the server ends the stream before.
        const WHOLE_STREAM: Duration = Duration::from_hours(2);
        let request = self.client.get(format!("{}/v2/{path}", self.base));
        let mut request = request
            .basic_auth("token", Some(token))
            .header(USER_AGENT, user_agent())
            .header(ACCEPT, "text/event-stream")
            .timeout(WHOLE_STREAM);
        if let Some(last_id) = last_id {
            request = request.header("Last-Event-ID", last_id);
        }
        let network = |error: reqwest::Error| DeviceError::Network {
            url: self.base.clone(),
            reason: reason(&error),
        };
        // The head of the answer must come as soon as any other.
        let sent = tokio::time::timeout(PATIENCE, request.send()).await;
        let response = sent
            .map_err(|_| DeviceError::Network {
                url: self.base.clone(),
                reason: "it takes too long".to_owned(),
            })?
            .map_err(network)?;
        if response.status().is_success() {
            return Ok(Ok(response));
        }
        Ok(Err(DeviceAnswer::read(response).await.map_err(network)?))
    }
}

impl DeviceAnswer {
    async fn read(response: Response) -> Result<Self, reqwest::Error> {
        let status = response.status().as_u16();
        let date = header(response.headers(), DATE.as_str())
            .and_then(|text| OffsetDateTime::parse(&text, &Rfc2822).ok())
            .map(OffsetDateTime::unix_timestamp);
        let signature_fields = header(response.headers(), "Twilio-Verify-Signature-Fields");
        let body = response.bytes().await?;
        Ok(Self {
            status,
            date,
            signature_fields,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        })
    }

    /// This answer if it is a success, else what the server says is wrong.
    pub(super) fn success(self) -> Result<Self, DeviceError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(self.into_error())
    }

    /// What the server says is wrong.
    pub(super) fn into_error(self) -> DeviceError {
        DeviceError::Refused {
            status: self.status,
            code: self.body.get("code").and_then(Value::as_i64),
            message: self
                .body
                .get("message")
                .and_then(Value::as_str)
                .map_or_else(|| "it gives no reason".to_owned(), printable),
        }
    }

    /// A text field that the protocol promises.
    pub(super) fn text(&self, pointer: &str) -> Result<String, DeviceError> {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned)
            .ok_or_else(|| DeviceError::Answer(format!("the server's answer has no text at {pointer}")))
    }
}

/// `text` without the characters that move a terminal's cursor, or turn the direction of writing.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if may_be_shown(c) {
                c
            } else {
                char::REPLACEMENT_CHARACTER
            }
        })
        .collect()
}

/// Reads a PEM file that the user named.
pub(super) fn read_certificate(path: &Path) -> Result<String, DeviceError> {
    fs::read_to_string(path)
        .map_err(|error| DeviceError::Input(format!("cannot read {}: {error}", path.display())))
}

// Nine parts as the SDKs send them: application, platform, versions of both, model, SDK.
fn user_agent() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "countersign; {}; {version}; 1; -; {}; CountersignDevice; {version}; 1",
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

// The innermost cause says more than "error sending request"; no message of these crates contains a password.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_taken_with_and_without_the_version() {
        for base in ["http://h:1", "http://h:1/", "http://h:1/v2", "http://h:1/v2/"] {
            assert_eq!(ServerUrl::new(base, None).unwrap().base(), "http://h:1");
        }
        assert_eq!(
            ServerUrl::new("http://h/p/v2/", None).unwrap().base(),
            "http://h/p"
        );
        assert!(matches!(
            ServerUrl::new("localhost", None),
            Err(DeviceError::Input(_))
        ));
    }

    #[test]
    fn a_date_header_is_read() {
        let date = OffsetDateTime::parse("Sun, 06 Nov 1994 08:49:37 GMT", &Rfc2822).unwrap();
        assert_eq!(date.unix_timestamp(), 784_111_777);
    }

    #[test]
    fn a_refusal_carries_the_servers_code_and_no_escape_sequence() {
        let answer = DeviceAnswer {
            status: 403,
            date: None,
            signature_fields: None,
            body: serde_json::json!({"code": 60323, "message": "expired\u{1b}[2J"}),
        };
        let text = answer.success().err().unwrap().to_string();
        assert_eq!(
            text,
            "the server refused with HTTP 403: expired\u{fffd}[2J (error 60323)"
        );
    }
}
