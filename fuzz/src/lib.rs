//! What fuzz targets share: a device that signs whatever it is given, a server that is called, and a way to run what never
//! waits.

pub mod calls;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign::domain::opaque::DevicePublicKey;

/// A hostile app with a real key.
pub struct Device {
    pair: EcdsaKeyPair,
    key: DevicePublicKey,
}

impl Default for Device {
    fn default() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key is made");
        let spki = [SPKI_HEADER, pair.public_key().as_ref()].concat();
        let key = DevicePublicKey::from_spki_base64(&STANDARD.encode(spki)).expect("a new key is good");
        Self { pair, key }
    }
}

impl Device {
    /// The public half of its key.
    pub fn key(&self) -> &DevicePublicKey {
        &self.key
    }

    /// A token with these bytes for header and payload, rightly signed.
    pub fn jws(&self, header: &[u8], payload: &[u8]) -> String {
        let input = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature = self
            .pair
            .sign(&SystemRandom::new(), input.as_bytes())
            .expect("a key signs");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// What a future that never waits comes to, as all of a store in memory do.
pub fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

const SPKI_HEADER: &[u8] = b"0Y0\x13\x06\x07*\x86H\xce=\x02\x01\x06\x08*\x86H\xce=\x03\x01\x07\x03B\0";
