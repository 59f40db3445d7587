//! Private keys of accounts at push providers, and the JWTs that are signed with them.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// A private key that signs JWTs with ES256 or RS256 (RFC 7518, section 3.1).
pub struct ProviderKey(KeyPair);

enum KeyPair {
    Es256(EcdsaKeyPair),
    Rs256(rsa::KeyPair),
}

/// The text is no usable private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// It is not one PEM block of the right kind.
    #[error("must be one PEM block that begins with -----BEGIN PRIVATE KEY----- (PKCS #8)")]
    NoPem,
    #[error("must hold a P-256 key, as in the .p8 file that Apple's developer portal hands out")]
    NotP256,
    #[error("must hold an RSA key of 2048 to 8192 bits")]
    NotRsa,
}

/// The text of a P-256 key that was read once: the type is the proof.
pub struct P256Pem(Zeroizing<String>);

impl P256Pem {
    /// Checks `pem`.
    ///
    /// # Errors
    /// As [`ProviderKey::es256_from_pem`].
    pub fn parse(pem: &str) -> Result<Self, BadKey> {
        ProviderKey::es256_from_pem(pem)?;
        Ok(Self(Zeroizing::new(pem.to_owned())))
    }

    /// The text, for sealing it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for P256Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256Pem(..)")
    }
}

/// The library refused to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signing failed")]
pub struct SigningFailed;

impl ProviderKey {
    /// Reads a P-256 key. Its public half is checked against the private one.
    ///
    /// # Errors
    /// [`BadKey::NoPem`], [`BadKey::NotP256`].
    pub fn es256_from_pem(pem: &str) -> Result<Self, BadKey> {
        let der = pkcs8_of(pem)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der);
        Ok(Self(KeyPair::Es256(pair.map_err(|_| BadKey::NotP256)?)))
    }

    /// Reads an RSA key. Its numbers are checked against each other.
    ///
    /// # Errors
    /// [`BadKey::NoPem`], [`BadKey::NotRsa`].
    pub fn rs256_from_pem(pem: &str) -> Result<Self, BadKey> {
        let der = pkcs8_of(pem)?;
        let pair = rsa::KeyPair::from_pkcs8(&der).map_err(|_| BadKey::NotRsa)?;
        Ok(Self(KeyPair::Rs256(pair)))
    }

    /// A JWT with these `claims` in the compact form, `key_id` in its header if there is one.
    ///
    /// # Errors
    /// [`SigningFailed`], which a key that could be read does not bring about.
    pub fn sign(&self, key_id: Option<&str>, claims: &Value) -> Result<Zeroizing<String>, SigningFailed> {
        let algorithm = match &self.0 {
            KeyPair::Es256(_) => "ES256",
            KeyPair::Rs256(_) => "RS256",
        };
        let mut header = json!({"alg": algorithm, "typ": "JWT"});
        if let Some(key_id) = key_id {
            header["kid"] = key_id.into();
        }
        let mut token = Zeroizing::new(format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        ));
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }

    // The library takes the random bytes that a signature needs from the system itself.
    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let random = SystemRandom::new();
        match &self.0 {
            KeyPair::Es256(pair) => {
                let signature = pair.sign(&random, message).map_err(|_| SigningFailed)?;
                Ok(signature.as_ref().to_vec())
            }
            KeyPair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| SigningFailed)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderKey(..)")
    }
}

/// The bytes in a PEM block (RFC 7468). Blanks and line breaks count for nothing, and neither do line breaks that were
/// spelt `\n`: forms and environment variables lose them.
fn pkcs8_of(pem: &str) -> Result<Zeroizing<Vec<u8>>, BadKey> {
    const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
    const END: &str = "-----END PRIVATE KEY-----";
    let (before, rest) = pem.split_once(BEGIN).ok_or(BadKey::NoPem)?;
    let (body, behind) = rest.split_once(END).ok_or(BadKey::NoPem)?;
    if !strip(before).is_empty() || !strip(behind).is_empty() {
        return Err(BadKey::NoPem);
    }
    let bytes = STANDARD.decode(strip(body).as_bytes());
    bytes.map(Zeroizing::new).map_err(|_| BadKey::NoPem)
}

fn strip(text: &str) -> Zeroizing<String> {
    let text = Zeroizing::new(text.replace("\\r", "").replace("\\n", ""));
    Zeroizing::new(
        text.chars()
            .filter(|letter| !letter.is_ascii_whitespace())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, KeyPair, RSA_PKCS1_2048_8192_SHA256,
        UnparsedPublicKey,
    };

    use super::*;

    fn pem(der: &[u8]) -> String {
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der)
        )
    }

    fn parts(token: &str) -> (Value, Value, Vec<u8>) {
        let parts: Vec<_> = token
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .collect();
        let [header, claims, signature] = parts.as_slice() else {
            panic!("{token}")
        };
        (
            serde_json::from_slice(header).unwrap(),
            serde_json::from_slice(claims).unwrap(),
            signature.clone(),
        )
    }

    #[test]
    fn an_es256_token_holds_for_its_key() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = ProviderKey::es256_from_pem(&pem(pair.to_pkcs8v1().unwrap().as_ref())).unwrap();
        let claims = json!({"iss": "TEAM", "iat": 1});
        let token = key.sign(Some("KEY"), &claims).unwrap();
        let (header, said, signature) = parts(&token);
        assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": "KEY"}));
        assert_eq!(said, claims);
        let signed = token.rsplit_once('.').unwrap().0;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn an_rs256_token_holds_for_its_key() {
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let key = ProviderKey::rs256_from_pem(&pem(der.as_ref())).unwrap();
        let token = key.sign(None, &json!({"iss": "me"})).unwrap();
        let (header, _, signature) = parts(&token);
        assert_eq!(header, json!({"alg": "RS256", "typ": "JWT"}));
        let signed = token.rsplit_once('.').unwrap().0;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .unwrap();
        assert_eq!(
            ProviderKey::es256_from_pem(&pem(der.as_ref())).unwrap_err(),
            BadKey::NotP256
        );
    }

    #[test]
    fn line_breaks_that_a_form_lost_are_no_loss() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let good = pem(pair.to_pkcs8v1().unwrap().as_ref());
        for text in [
            good.replace('\n', ""),
            good.replace('\n', "\\n"),
            good.replace('\n', "\r\n"),
            good.replace('\n', " "),
        ] {
            assert!(ProviderKey::es256_from_pem(&text).is_ok(), "{text}");
        }
        for text in [
            good.replace("PRIVATE", "EC PRIVATE"),
            format!("{good}x"),
            good.replace("-----END PRIVATE KEY-----", ""),
            good.replacen('M', "*", 1),
            String::new(),
        ] {
            assert_eq!(
                ProviderKey::es256_from_pem(&text).unwrap_err(),
                BadKey::NoPem,
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_of_another_curve_is_refused_and_none_is_printed() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let other = pem(pair.to_pkcs8v1().unwrap().as_ref());
        assert_eq!(ProviderKey::es256_from_pem(&other).unwrap_err(), BadKey::NotP256);
        assert_eq!(ProviderKey::rs256_from_pem(&other).unwrap_err(), BadKey::NotRsa);
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = ProviderKey::es256_from_pem(&pem(pair.to_pkcs8v1().unwrap().as_ref())).unwrap();
        assert_eq!(format!("{key:?}"), "ProviderKey(..)");
    }
}
