//! Web Push: who may be reached ([`subscription`]), what is sent ([`encryption`], RFC 8291), and who sends it ([`vapid`],
//! RFC 8292).

pub mod encryption;
pub mod subscription;
pub mod vapid;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::domain::entropy::Entropy;
use crate::domain::opaque::P256Point;

impl P256Point {
    /// The point that these bytes are in the uncompressed form of SEC 1; none if they are something else, or the point
    /// is not on the curve.
    #[must_use]
    pub fn from_sec1(bytes: &[u8]) -> Option<Self> {
        let point: [u8; 65] = bytes.try_into().ok()?;
        // The cofactor is one: a point on the curve that is not infinity, which has no such encoding, is a good key.
        p256::PublicKey::from_sec1_bytes(&point)
            .is_ok()
            .then_some(Self(point))
    }
}

/// A fresh private key, its public half, and the bytes that it can be made of again (SEC 1, 3.2.1).
fn generate(entropy: &dyn Entropy) -> (PrivateKey, P256Point, Zeroizing<[u8; 32]>) {
    let mut scalar = Zeroizing::new([0; 32]);
    loop {
        entropy.fill(scalar.as_mut_slice());
        // One in 2^32 texts of 32 random bytes is not below the group's order, and is drawn again.
        if let Some((private, public)) = read_scalar(&scalar) {
            return (private, public, scalar);
        }
    }
}

/// The key pair of a private key's bytes; none if they are no number from 1 to the group's order less 1.
fn read_scalar(scalar: &[u8; 32]) -> Option<(PrivateKey, P256Point)> {
    let private = PrivateKey::from_private_key(&ECDH_P256, scalar).ok()?;
    let public = private.compute_public_key().ok()?;
    let public = P256Point(public.as_ref().try_into().ok()?);
    Some((private, public))
}

/// Base64url as browsers (without padding) and some libraries (with it) write it.
const EITHER_PADDING: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
