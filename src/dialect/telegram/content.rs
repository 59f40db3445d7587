//! What is in a message: one value, or a container of several, each of which may be compressed.

use std::io::Read as _;

use flate2::read::{GzDecoder, ZlibDecoder};

use super::schema::{GZIP_PACKED, MSG_CONTAINER, MSG_COPY, MSGS_ACK};
use super::tl::{MalformedTl, TlReader};

/// One of the values in a message, and by which identifier and number.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct MessagePart {
    pub id: i64,
    pub seqno: u32,
    pub body: Vec<u8>,
}

/// What a client is told of a value may be somebody's code.
impl std::fmt::Debug for MessagePart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MessagePart({:x}, {} bytes)", self.id, self.body.len())
    }
}

/// Whether it is a container.
#[must_use]
pub fn is_container(body: &[u8]) -> bool {
    TlReader::new(body).word() == Ok(MSG_CONTAINER)
}

/// Whether a value is of the kind that is to be confirmed; `None` if it may be either.
#[must_use]
pub fn is_confirmed(body: &[u8]) -> Option<bool> {
    match TlReader::new(body).word() {
        Ok(MSG_CONTAINER | MSGS_ACK) => Some(false),
        _ => None,
    }
}

/// The values in a container.
///
/// # Errors
/// [`MalformedTl`] if it is none, has more than [`MOST_PARTS`], or one in it is a container or has a later identifier than it.
pub fn parts(container: i64, body: &[u8]) -> Result<Vec<MessagePart>, MalformedTl> {
    let mut reader = TlReader::new(body);
    if reader.word()? != MSG_CONTAINER {
        return Err(MalformedTl);
    }
    let count = reader.count(16, MOST_PARTS)?;
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let (id, seqno) = (reader.long()?, reader.word()?);
        let length = usize::try_from(reader.word()?).map_err(|_| MalformedTl)?;
        let body = reader.raw(length)?;
        let is_whole = length.is_multiple_of(4);
        let nested = matches!(TlReader::new(body).word(), Ok(MSG_CONTAINER | MSG_COPY));
        if !is_whole || nested || id >= container {
            return Err(MalformedTl);
        }
        parts.push(MessagePart {
            id,
            seqno,
            body: body.to_vec(),
        });
    }
    reader.end()?;
    Ok(parts)
}

/// The value itself, if it was compressed: with gzip or, as some clients do, zlib.
///
/// # Errors
/// [`MalformedTl`] if it cannot be inflated, becomes longer than [`MOST_INFLATED`], or was compressed twice.
pub fn inflated(body: Vec<u8>) -> Result<Vec<u8>, MalformedTl> {
    const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
    let mut reader = TlReader::new(&body);
    if reader.word() != Ok(GZIP_PACKED) {
        return Ok(body);
    }
    let packed = reader.bytes()?;
    reader.end()?;
    let mut value = Vec::new();
    let most = u64::try_from(MOST_INFLATED + 1).map_err(|_| MalformedTl)?;
    let read = if packed.starts_with(&GZIP_MAGIC) {
        GzDecoder::new(packed).take(most).read_to_end(&mut value)
    } else {
        ZlibDecoder::new(packed).take(most).read_to_end(&mut value)
    };
    read.map_err(|_| MalformedTl)?;
    let again = matches!(TlReader::new(&value).word(), Ok(GZIP_PACKED | MSG_CONTAINER));
    if value.len() > MOST_INFLATED || again {
        return Err(MalformedTl);
    }
    Ok(value)
}

/// How many values a container may have.
pub const MOST_PARTS: usize = 128;
/// How many bytes a compressed value may become.
pub const MOST_INFLATED: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;
    use crate::dialect::telegram::tl::TlWriter;

    fn container(bodies: &[&[u8]], id: i64) -> Vec<u8> {
        let count = u32::try_from(bodies.len()).unwrap();
        let written = TlWriter::of(MSG_CONTAINER).word(count);
        let written = bodies.iter().fold(written, |written, body| {
            let length = u32::try_from(body.len()).unwrap();
            written.long(id).word(1).word(length).raw(body)
        });
        written.done()
    }

    fn packed(value: &[u8], gzip: bool) -> Vec<u8> {
        let bytes = if gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(value).unwrap();
            encoder.finish().unwrap()
        } else {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(value).unwrap();
            encoder.finish().unwrap()
        };
        TlWriter::of(GZIP_PACKED).bytes(&bytes).done()
    }

    #[test]
    fn a_container_has_its_values_and_no_container() {
        let value = [7; 8];
        let read = parts(100, &container(&[&value, &value], 4)).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[1].id, read[1].body.as_slice()), (4, &value[..]));
        let inner = container(&[], 4);
        for (refused, why) in [
            (container(&[&inner], 4), "a container in it"),
            (container(&[&value], 100), "later than the container"),
            (container(&[&[1, 2]], 4), "no whole words"),
            (container(&[&value], 4)[..20].to_vec(), "cut short"),
            (
                TlWriter::of(MSG_CONTAINER).word(u32::MAX).raw(&[0; 64]).done(),
                "too many",
            ),
            (
                container(&vec![&value[..]; MOST_PARTS + 1], 4),
                "more than may be",
            ),
        ] {
            assert_eq!(parts(100, &refused), Err(MalformedTl), "{why}");
        }
    }

    #[test]
    fn gzip_and_zlib_are_inflated_and_what_is_not_compressed_stays() {
        let value = vec![5; 40];
        assert_eq!(inflated(value.clone()), Ok(value.clone()));
        for gzip in [true, false] {
            assert_eq!(inflated(packed(&value, gzip)), Ok(value.clone()));
            let whole = packed(&vec![0; MOST_INFLATED], gzip);
            assert_eq!(inflated(whole).map(|value| value.len()), Ok(MOST_INFLATED));
            let bomb = packed(&vec![0; 10_000_000], gzip);
            assert!(bomb.len() < 20_000);
            assert_eq!(inflated(bomb), Err(MalformedTl));
            let twice = packed(&packed(&value, gzip), gzip);
            assert_eq!(inflated(twice), Err(MalformedTl));
            assert_eq!(inflated(packed(&container(&[], 4), gzip)), Err(MalformedTl));
        }
        let no_stream = TlWriter::of(GZIP_PACKED).bytes(&[1, 2, 3]).done();
        assert_eq!(inflated(no_stream), Err(MalformedTl));
    }
}
