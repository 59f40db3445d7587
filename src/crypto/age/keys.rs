//! Who files are for, and who reads them.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use zeroize::Zeroizing;

use super::{FileKey, X25519_INFO, bech32, derive};
use crate::crypto::derived_key;
use crate::crypto::master_key::MasterKey;
use crate::domain::entropy::Entropy;

/// A public key that files can be sealed for: `age1...`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AgeRecipient([u8; 32]);

/// The secret key that opens what is sealed for its recipient: `AGE-SECRET-KEY-1...`.
pub struct AgeIdentity {
    secret: Zeroizing<[u8; 32]>,
    recipient: AgeRecipient,
}

/// Why a text is no key. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgeKeyError {
    /// It is no recipient.
    #[error("must be a recipient of age: age1 and 58 more characters, as `age-keygen` shows it")]
    Recipient,
    /// It is no identity.
    #[error(
        "must be an identity of age: a line that begins with AGE-SECRET-KEY-1, as `age-keygen` writes it"
    )]
    Identity,
}

/// What a header says of one recipient.
pub(super) struct Stanza {
    pub(super) ephemeral: [u8; 32],
    pub(super) sealed: [u8; 32],
}

impl AgeRecipient {
    /// Seals the key of a file for this recipient. `None` for a public key that agrees with every secret on nothing.
    pub(super) fn seal(&self, file_key: &FileKey, entropy: &dyn Entropy) -> Option<Stanza> {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(secret.as_mut_slice());
        let ephemeral = public_of(&secret)?;
        let shared = agreed(&secret, &self.0)?;
        let key = sealing_key(&wrap_key(&shared, &ephemeral, &self.0))?;
        let mut body = Zeroizing::new(file_key.to_vec());
        let tag = key
            .seal_in_place_separate_tag(zero_nonce(), Aad::empty(), body.as_mut_slice())
            .ok()?;
        let mut sealed = [0; 32];
        let (front, end) = sealed.split_at_mut(16);
        front.copy_from_slice(&body);
        end.copy_from_slice(tag.as_ref());
        Some(Stanza { ephemeral, sealed })
    }
}

impl AgeIdentity {
    /// The identity that opens backups which are sealed for a master key; it is derived from it, and tells nothing of it.
    #[must_use]
    pub fn of_master_key(master: &MasterKey) -> Option<Self> {
        Self::from_secret(Zeroizing::new(derived_key::bytes(
            &master.root(),
            b"age identity",
        )))
    }

    /// The identity of this secret; `None` if it is none, which no random one is.
    #[must_use]
    pub fn from_secret(secret: Zeroizing<[u8; 32]>) -> Option<Self> {
        let recipient = AgeRecipient(public_of(&secret)?);
        Some(Self { secret, recipient })
    }

    /// Reads the first identity of a file of `age-keygen`, in which lines may be empty or comments.
    ///
    /// # Errors
    /// [`AgeKeyError::Identity`].
    pub fn parse(text: &str) -> Result<Self, AgeKeyError> {
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
        let secret = line.and_then(|line| bech32::decode("age-secret-key-", line));
        let secret = Zeroizing::new(secret.ok_or(AgeKeyError::Identity)?);
        Self::from_secret(secret).ok_or(AgeKeyError::Identity)
    }

    /// Whom to seal files for that this opens.
    #[must_use]
    pub fn recipient(&self) -> AgeRecipient {
        self.recipient
    }

    /// The text that [`AgeIdentity::parse`] reads back.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(bech32::encode("age-secret-key-", &self.secret).to_ascii_uppercase())
    }

    /// The key of a file that was sealed for this one; `None` if it was for another.
    pub(super) fn open(&self, stanza: &Stanza) -> Option<FileKey> {
        let shared = agreed(&self.secret, &stanza.ephemeral)?;
        let key = sealing_key(&wrap_key(&shared, &stanza.ephemeral, &self.recipient.0))?;
        let mut body = Zeroizing::new(stanza.sealed);
        let opened = key
            .open_in_place(zero_nonce(), Aad::empty(), body.as_mut_slice())
            .ok()?;
        let mut file_key = FileKey::default();
        file_key.copy_from_slice(opened.get(..16)?);
        Some(file_key)
    }
}

impl fmt::Debug for AgeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgeIdentity(..)")
    }
}

impl FromStr for AgeRecipient {
    type Err = AgeKeyError;

    fn from_str(text: &str) -> Result<Self, AgeKeyError> {
        bech32::decode("age", text.trim())
            .map(Self)
            .ok_or(AgeKeyError::Recipient)
    }
}

impl fmt::Display for AgeRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32::encode("age", &self.0))
    }
}

impl fmt::Debug for AgeRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgeRecipient({self})")
    }
}

/// A key for one chunk or one file key.
pub(super) fn sealing_key(bytes: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, bytes)
        .ok()
        .map(LessSafeKey::new)
}

fn public_of(secret: &[u8; 32]) -> Option<[u8; 32]> {
    let private = PrivateKey::from_private_key(&X25519, secret).ok()?;
    private.compute_public_key().ok()?.as_ref().try_into().ok()
}

/// What both keys agree on; `None` if that is nothing, as with a public key of low order.
fn agreed(secret: &[u8; 32], public: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    let private = PrivateKey::from_private_key(&X25519, secret).ok()?;
    let peer = UnparsedPublicKey::new(&X25519, public);
    let shared = agree(&private, peer, (), |shared| {
        <[u8; 32]>::try_from(shared).map(Zeroizing::new).map_err(|_| ())
    });
    shared.ok().filter(|shared| **shared != [0; 32])
}

fn wrap_key(shared: &[u8; 32], ephemeral: &[u8; 32], recipient: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    derive(
        shared,
        &[ephemeral.as_slice(), recipient.as_slice()].concat(),
        X25519_INFO,
    )
}

/// Each such key seals one thing.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
