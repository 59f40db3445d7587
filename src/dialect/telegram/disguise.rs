//! The stream that hides framing from who watches the network: AES-256-CTR under keys that everybody could read out of its
//! beginning. It is no protection, and nothing here takes it for one.

use super::cipher::CounterStream;
use super::tl::MalformedTl;
use super::transport::Framing;

/// Both directions of a hidden connection.
#[derive(Debug)]
pub struct Disguise {
    received: CounterStream,
    sent: CounterStream,
}

impl Disguise {
    /// How many bytes a hidden connection begins with.
    pub const BEGINNING: usize = 64;

    /// Reads the beginning of a connection: the keys, and within what they hide how payloads are framed.
    ///
    /// # Errors
    /// [`MalformedTl`] when that is none of the framings.
    pub fn of(beginning: &[u8; Self::BEGINNING]) -> Result<(Self, Framing), MalformedTl> {
        let mut keys = [0; 48];
        keys.copy_from_slice(&beginning[8..56]);
        let mut received = stream(&keys);
        keys.reverse();
        let sent = stream(&keys);
        // The keys themselves are hidden by what follows from them, too.
        let mut shown = *beginning;
        received.apply(&mut shown);
        let framing = match shown[56..60] {
            [0xef, 0xef, 0xef, 0xef] => Framing::Abridged,
            [0xee, 0xee, 0xee, 0xee] => Framing::Intermediate,
            [0xdd, 0xdd, 0xdd, 0xdd] => Framing::PaddedIntermediate,
            _ => return Err(MalformedTl),
        };
        Ok((Self { received, sent }, framing))
    }

    /// Shows what was received.
    pub fn show(&mut self, bytes: &mut [u8]) {
        self.received.apply(bytes);
    }

    /// Hides what is to be sent.
    pub fn hide(&mut self, bytes: &mut [u8]) {
        self.sent.apply(bytes);
    }
}

fn stream(keys: &[u8; 48]) -> CounterStream {
    let (mut key, mut counter) = ([0; 32], [0; 16]);
    key.copy_from_slice(&keys[..32]);
    counter.copy_from_slice(&keys[32..]);
    CounterStream::new(&key, counter)
}
