//! A phone, written from the description of the SDKs' protocol and not from the code under test.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair,
    KeyPair, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{Answer, Client, Credentials, TestApp};
use crate::doubles::watch;

/// A key pair, and what the server called it once it was enrolled.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pkcs8: Vec<u8>,
    point: Vec<u8>,
    pub(crate) account: String,
    pub(crate) credential: String,
    /// The path of the factor's entity.
    pub(crate) entity: String,
    pub(crate) factor: String,
}

impl Device {
    /// A phone with a new key.
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self {
            pkcs8: pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
            point: pair.public_key().as_ref().to_vec(),
            account: String::new(),
            credential: String::new(),
            entity: String::new(),
            factor: String::new(),
        }
    }

    /// A thief's phone: another key, but with this one's names.
    pub(crate) fn imitated(&self) -> Self {
        let Self { pkcs8, point, .. } = Self::new();
        Self {
            pkcs8,
            point,
            ..self.clone()
        }
    }

    /// What the SDK sends to enrol.
    pub(crate) fn enrolment(&self) -> Vec<(&'static str, String)> {
        let form = [
            ("FriendlyName", "A phone"),
            ("FactorType", "push"),
            ("Binding.Alg", "ES256"),
            ("Config.AppId", "com.owlbank.app"),
            ("Config.SdkVersion", "0.9.0"),
            ("Config.NotificationPlatform", "none"),
        ];
        let mut form: Vec<_> = form.map(|(name, value)| (name, value.to_owned())).to_vec();
        form.push(("Binding.PublicKey", self.public_key()));
        form
    }

    /// Enrols as whoever has the credentials, at the entity of this path.
    pub(crate) async fn enrol(&mut self, client: &Client<'_>, entity: &str) -> Answer {
        let form = self.enrolment();
        let answer = client.post(format!("{entity}/Factors"), &borrowed(&form)).await;
        if answer.status == 201 {
            self.account = answer.text("account_sid");
            self.factor = answer.text("sid");
            let credential = &answer.body["config"]["credential_sid"];
            credential.as_str().unwrap().clone_into(&mut self.credential);
            entity.clone_into(&mut self.entity);
        }
        answer
    }

    /// The path of the factor.
    pub(crate) fn path(&self) -> String {
        format!("{}/Factors/{}", self.entity, self.factor)
    }

    /// The phone with a JWT of now.
    pub(crate) fn on<'a>(&self, server: &'a TestApp) -> Client<'a> {
        Client::new(server, Some(Credentials::token(&self.jwt(server.seconds()))))
    }

    /// Proves the enrolment.
    pub(crate) async fn verify(&self, server: &TestApp) -> Answer {
        let proof = self.proof(&self.factor);
        self.on(server)
            .post(self.path(), &[("AuthPayload", &proof)])
            .await
    }

    /// Answers a challenge as the SDK does: fetch, sign what the header names, send.
    pub(crate) async fn answer(&self, server: &TestApp, challenge: &str, status: &str) -> Answer {
        let signed = self.signed(server, challenge, status).await;
        self.on(server).post(challenge, &[("AuthPayload", &signed)]).await
    }

    /// Approves a challenge with the number that its holder typed.
    pub(crate) async fn approve_with(&self, server: &TestApp, challenge: &str, number: &str) -> Answer {
        let signed = self
            .signed_with(server, challenge, "approved", ("number", number.into()))
            .await;
        self.on(server).post(challenge, &[("AuthPayload", &signed)]).await
    }

    /// Denies a challenge because its holder did not ask for it.
    pub(crate) async fn report(&self, server: &TestApp, challenge: &str) -> Answer {
        let signed = self
            .signed_with(server, challenge, "denied", ("reason", "not_me".into()))
            .await;
        self.on(server).post(challenge, &[("AuthPayload", &signed)]).await
    }

    /// What an app signs that adds a claim of its own.
    pub(crate) async fn signed_with(
        &self,
        server: &TestApp,
        challenge: &str,
        status: &str,
        (claim, value): (&str, Value),
    ) -> String {
        let mut payload = self.payload(server, challenge, status).await;
        payload.insert(claim.to_owned(), value);
        self.jws(&json!({"typ": "JWT", "alg": "ES256"}), &payload.into())
    }

    /// What the SDK signs to answer a challenge.
    pub(crate) async fn signed(&self, server: &TestApp, challenge: &str, status: &str) -> String {
        let payload = self.payload(server, challenge, status).await;
        self.jws(&json!({"typ": "JWT", "alg": "ES256"}), &payload.into())
    }

    /// The members that the SDK signs to answer a challenge.
    pub(crate) async fn payload(
        &self,
        server: &TestApp,
        challenge: &str,
        status: &str,
    ) -> Map<String, Value> {
        let shown = self.on(server).get(challenge).await;
        let fields = shown.headers["twilio-verify-signature-fields"]
            .to_str()
            .unwrap()
            .to_owned();
        let members = fields
            .split(',')
            .map(|name| (name.to_owned(), shown.body.get(name).unwrap().clone()));
        let mut payload: Map<_, _> = members.collect();
        payload.insert("status".to_owned(), status.into());
        payload
    }

    /// The DER signature over a factor's SID.
    pub(crate) fn proof(&self, factor: &str) -> String {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8).unwrap();
        STANDARD.encode(pair.sign(&SystemRandom::new(), factor.as_bytes()).unwrap())
    }

    /// The JWT that the phone authenticates with when its clock shows `now`.
    pub(crate) fn jwt(&self, now: u64) -> String {
        self.jws(
            &self.jwt_header(),
            &json!({"sub": self.account, "nbf": now, "exp": now + 600}),
        )
    }

    /// The header of that JWT.
    pub(crate) fn jwt_header(&self) -> Value {
        json!({"cty": "twilio-pba;v=1", "kid": self.credential, "typ": "JWT", "alg": "ES256"})
    }

    /// A token that this key signed.
    pub(crate) fn jws(&self, header: &Value, payload: &Value) -> String {
        self.jws_of(&header.to_string(), &payload.to_string())
    }

    /// A token that this key signed, of these very texts.
    pub(crate) fn jws_of(&self, header: &str, payload: &str) -> String {
        let input = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8).unwrap();
        let signature = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        let jws = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
        watch::secret(&jws);
        jws
    }

    /// Whether this key signed the token.
    pub(crate) fn has_signed(&self, jws: &str) -> bool {
        let (input, signature) = jws.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point);
        key.verify(input.as_bytes(), &signature).is_ok()
    }

    /// Base64 of the `SubjectPublicKeyInfo`.
    pub(crate) fn public_key(&self) -> String {
        const HEADER: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
        // The header ends in the byte that the point begins with, so the Base64 of both can simply be put together.
        format!("{HEADER}{}", STANDARD.encode(&self.point[1..]))
    }
}

/// A form as the client takes it.
pub(crate) fn borrowed<'a>(form: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    form.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
