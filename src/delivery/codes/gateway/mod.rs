//! Providers with an HTTP interface: one request for each message, as the operator describes it.
//!
//! Unlike a webhook's, the URL is the operator's own, so private addresses are reached as well: see
//! [`HttpPolicy::gateway`].

mod answer;
mod escape;
mod plan;
#[cfg(test)]
mod properties;
mod template;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::answer::AnswerRules;
pub use self::plan::{BodySettings, GatewaySettings, RequestPlan};
use self::template::Values;
use super::secret::SenderSecret;
use super::{CodeMessage, CodeSender, Sent, words};
use crate::delivery::http::{HttpClient, HttpError, HttpPolicy};
use crate::domain::time::Clock;

/// Sends to one provider.
#[derive(Debug)]
pub struct Gateway {
    plan: RequestPlan,
    clock: Arc<dyn Clock>,
    client: HttpClient,
}

impl Gateway {
    /// A sender that does what was planned. Of `clock` it needs the time until a date that a provider
    /// names, and how long a code is still of use.
    #[must_use]
    pub fn new(plan: RequestPlan, clock: Arc<dyn Clock>) -> Self {
        let client = HttpClient::new(HttpPolicy::gateway(plan.timeout, plan.authorities.clone()));
        Self { plan, clock, client }
    }

    async fn exchange(&self, message: &CodeMessage) -> Sent {
        let secret = self.plan.secret.as_ref().map(SenderSecret::expose);
        let values = Values {
            message,
            from: self.plan.from(),
            secret,
            now: self.clock.now(),
        };
        let Some(request) = self.plan.request(values) else {
            return Sent::refused("the message has no form that the gateway's request can carry");
        };
        match self.client.send(request).await {
            Ok(answer) => self
                .plan
                .reading
                .judge(&answer, message, secret, self.clock.now()),
            Err(error) => {
                let why = failure(&error, |cause| words::of_provider(cause, message, secret));
                match error {
                    // What made it think for so long may be this number.
                    HttpError::TimedOut { .. } => Sent::retry_recipient(0, why, None),
                    _ => Sent::retry(why, None),
                }
            }
        }
    }
}

/// What is said of an exchange without an answer; `plain` takes out of the cause what must not be told.
fn failure(error: &HttpError, plain: impl Fn(&str) -> String) -> String {
    let cause = match error {
        HttpError::TimedOut { .. } if error.causes().is_none() => {
            return "the provider did not answer in time".to_owned();
        }
        HttpError::TimedOut { .. } => "it took too long".to_owned(),
        HttpError::Setup(_) => return error.to_string(),
        HttpError::Failed { causes, .. } => causes.innermost().unwrap_or("the request failed").to_owned(),
        HttpError::Blocked { .. } | HttpError::Plaintext | HttpError::Unresolved { .. } | HttpError::Url => {
            error.to_string()
        }
    };
    format!("the provider was not reached: {}", plain(&cause))
}

#[async_trait]
impl CodeSender for Gateway {
    async fn send(&self, message: &CodeMessage) -> Sent {
        self.exchange(message).await
    }
}
