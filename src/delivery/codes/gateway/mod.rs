//! Providers with an HTTP interface: one request for each message, as the operator describes it.
//!
//! Unlike a webhook's, the URL is the operator's own, so private addresses are reached as well. Redirects are not
//! followed, and an exchange is bounded in time and in what is read of the answer.

mod answer;
mod escape;
mod plan;
#[cfg(test)]
mod properties;
mod template;

use std::error::Error as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::RETRY_AFTER;
use reqwest::{Certificate, Client, Response, redirect, retry};
use tokio::time::{Instant, timeout_at};

use self::answer::Answer;
pub use self::answer::Reading;
pub use self::plan::{BodySettings, GatewaySettings, Plan};
use self::template::Values;
use super::secret::Secret;
use super::{CodeMessage, CodeSender, Sent, words};
use crate::delivery::guarded;
use crate::domain::time::Clock;

/// Sends to one provider.
#[derive(Debug)]
pub struct Gateway {
    plan: Plan,
    clock: Arc<dyn Clock>,
    /// Opened when it is first needed: a machine without trusted certificates can start all the same.
    client: OnceLock<Client>,
}

impl Gateway {
    /// A sender that does what was planned. Of `clock` it needs the time until a date that a provider names.
    #[must_use]
    pub fn new(plan: Plan, clock: Arc<dyn Clock>) -> Self {
        Self {
            plan,
            clock,
            client: OnceLock::new(),
        }
    }

    async fn exchange(&self, message: &CodeMessage) -> Sent {
        let deadline = Instant::now() + self.plan.timeout;
        let secret = self.plan.secret.as_ref().map(Secret::expose);
        let values = Values {
            message,
            from: self.plan.from(),
            secret,
        };
        let Some(request) = self.plan.request(values) else {
            return Sent::refused("the message has no form that the gateway's request can carry");
        };
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return Sent::retry(format!("cannot set up TLS: {}", cause(&error)), None),
        };
        let sending = client
            .request(self.plan.method.clone(), request.url)
            .headers(request.headers)
            .body(request.body)
            .send();
        match timeout_at(deadline, sending).await {
            Ok(Ok(response)) => {
                let answer = self.read(response, deadline).await;
                self.plan.reading.judge(&answer, message, secret)
            }
            Err(_) => Sent::retry("the provider did not answer in time", None),
            Ok(Err(error)) => {
                let why = words::of_provider(&cause(&error), message, secret);
                Sent::retry(format!("the provider was not reached: {why}"), None)
            }
        }
    }

    fn client(&self) -> Result<&Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // A second installation in one process changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let builder = Client::builder()
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(self.plan.timeout)
            .pool_max_idle_per_host(8)
            .pool_idle_timeout(Duration::from_secs(30));
        let builder = match (&self.plan.authorities, self.plan.is_plaintext()) {
            (Some(authorities), _) => {
                let certificates = authorities.certificates().iter();
                let certificates: Result<Vec<_>, _> = certificates
                    .map(|certificate| Certificate::from_der(certificate))
                    .collect();
                builder.tls_certs_only(certificates?)
            }
            // What may be seen on this machine only is not for a proxy.
            (None, true) => builder.tls_certs_only([]).no_proxy(),
            (None, false) => builder,
        };
        let client = builder.build()?;
        Ok(self.client.get_or_init(|| client))
    }

    /// The status counts even if the rest does not come by `deadline`: a message that the provider has must not be sent
    /// again.
    async fn read(&self, mut response: Response, deadline: Instant) -> Answer {
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| guarded::rest(value.to_str().ok()?, self.clock.now()));
        let mut body = Vec::new();
        while let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await {
            let room = MOST_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                break;
            }
        }
        Answer {
            status: response.status().as_u16(),
            body,
            retry_after,
        }
    }
}

#[async_trait]
impl CodeSender for Gateway {
    async fn send(&self, message: &CodeMessage) -> Sent {
        self.exchange(message).await
    }
}

/// The innermost cause, without the URL, in which a secret may stand.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut source = error.source();
    let mut text = "the request failed".to_owned();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

/// The most that is read of an answer.
const MOST_BYTES: usize = 64 * 1024;
