//! Bytes that records carry without being able to read them: sealed secrets, hashes, fingerprints, public keys.
//!
//! They are made and understood in `crypto`; here they are only values that can be stored and compared.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret sealed under the master key. Useless without it, and without the record that it was sealed for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(#[serde(with = "serde_bytes")] pub(crate) Vec<u8>);

/// The keyed hash of a token that only its owner knows.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(#[serde(with = "serde_bytes")] pub(crate) [u8; 32]);

/// The keyed digest of a secret or key: equal for equal bindings, meaningless otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(#[serde(with = "serde_bytes")] pub(crate) [u8; 16]);

/// A device's public key: an uncompressed P-256 point (SEC 1, 2.3.3) that was validated when it was enrolled.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DevicePublicKey(#[serde(with = "serde_bytes")] pub(crate) [u8; 65]);

/// A point on P-256 in its uncompressed form (SEC 1, 2.3.3), checked to be one when it was read.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct P256Point(#[serde(with = "serde_bytes")] pub(crate) [u8; 65]);

impl Sealed {
    /// The envelope with these bytes; whether they are one shows when it is opened.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The envelope's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Fingerprint {
    /// As they stand in keys.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl DevicePublicKey {
    /// The bytes: 4, then both coordinates.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }
}

impl P256Point {
    /// The bytes: 4, then both coordinates.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

impl fmt::Debug for DevicePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DevicePublicKey(..)")
    }
}

impl fmt::Debug for P256Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256Point(..)")
    }
}
