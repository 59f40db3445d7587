//! Provider tokens: JWTs that Apple accepts for an hour and wants renewed every 20 to 60 minutes, not more often.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use serde_json::json;
use zeroize::Zeroizing;

use super::ApnsAccess;
use crate::crypto::provider_key::{BadKey, ProviderKey};
use crate::domain::text::ApnsIdentifier;
use crate::domain::time::Timestamp;

/// How long a token is used.
const LIFE: Duration = Duration::from_mins(40);

/// Apple refuses tokens that are renewed more often than this.
const SHORTEST_LIFE: Duration = Duration::from_mins(20);

/// A key, and the token that it signed last.
#[derive(Debug)]
pub(super) struct Signer {
    key: ProviderKey,
    key_id: ApnsIdentifier,
    team_id: ApnsIdentifier,
    last: Mutex<Option<(HeaderValue, Timestamp)>>,
}

impl Signer {
    pub(super) fn new(access: &ApnsAccess<'_>) -> Result<Self, BadKey> {
        Ok(Self {
            key: ProviderKey::es256_from_pem(access.private_key)?,
            key_id: access.key_id.clone(),
            team_id: access.team_id.clone(),
            last: Mutex::default(),
        })
    }

    /// The value of `authorization`; another one than `refused`, which Apple said has expired. `None` if there cannot be
    /// a new one so soon: whatever Apple says, none is made within 20 minutes of the last one.
    pub(super) fn token(&self, now: Timestamp, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, made)) = &*last {
            // A clock that was set back makes no token older, and none younger than one that was just made.
            let age = now.since(*made);
            let rejected = refused.is_some_and(|refused| refused == token);
            if rejected && age < SHORTEST_LIFE {
                return None;
            }
            if !rejected && age < LIFE && *made <= now + LIFE {
                return Some(token.clone());
            }
        }
        let claims = json!({"iss": self.team_id.as_str(), "iat": now.seconds()});
        let token = self.key.sign(Some(self.key_id.as_str()), &claims).ok()?;
        let text = Zeroizing::new(format!("bearer {}", token.as_str()));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        *last = Some((value.clone(), now));
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn signer() -> Signer {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let body = STANDARD.encode(pair.to_pkcs8v1().unwrap().as_ref());
        let id = ApnsIdentifier::parse("ABCDE12345").unwrap();
        Signer::new(&ApnsAccess {
            private_key: &format!("-----BEGIN PRIVATE KEY-----{body}-----END PRIVATE KEY-----"),
            key_id: &id,
            team_id: &id,
            topic: "x",
            sandbox: false,
        })
        .unwrap()
    }

    #[test]
    fn a_token_is_used_for_forty_minutes() {
        let signer = signer();
        let at = |minutes: u64| signer.token(Timestamp::from_seconds(1_800_000_000 + 60 * minutes), None);
        let first = at(0).unwrap();
        assert!(first.is_sensitive());
        assert_eq!(at(39), Some(first.clone()));
        let second = at(40).unwrap();
        assert_ne!(second, first);
        assert_eq!(at(79), Some(second));
    }

    #[test]
    fn a_token_that_apple_refuses_is_renewed_no_oftener_than_every_twenty_minutes() {
        let signer = signer();
        let moment = |minutes: u64| Timestamp::from_seconds(1_800_000_000 + 60 * minutes);
        let first = signer.token(moment(0), None).unwrap();
        for minutes in [0, 1, 19] {
            assert_eq!(signer.token(moment(minutes), Some(&first)), None);
            assert_eq!(signer.token(moment(minutes), None), Some(first.clone()));
        }
        let second = signer.token(moment(20), Some(&first)).unwrap();
        assert_ne!(second, first);
        // Somebody else whose first one was refused gets the second, and does not make a third.
        assert_eq!(signer.token(moment(21), Some(&first)), Some(second.clone()));
        assert_eq!(signer.token(moment(39), Some(&second)), None);
        assert!(signer.token(moment(40), Some(&second)).is_some());
    }

    #[test]
    fn a_clock_that_goes_back_and_forth_makes_no_new_tokens() {
        let signer = signer();
        let at = |minutes: u64| signer.token(Timestamp::from_seconds(1_800_000_000 + 60 * minutes), None);
        let first = at(30).unwrap();
        for minutes in [29, 31, 0, 69, 10] {
            assert_eq!(at(minutes), Some(first.clone()), "{minutes}");
        }
    }
}
