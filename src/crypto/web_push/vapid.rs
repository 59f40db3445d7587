//! Voluntary application server identification (VAPID, RFC 8292): push services know this server by its key, and a
//! subscription that was made for the key takes messages of nobody else.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{generate, read_scalar};
use crate::domain::entropy::Entropy;
use crate::domain::opaque::P256Point;
use crate::domain::time::Timestamp;

/// The key that this server identifies itself with to push services.
pub struct VapidKey {
    pair: EcdsaKeyPair,
    public: P256Point,
}

impl VapidKey {
    /// How long a token is good for. RFC 8292, section 2, allows 24 hours.
    pub const TOKEN_LIFE: Duration = Duration::from_hours(12);

    /// The bytes of a new private key, and its public half.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> (Zeroizing<[u8; 32]>, P256Point) {
        let (_, public, scalar) = generate(entropy);
        (scalar, public)
    }

    /// The key of these bytes; none if they are not what [`generate`](Self::generate) gave.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let scalar = Zeroizing::new(<[u8; 32]>::try_from(bytes).ok()?);
        let (_, public) = read_scalar(&scalar)?;
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar.as_slice(), public.as_bytes())
                .ok()?;
        Some(Self { pair, public })
    }

    /// The public half, which browsers and push services know the operator by (RFC 8292).
    #[must_use]
    pub fn public(&self) -> &P256Point {
        &self.public
    }

    /// The value of `Authorization` for a push service's origin (RFC 8292, section 3): a token that was issued at `now`,
    /// and the key that checks it. `contact` is a `mailto:` or `https:` URI at which the operator can be reached.
    /// None if the library cannot sign, which it does not do with a good key.
    #[must_use]
    pub fn authorization(&self, origin: &str, contact: Option<&str>, now: Timestamp) -> Option<String> {
        let mut claims = Map::new();
        claims.insert("aud".to_owned(), origin.into());
        claims.insert("exp".to_owned(), (now + Self::TOKEN_LIFE).seconds().into());
        if let Some(contact) = contact {
            claims.insert("sub".to_owned(), contact.into());
        }
        let input = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ES256"}"#),
            URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string())
        );
        // The library draws the signature's nonce itself, whatever source it is handed.
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes()).ok()?;
        Some(format!(
            "vapid t={input}.{}, k={}",
            URL_SAFE_NO_PAD.encode(signature.as_ref()),
            self.public.to_base64url()
        ))
    }
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VapidKey(..)")
    }
}

impl P256Point {
    /// Base64url without padding, as RFC 8292 and `PushManager.subscribe()` write an application server's key.
    #[must_use]
    pub fn to_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::json;

    use super::*;
    use crate::doubles::SeededEntropy;

    const NOW: Timestamp = Timestamp::MAX;

    fn key(seed: u64) -> VapidKey {
        VapidKey::from_bytes(VapidKey::generate(&SeededEntropy::new(seed)).0.as_slice()).unwrap()
    }

    /// The claims of an authorization, after its signature was checked with the key in it.
    fn claims(authorization: &str) -> (Value, Vec<u8>) {
        let (token, k) = authorization
            .strip_prefix("vapid t=")
            .unwrap()
            .split_once(", k=")
            .unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let (header, payload) = input.split_once('.').unwrap();
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        assert_eq!(decoded(header), br#"{"typ":"JWT","alg":"ES256"}"#);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decoded(k))
            .verify(input.as_bytes(), &decoded(signature))
            .unwrap();
        (serde_json::from_slice(&decoded(payload)).unwrap(), decoded(k))
    }

    #[test]
    fn a_token_says_to_whom_until_when_and_of_whom() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let authorization =
            key(1).authorization("https://push.example.net", Some("mailto:ops@example.com"), now);
        let (claims, k) = claims(&authorization.unwrap());
        let expected =
            json!({"aud": "https://push.example.net", "exp": 1_800_043_200, "sub": "mailto:ops@example.com"});
        assert_eq!(claims, expected);
        assert_eq!(k, key(1).public().as_bytes());
    }

    #[test]
    fn without_a_contact_nothing_is_said_of_one() {
        let authorization = key(1)
            .authorization("https://push.example.net", None, NOW)
            .unwrap();
        assert_eq!(claims(&authorization).0.get("sub"), None);
    }

    #[test]
    fn a_key_is_made_of_its_bytes_again() {
        let (bytes, public) = VapidKey::generate(&SeededEntropy::new(5));
        assert_eq!(VapidKey::from_bytes(bytes.as_slice()).unwrap().public(), &public);
        assert_ne!(key(6).public(), &public);
        assert_eq!(format!("{:?}", key(5)), "VapidKey(..)");
        for bad in [&[0; 32][..], &[0xff; 32], &bytes[..31], b""] {
            assert!(VapidKey::from_bytes(bad).is_none());
        }
    }
}
