//! What the master key is for: sealing secrets, hashing tokens, naming data without showing it, and vouching for tokens
//! that the server handed out itself.
//!
//! Each purpose has its own key, derived from the master key with HKDF-SHA256 (RFC 5869) under its own label.

use std::fmt;
use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::master_key::{KeyId, MasterKey};
use super::sealed::SealError;
use crate::domain::entropy::Entropy;
use crate::domain::opaque::{Fingerprint, Sealed, TokenHash};

/// The keys derived from one master key.
pub struct Vault {
    key_id: KeyId,
    sealing: LessSafeKey,
    pepper: hmac::Key,
    fingerprints: hmac::Key,
    access_tokens: hmac::Key,
}

impl Vault {
    /// Derives what seals and hashes from the master key, which it does not keep.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        let root = Salt::new(HKDF_SHA256, b"countersign vault 1").extract(master.bytes());
        Self {
            key_id: KeyId::from_bytes(derive(&root, b"key id")),
            sealing: sealing_key(&root),
            pepper: mac_key(&root, b"token pepper"),
            fingerprints: mac_key(&root, b"fingerprint"),
            access_tokens: mac_key(&root, b"access token"),
        }
    }

    /// Which master key this is. A store remembers it, so that a start with another one is refused at once.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Seals `plain` for the one place that `associated` names (a record's key, say) with AES-256-GCM-SIV (RFC 8452)
    /// and a random nonce. Should a nonce ever repeat, it shows whether two secrets of the same place are equal, and
    /// nothing else.
    #[must_use]
    pub fn seal(&self, entropy: &dyn Entropy, associated: &[u8], plain: &[u8]) -> Sealed {
        Sealed::seal(&self.sealing, self.key_id, entropy, associated, plain)
    }

    /// Opens what was sealed for the place that `associated` names.
    ///
    /// # Errors
    /// When another key sealed it, it was sealed for another place, or any of its bytes was changed.
    pub fn open(&self, associated: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        sealed.open(&self.sealing, self.key_id, associated)
    }

    /// The hash of a token that an account or API key (`owner`: the bytes of its SID) presents. It is keyed, so that a
    /// stolen store does not even allow to try guesses, and bound to the owner, so that a hash moved to another
    /// owner's record opens nothing. Tokens have 128 random bits and more: no slow password hash is needed.
    #[must_use]
    pub fn token_hash(&self, owner: &[u8; 16], token: &str) -> TokenHash {
        TokenHash(mac(&self.pepper, &[owner, token.as_bytes()]))
    }

    /// Whether this is the owner's token. Takes the same time for every wrong token.
    #[must_use]
    pub fn token_matches(&self, owner: &[u8; 16], token: &str, hash: &TokenHash) -> bool {
        self.token_hash(owner, token).0.ct_eq(&hash.0).into()
    }

    /// Does what [`token_matches`](Self::token_matches) does, for an owner that does not exist: the time that an
    /// answer takes must not tell which owners do.
    pub fn spend_token_check(&self, owner: &[u8; 16], token: &str) {
        black_box(self.token_matches(owner, token, black_box(&TokenHash([0; 32]))));
    }

    /// A keyed name for `data`: equal data have equal fingerprints within one `context`, and without the key nobody
    /// can tell which data one belongs to.
    #[must_use]
    pub fn fingerprint(&self, context: &[u8], data: &[u8]) -> Fingerprint {
        // The length in front keeps ("ab", "c") and ("a", "bc") apart.
        let length = (context.len() as u64).to_be_bytes();
        let full = mac(&self.fingerprints, &[&length, context, data]);
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        Fingerprint(short)
    }

    /// Vouches for a message that will come back from a client (HMAC-SHA256).
    #[must_use]
    pub fn mac(&self, purpose: Purpose, message: &[u8]) -> [u8; 32] {
        mac(self.mac_key_of(purpose), &[message])
    }

    /// Whether [`mac`](Self::mac) made `tag` for this purpose and message. Constant time.
    #[must_use]
    pub fn mac_matches(&self, purpose: Purpose, message: &[u8], tag: &[u8]) -> bool {
        self.mac(purpose, message).as_slice().ct_eq(tag).into()
    }

    fn mac_key_of(&self, purpose: Purpose) -> &hmac::Key {
        match purpose {
            Purpose::AccessToken => &self.access_tokens,
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.key_id)
    }
}

/// What a [`Vault::mac`] is for; each purpose has its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The token that lets an app enrol one factor.
    AccessToken,
}

fn sealing_key(root: &Prk) -> LessSafeKey {
    let bytes = Zeroizing::new(derive::<32>(root, b"sealing, AES-256-GCM-SIV"));
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, bytes.as_slice()).expect("AES-256 takes 32 bytes"))
}

fn mac_key(root: &Prk, label: &[u8]) -> hmac::Key {
    let bytes = Zeroizing::new(derive::<32>(root, label));
    hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice())
}

fn derive<const N: usize>(root: &Prk, label: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    root.expand(&[label], KeyLength(N))
        .and_then(|okm| okm.fill(&mut bytes))
        .expect("HKDF-SHA256 gives up to 8160 bytes");
    bytes
}

fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 32];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

struct KeyLength(usize);

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::doubles::SeededEntropy;

    fn vault(seed: u64) -> Vault {
        Vault::new(&MasterKey::generate(&SeededEntropy::new(seed)))
    }

    #[test]
    fn what_was_sealed_opens() {
        let (vault, entropy) = (vault(1), SeededEntropy::new(9));
        for plain in [b"".as_slice(), b"x", &[7; 4096]] {
            let sealed = vault.seal(&entropy, b"place", plain);
            assert_eq!(sealed.as_bytes().len(), 1 + 4 + 12 + plain.len() + 16);
            assert_eq!(vault.open(b"place", &sealed).unwrap().as_slice(), plain);
            assert_eq!(sealed.key_id(), Some(vault.key_id()));
        }
    }

    #[test]
    fn an_envelope_opens_only_in_its_place() {
        let (vault, entropy) = (vault(1), SeededEntropy::new(9));
        let mine = vault.seal(&entropy, b"factor 1", b"secret one");
        let yours = vault.seal(&entropy, b"factor 2", b"secret two");
        assert_eq!(vault.open(b"factor 1", &yours), Err(SealError::NotAuthentic));
        assert_eq!(vault.open(b"factor 2", &mine), Err(SealError::NotAuthentic));
        assert_eq!(vault.open(b"", &mine), Err(SealError::NotAuthentic));
    }

    #[test]
    fn no_flipped_bit_opens() {
        let vault = vault(1);
        let sealed = vault.seal(&SeededEntropy::new(9), b"place", b"twenty secret bytes!");
        for bit in 0..sealed.as_bytes().len() * 8 {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = vault.open(b"place", &Sealed::from_bytes(bytes)).unwrap_err();
            match bit / 8 {
                0 => assert!(matches!(error, SealError::UnknownFormat(_)), "{bit}: {error}"),
                1..5 => assert!(matches!(error, SealError::OtherKey { .. }), "{bit}: {error}"),
                _ => assert_eq!(error, SealError::NotAuthentic, "{bit}"),
            }
        }
    }

    #[test]
    fn no_shortened_or_lengthened_envelope_opens() {
        let vault = vault(1);
        let sealed = vault.seal(&SeededEntropy::new(9), b"place", b"secret");
        for length in 0..sealed.as_bytes().len() {
            let cut = Sealed::from_bytes(sealed.as_bytes()[..length].to_vec());
            assert!(vault.open(b"place", &cut).is_err(), "{length}");
        }
        let longer = Sealed::from_bytes([sealed.as_bytes(), b"\0"].concat());
        assert_eq!(vault.open(b"place", &longer), Err(SealError::NotAuthentic));
    }

    #[test]
    fn a_wrong_master_key_is_named_as_such() {
        let (ours, theirs) = (vault(1), vault(2));
        let sealed = theirs.seal(&SeededEntropy::new(9), b"place", b"secret");
        let expected = SealError::OtherKey {
            sealed_with: theirs.key_id(),
            ours: ours.key_id(),
        };
        assert_eq!(ours.open(b"place", &sealed), Err(expected));
        assert!(expected.to_string().contains(&theirs.key_id().to_string()));
    }

    /// Computed with another implementation of HKDF, HMAC and AES-GCM-SIV: whatever a release has stored must open
    /// and match forever.
    #[test]
    fn keys_and_format_of_the_first_release_stay() {
        let vault = Vault::new(&MasterKey::parse(&"42".repeat(32)).unwrap());
        let sealed = hex("011f760d65000102030405060708090a0bc7a5bb1d1418c9fe0ac00ebcf9fbb681a0b4c0a4c3ec");
        let opened = vault.open(b"place", &Sealed::from_bytes(sealed)).unwrap();
        assert_eq!(opened.as_slice(), b"secret");
        assert_eq!(vault.key_id().to_string(), "1f760d65");
        let token = vault.token_hash(&[1; 16], "token").0;
        assert_eq!(
            token.as_slice(),
            hex("ac8a283110cc58c51f54e5d7ee4bd56dceb2a3cfc51532b7bccd134c5859dd4f")
        );
        let access = vault.mac(Purpose::AccessToken, b"message");
        assert_eq!(
            access.as_slice(),
            hex("6e8b5840be531137d4e2943da038b3850c46c45dabd02341378b5be03dbfa5e0")
        );
        let fingerprint = vault.fingerprint(b"ab", b"c");
        assert_eq!(
            fingerprint.as_bytes().as_slice(),
            hex("99d2de9cc9d839fe359f93532933235e")
        );
    }

    fn hex(text: &str) -> Vec<u8> {
        let digit = |index: usize| u8::from_str_radix(&text[index..index + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn a_hundred_thousand_nonces_are_unique() {
        let (vault, entropy) = (vault(1), SeededEntropy::new(9));
        let nonces: HashSet<Vec<u8>> = (0..100_000)
            .map(|_| vault.seal(&entropy, b"", b"").as_bytes()[5..17].to_vec())
            .collect();
        assert_eq!(nonces.len(), 100_000);
    }

    #[test]
    fn a_token_belongs_to_one_owner_and_one_vault() {
        let (ours, theirs) = (vault(1), vault(2));
        let (alice, bob) = ([1; 16], [2; 16]);
        let hash = ours.token_hash(&alice, "token");
        assert!(ours.token_matches(&alice, "token", &hash));
        assert!(!ours.token_matches(&bob, "token", &hash));
        assert!(!ours.token_matches(&alice, "Token", &hash));
        assert!(!ours.token_matches(&alice, "", &hash));
        assert!(!theirs.token_matches(&alice, "token", &hash));
        ours.spend_token_check(&alice, "token");
    }

    #[test]
    fn fingerprints_are_keyed_and_keep_context_and_data_apart() {
        let (ours, theirs) = (vault(1), vault(2));
        let name = ours.fingerprint(b"ab", b"c");
        assert_eq!(name, ours.fingerprint(b"ab", b"c"));
        assert_ne!(name, ours.fingerprint(b"a", b"bc"));
        assert_ne!(name, theirs.fingerprint(b"ab", b"c"));
    }

    #[test]
    fn a_mac_holds_for_one_purpose_and_one_message() {
        let vault = vault(1);
        let tag = vault.mac(Purpose::AccessToken, b"message");
        assert!(vault.mac_matches(Purpose::AccessToken, b"message", &tag));
        assert!(!vault.mac_matches(Purpose::AccessToken, b"messagE", &tag));
        assert!(!vault.mac_matches(Purpose::AccessToken, b"message", &tag[..31]));
        assert!(!vault.mac_matches(Purpose::AccessToken, b"message", b""));
    }

    #[test]
    fn hashes_keep_their_bytes_through_the_record_format() {
        let vault = vault(1);
        let hash = vault.token_hash(&[1; 16], "token");
        let bytes = rmp_serde::to_vec(&hash).unwrap();
        assert_eq!(bytes.len(), 2 + 32);
        let back: TokenHash = rmp_serde::from_slice(&bytes).unwrap();
        assert!(vault.token_matches(&[1; 16], "token", &back));
        assert!(rmp_serde::from_slice::<Fingerprint>(&bytes).is_err());
        let sealed = vault.seal(&SeededEntropy::new(9), b"place", b"secret");
        let back: Sealed = rmp_serde::from_slice(&rmp_serde::to_vec(&sealed).unwrap()).unwrap();
        assert_eq!(back, sealed);
    }

    #[test]
    fn debug_shows_lengths_and_key_ids_only() {
        let vault = vault(1);
        let sealed = vault.seal(&SeededEntropy::new(9), b"place", b"secret");
        assert_eq!(format!("{sealed:?}"), "Sealed(39 bytes)");
        assert_eq!(format!("{vault:?}"), format!("Vault({})", vault.key_id()));
        assert_eq!(format!("{:?}", vault.token_hash(&[1; 16], "t")), "TokenHash(..)");
        assert_eq!(format!("{:?}", vault.fingerprint(b"", b"")), "Fingerprint(..)");
    }
}
