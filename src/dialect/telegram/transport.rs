//! How payloads are framed on a connection: four transports, told by what a client sends first.
//!
//! | transport | a connection begins with | a frame |
//! | --- | --- | --- |
//! | abridged | `ef` | length in words (1 byte, or `7f` and 3 bytes), payload |
//! | intermediate | `eeeeeeee` | length (4 bytes), payload |
//! | padded intermediate | `dddddddd` | length with padding, payload, up to 15 bytes of padding |
//! | full | the first frame | length of all (4 bytes), number, payload, CRC-32 of what is before |
//!
//! All but the last can be hidden in a stream of AES-256-CTR, whose keys stand in the first 64 bytes: see [`super::disguise`].
//!
//! Invariant: [`Transport::read`] keeps no more than was received, and refuses a frame by its length alone.

use std::fmt;

use flate2::Crc;

use super::disguise::Disguise;
use super::tl::MalformedTl;

/// The longest payload: a container of a few dozen requests, of which the longest has some kilobytes.
pub const MOST_PAYLOAD: usize = 64 * 1024;
/// The longest payload of somebody who has shown no key yet: it is kept for whoever connects.
pub const MOST_OF_A_STRANGER: usize = 16 * 1024;

/// How payloads are told from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocol's; see the module")]
pub enum Framing {
    Abridged,
    Intermediate,
    PaddedIntermediate,
    Full,
}

/// The framing of one connection, from its first byte on.
#[derive(Default)]
pub struct Transport {
    framing: Option<Framing>,
    disguise: Option<Disguise>,
    /// What was received and is not read yet, shown if it was hidden.
    received: Vec<u8>,
    /// The number of the next frame in either direction; only the full transport has them.
    next_received: u32,
    next_sent: u32,
    /// Whether the client has shown a key.
    trusted: bool,
}

/// What is received may be anything.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("framing", &self.framing)
            .field("received", &self.received.len())
            .finish_non_exhaustive()
    }
}

/// What a client was sent instead of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// There is no such key.
    UnknownKey,
    /// It asks too much.
    Flood,
}

impl TransportError {
    /// The number that stands for it.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::UnknownKey => -404,
            Self::Flood => -429,
        }
    }
}

impl Transport {
    /// Takes what was received.
    pub fn receive(&mut self, bytes: &[u8]) {
        let hidden_from = self.received.len();
        self.received.extend_from_slice(bytes);
        if let Some(disguise) = &mut self.disguise {
            disguise.show(&mut self.received[hidden_from..]);
        }
    }

    /// The next payload, if all of it was received.
    ///
    /// # Errors
    /// [`MalformedTl`] when this is none of the transports, a frame is longer than [`MOST_PAYLOAD`], or [`MOST_OF_A_STRANGER`]
    /// before [`Transport::trust`], or empty, or its checksum or number is wrong: nothing that follows can be understood.
    pub fn read(&mut self) -> Result<Option<Vec<u8>>, MalformedTl> {
        if self.framing.is_none() && !self.recognize()? {
            return Ok(None);
        }
        let Some(framing) = self.framing else {
            return Ok(None);
        };
        let Some(Frame {
            header,
            length,
            trailer,
        }) = frame(framing, self.most(), &self.received)?
        else {
            return Ok(None);
        };
        let end = header + length;
        if self.received.len() < end + trailer {
            return Ok(None);
        }
        if framing == Framing::Full {
            self.check_full(end)?;
        }
        let payload = self.received[header..end].to_vec();
        self.received.drain(..end + trailer);
        if self.received.is_empty() {
            // Thousands who wait are not to have a buffer each.
            self.received = Vec::new();
        }
        Ok(Some(payload))
    }

    /// The client has shown a key: its payloads may be longer from now on.
    pub fn trust(&mut self) {
        self.trusted = true;
    }

    fn most(&self) -> usize {
        if self.trusted {
            MOST_PAYLOAD
        } else {
            MOST_OF_A_STRANGER
        }
    }

    /// Whether the beginning of a frame was received, and not its end.
    #[must_use]
    pub fn is_within_frame(&self) -> bool {
        !self.received.is_empty()
    }

    /// Whether payloads have random bytes behind them.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.framing == Some(Framing::PaddedIntermediate)
    }

    /// A payload as it is sent; `padding` is up to 15 random bytes, for those who want some.
    #[must_use]
    pub fn write(&mut self, payload: &[u8], padding: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut frame = Vec::with_capacity(payload.len() + padding.len() + 12);
        match self.framing.unwrap_or(Framing::Full) {
            Framing::Abridged => {
                let words = length.div_ceil(4);
                let [low, middle, high, _] = words.to_le_bytes();
                if words < u32::from(LONG_FRAME) {
                    frame.push(low);
                } else {
                    frame.extend_from_slice(&[LONG_FRAME, low, middle, high]);
                }
                frame.extend_from_slice(payload);
            }
            Framing::Intermediate => {
                frame.extend_from_slice(&length.to_le_bytes());
                frame.extend_from_slice(payload);
            }
            Framing::PaddedIntermediate => {
                let padded = payload.len() + padding.len();
                frame.extend_from_slice(&u32::try_from(padded).unwrap_or(u32::MAX).to_le_bytes());
                frame.extend_from_slice(payload);
                frame.extend_from_slice(padding);
            }
            Framing::Full => {
                frame.extend_from_slice(&length.saturating_add(12).to_le_bytes());
                frame.extend_from_slice(&self.next_sent.to_le_bytes());
                frame.extend_from_slice(payload);
                frame.extend_from_slice(&checksum(&frame).to_le_bytes());
                self.next_sent = self.next_sent.wrapping_add(1);
            }
        }
        if let Some(disguise) = &mut self.disguise {
            disguise.hide(&mut frame);
        }
        frame
    }

    /// A transport error as it is sent.
    #[must_use]
    pub fn write_error(&mut self, error: TransportError) -> Vec<u8> {
        self.write(&error.code().to_le_bytes(), &[])
    }

    /// Finds out which transport this is; `false` if too little was received to say.
    fn recognize(&mut self) -> Result<bool, MalformedTl> {
        let received = &mut self.received;
        let (framing, used) = match **received {
            [0xef, ..] => (Framing::Abridged, 1),
            [0xee, 0xee, 0xee, 0xee, ..] => (Framing::Intermediate, 4),
            [0xdd, 0xdd, 0xdd, 0xdd, ..] => (Framing::PaddedIntermediate, 4),
            // The number of the first frame is 0, which stands in no hidden beginning.
            [_, _, _, _, 0, 0, 0, 0, ..] => (Framing::Full, 0),
            _ if received.len() < 8 => return Ok(false),
            _ => {
                let Some((beginning, rest)) = received.split_first_chunk_mut::<{ Disguise::BEGINNING }>()
                else {
                    return Ok(false);
                };
                let (mut disguise, framing) = Disguise::of(beginning)?;
                disguise.show(rest);
                self.disguise = Some(disguise);
                (framing, Disguise::BEGINNING)
            }
        };
        received.drain(..used);
        self.framing = Some(framing);
        Ok(true)
    }

    fn check_full(&mut self, end: usize) -> Result<(), MalformedTl> {
        let (framed, rest) = self.received.split_at(end);
        let sum = rest.first_chunk().copied().map(u32::from_le_bytes);
        let number = framed.get(4..8).and_then(|number| number.first_chunk()).copied();
        if sum != Some(checksum(framed)) || number.map(u32::from_le_bytes) != Some(self.next_received) {
            return Err(MalformedTl);
        }
        self.next_received = self.next_received.wrapping_add(1);
        Ok(())
    }
}

/// Where the payload of a frame is, and what follows.
struct Frame {
    header: usize,
    length: usize,
    trailer: usize,
}

/// The first frame; `None` if its length was not received yet.
fn frame(framing: Framing, most: usize, received: &[u8]) -> Result<Option<Frame>, MalformedTl> {
    let four = received.first_chunk().copied().map(u32::from_le_bytes);
    let (header, length, trailer) = match framing {
        Framing::Abridged => match *received {
            [first, ..] if first & !QUICK_ACK != LONG_FRAME => (1, 4 * u32::from(first & !QUICK_ACK), 0),
            [_, low, middle, high, ..] => (4, 4 * u32::from_le_bytes([low, middle, high, 0]), 0),
            _ => return Ok(None),
        },
        Framing::Intermediate | Framing::PaddedIntermediate => match four {
            None => return Ok(None),
            Some(length) => (4, length & !QUICK_ACK_BIT, 0),
        },
        Framing::Full => match four {
            None => return Ok(None),
            Some(length) => (8, length.checked_sub(12).ok_or(MalformedTl)?, 4),
        },
    };
    let length = usize::try_from(length).map_err(|_| MalformedTl)?;
    let room = match framing {
        Framing::PaddedIntermediate => most + MOST_PADDING,
        Framing::Abridged | Framing::Intermediate | Framing::Full => most,
    };
    if length == 0 || length > room {
        return Err(MalformedTl);
    }
    Ok(Some(Frame {
        header,
        length,
        trailer,
    }))
}

/// CRC-32 as Ethernet and zlib have it.
fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Stands in front of the length of a long frame.
const LONG_FRAME: u8 = 0x7f;
/// A client may ask to hear at once that a frame has come. It hears of that with the answer.
const QUICK_ACK: u8 = 0x80;
/// The same where lengths have four bytes.
const QUICK_ACK_BIT: u32 = 1 << 31;
/// The most random bytes behind a payload.
pub const MOST_PADDING: usize = 15;

#[cfg(test)]
#[path = "tests/transport.rs"]
mod tests;
