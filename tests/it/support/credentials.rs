//! Keys of push providers, and credentials that hold them.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::Client;

/// What Apple calls the key.
pub(crate) const KEY_ID: &str = "ABC123DEFG";
/// What Apple calls the team.
pub(crate) const TEAM_ID: &str = "DEF123GHIJ";
/// The service account.
pub(crate) const CLIENT_EMAIL: &str = "push@owl-bank.iam.gserviceaccount.com";
/// Its project.
pub(crate) const PROJECT: &str = "owl-bank";

/// A key as a provider hands it out, with what checks its signatures.
pub(crate) struct IssuedKey {
    pub(crate) pem: String,
    public: Vec<u8>,
    algorithm: &'static dyn VerificationAlgorithm,
    name: &'static str,
}

impl IssuedKey {
    /// The header and the claims of a JWT, if this key signed it.
    #[track_caller]
    pub(crate) fn read(&self, token: &str) -> (Value, Value) {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(self.algorithm, &self.public)
            .verify(signed.as_bytes(), &signature)
            .expect("the signature holds");
        let part = |text: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let header: Value = part(header);
        assert_eq!(header["alg"], self.name);
        (header, part(claims))
    }
}

/// Apple's.
pub(crate) fn p256() -> &'static IssuedKey {
    static KEY: OnceLock<IssuedKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        IssuedKey {
            pem: pem(pair.to_pkcs8v1().unwrap().as_ref()),
            public: pair.public_key().as_ref().to_vec(),
            algorithm: &ECDSA_P256_SHA256_FIXED,
            name: "ES256",
        }
    })
}

/// Google's.
pub(crate) fn rsa2048() -> &'static IssuedKey {
    static KEY: OnceLock<IssuedKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        IssuedKey {
            pem: pem(der.as_ref()),
            public: pair.public_key().as_ref().to_vec(),
            algorithm: &RSA_PKCS1_2048_8192_SHA256,
            name: "RS256",
        }
    })
}

/// The file that the Cloud console hands out.
pub(crate) fn service_account() -> Value {
    json!({
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "0123456789abcdef",
        "private_key": rsa2048().pem,
        "client_email": CLIENT_EMAIL,
        "client_id": "1234567890",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    })
}

/// What creates a credential of type `apn`.
pub(crate) fn apn_form() -> Vec<(&'static str, String)> {
    vec![
        ("Type", "apn".to_owned()),
        ("PrivateKey", p256().pem.clone()),
        ("KeyId", KEY_ID.to_owned()),
        ("TeamId", TEAM_ID.to_owned()),
    ]
}

/// What creates a credential of type `fcm`.
pub(crate) fn fcm_form() -> Vec<(&'static str, String)> {
    vec![
        ("Type", "fcm".to_owned()),
        ("Secret", service_account().to_string()),
    ]
}

/// The SID of a new credential.
pub(crate) async fn create_credential(client: &Client<'_>, form: &[(&'static str, String)]) -> String {
    let answer = client
        .post("/v1/Credentials", &super::device::borrowed(form))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.text("sid")
}

fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}
