//! The device's key pair and the three things that it signs: its factor's SID, its JWTs, its answers.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// A P-256 key pair. It has no `Debug`: nothing may print it.
pub(in crate::cli) struct HeldKey {
    pkcs8: Zeroizing<Vec<u8>>,
    der: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
}

/// The key pair cannot be made, read or used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the private key is not a usable P-256 key")]
pub(in crate::cli) struct UnusableKey;

impl HeldKey {
    /// A new key pair.
    pub(in crate::cli) fn generate() -> Result<Self, UnusableKey> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| UnusableKey)?;
        Self::from_pkcs8(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The key pair that [`HeldKey::secret`] printed.
    pub(in crate::cli) fn from_secret(secret: &str) -> Result<Self, UnusableKey> {
        Self::from_pkcs8(Zeroizing::new(STANDARD.decode(secret).map_err(|_| UnusableKey)?))
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, UnusableKey> {
        Ok(Self {
            der: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8)
                .map_err(|_| UnusableKey)?,
            fixed: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
                .map_err(|_| UnusableKey)?,
            pkcs8,
        })
    }

    /// The private key as Base64 of PKCS #8, for the state file and nothing else.
    pub(in crate::cli) fn secret(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(&*self.pkcs8))
    }

    /// `Binding.PublicKey`: Base64 of the DER `SubjectPublicKeyInfo`.
    pub(in crate::cli) fn public_key(&self) -> Result<String, UnusableKey> {
        let der: PublicKeyX509Der<'_> = self.fixed.public_key().as_der().map_err(|_| UnusableKey)?;
        Ok(STANDARD.encode(der.as_ref()))
    }

    /// The public point, uncompressed.
    pub(in crate::cli) fn public_point(&self) -> &[u8] {
        self.fixed.public_key().as_ref()
    }

    /// The proof that verifies a factor: Base64 of the DER signature over its SID.
    pub(in crate::cli) fn factor_proof(&self, factor_sid: &str) -> Result<String, UnusableKey> {
        let signature = self
            .der
            .sign(&SystemRandom::new(), factor_sid.as_bytes())
            .map_err(|_| UnusableKey)?;
        Ok(STANDARD.encode(signature.as_ref()))
    }

    /// The JWT by which a device shows, for ten minutes, which factor it is.
    pub(in crate::cli) fn device_jwt(
        &self,
        credential_sid: &str,
        account_sid: &str,
        now_seconds: i64,
    ) -> Result<String, UnusableKey> {
        self.jwt(
            &json!({"cty": "twilio-pba;v=1", "kid": credential_sid, "typ": "JWT", "alg": "ES256"}),
            &json!({"sub": account_sid, "exp": now_seconds.saturating_add(600), "nbf": now_seconds}),
        )
    }

    /// The signed answer to a challenge: the fields that the server asked for as they stand in `challenge`, then the
    /// status and what the holder adds (a name and a text), which override.
    pub(in crate::cli) fn answer_jwt(
        &self,
        challenge: &Value,
        signature_fields: &str,
        status: &str,
        added: Option<(&str, &str)>,
    ) -> Result<String, AnswerError> {
        let mut claims = Map::new();
        for field in signature_fields.split(',') {
            let value = challenge
                .get(field)
                .ok_or_else(|| AnswerError::MissingField(field.to_owned()))?;
            claims.insert(field.to_owned(), value.clone());
        }
        claims.shift_remove("status");
        claims.insert("status".to_owned(), status.into());
        if let Some((name, text)) = added {
            claims.insert(name.to_owned(), text.into());
        }
        Ok(self.jwt(&json!({"typ": "JWT", "alg": "ES256"}), &Value::Object(claims))?)
    }

    /// The 64 bytes `r || s` over `message`, as they stand in a JWT.
    pub(in crate::cli) fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, UnusableKey> {
        let signature = self
            .fixed
            .sign(&SystemRandom::new(), message)
            .map_err(|_| UnusableKey)?;
        Ok(signature.as_ref().to_vec())
    }

    fn jwt(&self, header: &Value, claims: &Value) -> Result<String, UnusableKey> {
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        let signature = self.sign_fixed(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

/// Why an answer cannot be signed.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum AnswerError {
    #[error(transparent)]
    Key(#[from] UnusableKey),
    /// The server wants a field signed that its own answer does not have.
    #[error("the server asks for a signature over {0:?}, which its challenge does not contain")]
    MissingField(String),
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn the_key_survives_its_state_file_and_has_the_shape_the_sdks_send() {
        let key = HeldKey::generate().unwrap();
        let public = key.public_key().unwrap();
        assert!(
            public.starts_with("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"),
            "{public}"
        );
        let der = STANDARD.decode(&public).unwrap();
        assert_eq!(der.len(), 91);
        assert_eq!(&der[26..], key.public_point());
        assert_eq!(
            HeldKey::from_secret(&key.secret()).unwrap().public_key().unwrap(),
            public
        );
        assert!(HeldKey::from_secret("bm90IGEga2V5").is_err());
    }

    #[test]
    fn the_factor_proof_is_a_der_signature_over_the_sid() {
        let key = HeldKey::generate().unwrap();
        let proof = STANDARD.decode(key.factor_proof("YF01").unwrap()).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_point());
        assert!(public.verify(b"YF01", &proof).is_ok());
        assert!(public.verify(b"YF02", &proof).is_err());
    }

    #[test]
    fn the_device_jwt_lives_ten_minutes_from_now() {
        let key = HeldKey::generate().unwrap();
        let (header, claims) = opened(&key, &key.device_jwt("CR01", "AC01", 1_700_000_000).unwrap());
        assert_eq!(
            header,
            json!({"cty": "twilio-pba;v=1", "kid": "CR01", "typ": "JWT", "alg": "ES256"})
        );
        assert_eq!(
            claims,
            json!({"sub": "AC01", "exp": 1_700_000_600, "nbf": 1_700_000_000})
        );
    }

    #[test]
    fn the_answer_copies_the_fields_asked_for_and_its_status_wins() {
        let key = HeldKey::generate().unwrap();
        let challenge = json!({
            "sid": "YC01", "status": "pending", "hidden_details": null,
            "details": {"message": "a/b"}, "url": "not asked for",
        });
        let jwt = key
            .answer_jwt(
                &challenge,
                "details,status,hidden_details,sid",
                "denied",
                Some(("reason", "not_me")),
            )
            .unwrap();
        let (header, claims) = opened(&key, &jwt);
        assert_eq!(header, json!({"typ": "JWT", "alg": "ES256"}));
        assert_eq!(
            claims.to_string(),
            r#"{"details":{"message":"a/b"},"hidden_details":null,"sid":"YC01","status":"denied","reason":"not_me"}"#
        );
        assert!(matches!(
            key.answer_jwt(&challenge, "sid,identity", "approved", None),
            Err(AnswerError::MissingField(field)) if field == "identity"
        ));
    }

    fn opened(key: &HeldKey, jwt: &str) -> (Value, Value) {
        let (message, signature) = jwt.rsplit_once('.').unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_point())
            .verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        let part = |text| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
        (part(header), part(claims))
    }
}
