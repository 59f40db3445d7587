//! The serialization of the protocol: little-endian words, and strings padded to whole words.
//!
//! Invariant: what is read was sent by anybody. Nothing is reserved for a length that was only announced.

/// Why something is not what it should be. What exactly it is, nobody is told: a client knows what it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no such thing")]
pub struct MalformedTl;

/// Reads values one after another.
#[derive(Clone, Copy)]
pub struct TlReader<'a> {
    rest: &'a [u8],
}

impl<'a> TlReader<'a> {
    /// At the beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `length` bytes as they are.
    ///
    /// # Errors
    /// [`MalformedTl`] if there are fewer.
    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], MalformedTl> {
        let (raw, rest) = self.rest.split_at_checked(length).ok_or(MalformedTl)?;
        self.rest = rest;
        Ok(raw)
    }

    /// The next `N` bytes as they are.
    ///
    /// # Errors
    /// [`MalformedTl`] if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], MalformedTl> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(MalformedTl)?;
        self.rest = rest;
        Ok(*array)
    }

    /// A word: an `int` without its sign, a set of flags, or what a value begins with.
    ///
    /// # Errors
    /// [`MalformedTl`] at the end.
    pub fn word(&mut self) -> Result<u32, MalformedTl> {
        self.array().map(u32::from_le_bytes)
    }

    /// An `int`.
    ///
    /// # Errors
    /// [`MalformedTl`] at the end.
    pub fn int(&mut self) -> Result<i32, MalformedTl> {
        self.array().map(i32::from_le_bytes)
    }

    /// A `long`.
    ///
    /// # Errors
    /// [`MalformedTl`] at the end.
    pub fn long(&mut self) -> Result<i64, MalformedTl> {
        self.array().map(i64::from_le_bytes)
    }

    /// A string of bytes.
    ///
    /// # Errors
    /// [`MalformedTl`] if it is cut short.
    pub fn bytes(&mut self) -> Result<&'a [u8], MalformedTl> {
        let [first] = self.array()?;
        let (length, header) = if first < LONG_STRING {
            (usize::from(first), 1)
        } else {
            let [low, middle, high] = self.array()?;
            let length = u32::from_le_bytes([low, middle, high, 0]);
            (usize::try_from(length).map_err(|_| MalformedTl)?, 4)
        };
        let bytes = self.raw(length)?;
        self.raw(padding(header + length))?;
        Ok(bytes)
    }

    /// A string of characters.
    ///
    /// # Errors
    /// [`MalformedTl`] if it is cut short, or not UTF-8.
    pub fn string(&mut self) -> Result<&'a str, MalformedTl> {
        std::str::from_utf8(self.bytes()?).map_err(|_| MalformedTl)
    }

    /// How many elements follow, each of which takes `least` bytes and more.
    ///
    /// # Errors
    /// [`MalformedTl`] if there is no room for so many, or they are more than `most`.
    pub fn count(&mut self, least: usize, most: usize) -> Result<usize, MalformedTl> {
        let count = usize::try_from(self.word()?).map_err(|_| MalformedTl)?;
        let needed = count.checked_mul(least).ok_or(MalformedTl)?;
        if count > most || needed > self.rest.len() {
            return Err(MalformedTl);
        }
        Ok(count)
    }

    /// A vector of `long`s.
    ///
    /// # Errors
    /// [`MalformedTl`] if it is none, or has more than `most`.
    pub fn longs(&mut self, most: usize) -> Result<Vec<i64>, MalformedTl> {
        if self.word()? != VECTOR {
            return Err(MalformedTl);
        }
        let count = self.count(8, most)?;
        (0..count).map(|_| self.long()).collect()
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// [`MalformedTl`] if something is.
    pub fn end(self) -> Result<(), MalformedTl> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(MalformedTl)
        }
    }
}

/// What may be read can be somebody's number or code.
impl std::fmt::Debug for TlReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TlReader({} bytes)", self.rest.len())
    }
}

/// Writes values one after another.
#[derive(Clone, Default)]
pub struct TlWriter {
    bytes: Vec<u8>,
}

impl TlWriter {
    /// A value that begins with `constructor`.
    #[must_use]
    pub fn of(constructor: u32) -> Self {
        Self::default().word(constructor)
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A word.
    #[must_use]
    pub fn word(self, value: u32) -> Self {
        self.raw(&value.to_le_bytes())
    }

    /// An `int`.
    #[must_use]
    pub fn int(self, value: i32) -> Self {
        self.raw(&value.to_le_bytes())
    }

    /// A `long`.
    #[must_use]
    pub fn long(self, value: i64) -> Self {
        self.raw(&value.to_le_bytes())
    }

    /// A string of bytes; what is longer than 16 MB cannot be written and is cut.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(MOST_STRING);
        let bytes = &bytes[..bytes.len().min(MOST_STRING as usize)];
        let [low, middle, high, _] = length.to_le_bytes();
        let header = if length < u32::from(LONG_STRING) {
            self.bytes.push(low);
            1
        } else {
            self.bytes.extend_from_slice(&[LONG_STRING, low, middle, high]);
            4
        };
        self.bytes.extend_from_slice(bytes);
        let padded = self.bytes.len() + padding(header + bytes.len());
        self.bytes.resize(padded, 0);
        self
    }

    /// A string of characters.
    #[must_use]
    pub fn string(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// A vector of `long`s.
    #[must_use]
    pub fn longs(self, longs: &[i64]) -> Self {
        let count = u32::try_from(longs.len()).unwrap_or(u32::MAX);
        let written = self.word(VECTOR).word(count);
        longs.iter().fold(written, |written, long| written.long(*long))
    }

    /// What was written.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.bytes
    }
}

impl std::fmt::Debug for TlWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TlWriter({} bytes)", self.bytes.len())
    }
}

/// What a vector begins with.
pub const VECTOR: u32 = 0x1cb5_c415;
/// Stands in front of the length of a long string.
const LONG_STRING: u8 = 254;
/// The longest string.
const MOST_STRING: u32 = 0x00ff_ffff;

/// How many bytes are missing to whole words.
fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read_back(word: u32, int: i32, long: i64, bytes: Vec<u8>, text: String, longs: Vec<i64>) {
            let written = TlWriter::of(word).int(int).long(long).bytes(&bytes).string(&text).longs(&longs).done();
            prop_assert_eq!(written.len() % 4, 0);
            let mut reader = TlReader::new(&written);
            prop_assert_eq!(reader.word(), Ok(word));
            prop_assert_eq!(reader.int(), Ok(int));
            prop_assert_eq!(reader.long(), Ok(long));
            prop_assert_eq!(reader.bytes(), Ok(bytes.as_slice()));
            prop_assert_eq!(reader.string(), Ok(text.as_str()));
            prop_assert_eq!(reader.longs(1000), Ok(longs));
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn strings_of_all_lengths_at_the_border_are_read_back() {
        for length in [0, 1, 2, 3, 4, 252, 253, 254, 255, 256, 65_536] {
            let bytes = vec![7; length];
            let written = TlWriter::default().bytes(&bytes).done();
            let header = if length < 254 { 1 } else { 4 };
            assert_eq!(written.len(), (header + length).next_multiple_of(4));
            assert_eq!(TlReader::new(&written).bytes(), Ok(bytes.as_slice()));
            for cut in 0..written.len().min(300) {
                assert_eq!(
                    TlReader::new(&written[..cut]).bytes(),
                    Err(MalformedTl),
                    "{length}, {cut}"
                );
            }
        }
    }

    #[test]
    fn a_count_is_believed_only_as_far_as_the_bytes_reach() {
        for (count, left, least, most, read) in [
            (2, 16, 8, 10, Ok(2)),
            (3, 16, 8, 10, Err(MalformedTl)),
            (u32::MAX, 16, 8, usize::MAX, Err(MalformedTl)),
            (11, 100, 1, 10, Err(MalformedTl)),
        ] {
            let written = TlWriter::of(count).raw(&vec![0; left]).done();
            assert_eq!(TlReader::new(&written).count(least, most), read, "{count}");
        }
        let not_a_vector = TlWriter::of(7).word(0).done();
        assert_eq!(TlReader::new(&not_a_vector).longs(10), Err(MalformedTl));
    }
}
