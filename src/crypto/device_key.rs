//! The public half of a device's key: ECDSA on P-256 with SHA-256, which JOSE calls ES256.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::master_key::EITHER_PADDING;
use crate::domain::opaque::DevicePublicKey;

impl DevicePublicKey {
    /// A key that nobody has the private half of: its first coordinate is the SHA-256 of a sentence. A signature that is
    /// said to be of an unknown device is checked with it, for the time that this takes.
    pub(crate) const OF_NOBODY: Self = Self([
        0x04, 0x4d, 0x24, 0x2f, 0xe2, 0x30, 0x35, 0x35, 0xf4, 0x01, 0xf1, 0x85, 0xa8, 0x5a, 0x12, 0xb5, 0xdb,
        0xe7, 0xe7, 0x10, 0xaf, 0x4d, 0xcb, 0xc8, 0x0c, 0x58, 0x4a, 0x52, 0xb6, 0xd8, 0x05, 0x0b, 0x09, 0x95,
        0x30, 0x1d, 0xc3, 0x86, 0xd4, 0x34, 0xb2, 0x03, 0x62, 0x36, 0x52, 0xf9, 0xcc, 0xda, 0x37, 0x80, 0x9a,
        0x85, 0x48, 0x6b, 0x5c, 0x3b, 0x4d, 0x0a, 0x55, 0xe1, 0x49, 0x4d, 0x0c, 0x40, 0xe0,
    ]);

    /// Reads the standard base64, padded or not, of the DER of a `SubjectPublicKeyInfo` (RFC 5480): the algorithm
    /// `id-ecPublicKey`, the named curve `prime256v1` and an uncompressed point. That is 91 bytes, of which there is
    /// one right spelling; no other is accepted, so that equal keys are equal texts.
    ///
    /// # Errors
    /// When the text is anything else, or the point is not on the curve.
    pub fn from_spki_base64(text: &str) -> Result<Self, DeviceKeyError> {
        if text.len() > MAX_TEXT_LENGTH {
            return Err(DeviceKeyError::WrongLength);
        }
        let der = EITHER_PADDING
            .decode(text)
            .map_err(|_| DeviceKeyError::NotBase64)?;
        if der.len() != SPKI_HEADER.len() + POINT_LENGTH {
            return Err(DeviceKeyError::WrongLength);
        }
        let (header, point) = der.split_at(SPKI_HEADER.len());
        if header != SPKI_HEADER || point[0] != UNCOMPRESSED {
            return Err(DeviceKeyError::NotP256);
        }
        // The cofactor is one: a point on the curve that is not infinity, which has no such encoding, is a good key.
        let point: [u8; POINT_LENGTH] = p256::PublicKey::from_sec1_bytes(point)
            .ok()
            .and_then(|_| point.try_into().ok())
            .ok_or(DeviceKeyError::NotOnCurve)?;
        Ok(Self(point))
    }

    /// The text that [`from_spki_base64`](Self::from_spki_base64) reads: base64, padded.
    #[must_use]
    pub fn to_spki_base64(&self) -> String {
        STANDARD.encode([SPKI_HEADER, &self.0].concat())
    }

    /// The point in the uncompressed form of SEC 1: the byte 4 and two coordinates of 32 bytes.
    #[must_use]
    pub fn as_sec1_bytes(&self) -> &[u8; POINT_LENGTH] {
        &self.0
    }

    /// Whether this key signed `message`; the signature is the DER of an `ECDSA-Sig-Value` (RFC 3279, section 2.2.3).
    #[must_use]
    pub fn verify_der(&self, message: &[u8], signature_der: &[u8]) -> bool {
        let verified = ECDSA_P256_SHA256_ASN1.verify_sig(&self.0, message, signature_der);
        verified.is_ok()
    }
}

/// Why a text is no public key of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceKeyError {
    /// The text is no standard base64.
    #[error("the public key must be standard base64")]
    NotBase64,
    /// The coordinates are those of no point on P-256.
    #[error("the public key is not a point on the curve P-256")]
    NotOnCurve,
    /// The DER names another algorithm or curve, or is spelt in another way.
    #[error("the public key must be a SubjectPublicKeyInfo with an uncompressed point on P-256")]
    NotP256,
    /// The DER does not have 91 bytes.
    #[error("the public key must be a SubjectPublicKeyInfo of 91 bytes")]
    WrongLength,
}

const POINT_LENGTH: usize = 65;
const UNCOMPRESSED: u8 = 4;
/// Nobody decodes more than this only to say that it is too long.
const MAX_TEXT_LENGTH: usize = 1024;
/// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of 66 bytes with no unused bits }
const SPKI_HEADER: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

#[cfg(test)]
mod tests {
    use p256::pkcs8::EncodePublicKey;

    use super::super::jws::is_signed_by;
    use super::super::tests::device::TestDevice;
    use super::*;

    fn refusal(der: &[u8]) -> DeviceKeyError {
        DevicePublicKey::from_spki_base64(&STANDARD.encode(der)).unwrap_err()
    }

    fn spki(point: &[u8]) -> Vec<u8> {
        [SPKI_HEADER, point].concat()
    }

    /// A point that is on no curve would be refused before anything is computed.
    #[test]
    fn the_key_of_nobody_is_one_and_its_first_coordinate_is_a_hash() {
        let nobody = DevicePublicKey::OF_NOBODY;
        assert_eq!(
            DevicePublicKey::from_spki_base64(&nobody.to_spki_base64()),
            Ok(nobody)
        );
        let hash =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"countersign: the key of no device");
        assert_eq!(&nobody.0[1..33], hash.as_ref());
    }

    #[test]
    fn a_key_of_an_sdk_is_read_and_written_back() {
        let device = TestDevice::new();
        let text = device.key().to_spki_base64();
        assert!(
            text.starts_with("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE") && text.len() == 124,
            "{text}"
        );
        assert_eq!(DevicePublicKey::from_spki_base64(&text), Ok(device.key()));
        assert_eq!(
            DevicePublicKey::from_spki_base64(text.trim_end_matches('=')),
            Ok(device.key())
        );
    }

    #[test]
    fn the_der_is_what_another_library_writes() {
        let device = TestDevice::new();
        let theirs = p256::PublicKey::from_sec1_bytes(device.key().as_sec1_bytes()).unwrap();
        let der = theirs.to_public_key_der().unwrap();
        assert_eq!(STANDARD.encode(der.as_bytes()), device.key().to_spki_base64());
    }

    #[test]
    fn points_off_the_curve_are_refused() {
        let good = *TestDevice::new().key().as_sec1_bytes();
        let mut moved = good;
        moved[64] ^= 1;
        let mut coordinate_is_p = good;
        coordinate_is_p[1..33].copy_from_slice(&P);
        let mut infinity = [0; 65];
        infinity[0] = UNCOMPRESSED;
        for point in [moved, coordinate_is_p, infinity] {
            assert_eq!(refusal(&spki(&point)), DeviceKeyError::NotOnCurve);
        }
    }

    #[test]
    fn other_curves_algorithms_and_point_forms_are_refused() {
        let good = *TestDevice::new().key().as_sec1_bytes();
        // secp256k1 (1.3.132.0.10) has the same sizes but for its shorter name.
        let mut secp256k1 = vec![0x30, 0x56, 0x30, 0x10, 0x06, 0x07];
        secp256k1.extend_from_slice(&SPKI_HEADER[6..13]);
        secp256k1.extend_from_slice(&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a, 0x03, 0x42, 0x00]);
        secp256k1.extend_from_slice(&good);
        assert_eq!(refusal(&secp256k1), DeviceKeyError::WrongLength);
        let mut other_curve = spki(&good);
        other_curve[22] ^= 1;
        assert_eq!(refusal(&other_curve), DeviceKeyError::NotP256);
        for form in [0, 2, 3, 5, 6, 7] {
            let mut point = good;
            point[0] = form;
            assert_eq!(refusal(&spki(&point)), DeviceKeyError::NotP256, "{form}");
        }
        let mut compressed = vec![0x30, 0x39];
        compressed.extend_from_slice(&SPKI_HEADER[2..23]);
        compressed.extend_from_slice(&[0x03, 0x22, 0x00, 2 + (good[64] & 1)]);
        compressed.extend_from_slice(&good[1..33]);
        assert_eq!(refusal(&compressed), DeviceKeyError::WrongLength);
        // Infinity in its own encoding, one byte.
        assert_eq!(refusal(&spki(&[0])), DeviceKeyError::WrongLength);
    }

    #[test]
    fn wrong_lengths_and_texts_are_refused() {
        let good = *TestDevice::new().key().as_sec1_bytes();
        assert_eq!(refusal(&[]), DeviceKeyError::WrongLength);
        assert_eq!(refusal(&good), DeviceKeyError::WrongLength);
        assert_eq!(refusal(&spki(&good[..64])), DeviceKeyError::WrongLength);
        assert_eq!(
            refusal(&[spki(&good).as_slice(), b"\0"].concat()),
            DeviceKeyError::WrongLength
        );
        assert_eq!(refusal(&[0; 5000]), DeviceKeyError::WrongLength);
        let text = STANDARD.encode(spki(&good));
        for bad in [
            format!(" {text}"),
            format!("{text}\n"),
            format!("{text}="),
            text.replace("MFkw", "MF-w"),
            // The last digit carries two bits too many: set, they spell the same bytes again.
            format!("{}{}", &text[..122], char::from(text.as_bytes()[122] + 1)),
        ] {
            assert_eq!(
                DevicePublicKey::from_spki_base64(&bad),
                Err(DeviceKeyError::NotBase64),
                "{bad}"
            );
        }
    }

    #[test]
    fn signatures_hold_for_one_key_and_one_message() {
        let (device, other) = (TestDevice::new(), TestDevice::new());
        let (der, fixed) = (device.sign_der(b"message"), device.sign_fixed(b"message"));
        assert!(device.key().verify_der(b"message", &der));
        assert!(is_signed_by(&device.key(), b"message", &fixed));
        assert!(!device.key().verify_der(b"Message", &der));
        assert!(!is_signed_by(&device.key(), b"Message", &fixed));
        assert!(!other.key().verify_der(b"message", &der));
        assert!(!is_signed_by(&other.key(), b"message", &fixed));
        assert!(!device.key().verify_der(b"message", &fixed));
        assert!(!is_signed_by(&device.key(), b"message", &der));
        assert!(!device.key().verify_der(b"message", b""));
        assert!(!is_signed_by(&device.key(), b"message", &[0; 64]));
    }

    #[test]
    fn records_keep_the_point() {
        let key = TestDevice::new().key();
        let bytes = rmp_serde::to_vec(&key).unwrap();
        assert_eq!(bytes.len(), 2 + 65);
        assert_eq!(rmp_serde::from_slice::<DevicePublicKey>(&bytes).unwrap(), key);
        let short = rmp_serde::to_vec(serde_bytes::Bytes::new(&[4; 64])).unwrap();
        assert!(rmp_serde::from_slice::<DevicePublicKey>(&short).is_err());
    }

    /// The field's prime, big-endian.
    const P: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ];
}
