//! Writing a file.

use std::fmt::Write as _;
use std::io::{self, Write};

use aws_lc_rs::hmac;
use base64::Engine as _;

use super::keys::{AgeRecipient, Stanza};
use super::stream::{CHUNK_BYTES, Chunks};
use super::{BASE64, FIRST_LINE, FileKey, NONCE_BYTES, header_key, payload_key};
use crate::domain::entropy::Entropy;

/// Seals what is written to it, in constant memory. Without [`AgeWriter::finish`] the file has no end, and nobody reads it.
pub struct AgeWriter<W: Write> {
    output: W,
    chunks: Chunks,
    /// What is not sealed yet: nobody knows whether more follows.
    chunk: Vec<u8>,
}

impl<W: Write> AgeWriter<W> {
    /// Begins a file that each of `recipients` can open.
    ///
    /// # Errors
    /// When there are none, or one of them is a key that nothing can be sealed for; as `output`.
    pub fn begin(mut output: W, recipients: &[AgeRecipient], entropy: &dyn Entropy) -> io::Result<Self> {
        let unusable = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "nothing can be sealed for this recipient",
            )
        };
        let mut file_key = FileKey::default();
        entropy.fill(file_key.as_mut_slice());
        if recipients.is_empty() {
            return Err(unusable());
        }
        let mut header = FIRST_LINE.to_vec();
        for recipient in recipients {
            let stanza = recipient.seal(&file_key, entropy).ok_or_else(unusable)?;
            header.extend_from_slice(lines(&stanza).as_bytes());
        }
        header.extend_from_slice(b"---");
        let mac = hmac::sign(&header_key(&file_key), &header);
        header.extend_from_slice(format!(" {}\n", BASE64.encode(mac)).as_bytes());
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        header.extend_from_slice(&nonce);
        output.write_all(&header)?;
        Ok(Self {
            output,
            chunks: Chunks::new(&payload_key(&file_key, &nonce)).ok_or_else(unusable)?,
            chunk: Vec::with_capacity(CHUNK_BYTES + super::stream::TAG_BYTES),
        })
    }

    /// Seals the rest, and the end with it.
    ///
    /// # Errors
    /// As the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        self.chunks.seal(&mut self.chunk, is_last)?;
        self.output.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }
}

impl<W: Write> Write for AgeWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        // Only a chunk behind which there is something is not the last.
        if self.chunk.len() == CHUNK_BYTES {
            self.seal(false)?;
        }
        let room = CHUNK_BYTES - self.chunk.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.chunk.extend_from_slice(taken);
        Ok(taken.len())
    }

    /// What does not fill a chunk stays until [`AgeWriter::finish`].
    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// What the header says of one recipient.
fn lines(stanza: &Stanza) -> String {
    let mut text = String::with_capacity(128);
    let ephemeral = BASE64.encode(stanza.ephemeral);
    let sealed = BASE64.encode(stanza.sealed);
    // Writing to a string cannot fail.
    let _ = write!(text, "-> X25519 {ephemeral}\n{sealed}\n");
    text
}
