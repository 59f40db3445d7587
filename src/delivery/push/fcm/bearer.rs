//! Access tokens: asked for with a JWT of the service account (RFC 7523), used until shortly before they expire.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;
use zeroize::Zeroizing;

use super::GOOGLE_TOKENS;
use crate::crypto::service_account::ServiceAccount;
use crate::delivery::http::{HttpAnswer, HttpClient};
use crate::delivery::push::{PushOutcome, post, word};
use crate::domain::time::Timestamp;

/// What the token is for, and nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_mins(1);

/// Where tokens are asked for, if the operator said so; at Google otherwise.
#[derive(Debug)]
pub(super) struct TokenPlace(pub(super) Option<Url>);

/// A service account, and the token that it got last.
#[derive(Debug)]
pub(super) struct Bearer {
    account: ServiceAccount,
    /// Held while a token is asked for: everybody else waits for that one.
    last: Mutex<Option<(HeaderValue, Timestamp)>>,
}

impl Bearer {
    pub(super) fn new(account: ServiceAccount) -> Self {
        Self {
            account,
            last: Mutex::default(),
        }
    }

    /// The project that messages are sent for.
    pub(super) fn project(&self) -> &str {
        &self.account.project_id
    }

    /// The value of `Authorization`; another one than `refused`.
    pub(super) async fn token(
        &self,
        client: &HttpClient,
        place: &TokenPlace,
        now: Timestamp,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, PushOutcome> {
        let mut last = self.last.lock().await;
        if let Some((token, until)) = last.as_ref()
            && now < *until
            && refused.is_none_or(|refused| refused != token)
        {
            return Ok(token.clone());
        }
        *last = None;
        let (token, until) = self.ask(client, place, now).await?;
        *last = Some((token.clone(), until));
        Ok(token)
    }

    async fn ask(
        &self,
        client: &HttpClient,
        place: &TokenPlace,
        now: Timestamp,
    ) -> Result<(HeaderValue, Timestamp), PushOutcome> {
        let url = place.0.clone().map_or_else(|| Url::parse(GOOGLE_TOKENS), Ok);
        let url = url.map_err(|_| PushOutcome::refused("fcm_token_url is no URL"))?;
        let claims = json!({
            "iss": self.account.client_email,
            "scope": SCOPE,
            "aud": url.as_str(),
            "iat": now.seconds(),
            "exp": now.seconds() + 3600,
        });
        let assertion = self
            .account
            .key
            .sign(self.account.private_key_id.as_deref(), &claims)
            .map_err(|error| PushOutcome::retry(error.to_string(), None))?;
        let body = Zeroizing::new(
            form_urlencoded::Serializer::new(String::new())
                .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
                .append_pair("assertion", &assertion)
                .finish(),
        );
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, form)]);
        let answer = post(client, &url, headers, body.as_bytes().to_vec()).await;
        let answer =
            answer.map_err(|why| PushOutcome::retry(format!("no access token for FCM: {why}"), None))?;
        read(&answer, now).map_err(|why| PushOutcome::retry(why, answer.retry_after(now)))
    }
}

/// The token and when it is to be given up, or what is wrong with the answer.
fn read(answer: &HttpAnswer, now: Timestamp) -> Result<(HeaderValue, Timestamp), String> {
    let status = answer.status;
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let text = |name| body.as_ref()?.get(name)?.as_str();
    if status != 200 {
        let (error, more) = (text("error"), text("error_description"));
        return Err(format!(
            "no access token for FCM: the token endpoint answered {status} {} {}; check the service account's key in \
             Secret of the FCM credential",
            word(error.unwrap_or("without a reason"), 64),
            word(more.unwrap_or_default(), 200)
        ));
    }
    let unusable = || "no access token for FCM: the token endpoint's answer cannot be read".to_owned();
    let token = text("access_token").ok_or_else(unusable)?;
    let header = Zeroizing::new(format!("Bearer {token}"));
    let mut header = HeaderValue::from_str(&header).map_err(|_| unusable())?;
    header.set_sensitive(true);
    let life = body.as_ref().and_then(|body| body.get("expires_in")?.as_u64());
    let life = Duration::from_secs(life.unwrap_or(3600).min(24 * 3600));
    // A token of hardly any life is used once.
    Ok((header, now + life.saturating_sub(MARGIN)))
}
