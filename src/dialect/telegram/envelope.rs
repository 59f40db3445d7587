//! The encryption of messages (MTProto 2.0): AES-256-IGE under a key that each message has for itself, made of the key that
//! both sides agreed on and of a digest of the message.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::cipher::{BLOCK_BYTES, IgeKey};
use super::digest::{sha1, sha256};
use super::modular::Number;
use super::tl::{MalformedTl, TlReader};
use crate::domain::entropy::Entropy;

/// The key that a client and this server agreed on.
pub struct AuthKey {
    bytes: Zeroizing<Number>,
    id: i64,
}

/// A message out of its envelope.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the protocol's")]
pub struct MtprotoMessage {
    pub salt: i64,
    pub session: i64,
    pub id: i64,
    pub seqno: u32,
    pub body: Vec<u8>,
}

/// Who sends: each direction has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum SendingSide {
    Client,
    Server,
}

impl AuthKey {
    /// The key with these bytes.
    #[must_use]
    pub fn new(bytes: Zeroizing<Number>) -> Self {
        let mut id = [0; 8];
        id.copy_from_slice(&sha1(&[bytes.as_slice()])[12..]);
        Self {
            id: i64::from_le_bytes(id),
            bytes,
        }
    }

    /// What stands in front of every message that is encrypted with it.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The key itself.
    #[must_use]
    pub(super) fn bytes(&self) -> &Number {
        &self.bytes
    }

    /// A number that nobody can make who has not both the key and `secret`: for a purpose and a moment.
    #[must_use]
    pub(super) fn derived(&self, purpose: &[u8], secret: &[u8; 32], moment: u64) -> i64 {
        let digest = sha256(&[purpose, self.bytes.as_slice(), secret, &moment.to_be_bytes()]);
        let mut number = [0; 8];
        number.copy_from_slice(&digest[..8]);
        i64::from_le_bytes(number)
    }

    /// Takes a message out of its envelope: all of a payload behind the identifier of the key.
    ///
    /// # Errors
    /// [`MalformedTl`] if the key did not encrypt it, any byte was changed, or its lengths are not as they must be.
    pub fn open(&self, sender: SendingSide, envelope: &[u8]) -> Result<MtprotoMessage, MalformedTl> {
        let (key, encrypted) = envelope.split_first_chunk::<16>().ok_or(MalformedTl)?;
        if encrypted.len() < HEADER + LEAST_PADDING || !encrypted.len().is_multiple_of(BLOCK_BYTES) {
            return Err(MalformedTl);
        }
        let mut plain = Zeroizing::new(encrypted.to_vec());
        self.ige_key(sender, key).decrypt(&mut plain);
        let is_right: bool = self.message_key(sender, &plain).ct_eq(key).into();
        if !is_right {
            return Err(MalformedTl);
        }
        let mut reader = TlReader::new(&plain);
        let (salt, session, id, seqno) = (reader.long()?, reader.long()?, reader.long()?, reader.word()?);
        let length = usize::try_from(reader.word()?).map_err(|_| MalformedTl)?;
        let body = reader.raw(length)?;
        let padding = reader.rest().len();
        if !length.is_multiple_of(4) || !(LEAST_PADDING..=MOST_PADDING).contains(&padding) {
            return Err(MalformedTl);
        }
        Ok(MtprotoMessage {
            salt,
            session,
            id,
            seqno,
            body: body.to_vec(),
        })
    }

    /// Puts a message into its envelope, with the identifier of the key in front.
    #[must_use]
    pub fn seal(&self, sender: SendingSide, message: &MtprotoMessage, entropy: &dyn Entropy) -> Vec<u8> {
        let mut plain = Zeroizing::new(Vec::with_capacity(HEADER + message.body.len() + 2 * BLOCK_BYTES));
        plain.extend_from_slice(&message.salt.to_le_bytes());
        plain.extend_from_slice(&message.session.to_le_bytes());
        plain.extend_from_slice(&message.id.to_le_bytes());
        plain.extend_from_slice(&message.seqno.to_le_bytes());
        let length = u32::try_from(message.body.len()).unwrap_or(u32::MAX);
        plain.extend_from_slice(&length.to_le_bytes());
        plain.extend_from_slice(&message.body);
        let (end, padded) = (
            plain.len(),
            (plain.len() + LEAST_PADDING).next_multiple_of(BLOCK_BYTES),
        );
        plain.resize(padded, 0);
        entropy.fill(&mut plain[end..]);
        let key = self.message_key(sender, &plain);
        self.ige_key(sender, &key).encrypt(&mut plain);
        [&self.id.to_le_bytes()[..], &key, &plain].concat()
    }

    fn message_key(&self, sender: SendingSide, plain: &[u8]) -> [u8; 16] {
        let from = 88 + sender.offset();
        let digest = sha256(&[&self.bytes[from..from + 32], plain]);
        let mut key = [0; 16];
        key.copy_from_slice(&digest[8..24]);
        key
    }

    fn ige_key(&self, sender: SendingSide, key: &[u8; 16]) -> IgeKey {
        let x = sender.offset();
        let a = Zeroizing::new(sha256(&[key, &self.bytes[x..x + 36]]));
        let b = Zeroizing::new(sha256(&[&self.bytes[40 + x..76 + x], key]));
        IgeKey {
            key: interleave(&a, &b),
            iv: interleave(&b, &a),
        }
    }
}

impl SendingSide {
    /// Where in the key its part begins.
    fn offset(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 8,
        }
    }
}

/// The ends of one around the middle of the other.
fn interleave(ends: &[u8; 32], middle: &[u8; 32]) -> [u8; 32] {
    let mut both = *ends;
    both[8..24].copy_from_slice(&middle[8..24]);
    both
}

/// Salt, session, identifier, number, length.
const HEADER: usize = 32;
const LEAST_PADDING: usize = 12;
const MOST_PADDING: usize = 1024;

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthKey({:016x})", self.id)
    }
}

/// What is in it may be somebody's code.
impl fmt::Debug for MtprotoMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MtprotoMessage({:x}, {} bytes)", self.id, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    fn key() -> AuthKey {
        let bytes = std::array::from_fn(|index| u8::try_from(index).unwrap());
        AuthKey::new(Zeroizing::new(bytes))
    }

    fn message(length: usize) -> MtprotoMessage {
        MtprotoMessage {
            salt: 1,
            session: -2,
            id: 0x6000_0000_0000_0004,
            seqno: 3,
            body: vec![7; length],
        }
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_other_side_only() {
        let entropy = SeededEntropy::new(1);
        for length in [0, 4, 16, 400] {
            for sender in [SendingSide::Client, SendingSide::Server] {
                let sealed = key().seal(sender, &message(length), &entropy);
                assert_eq!(sealed[..8], key().id().to_le_bytes());
                assert_eq!(key().open(sender, &sealed[8..]).unwrap(), message(length));
            }
            let sealed = key().seal(SendingSide::Client, &message(length), &entropy);
            assert_eq!(key().open(SendingSide::Server, &sealed[8..]), Err(MalformedTl));
        }
    }

    #[test]
    fn no_byte_can_be_changed_or_left_out() {
        let sealed = key().seal(SendingSide::Client, &message(40), &SeededEntropy::new(1));
        let envelope = &sealed[8..];
        for position in 0..envelope.len() {
            let mut changed = envelope.to_vec();
            changed[position] ^= 0x40;
            assert_eq!(
                key().open(SendingSide::Client, &changed),
                Err(MalformedTl),
                "{position}"
            );
            assert_eq!(
                key().open(SendingSide::Client, &envelope[..position]),
                Err(MalformedTl),
                "{position}"
            );
        }
    }

    /// Telethon 1.45.0 (`telethon.network.mtprotostate.MTProtoState._calc_key`), for both directions.
    #[test]
    fn keys_of_messages_are_those_that_a_client_makes() {
        let message_key = std::array::from_fn(|index| u8::try_from(index * 3).unwrap());
        for (sender, expected_key, expected_iv) in KEYS_OF_TELETHON {
            let IgeKey { key, iv } = &key().ige_key(sender, &message_key);
            assert_eq!(
                (hex(key), hex(iv)),
                (expected_key.to_owned(), expected_iv.to_owned())
            );
        }
    }

    const KEYS_OF_TELETHON: [(SendingSide, &str, &str); 2] = [
        (
            SendingSide::Client,
            "9bfbffc643886627ed25629e38e06577bb87aba650a3f1ad85dd968586c5d36b",
            "352ed95a38c620d1e2137fce093fb6ea5b5d253e4e15dd9a7a30074f577cac91",
        ),
        (
            SendingSide::Server,
            "dfe139ae6609bc37ed734830e99245109fdfb9d586eae90df2a025e5381517cd",
            "76e78eab455ecbb91f22bca4ed2ec20e97e82cd4cba783b6cccc8c8ec173f316",
        ),
    ];

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write as _;
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}
