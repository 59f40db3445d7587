//! What the URL of a silent authentication ends in.
//!
//! ```text
//! base64url(verification (16 bytes) | service (16) | random (32))
//! ```
//! The identifiers lead to the record without a search; the random bytes are the secret. The record keeps a hash of the
//! whole ([`token_hash`](crate::crypto::vault::Vault::token_hash), the verification its owner).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::domain::entropy::Entropy;
use crate::domain::sid::{ServiceSid, VerificationSid};

/// What the URL of a silent authentication ends in.
#[derive(Clone)]
pub struct SilentToken(Zeroizing<String>);

/// The verification that a token speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SilentTarget {
    pub(super) service: ServiceSid,
    pub(super) verification: VerificationSid,
}

impl SilentToken {
    /// A new one.
    #[must_use]
    pub fn draw(service: ServiceSid, verification: VerificationSid, entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        bytes[..16].copy_from_slice(verification.as_bytes());
        bytes[16..32].copy_from_slice(service.as_bytes());
        entropy.fill(&mut bytes[32..]);
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
    }

    /// The text: for the URL, and for hashing it.
    #[must_use]
    pub fn reveal(&self) -> &Zeroizing<String> {
        &self.0
    }

    /// Which verification `text` speaks of; `None` if it is no such token. Whether it is the verification's own only the
    /// hash can tell.
    pub(super) fn verification_of(text: &str) -> Option<SilentTarget> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        if bytes.len() != LENGTH {
            return None;
        }
        let (mut verification, mut service) = ([0; 16], [0; 16]);
        verification.copy_from_slice(&bytes[..16]);
        service.copy_from_slice(&bytes[16..32]);
        Some(SilentTarget {
            service: ServiceSid::from_bytes(service),
            verification: VerificationSid::from_bytes(verification),
        })
    }
}

impl fmt::Debug for SilentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SilentToken(..)")
    }
}

/// What the device gets when its network knows it, and a check has to name, if the caller wants that: 256 bits.
pub(super) fn draw_client_token(entropy: &dyn Entropy) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy.fill(bytes.as_mut_slice());
    Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

const LENGTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    #[test]
    fn a_token_leads_to_its_verification() {
        let (service, verification) = (
            ServiceSid::from_bytes([1; 16]),
            VerificationSid::from_bytes([2; 16]),
        );
        let entropy = SeededEntropy::new(1);
        let token = SilentToken::draw(service, verification, &entropy);
        let text = token.reveal().as_str();
        let target = SilentTarget {
            service,
            verification,
        };
        assert_eq!(SilentToken::verification_of(text), Some(target));
        let another = SilentToken::draw(service, verification, &entropy);
        assert_ne!(another.reveal().as_str(), text);
        assert_eq!(format!("{token:?}"), "SilentToken(..)");
        for wrong in ["", "x", "\u{e4}", &text[1..], &format!("{text}AA"), "../../x"] {
            assert_eq!(SilentToken::verification_of(wrong), None, "{wrong}");
        }
    }
}
