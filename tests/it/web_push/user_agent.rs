//! A browser's side of Web Push: it subscribes, and reads what it is sent (RFC 8188, RFC 8291, RFC 8292).

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use aws_lc_rs::signature::{self, ECDSA_P256_SHA256_FIXED};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A user agent with one subscription.
pub(super) struct UserAgent {
    endpoint: String,
    private: PrivateKey,
    pub(super) public: Vec<u8>,
    pub(super) auth: [u8; 16],
}

impl UserAgent {
    pub(super) fn new(endpoint: &str) -> Self {
        let private = PrivateKey::generate(&ECDH_P256).unwrap();
        let public = private.compute_public_key().unwrap().as_ref().to_vec();
        // As good as random here: every user agent has another key.
        let auth = public[1..17].try_into().unwrap();
        Self {
            endpoint: endpoint.to_owned(),
            private,
            public,
            auth,
        }
    }

    /// What `JSON.stringify(subscription)` gives.
    pub(super) fn subscription(&self) -> String {
        let keys = json!({"p256dh": URL_SAFE_NO_PAD.encode(&self.public), "auth": URL_SAFE_NO_PAD.encode(self.auth)});
        json!({"endpoint": self.endpoint, "expirationTime": null, "keys": keys}).to_string()
    }

    pub(super) fn private_bytes(&self) -> Vec<u8> {
        let bytes: EcPrivateKeyBin<'_> = self.private.as_be_bytes().unwrap();
        bytes.as_ref().to_vec()
    }

    /// The message in a body: the only record is the last one, and is padded with zeros.
    pub(super) fn read(&self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        let (record_size, rest) = rest.split_at(4);
        assert_eq!((record_size, rest[0]), ([0, 0, 16, 0].as_slice(), 65));
        let (sender, record) = rest[1..].split_at(65);
        let shared = agree(
            &self.private,
            UnparsedPublicKey::new(&ECDH_P256, sender),
            (),
            |shared| Ok(shared.to_vec()),
        );
        // HKDF of up to 32 bytes is one HMAC to extract and one to expand.
        let mac = |key: &[u8], parts: &[&[u8]]| -> Vec<u8> {
            sign(&Key::new(HMAC_SHA256, key), &parts.concat())
                .as_ref()
                .to_vec()
        };
        let combined = mac(&self.auth, &[&shared.unwrap()]);
        let keying = mac(&combined, &[b"WebPush: info\0", &self.public, sender, &[1]]);
        let root = mac(salt, &[&keying]);
        let key = &mac(&root, &[b"Content-Encoding: aes128gcm\0\x01"])[..16];
        let nonce = &mac(&root, &[b"Content-Encoding: nonce\0\x01"])[..12];
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
        let mut record = record.to_vec();
        let plain = key.open_in_place(nonce, Aad::empty(), &mut record).unwrap();
        let end = plain.iter().rposition(|byte| *byte != 0).unwrap();
        assert_eq!(plain[end], 2, "the delimiter of the last record");
        serde_json::from_slice(&plain[..end]).unwrap()
    }
}

/// The claims of a VAPID header, whose signature is checked with the key in it, and that key.
pub(super) fn vapid_claims(authorization: &str) -> (Value, String) {
    let (token, k) = authorization
        .strip_prefix("vapid t=")
        .unwrap()
        .split_once(", k=")
        .unwrap();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let header: Value = serde_json::from_slice(&decoded(header)).unwrap();
    assert_eq!(header, json!({"typ": "JWT", "alg": "ES256"}));
    signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decoded(k))
        .verify(input.as_bytes(), &decoded(signature))
        .unwrap();
    (serde_json::from_slice(&decoded(payload)).unwrap(), k.to_owned())
}
