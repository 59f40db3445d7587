//! What is in a message: one value, or a container of several, each of which may be compressed.

use std::io::Read as _;

use flate2::read::{GzDecoder, ZlibDecoder};

use super::schema::{GZIP_PACKED, MSG_CONTAINER, MSG_COPY};
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

/// Whether a value is of the kind that is to be confirmed; `None` if it may be either: of acknowledgements some clients say so
/// and others do not.
#[must_use]
pub fn is_confirmed(body: &[u8]) -> Option<bool> {
    match TlReader::new(body).word() {
        Ok(MSG_CONTAINER) => Some(false),
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

/// The value itself, if it was compressed: with gzip or, as some clients do, zlib. What it became is taken off `budget`, which
/// all values of one message have together; so is the whole budget where that could not be done, since it took as long.
///
/// # Errors
/// [`MalformedTl`] if it cannot be inflated, becomes longer than `budget`, or was compressed twice.
pub fn inflated(body: Vec<u8>, budget: &mut usize) -> Result<Vec<u8>, MalformedTl> {
    const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
    let mut reader = TlReader::new(&body);
    if reader.word() != Ok(GZIP_PACKED) {
        return Ok(body);
    }
    let packed = reader.bytes()?;
    reader.end()?;
    let most = std::mem::take(budget);
    let mut value = Vec::new();
    let read_at_most = u64::try_from(most + 1).map_err(|_| MalformedTl)?;
    let read = if packed.starts_with(&GZIP_MAGIC) {
        GzDecoder::new(packed).take(read_at_most).read_to_end(&mut value)
    } else {
        ZlibDecoder::new(packed)
            .take(read_at_most)
            .read_to_end(&mut value)
    };
    read.map_err(|_| MalformedTl)?;
    let again = matches!(TlReader::new(&value).word(), Ok(GZIP_PACKED | MSG_CONTAINER));
    let left = most.checked_sub(value.len()).filter(|_| !again);
    *budget = left.ok_or(MalformedTl)?;
    Ok(value)
}

/// How many values a container may have.
pub const MOST_PARTS: usize = 120;
/// How many bytes the compressed values of a message may become together.
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
        let alone = |body: Vec<u8>| inflated(body, &mut MOST_INFLATED.clone());
        let value = vec![5; 40];
        assert_eq!(alone(value.clone()), Ok(value.clone()));
        for gzip in [true, false] {
            assert_eq!(alone(packed(&value, gzip)), Ok(value.clone()));
            let whole = packed(&vec![0; MOST_INFLATED], gzip);
            assert_eq!(alone(whole).map(|value| value.len()), Ok(MOST_INFLATED));
            let bomb = packed(&vec![0; 10_000_000], gzip);
            assert!(bomb.len() < 20_000);
            assert_eq!(alone(bomb), Err(MalformedTl));
            let twice = packed(&packed(&value, gzip), gzip);
            assert_eq!(alone(twice), Err(MalformedTl));
            assert_eq!(alone(packed(&container(&[], 4), gzip)), Err(MalformedTl));
        }
        let no_stream = TlWriter::of(GZIP_PACKED).bytes(&[1, 2, 3]).done();
        assert_eq!(alone(no_stream), Err(MalformedTl));
    }

    #[test]
    fn the_values_of_a_message_are_inflated_from_one_budget() {
        let half = packed(&vec![0; MOST_INFLATED / 2], true);
        let mut budget = MOST_INFLATED;
        for (value, is_inflated) in [(&half, true), (&half, true), (&half, false)] {
            assert_eq!(inflated(value.clone(), &mut budget).is_ok(), is_inflated);
        }
        let plain = vec![1; 8];
        assert_eq!(inflated(plain.clone(), &mut budget), Ok(plain), "it needs none");
        let bomb = packed(&vec![0; MOST_INFLATED + 1], false);
        let mut budget = MOST_INFLATED;
        assert_eq!(inflated(bomb, &mut budget), Err(MalformedTl));
        assert_eq!(
            inflated(half, &mut budget),
            Err(MalformedTl),
            "the bomb took all of it"
        );
    }
}
