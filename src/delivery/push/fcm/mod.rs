//! Firebase Cloud Messaging: the HTTP v1 API, with tokens of a service account.

mod answer;
mod bearer;
mod collapse;
mod payload;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

use self::bearer::{Bearer, TokenPlace};
use self::collapse::CollapsePlaces;
use super::kept::{Digest, Kept};
use super::{Judgement, PushMessage, PushOutcome, PushProvider, post};
use crate::crypto::service_account::ServiceAccount;
use crate::delivery::http::{HttpAnswer, HttpClient};
use crate::domain::text::NotificationToken;
use crate::domain::time::Timestamp;

/// Where Google hands out tokens.
pub const GOOGLE_TOKENS: &str = "https://oauth2.googleapis.com/token";

/// Sends to Google.
#[derive(Debug)]
pub struct Fcm {
    client: HttpClient,
    base: Url,
    tokens: TokenPlace,
    timeout: Duration,
    bearers: Kept<Bearer>,
    places: CollapsePlaces,
}

/// With which key.
#[derive(Clone, Copy)]
pub struct FcmAccess<'a> {
    /// The service account's key as JSON.
    pub service_account: &'a str,
}

impl Fcm {
    pub(super) fn new(client: HttpClient, base: Url, tokens: Option<Url>, timeout: Duration) -> Self {
        Self {
            client,
            base,
            tokens: TokenPlace(tokens),
            timeout,
            bearers: Kept::default(),
            places: CollapsePlaces::default(),
        }
    }

    /// Whether a service account may name this place for its tokens. It is never asked: an account holder must not be
    /// able to make this server talk to whomever they like. But a file that names another place is not for this one.
    #[must_use]
    pub fn accepts_token_uri(&self, uri: &str) -> bool {
        uri == GOOGLE_TOKENS || self.tokens.0.is_some()
    }

    async fn exchange(
        &self,
        access: &FcmAccess<'_>,
        device: &NotificationToken,
        message: &PushMessage<'_>,
        now: Timestamp,
    ) -> PushOutcome {
        let digest = Digest::of(&[access.service_account]);
        let bearer = self.bearers.get(digest, || {
            ServiceAccount::parse(access.service_account).map(Bearer::new)
        });
        let bearer = match bearer {
            Ok(bearer) => bearer,
            Err(error) => return PushOutcome::refused(format!("the FCM credential's Secret {error}")),
        };
        let mut refused = None;
        loop {
            let token = match bearer
                .token(&self.client, &self.tokens, now, refused.as_ref())
                .await
            {
                Ok(token) => token,
                Err(sent) => return sent,
            };
            let answer = match self.post(&bearer, device, message, &token, now).await {
                Ok(answer) => answer,
                Err(sent) => return sent,
            };
            match answer::judge(&answer, now) {
                Judgement::Final(sent) => return sent,
                Judgement::Again if refused.is_none() => refused = Some(token),
                Judgement::Again => {
                    return PushOutcome::retry(
                        "FCM refuses a new access token; check that the service account may send messages",
                        None,
                    );
                }
            }
        }
    }

    async fn post(
        &self,
        bearer: &Bearer,
        device: &NotificationToken,
        message: &PushMessage<'_>,
        token: &HeaderValue,
        now: Timestamp,
    ) -> Result<HttpAnswer, PushOutcome> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| PushOutcome::refused("fcm_url is no URL that has a path"))?
            .pop_if_empty()
            .extend(["v1", "projects", bearer.project(), "messages:send"]);
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, token.clone()), (CONTENT_TYPE, json)]);
        let place = self.places.place(device, message, now);
        let sent = post(
            &self.client,
            &url,
            headers,
            payload::body(device, message, place, now),
        );
        sent.await
            .map_err(|why| PushOutcome::retry(format!("FCM cannot be reached: {why}"), None))
    }
}

#[async_trait]
impl PushProvider for Fcm {
    type Device = NotificationToken;
    type Access<'a> = FcmAccess<'a>;

    async fn send(
        &self,
        access: &FcmAccess<'_>,
        device: &NotificationToken,
        message: &PushMessage<'_>,
        now: Timestamp,
    ) -> PushOutcome {
        let sent = tokio::time::timeout(self.timeout, self.exchange(access, device, message, now));
        sent.await
            .unwrap_or_else(|_| PushOutcome::retry_device(0, "FCM did not answer in time", None))
    }
}
