//! Reading a file.

use std::io::{self, BufRead, Read};

use aws_lc_rs::hmac;
use base64::Engine as _;

use super::keys::{AgeIdentity, Stanza};
use super::stream::{CHUNK_BYTES, Chunks, TAG_BYTES};
use super::{AgeError, BASE64, FIRST_LINE, FileKey, NONCE_BYTES, header_key, payload_key};

/// Opens what it reads, in constant memory. Whatever it gives was written so; that nothing is missing is certain once it has
/// given the end.
pub struct AgeReader<R: BufRead> {
    input: R,
    chunks: Chunks,
    chunk: Vec<u8>,
    given: usize,
    at_end: bool,
}

impl<R: BufRead> AgeReader<R> {
    /// Begins with a file that is sealed for `identity`, among others.
    ///
    /// # Errors
    /// [`AgeError`]; as `input`.
    pub fn begin(mut input: R, identity: &AgeIdentity) -> io::Result<Self> {
        let file_key = read_header(&mut input, identity)?;
        let mut nonce = [0; NONCE_BYTES];
        match input.read_exact(&mut nonce) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(AgeError::Truncated.into());
            }
            read => read?,
        }
        let chunks = Chunks::new(&payload_key(&file_key, &nonce)).ok_or(AgeError::Changed)?;
        Ok(Self {
            input,
            chunks,
            chunk: Vec::with_capacity(CHUNK_BYTES + TAG_BYTES),
            given: 0,
            at_end: false,
        })
    }

    /// Opens the next chunk.
    fn refill(&mut self) -> io::Result<()> {
        self.chunk.clear();
        self.given = 0;
        if self.at_end {
            return Ok(());
        }
        let is_first = self.chunks.is_first();
        let most = (CHUNK_BYTES + TAG_BYTES) as u64;
        Read::take(&mut self.input, most).read_to_end(&mut self.chunk)?;
        let is_last = self.input.fill_buf()?.is_empty();
        // The last one is empty only if nothing else is there.
        if self.chunk.len() < TAG_BYTES || (self.chunk.len() == TAG_BYTES && !is_first) {
            return Err(AgeError::Truncated.into());
        }
        let cut_short = is_last.then(|| self.chunk.clone());
        if let Err(error) = self.chunks.open(&mut self.chunk, is_last) {
            self.chunk.clear();
            // One that would be right in the middle: what follows it is gone.
            let is_cut_short = cut_short.is_some_and(|mut sealed| self.chunks.is_cut_short(&mut sealed));
            return Err(if is_cut_short { AgeError::Truncated } else { error }.into());
        }
        self.at_end = is_last;
        Ok(())
    }
}

impl<R: BufRead> Read for AgeReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let given = self.fill_buf()?.read(bytes)?;
        self.consume(given);
        Ok(given)
    }
}

impl<R: BufRead> BufRead for AgeReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.given == self.chunk.len() {
            self.refill()?;
        }
        Ok(&self.chunk[self.given..])
    }

    fn consume(&mut self, amount: usize) {
        self.given = (self.given + amount).min(self.chunk.len());
    }
}

/// Reads up to the payload, and makes sure that whoever sealed the file wrote that.
fn read_header(input: &mut impl BufRead, identity: &AgeIdentity) -> io::Result<FileKey> {
    let mut lines = HeaderLines {
        input,
        read: Vec::new(),
    };
    if lines.next().is_ok_and(|line| line == FIRST_LINE) {
        lines.read_recipients(identity)
    } else {
        Err(AgeError::NotAge.into())
    }
}

struct HeaderLines<'i, R> {
    input: &'i mut R,
    /// All so far.
    read: Vec<u8>,
}

impl<R: BufRead> HeaderLines<'_, R> {
    fn read_recipients(&mut self, identity: &AgeIdentity) -> io::Result<FileKey> {
        let mut found: Option<FileKey> = None;
        loop {
            let line = self.next()?.to_vec();
            if let Some(mac) = line.strip_prefix(b"--- ") {
                let mac = BASE64
                    .decode(without_its_end(mac))
                    .map_err(|_| AgeError::Changed)?;
                let covered = self.read.len() - line.len() + 3;
                let file_key = found.ok_or(AgeError::OtherKey)?;
                hmac::verify(&header_key(&file_key), &self.read[..covered], &mac)
                    .map_err(|_| AgeError::Changed)?;
                return Ok(file_key);
            }
            let arguments = line.strip_prefix(b"-> ").ok_or(AgeError::NotAge)?.to_vec();
            let body = self.read_body()?;
            if found.is_none()
                && let Some(stanza) = x25519_stanza(&arguments, &body)
            {
                found = identity.open(&stanza);
            }
        }
    }

    /// The lines of a body: each of 64 characters but the last, which is shorter and may be empty.
    fn read_body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = without_its_end(self.next()?);
            let is_last = line.len() < BODY_COLUMNS;
            body.extend(BASE64.decode(line).map_err(|_| AgeError::Changed)?);
            if is_last {
                return Ok(body);
            }
        }
    }

    fn next(&mut self) -> io::Result<&[u8]> {
        let start = self.read.len();
        let room = MOST_HEADER_BYTES - start.min(MOST_HEADER_BYTES);
        Read::take(&mut *self.input, room as u64).read_until(b'\n', &mut self.read)?;
        let line = &self.read[start..];
        match line.ends_with(b"\n") {
            true => Ok(line),
            false if room > line.len() => Err(AgeError::Truncated.into()),
            false => Err(AgeError::NotAge.into()),
        }
    }
}

/// The line as it is written: a blank behind it would be one that nobody vouches for.
fn without_its_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// What is said of a recipient of the type X25519; of others we know nothing.
fn x25519_stanza(arguments: &[u8], body: &[u8]) -> Option<Stanza> {
    let share = without_its_end(arguments.strip_prefix(b"X25519 ")?);
    Some(Stanza {
        ephemeral: BASE64.decode(share).ok()?.try_into().ok()?,
        sealed: body.try_into().ok()?,
    })
}

const BODY_COLUMNS: usize = 64;
/// Room for some hundred recipients.
const MOST_HEADER_BYTES: usize = 64 * 1024;
