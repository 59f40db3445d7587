//! What a webhook's messages are signed with, so that their receiver can tell them from anybody else's.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::domain::entropy::Entropy;

/// A webhook signing secret: 256 random bits.
pub struct WebhookSecret(Zeroizing<[u8; LENGTH]>);

impl WebhookSecret {
    /// 256 new random bits.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        entropy.fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// The one with these bytes; none unless there are 32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The bytes, to be sealed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// How it is shown, this once: `whsec_` and Base64, the form of the Standard Webhooks specification.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let encoded = Zeroizing::new(STANDARD.encode(self.0.as_slice()));
        Zeroizing::new([PREFIX, &encoded].concat())
    }

    /// A signature as the Standard Webhooks specification has it: `v1,` and the Base64 of HMAC-SHA256 over the message's
    /// identifier, the Unix time in seconds and the body, joined by full stops. The key is the 32 bytes.
    #[must_use]
    pub fn sign_standard(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice());
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }

    /// A signature as Twilio's helper libraries check it: the Base64 of HMAC-SHA1 over `signed`. The key is the text
    /// that [`reveal`](Self::reveal) shows: to those libraries it is an auth token like any other.
    #[must_use]
    pub fn sign_sha1(&self, signed: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.reveal().as_bytes());
        STANDARD.encode(hmac::sign(&key, signed.as_bytes()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

const LENGTH: usize = 32;
const PREFIX: &str = "whsec_";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    #[test]
    fn it_is_shown_as_the_specification_has_it_and_debug_shows_nothing() {
        let secret = WebhookSecret::from_bytes(&[0xff; 32]).unwrap();
        assert_eq!(
            secret.reveal().as_str(),
            "whsec_//////////////////////////////////////////8="
        );
        assert_eq!(format!("{secret:?}"), "WebhookSecret(..)");
        assert!(WebhookSecret::from_bytes(&[0; 31]).is_none());
        let entropy = SeededEntropy::new(1);
        let (one, other) = (
            WebhookSecret::generate(&entropy),
            WebhookSecret::generate(&entropy),
        );
        assert_ne!(one.as_bytes(), other.as_bytes());
    }
}
