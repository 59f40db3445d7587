//! The protocol data units of SMPP 3.4 that a sender needs: what it writes, and what it reads of what comes.
//!
//! Numbers are big-endian; texts are octets behind which a zero stands ("C-octet strings"). Sections are those of the
//! Short Message Peer-to-Peer Protocol Specification v3.4, issue 1.2.

use std::time::Duration;

/// The longest unit that is read. What a sender is answered is much shorter.
pub const MOST_OCTETS: usize = 4096;

const HEADER: usize = 16;

/// What a unit is (5.1.2.1).
pub(super) mod command {
    pub(in super::super) const GENERIC_NACK: u32 = 0x8000_0000;
    pub(in super::super) const BIND_TRANSMITTER: u32 = 0x0000_0002;
    pub(in super::super) const SUBMIT_SM: u32 = 0x0000_0004;
    pub(in super::super) const DELIVER_SM: u32 = 0x0000_0005;
    pub(in super::super) const UNBIND: u32 = 0x0000_0006;
    pub(in super::super) const BIND_TRANSCEIVER: u32 = 0x0000_0009;
    pub(in super::super) const DATA_SM: u32 = 0x0000_0103;
    pub(in super::super) const ENQUIRE_LINK: u32 = 0x0000_0015;
    /// Set in the answer to each of them.
    pub(in super::super) const RESPONSE: u32 = 0x8000_0000;
}

/// A unit that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdu {
    /// Which request it is, or which one's answer: the `command_id` (5.1.2).
    pub command: u32,
    /// What came of the request that it answers; 0 is success (5.1.3).
    pub status: u32,
    /// Which request it is, or answers.
    pub sequence: u32,
    /// What follows the header.
    pub body: Vec<u8>,
}

/// What came is no unit, so nothing after it can be made sense of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came is not SMPP")]
pub struct Malformed;

impl Pdu {
    /// The unit at the front of `octets`, and how many it takes; `None` if it is not complete yet.
    ///
    /// # Errors
    /// [`Malformed`] if its length is less than its header's or more than [`MOST_OCTETS`].
    pub fn read(octets: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let number = |at: usize| -> Option<u32> {
            let four = octets.get(at..at + 4)?;
            four.try_into().ok().map(u32::from_be_bytes)
        };
        let Some(length) = number(0) else {
            return Ok(None);
        };
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        if !(HEADER..=MOST_OCTETS).contains(&length) {
            return Err(Malformed);
        }
        let (Some(command), Some(status), Some(sequence), Some(body)) =
            (number(4), number(8), number(12), octets.get(HEADER..length))
        else {
            return Ok(None);
        };
        let pdu = Self {
            command,
            status,
            sequence,
            body: body.to_vec(),
        };
        Ok(Some((pdu, length)))
    }

    /// The text that the body begins with: the name of the message centre or of a message. What is not ASCII is left
    /// out.
    #[must_use]
    pub fn name(&self) -> String {
        let end = self.body.iter().position(|octet| *octet == 0);
        let octets = &self.body[..end.unwrap_or(self.body.len())];
        let letters = octets.iter().filter(|octet| octet.is_ascii_graphic());
        letters.map(|octet| char::from(*octet)).collect()
    }
}

/// A unit to be sent.
pub(super) fn write(command: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut octets = Vec::with_capacity(HEADER + body.len());
    for number in [length, command, status, sequence] {
        octets.extend_from_slice(&number.to_be_bytes());
    }
    octets.extend_from_slice(body);
    octets
}

/// Who this is (4.1.1).
pub(super) struct Bind<'a> {
    pub(super) system_id: &'a str,
    pub(super) password: &'a str,
    pub(super) system_type: &'a str,
}

impl Bind<'_> {
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for text in [self.system_id, self.password, self.system_type] {
            put_text(&mut body, text);
        }
        // Version 3.4; and no addresses of this side's own, because it receives nothing.
        body.extend_from_slice(&[0x34, 0, 0, 0]);
        body
    }
}

/// A phone number or a name (5.2.5, 5.2.6, 5.2.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) ton: u8,
    pub(super) npi: u8,
    pub(super) text: String,
}

/// A short message (4.4.1).
pub(super) struct Submit<'a> {
    pub(super) from: &'a Address,
    pub(super) to: &'a Address,
    pub(super) data_coding: u8,
    /// How long the message is of use. The message centre drops it then.
    pub(super) life: Duration,
    pub(super) content: PduContent<'a>,
}

/// Where the text of a short message stands.
pub(super) enum PduContent<'a> {
    /// In a parameter of its own (5.3.2.32).
    Payload(&'a [u8]),
    /// In the message; at most 254 octets.
    Short(&'a [u8]),
    /// In the message, behind a user data header; at most 254 octets together.
    WithHeader(&'a [u8]),
}

impl Submit<'_> {
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(320);
        put_text(&mut body, "");
        for address in [self.from, self.to] {
            body.extend_from_slice(&[address.ton, address.npi]);
            put_text(&mut body, &address.text);
        }
        let esm_class = match self.content {
            PduContent::WithHeader(_) => 0x40,
            PduContent::Payload(_) | PduContent::Short(_) => 0,
        };
        // No protocol identifier, no priority, at once.
        body.extend_from_slice(&[esm_class, 0, 0, 0]);
        put_text(&mut body, &validity_period(self.life));
        // No receipt, no replacement.
        body.extend_from_slice(&[0, 0, self.data_coding, 0]);
        match self.content {
            PduContent::Short(octets) | PduContent::WithHeader(octets) => {
                body.push(u8::try_from(octets.len()).unwrap_or(u8::MAX));
                body.extend_from_slice(&octets[..octets.len().min(usize::from(u8::MAX))]);
            }
            PduContent::Payload(octets) => {
                let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
                body.extend_from_slice(&[0, 0x04, 0x24]);
                body.extend_from_slice(&length.to_be_bytes());
                body.extend_from_slice(&octets[..usize::from(length)]);
            }
        }
        body
    }
}

/// A time from now on (7.1.1.2): relative, so that it means the same whatever the message centre's clock and zone are. At
/// least a second, because no time at all leaves it to the message centre; at most 31 days, the most that the field holds.
fn validity_period(life: Duration) -> String {
    let seconds = life.as_secs().clamp(1, 31 * 86_400);
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    format!("0000{days:02}{hours:02}{minutes:02}{seconds:02}000R")
}

/// A zero inside would end the text early.
fn put_text(body: &mut Vec<u8>, text: &str) {
    body.extend(text.bytes().filter(|octet| *octet != 0));
    body.push(0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bind_is_written_as_the_specification_shows_it() {
        // The example of 3.2.2 and its neighbours: system_id SMPP3TEST, password secret08, system_type SUBMIT1.
        let bind = Bind {
            system_id: "SMPP3TEST",
            password: "secret08",
            system_type: "SUBMIT1",
        };
        let octets = write(command::BIND_TRANSMITTER, 0, 1, &bind.body());
        let mut expected = vec![0, 0, 0, 0x2f, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1];
        expected.extend_from_slice(b"SMPP3TEST\0secret08\0SUBMIT1\0\x34\0\0\0");
        assert_eq!(octets, expected);
    }

    #[test]
    fn a_short_message_is_written_field_by_field() {
        let from = Address {
            ton: 5,
            npi: 0,
            text: "Owl".to_owned(),
        };
        let to = Address {
            ton: 1,
            npi: 1,
            text: "15005550006".to_owned(),
        };
        let body = |content| {
            let submit = Submit {
                from: &from,
                to: &to,
                data_coding: 8,
                life: Duration::from_secs(599),
                content,
            };
            submit.body()
        };
        let front = b"\0\x05\0Owl\0\x01\x0115005550006\0";
        let times = b"\0\0\x00000000000959000R\0";
        let expected = |esm: u8, rest: &[u8]| [front.as_slice(), &[esm], times, &[0, 0, 8, 0], rest].concat();
        assert_eq!(body(PduContent::Short(b"hi")), expected(0, b"\x02hi"));
        assert_eq!(body(PduContent::WithHeader(b"hi")), expected(0x40, b"\x02hi"));
        let long = [b'a'; 300];
        let rest = [b"\0\x04\x24\x01\x2c".as_slice(), &long].concat();
        assert_eq!(body(PduContent::Payload(&long)), expected(0, &rest));
    }

    #[test]
    fn a_life_is_written_as_a_relative_time() {
        let day = 86_400;
        for (seconds, written) in [
            (0, "000000000001000R"),
            (1, "000000000001000R"),
            (59, "000000000059000R"),
            (600, "000000001000000R"),
            (3_661, "000000010101000R"),
            (day - 1, "000000235959000R"),
            (31 * day, "000031000000000R"),
            (u64::MAX, "000031000000000R"),
        ] {
            assert_eq!(validity_period(Duration::from_secs(seconds)), written);
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_malformed() {
        for length in [0_u32, 15, 4097, u32::MAX] {
            assert_eq!(Pdu::read(&length.to_be_bytes()), Err(Malformed), "{length}");
        }
        assert_eq!(Pdu::read(&[0, 0, 0]), Ok(None));
        assert_eq!(Pdu::read(&16_u32.to_be_bytes()), Ok(None));
    }

    #[test]
    fn names_end_at_a_zero_and_are_printable() {
        let named = |body: &[u8]| Pdu {
            command: 0,
            status: 0,
            sequence: 0,
            body: body.to_vec(),
        };
        assert_eq!(named(b"a1\n\xff-2\0rest").name(), "a1-2");
        assert_eq!(named(b"no end").name(), "noend");
        assert_eq!(named(b"").name(), "");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..64), small in any::<bool>()) {
            let mut octets = octets;
            if small && octets.len() >= 4 {
                octets[..3].fill(0);
            }
            if let Ok(Some((pdu, taken))) = Pdu::read(&octets) {
                prop_assert!(taken <= octets.len() && pdu.body.len() + HEADER == taken);
                prop_assert!(pdu.name().len() <= pdu.body.len());
            }
        }

        #[test]
        fn what_is_written_is_read(numbers in any::<[u32; 3]>(), body in proptest::collection::vec(any::<u8>(), 0..400), cut in any::<usize>()) {
            let [command, status, sequence] = numbers;
            let octets = write(command, status, sequence, &body);
            let pdu = Pdu { command, status, sequence, body };
            prop_assert_eq!(Pdu::read(&octets[..cut % octets.len()]), Ok(None));
            prop_assert_eq!(Pdu::read(&octets), Ok(Some((pdu, octets.len()))));
        }
    }
}
