//! A device for tests: a key pair that signs as the SDKs do.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::domain::opaque::DevicePublicKey;

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

    fn sign(&self, algorithm: &'static EcdsaSigningAlgorithm, message: &[u8]) -> Vec<u8> {
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &self.pkcs8).unwrap();
        pair.sign(&SystemRandom::new(), message)
            .unwrap()
            .as_ref()
            .to_vec()
    }
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
