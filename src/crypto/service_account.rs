//! The key of a Google service account: the JSON file that the Cloud console hands out.

use std::fmt;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::provider_key::{BadKey, ProviderKey};
use super::unique_json;

/// A service account that may send messages for a Firebase project.
pub struct ServiceAccount {
    /// Who asks for tokens.
    pub client_email: String,
    /// For whose apps messages are sent.
    pub project_id: String,
    /// What Google calls the key.
    pub private_key_id: Option<String>,
    /// Where the file says that tokens are to be had.
    pub token_uri: Option<String>,
    /// What signs the requests for tokens.
    pub key: ProviderKey,
    private_key: Zeroizing<String>,
}

/// The text is no usable service account key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadServiceAccount {
    /// It is something else, such as a server key of the API that was switched off in 2024.
    #[error(
        "must be the JSON of a service account's private key (Firebase console, Project settings, Service accounts, \
         Generate new private key); server keys of the legacy API no longer work"
    )]
    NoJson,
    /// A member is missing or is not what it has to be.
    #[error("is a JSON object whose member {0} is missing or malformed")]
    Member(&'static str),
    /// The key in it is not usable.
    #[error("is a JSON object whose private_key {0}")]
    Key(BadKey),
}

impl ServiceAccount {
    /// Reads the file: at most 16 KiB of JSON without repeated names.
    ///
    /// # Errors
    /// [`BadServiceAccount`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, BadServiceAccount> {
        if text.len() > 16 * 1024 {
            return Err(BadServiceAccount::NoJson);
        }
        let mut object = unique_json::parse_object(text.as_bytes()).map_err(|_| BadServiceAccount::NoJson)?;
        if object.get("type").is_some_and(|kind| kind != "service_account") {
            return Err(BadServiceAccount::NoJson);
        }
        let private_key = member(&mut object, "private_key", |_| true)?;
        let private_key = Zeroizing::new(private_key.ok_or(BadServiceAccount::Member("private_key"))?);
        let client_email = member(&mut object, "client_email", |text| {
            text.contains('@') && plain(text, 320)
        })?;
        let project_id = member(&mut object, "project_id", |text| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':');
            plain(text, 100) && text.bytes().all(allowed) && !text.starts_with('.')
        })?;
        Ok(Self {
            client_email: client_email.ok_or(BadServiceAccount::Member("client_email"))?,
            project_id: project_id.ok_or(BadServiceAccount::Member("project_id"))?,
            private_key_id: member(&mut object, "private_key_id", |text| plain(text, 200))?,
            token_uri: member(&mut object, "token_uri", |text| plain(text, 2000))?,
            key: ProviderKey::rs256_from_pem(&private_key).map_err(BadServiceAccount::Key)?,
            private_key,
        })
    }

    /// What [`parse`](Self::parse) needs, and nothing else that the file held: for sealing it.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let object = json!({
            "client_email": self.client_email,
            "project_id": self.project_id,
            "private_key_id": self.private_key_id,
            "private_key": self.private_key.as_str(),
        });
        Zeroizing::new(object.to_string())
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccount({})", self.project_id)
    }
}

fn member(
    object: &mut Map<String, Value>,
    name: &'static str,
    valid: impl Fn(&str) -> bool,
) -> Result<Option<String>, BadServiceAccount> {
    match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if valid(&text) => Ok(Some(text)),
        Some(_) => Err(BadServiceAccount::Member(name)),
    }
}

fn plain(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn file() -> Value {
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let body = STANDARD.encode(der.as_ref());
        json!({
            "type": "service_account",
            "project_id": "owl-bank",
            "private_key_id": "k1",
            "private_key": format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
            "client_email": "push@owl-bank.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
        })
    }

    #[test]
    fn what_is_kept_reads_as_what_was_given() {
        let first = ServiceAccount::parse(&file().to_string()).unwrap();
        assert_eq!(
            first.token_uri.as_deref(),
            Some("https://oauth2.googleapis.com/token")
        );
        let again = ServiceAccount::parse(&first.to_json()).unwrap();
        assert_eq!(
            (
                again.client_email,
                again.project_id.as_str(),
                again.private_key_id.as_deref(),
                again.token_uri
            ),
            (first.client_email.clone(), "owl-bank", Some("k1"), None)
        );
        assert_eq!(format!("{first:?}"), "ServiceAccount(owl-bank)");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = file();
        for (name, value) in [
            ("client_email", json!("nobody")),
            ("client_email", Value::Null),
            ("project_id", json!("../x")),
            ("project_id", json!("a/b")),
            ("project_id", json!(1)),
            ("private_key_id", json!("a\nb")),
            ("private_key", Value::Null),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            let error = ServiceAccount::parse(&bad.to_string()).unwrap_err();
            assert_eq!(error, BadServiceAccount::Member(name));
        }
        let mut bad = good.clone();
        bad["private_key"] = "x".into();
        let error = ServiceAccount::parse(&bad.to_string()).unwrap_err();
        assert_eq!(error, BadServiceAccount::Key(BadKey::NoPem));
        bad["type"] = "authorized_user".into();
        for text in [bad.to_string(), "AAAAlegacy:key".to_owned(), "[]".to_owned()] {
            assert_eq!(
                ServiceAccount::parse(&text).unwrap_err(),
                BadServiceAccount::NoJson
            );
        }
    }
}
