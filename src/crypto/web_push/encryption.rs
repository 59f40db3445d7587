//! The encryption of a push message for its user agent: RFC 8291 over the `aes128gcm` content coding of RFC 8188, in one
//! record.
//!
//! Only the user agent can read it: the sender's half of the key agreement is made for one message and forgotten.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use zeroize::Zeroizing;

use super::generate;
use crate::domain::entropy::Entropy;
use crate::domain::factor::WebPushSubscription;
use crate::domain::opaque::P256Point;

/// The longest message that can be sent.
pub const MAX_LENGTH: usize = PADDED_MAX - 1;

/// Encrypts `message` for the user agent of `subscription`. It is padded to a multiple of 512 bytes, so that its length
/// says little; the result has at most 4096 bytes, which every push service takes (RFC 8030, section 7.2).
///
/// # Errors
/// When the message is longer than [`MAX_LENGTH`], or the user agent's key is none that keys can be agreed with.
pub fn encrypt(
    subscription: &WebPushSubscription,
    message: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, EncryptionError> {
    let (private, public, _) = generate(entropy);
    let mut salt = [0; SALT_LENGTH];
    entropy.fill(&mut salt);
    let padded = (message.len() + 1).next_multiple_of(BLOCK);
    encrypt_with(subscription, &private, &public, salt, message, padded)
}

/// Why a message was not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// The user agent's key is no point that keys can be agreed with; it should never have been enrolled.
    #[error("no key can be agreed with the subscription's p256dh key")]
    Key,
    /// The message is longer than [`MAX_LENGTH`].
    #[error("the message is longer than {MAX_LENGTH} bytes")]
    TooLong,
}

/// `padded` counts the delimiter behind the message.
fn encrypt_with(
    subscription: &WebPushSubscription,
    private: &PrivateKey,
    public: &P256Point,
    salt: [u8; SALT_LENGTH],
    message: &[u8],
    padded: usize,
) -> Result<Vec<u8>, EncryptionError> {
    if padded > PADDED_MAX {
        return Err(EncryptionError::TooLong);
    }
    let theirs = UnparsedPublicKey::new(&ECDH_P256, subscription.key.as_bytes());
    let keying = agree(private, theirs, EncryptionError::Key, |shared| {
        // RFC 8291, section 3.4.
        let both = [
            b"WebPush: info\0".as_slice(),
            subscription.key.as_bytes(),
            public.as_bytes(),
        ];
        let combined = Salt::new(HKDF_SHA256, &subscription.auth).extract(shared);
        derive::<32>(&combined, &both).ok_or(EncryptionError::Key)
    })?;
    encode(keying.as_slice(), salt, public.as_bytes(), message, padded).ok_or(EncryptionError::TooLong)
}

/// The content coding itself (RFC 8188, section 2) with one record, which is its own last.
fn encode(
    keying: &[u8],
    salt: [u8; SALT_LENGTH],
    key_id: &[u8],
    message: &[u8],
    padded: usize,
) -> Option<Vec<u8>> {
    const LAST_RECORD: u8 = 2;
    let root = Salt::new(HKDF_SHA256, &salt).extract(keying);
    let key = derive::<16>(&root, &[b"Content-Encoding: aes128gcm\0"])?;
    // The number of the record, which is zero, leaves the nonce as it is.
    let nonce = derive::<12>(&root, &[b"Content-Encoding: nonce\0"])?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_slice()).ok()?);

    let header = HEADER_LENGTH + key_id.len();
    let mut body = Vec::with_capacity(header + padded.max(message.len() + 1) + TAG_LENGTH);
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD_SIZE.to_be_bytes());
    body.push(u8::try_from(key_id.len()).ok()?);
    body.extend_from_slice(key_id);
    body.extend_from_slice(message);
    body.push(LAST_RECORD);
    body.resize(body.len().max(header + padded), 0);
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::empty(), &mut body[header..])
        .ok()?;
    body.extend_from_slice(tag.as_ref());
    Some(body)
}

fn derive<const N: usize>(root: &Prk, info: &[&[u8]]) -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    root.expand(info, HkdfLength(N))
        .and_then(|okm| okm.fill(bytes.as_mut_slice()))
        .ok()?;
    Some(bytes)
}

struct HkdfLength(usize);

impl KeyType for HkdfLength {
    fn len(&self) -> usize {
        self.0
    }
}

/// Every body is this long at the most.
const BODY_MAX: usize = 4096;
/// What lengths are rounded up to.
const BLOCK: usize = 512;
/// Salt, record size, length of the key's name.
const HEADER_LENGTH: usize = SALT_LENGTH + 4 + 1;
const PADDED_MAX: usize = (BODY_MAX - HEADER_LENGTH - POINT_LENGTH - TAG_LENGTH) / BLOCK * BLOCK;
const POINT_LENGTH: usize = 65;
/// Larger than any record (RFC 8291, section 4).
const RECORD_SIZE: u32 = 4096;
const SALT_LENGTH: usize = 16;
const TAG_LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::AES_128_GCM;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::super::read_scalar;
    use super::*;
    use crate::doubles::SeededEntropy;

    fn decoded<const N: usize>(text: &str) -> [u8; N] {
        URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    fn subscription(key: &str, auth: &str) -> WebPushSubscription {
        let text = json!({"endpoint": "https://push.example.net/p", "keys": {"p256dh": key, "auth": auth}});
        WebPushSubscription::parse(&text.to_string()).unwrap()
    }

    /// RFC 8291, section 5 and appendix A.
    #[test]
    fn the_example_of_rfc_8291_is_met_byte_for_byte() {
        let scalar = decoded("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let (private, public) = read_scalar(&scalar).unwrap();
        let expected =
            "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
        assert_eq!(URL_SAFE_NO_PAD.encode(public.as_bytes()), expected);
        let subscription = subscription(RECEIVER, SECRET);
        let salt = decoded("DGv6ra1nlYgDCS1FRnbzlw");
        let message = b"When I grow up, I want to be a watermelon";
        let body = encrypt_with(&subscription, &private, &public, salt, message, message.len() + 1).unwrap();
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w\
                        EqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(URL_SAFE_NO_PAD.encode(body), expected);
    }

    /// RFC 8188, section 3.1.
    #[test]
    fn the_example_of_rfc_8188_is_met_byte_for_byte() {
        let keying: [u8; 16] = decoded("yqdlZ-tYemfogSmv7Ws5PQ");
        let salt = decoded("I1BsxtFttlv3u_Oo94xnmw");
        let message = b"I am the walrus";
        let body = encode(&keying, salt, b"", message, message.len() + 1).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(body),
            "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg"
        );
    }

    #[test]
    fn lengths_come_in_few_sizes_and_none_is_too_long() {
        let subscription = subscription(RECEIVER, SECRET);
        let entropy = SeededEntropy::new(1);
        let length =
            |message: usize| encrypt(&subscription, &vec![b'x'; message], &entropy).map(|body| body.len());
        assert_eq!(length(0), Ok(86 + 512 + 16));
        assert_eq!(length(511), Ok(86 + 512 + 16));
        assert_eq!(length(512), Ok(86 + 1024 + 16));
        assert_eq!(length(MAX_LENGTH), Ok(86 + 3584 + 16));
        assert_eq!(length(MAX_LENGTH + 1), Err(EncryptionError::TooLong));
    }

    #[test]
    fn every_message_has_a_key_and_a_salt_of_its_own() {
        let subscription = subscription(RECEIVER, SECRET);
        let entropy = SeededEntropy::new(1);
        let first = encrypt(&subscription, b"message", &entropy).unwrap();
        let second = encrypt(&subscription, b"message", &entropy).unwrap();
        assert_ne!(first[..16], second[..16]);
        assert_ne!(first[21..86], second[21..86]);
        assert_ne!(first[86..], second[86..]);
    }

    /// The other side of RFC 8291, with the private key of its example.
    #[test]
    fn only_the_user_agent_with_both_secrets_can_read_it() {
        let (private, _) = read_scalar(&decoded("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")).unwrap();
        let ours = subscription(RECEIVER, SECRET);
        let other_secret = subscription(RECEIVER, "BTBZMqHH6r4Tts7J_aSIgQ");
        let body = encrypt(&ours, b"{\"type\":1}", &SeededEntropy::new(2)).unwrap();
        let plain = decrypted(&ours, &private, &body).unwrap();
        assert_eq!((plain.len(), &plain[..11]), (512, b"{\"type\":1}\x02".as_slice()));
        assert!(plain[11..].iter().all(|byte| *byte == 0));
        assert_eq!(decrypted(&other_secret, &private, &body), None);
        let (other_private, ..) = generate(&SeededEntropy::new(3));
        assert_eq!(decrypted(&ours, &other_private, &body), None);
        for at in [0, 30, 90, body.len() - 1] {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert_eq!(decrypted(&ours, &private, &changed), None, "{at}");
        }
    }

    fn decrypted(subscription: &WebPushSubscription, private: &PrivateKey, body: &[u8]) -> Option<Vec<u8>> {
        let sender = &body[21..86];
        let keying = agree(
            private,
            UnparsedPublicKey::new(&ECDH_P256, sender),
            (),
            |shared| {
                let root = Salt::new(HKDF_SHA256, &subscription.auth).extract(shared);
                let info: [&[u8]; 3] = [b"WebPush: info\0", subscription.key.as_bytes(), sender];
                derive::<32>(&root, &info).ok_or(())
            },
        )
        .ok()?;
        let root = Salt::new(HKDF_SHA256, &body[..16]).extract(keying.as_slice());
        let key = derive::<16>(&root, &[b"Content-Encoding: aes128gcm\0"])?;
        let nonce = derive::<12>(&root, &[b"Content-Encoding: nonce\0"])?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_slice()).ok()?);
        let mut record = body[86..].to_vec();
        let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut record);
        plain.ok().map(|plain| plain.to_vec())
    }

    const RECEIVER: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const SECRET: &str = "BTBZMqHH6r4Tts7J_aSIgg";
}
