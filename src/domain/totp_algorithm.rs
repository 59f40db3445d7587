//! The hash functions that a TOTP factor may be made with (RFC 6238, section 1.2).

use serde::{Deserialize, Serialize};

/// The hash under the HMAC of a TOTP factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum TotpAlgorithm {
    /// HMAC-SHA-1: what every authenticator app understands.
    #[default]
    Sha1,
    Sha256,
    Sha512,
}

impl TotpAlgorithm {
    pub(crate) const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name in settings and on the wire: `sha1`, `sha256` or `sha512`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm that [`as_str`](Self::as_str) gives this name; case counts.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The name in an otpauth URI: `SHA1`, `SHA256` or `SHA512`.
    #[must_use]
    pub fn otpauth_name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    /// How many bytes a new secret has: as many as the hash gives (RFC 6238, section 5.1).
    #[must_use]
    pub fn secret_length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_the_algorithm() {
        for algorithm in TotpAlgorithm::ALL {
            assert_eq!(TotpAlgorithm::from_name(algorithm.as_str()), Some(algorithm));
            assert_eq!(algorithm.otpauth_name().to_lowercase(), algorithm.as_str());
        }
        assert_eq!(TotpAlgorithm::from_name("SHA1"), None);
        assert_eq!(TotpAlgorithm::from_name("md5"), None);
    }

    #[test]
    fn serde_writes_the_wire_name() {
        for algorithm in TotpAlgorithm::ALL {
            let text = serde_json::to_string(&algorithm).unwrap();
            assert_eq!(text, format!("\"{}\"", algorithm.as_str()));
        }
    }
}
