//! Apple Push Notification service: the HTTP/2 provider API with token-based authentication.

mod answer;
mod payload;
mod token;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use self::token::Signer;
use super::kept::{Digest, Kept};
use super::{Judgement, PushMessage, PushOutcome, PushProvider, post};
use crate::delivery::http::{HttpAnswer, HttpClient, HttpPolicy};
use crate::domain::sid::EventSid;
use crate::domain::text::{ApnsIdentifier, NotificationToken};
use crate::domain::time::Timestamp;

/// Sends to Apple.
#[derive(Debug)]
pub struct Apns {
    policy: HttpPolicy,
    environments: Environments,
    timeout: Duration,
    teams: Kept<Team>,
}

/// A team's key, with connections of its own: Apple ends one over which tokens of several teams come.
#[derive(Debug)]
struct Team {
    signer: Signer,
    /// Opens one connection to each environment.
    client: HttpClient,
}

/// Where Apple's environments are.
#[derive(Debug)]
pub(super) struct Environments {
    pub(super) production: Url,
    pub(super) sandbox: Url,
}

/// With which key, and for which app.
#[derive(Clone, Copy)]
pub struct ApnsAccess<'a> {
    /// The P-256 key as PEM.
    pub private_key: &'a str,
    /// What Apple calls it.
    pub key_id: &'a ApnsIdentifier,
    /// The team that it belongs to.
    pub team_id: &'a ApnsIdentifier,
    /// The app's bundle identifier.
    pub topic: &'a str,
    /// Whether Apple's development environment is meant.
    pub sandbox: bool,
}

impl Apns {
    pub(super) fn new(policy: HttpPolicy, environments: Environments, timeout: Duration) -> Self {
        Self {
            policy,
            environments,
            timeout,
            teams: Kept::default(),
        }
    }

    async fn exchange(
        &self,
        access: &ApnsAccess<'_>,
        device: &NotificationToken,
        message: &PushMessage<'_>,
        now: Timestamp,
    ) -> PushOutcome {
        // However its lines are broken, it is one key.
        let key: Zeroizing<String> = Zeroizing::new(access.private_key.split_ascii_whitespace().collect());
        let digest = Digest::of(&[&key, access.key_id.as_str(), access.team_id.as_str()]);
        // Whoever owns the credential: Apple knows the team and the key.
        let team = self.teams.get(digest, || {
            Signer::new(access).map(|signer| Team {
                signer,
                client: HttpClient::new(self.policy.clone()),
            })
        });
        let team = match team {
            Ok(team) => team,
            Err(error) => return PushOutcome::refused(format!("the APNs credential's signing key {error}")),
        };
        let mut refused = None;
        loop {
            let Some(token) = team.signer.token(now, refused.as_ref()) else {
                return PushOutcome::retry(
                    "APNs says that a token has expired that is not: check this server's clock",
                    None,
                );
            };
            let answer = match self.post(&team.client, access, device, message, &token).await {
                Ok(answer) => answer,
                Err(sent) => return sent,
            };
            match answer::judge(&answer, now) {
                Judgement::Final(sent) => return sent,
                Judgement::Again if refused.is_none() => refused = Some(token),
                Judgement::Again => {
                    return PushOutcome::retry(
                        "APNs says that a token has expired that is not: check this server's clock",
                        None,
                    );
                }
            }
        }
    }

    async fn post(
        &self,
        client: &HttpClient,
        access: &ApnsAccess<'_>,
        device: &NotificationToken,
        message: &PushMessage<'_>,
        token: &HeaderValue,
    ) -> Result<HttpAnswer, PushOutcome> {
        let base = if access.sandbox {
            &self.environments.sandbox
        } else {
            &self.environments.production
        };
        let mut url = base.clone();
        url.path_segments_mut()
            .map_err(|()| PushOutcome::refused("apns_url is no URL that has a path"))?
            .pop_if_empty()
            .extend(["3", "device", device.as_str()]);
        let topic = HeaderValue::from_str(access.topic);
        let topic = topic.ok().filter(|topic| !topic.is_empty()).ok_or_else(|| {
            PushOutcome::refused(
                "there is no topic: give the APNs credential the app's bundle identifier as its topic",
            )
        })?;
        let headers = headers(topic, token.clone(), message);
        let sent = post(client, &url, headers, payload::body(message));
        sent.await
            .map_err(|why| PushOutcome::retry(format!("APNs cannot be reached: {why}"), None))
    }
}

#[async_trait]
impl PushProvider for Apns {
    type Device = NotificationToken;
    type Access<'a> = ApnsAccess<'a>;

    async fn send(
        &self,
        access: &ApnsAccess<'_>,
        device: &NotificationToken,
        message: &PushMessage<'_>,
        now: Timestamp,
    ) -> PushOutcome {
        let sent = tokio::time::timeout(self.timeout, self.exchange(access, device, message, now));
        sent.await
            .unwrap_or_else(|_| PushOutcome::retry_device(0, "APNs did not answer in time", None))
    }
}

fn headers(topic: HeaderValue, token: HeaderValue, message: &PushMessage<'_>) -> HeaderMap {
    let text = |text: String| HeaderValue::try_from(text).ok();
    let named = |name| HeaderName::from_static(name);
    [
        (AUTHORIZATION, Some(token)),
        (CONTENT_TYPE, Some(HeaderValue::from_static("application/json"))),
        (named("apns-topic"), Some(topic)),
        (named("apns-push-type"), Some(HeaderValue::from_static("alert"))),
        (named("apns-priority"), Some(HeaderValue::from_static("10"))),
        (
            named("apns-expiration"),
            Some(HeaderValue::from(message.expires_at.seconds())),
        ),
        (named("apns-collapse-id"), text(message.challenge.to_string())),
        (named("apns-id"), text(uuid(message.id))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// The notification's identifier as Apple spells them (RFC 9562, section 4).
fn uuid(id: EventSid) -> String {
    let digits: String = id.to_string().chars().skip(EventSid::PREFIX.len()).collect();
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups
        .map(|group| digits.get(group).unwrap_or_default())
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_uuid() {
        let id = EventSid::from_bytes(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");
        assert_eq!(uuid(id), "01234567-89ab-cdef-0123-456789abcdef");
    }
}
