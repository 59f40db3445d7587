//! A device for tests: a key pair that signs as the SDKs do.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::domain::opaque::DevicePublicKey;

pub(crate) const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub(crate) const CREDENTIAL: &str = "CRfedcba9876543210fedcba9876543210";
pub(crate) const NOW: u64 = 1_790_000_000;

pub(crate) struct TestDevice {
    pkcs8: Vec<u8>,
    key: DevicePublicKey,
}

impl TestDevice {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let pkcs8 = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
        let spki = [SPKI_HEADER, pair.public_key().as_ref()].concat();
        let key = DevicePublicKey::from_spki_base64(&STANDARD.encode(spki)).unwrap();
        Self { pkcs8, key }
    }

    pub(crate) fn key(&self) -> DevicePublicKey {
        self.key
    }

    pub(crate) fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        self.sign(&ECDSA_P256_SHA256_ASN1_SIGNING, message)
    }

    pub(crate) fn sign_fixed(&self, message: &[u8]) -> Vec<u8> {
        self.sign(&ECDSA_P256_SHA256_FIXED_SIGNING, message)
    }

    /// A token with this header and payload and a right signature.
    pub(crate) fn jws(&self, header: &str, payload: &str) -> String {
        let input = signing_input(header, payload);
        let signature = self.sign_fixed(input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The token that an SDK would authenticate with now.
    pub(crate) fn device_jwt(&self) -> String {
        self.jws(&device_header(), &device_claims())
    }

    fn sign(&self, algorithm: &'static EcdsaSigningAlgorithm, message: &[u8]) -> Vec<u8> {
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &self.pkcs8).unwrap();
        pair.sign(&SystemRandom::new(), message)
            .unwrap()
            .as_ref()
            .to_vec()
    }
}

pub(crate) fn device_header() -> String {
    format!(r#"{{"cty":"twilio-pba;v=1","kid":"{CREDENTIAL}","typ":"JWT","alg":"ES256"}}"#)
}

pub(crate) fn device_claims() -> String {
    format!(r#"{{"sub":"{ACCOUNT}","exp":{},"nbf":{NOW}}}"#, NOW + 600)
}

pub(crate) fn signing_input(header: &str, payload: &str) -> String {
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    )
}

/// What iOS puts in front of its 65 bytes.
const SPKI_HEADER: &[u8] = b"0Y0\x13\x06\x07*\x86H\xce=\x02\x01\x06\x08*\x86H\xce=\x03\x01\x07\x03B\0";
