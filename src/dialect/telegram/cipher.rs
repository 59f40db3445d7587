//! The modes of AES-256 that the protocol uses: IGE for messages, CTR for what hides their framing. AES itself is the
//! library's.

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, StreamingEncryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How long a block is.
pub const BLOCK_BYTES: usize = 16;

/// The key and both initial blocks of IGE (infinite garble extension).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct IgeKey {
    /// The key of AES-256.
    pub key: [u8; 32],
    /// What stands for the ciphertext, then for the plaintext before the first block.
    pub iv: [u8; 32],
}

impl std::fmt::Debug for IgeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IgeKey(..)")
    }
}

impl IgeKey {
    /// Encrypts whole blocks; what is left behind the last one stays as it is.
    ///
    /// # Panics
    /// Never: the library has this mode, and it is given whole blocks.
    pub fn encrypt(&self, data: &mut [u8]) {
        let cipher = EncryptingKey::ecb(unbound(&self.key)).expect("AES-256 has ECB");
        let (mut last_cipher, mut last_plain) = self.initial_blocks();
        for block in data.as_chunks_mut::<BLOCK_BYTES>().0 {
            let plain = *block;
            add(block, &last_cipher);
            cipher.encrypt(block).expect("it is one block");
            add(block, &last_plain);
            (last_cipher, last_plain) = (*block, plain);
        }
    }

    /// Decrypts whole blocks; what is left behind the last one stays as it is.
    ///
    /// # Panics
    /// As [`encrypt`](Self::encrypt).
    pub fn decrypt(&self, data: &mut [u8]) {
        let cipher = DecryptingKey::ecb(unbound(&self.key)).expect("AES-256 has ECB");
        let (mut last_cipher, mut last_plain) = self.initial_blocks();
        for block in data.as_chunks_mut::<BLOCK_BYTES>().0 {
            let encrypted = *block;
            add(block, &last_plain);
            cipher
                .decrypt(block, DecryptionContext::None)
                .expect("it is one block");
            add(block, &last_cipher);
            (last_cipher, last_plain) = (encrypted, *block);
        }
    }

    fn initial_blocks(&self) -> ([u8; BLOCK_BYTES], [u8; BLOCK_BYTES]) {
        let (mut cipher, mut plain) = ([0; BLOCK_BYTES], [0; BLOCK_BYTES]);
        cipher.copy_from_slice(&self.iv[..BLOCK_BYTES]);
        plain.copy_from_slice(&self.iv[BLOCK_BYTES..]);
        (cipher, plain)
    }
}

/// One direction of a stream that is hidden with AES-256 in CTR mode: hiding and showing are the same.
pub struct CounterStream(StreamingEncryptingKey);

impl std::fmt::Debug for CounterStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CounterStream(..)")
    }
}

impl CounterStream {
    /// The stream of a key and the first counter.
    ///
    /// # Panics
    /// Never: the library has this mode.
    #[must_use]
    pub fn new(key: &[u8; 32], counter: [u8; BLOCK_BYTES]) -> Self {
        let context = EncryptionContext::Iv128(FixedLength::from(counter));
        let stream = StreamingEncryptingKey::less_safe_ctr(unbound(key), context);
        Self(stream.expect("AES-256 has CTR"))
    }

    /// Hides or shows the next bytes of the stream.
    ///
    /// # Panics
    /// Never: the library is given room for what it writes.
    pub fn apply(&mut self, data: &mut [u8]) {
        const PIECE: usize = 4096;
        let mut out = [0; PIECE + BLOCK_BYTES];
        for piece in data.chunks_mut(PIECE) {
            let written = self.0.update(piece, &mut out).expect("there is room for a piece");
            piece.copy_from_slice(written.written());
        }
    }
}

fn unbound(key: &[u8; 32]) -> UnboundCipherKey {
    UnboundCipherKey::new(&AES_256, key).expect("AES-256 takes 32 bytes")
}

fn add(block: &mut [u8; BLOCK_BYTES], other: &[u8; BLOCK_BYTES]) {
    for (byte, other) in block.iter_mut().zip(other) {
        *byte ^= other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with pyaes 1.6.1 through Telethon 1.45.0 (`telethon.crypto.AES.encrypt_ige`).
    #[test]
    fn ige_is_what_a_client_makes_of_it() {
        let ige = IgeKey {
            key: std::array::from_fn(|index| u8::try_from(index).unwrap()),
            iv: std::array::from_fn(|index| u8::try_from(index + 100).unwrap()),
        };
        let plain: Vec<u8> = (0..48u8).map(|byte| byte.wrapping_mul(5)).collect();
        let mut data = plain.clone();
        ige.encrypt(&mut data);
        assert_eq!(hex(&data), IGE_OF_TELETHON);
        ige.decrypt(&mut data);
        assert_eq!(data, plain);
    }

    /// NIST SP 800-38A, F.5.5: CTR-AES256.
    #[test]
    fn ctr_is_the_published_one_however_it_is_cut() {
        let key = unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        let counter = unhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        let plain = unhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        let hidden = "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5";
        for cut in [0, 1, 15, 16, 17, 31] {
            let mut stream = CounterStream::new(
                &key.as_slice().try_into().unwrap(),
                counter.as_slice().try_into().unwrap(),
            );
            let mut data = plain.clone();
            let (first, second) = data.split_at_mut(cut);
            stream.apply(first);
            stream.apply(second);
            assert_eq!(hex(&data), hidden, "{cut}");
        }
    }

    const IGE_OF_TELETHON: &str =
        "0ea8e594661cd3a141069fbc9a4a7379006f311bd19481109e841e9bfbf7608ba5fd41d0f992bab2f1100b616bedcf3c";

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write as _;
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn unhex(text: &str) -> Vec<u8> {
        let pairs = text.as_bytes().chunks_exact(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }
}
