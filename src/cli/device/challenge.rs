//! A challenge as the device sees it, and how it is shown.

use std::fmt;

use reqwest::Method;
use serde_json::{Value, json};

use super::error::DeviceError;
use super::http::printable;
use super::session::DeviceSession;

/// The parts of a challenge that a person decides by.
pub(super) struct ShownChallenge {
    pub(super) sid: String,
    status: String,
    expires: String,
    message: String,
    fields: Vec<(String, String)>,
    /// How many digits have to be typed to approve it.
    digits: Option<u64>,
}

impl ShownChallenge {
    /// Reads what the server says of a challenge.
    pub(super) fn read(value: &Value) -> Result<Self, DeviceError> {
        let text = |pointer: &str| {
            value
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(printable)
                .ok_or_else(|| DeviceError::Answer(format!("a challenge of the server's has no {pointer}")))
        };
        let part = |field: &Value, name: &str| field[name].as_str().map(printable).unwrap_or_default();
        let fields = value.pointer("/details/fields").and_then(Value::as_array);
        Ok(Self {
            sid: text("/sid")?,
            status: text("/status")?,
            expires: text("/expiration_date")?,
            message: text("/details/message")?,
            fields: fields
                .into_iter()
                .flatten()
                .map(|field| (part(field, "label"), part(field, "value")))
                .collect(),
            digits: digits_of(value),
        })
    }
}

impl ShownChallenge {
    /// It, for programs.
    pub(super) fn value(&self) -> Value {
        let fields = self.fields.iter();
        let fields = fields.map(|(label, value)| json!({"label": label, "value": value}));
        json!({
            "sid": self.sid, "status": self.status, "expiration_date": self.expires, "message": self.message,
            "fields": fields.collect::<Value>(), "digits": self.digits,
        })
    }
}

/// What stands above a list.
pub(super) const HEADER: &str =
    "CHALLENGE                           STATUS          EXPIRATION            MESSAGE\n";

/// One line, and one more for each field and for a number to type.
impl fmt::Display for ShownChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}  {:<8}  until {}  {}",
            self.sid, self.status, self.expires, self.message
        )?;
        for (label, value) in &self.fields {
            write!(f, "\n    {label}: {value}")?;
        }
        if let Some(digits) = self.digits {
            write!(
                f,
                "\n    asks for the {digits}-digit number that the login page shows"
            )?;
        }
        Ok(())
    }
}

/// How many digits have to be typed to approve a challenge, if it asks for a number.
pub(super) fn digits_of(challenge: &Value) -> Option<u64> {
    challenge
        .pointer("/number_matching/digits")
        .and_then(Value::as_u64)
}

/// The challenges of this device's factor, the newest first, `limit` at most, over as many pages as it takes.
pub(super) async fn list(
    session: &mut DeviceSession<'_>,
    status: Option<&str>,
    limit: usize,
) -> Result<Vec<ShownChallenge>, DeviceError> {
    let mut found = Vec::new();
    let mut page_token = None;
    loop {
        let mut query = vec![
            ("PageSize", limit.clamp(1, 50).to_string()),
            ("FactorSid", session.state.factor_sid.clone()),
            ("Order", "desc".to_owned()),
        ];
        query.extend(status.map(|status| ("Status", status.to_owned())));
        query.extend(page_token.take().map(|token| ("PageToken", token)));
        let answer = session
            .send(Method::GET, session.challenges(None), &query)
            .await?;
        let page = answer.body["challenges"]
            .as_array()
            .ok_or_else(|| DeviceError::Answer("the server's answer has no list of challenges".to_owned()))?;
        for challenge in page {
            found.push(ShownChallenge::read(challenge)?);
        }
        page_token = answer.body["meta"]["next_page_url"]
            .as_str()
            .and_then(page_token_of);
        if found.len() >= limit || page_token.is_none() || page.is_empty() {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

fn page_token_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let (_, token) = url.query_pairs().find(|(name, _)| name == "PageToken")?;
    Some(token.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_shown_with_its_fields_and_cannot_move_the_cursor() {
        let challenge = ShownChallenge::read(&json!({
            "sid": "YC01", "status": "pending", "expiration_date": "2026-01-01T00:05:00Z",
            "details": {"message": "Log in?\r", "fields": [{"label": "IP", "value": "10.0.0.1"}]},
            "number_matching": {"digits": 2},
        }));
        assert_eq!(
            challenge.unwrap().to_string(),
            "YC01  pending   until 2026-01-01T00:05:00Z  Log in?\u{fffd}\n    IP: 10.0.0.1\n    \
             asks for the 2-digit number that the login page shows"
        );
    }

    #[test]
    fn only_the_page_token_is_taken_from_the_next_url() {
        let url = "http://elsewhere/v2/x?PageSize=50&Page=1&PageToken=DN%2BYC01";
        assert_eq!(page_token_of(url).as_deref(), Some("DN+YC01"));
        assert_eq!(page_token_of("http://elsewhere/v2/x?PageSize=50"), None);
    }
}
