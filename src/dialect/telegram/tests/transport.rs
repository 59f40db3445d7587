//! Frames of a client that is written from the published description, however they are cut.

use proptest::prelude::*;

use super::*;
use crate::dialect::telegram::cipher::CounterStream;

/// What a client sends and reads: written from the published description, beside the code that is tested.
struct FramingClient {
    framing: Framing,
    hidden: Option<(CounterStream, CounterStream)>,
    number: u32,
}

impl FramingClient {
    /// A client and how its connection begins.
    fn new(framing: Framing, hidden: bool) -> (Self, Vec<u8>) {
        let tag = match framing {
            Framing::Abridged => [0xef; 4],
            Framing::Intermediate => [0xee; 4],
            Framing::PaddedIntermediate => [0xdd; 4],
            Framing::Full => [0; 4],
        };
        let mut client = Self {
            framing,
            hidden: None,
            number: 0,
        };
        if !hidden {
            let beginning = match framing {
                Framing::Abridged => vec![0xef],
                Framing::Full => Vec::new(),
                Framing::Intermediate | Framing::PaddedIntermediate => tag.to_vec(),
            };
            return (client, beginning);
        }
        let mut beginning: [u8; 64] = std::array::from_fn(|index| u8::try_from(index * 3 + 1).unwrap());
        beginning[56..60].copy_from_slice(&tag);
        let backwards: Vec<u8> = beginning.iter().rev().copied().collect();
        let stream = |bytes: &[u8]| {
            CounterStream::new(
                bytes[8..40].try_into().unwrap(),
                bytes[40..56].try_into().unwrap(),
            )
        };
        let (mut sends, receives) = (stream(&beginning), stream(&backwards));
        let mut encrypted = beginning;
        sends.apply(&mut encrypted);
        beginning[56..].copy_from_slice(&encrypted[56..]);
        client.hidden = Some((sends, receives));
        (client, beginning.to_vec())
    }

    fn frame(&mut self, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap();
        let mut frame = match self.framing {
            Framing::Abridged if length < 127 * 4 => vec![u8::try_from(length / 4).unwrap()],
            Framing::Abridged => {
                let mut head = (length / 4).to_le_bytes().to_vec();
                head.insert(0, 0x7f);
                head.truncate(4);
                head
            }
            Framing::Intermediate => length.to_le_bytes().to_vec(),
            Framing::PaddedIntermediate => (length + 5).to_le_bytes().to_vec(),
            Framing::Full => [(length + 12).to_le_bytes(), self.number.to_le_bytes()].concat(),
        };
        frame.extend_from_slice(payload);
        match self.framing {
            Framing::PaddedIntermediate => frame.extend_from_slice(&[9; 5]),
            Framing::Full => frame.extend_from_slice(&checksum(&frame).to_le_bytes()),
            Framing::Abridged | Framing::Intermediate => {}
        }
        self.number += 1;
        if let Some((sends, _)) = &mut self.hidden {
            sends.apply(&mut frame);
        }
        frame
    }
}

const KINDS: [(Framing, bool); 7] = [
    (Framing::Abridged, false),
    (Framing::Abridged, true),
    (Framing::Intermediate, false),
    (Framing::Intermediate, true),
    (Framing::PaddedIntermediate, false),
    (Framing::PaddedIntermediate, true),
    (Framing::Full, false),
];

/// All that can be read when `bytes` come in pieces of this size.
fn read_all(bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, MalformedTl> {
    let mut transport = Transport::default();
    let mut payloads = Vec::new();
    for piece in bytes.chunks(piece) {
        transport.receive(piece);
        while let Some(payload) = transport.read()? {
            payloads.push(payload);
        }
    }
    assert!(!transport.is_within_frame());
    Ok(payloads)
}

#[test]
fn each_transport_is_told_from_the_others_however_its_bytes_are_cut() {
    let payloads = [vec![1; 4], vec![2; 508], vec![3; 40], vec![4; 4096]];
    for (framing, hidden) in KINDS {
        let (mut client, mut bytes) = FramingClient::new(framing, hidden);
        for payload in &payloads {
            bytes.extend(client.frame(payload));
        }
        for piece in [1, 3, 63, 64, 65, bytes.len()] {
            let read = read_all(&bytes, piece).unwrap();
            for (read, sent) in read.iter().zip(&payloads) {
                let sent_and_padding = read.starts_with(sent) && read.len() - sent.len() <= MOST_PADDING;
                assert!(sent_and_padding, "{framing:?}, {hidden}, {piece}");
            }
            assert_eq!(read.len(), payloads.len());
        }
    }
}

#[test]
fn what_is_sent_is_framed_as_what_was_received() {
    for (framing, hidden) in KINDS {
        let (mut client, mut bytes) = FramingClient::new(framing, hidden);
        bytes.extend(client.frame(&[1; 40]));
        let mut transport = Transport::default();
        transport.receive(&bytes);
        transport.read().unwrap().unwrap();
        for payload in [vec![7; 44], vec![8; 1024]] {
            let mut sent = transport.write(&payload, &[]);
            if let Some((_, receives)) = &mut client.hidden {
                receives.apply(&mut sent);
            }
            let (header, trailer) = match framing {
                Framing::Abridged => (if payload.len() < 508 { 1 } else { 4 }, 0),
                Framing::Intermediate | Framing::PaddedIntermediate => (4, 0),
                Framing::Full => (8, 4),
            };
            assert_eq!(
                &sent[header..sent.len() - trailer],
                payload,
                "{framing:?}, {hidden}"
            );
        }
        let mut error = transport.write_error(TransportError::UnknownKey);
        if let Some((_, receives)) = &mut client.hidden {
            receives.apply(&mut error);
        }
        let carries_it = error.windows(4).any(|word| word == (-404i32).to_le_bytes());
        assert!(carries_it, "{framing:?}, {hidden}");
    }
}

#[test]
fn a_frame_is_refused_by_its_length_before_it_comes() {
    for (trusted, most) in [(false, MOST_OF_A_STRANGER), (true, MOST_PAYLOAD)] {
        are_refused(trusted, u32::try_from(most + 4).unwrap());
    }
    // Who has shown a key may send what strangers may not.
    let mut transport = Transport::default();
    let header = [[0xee; 4], u32::try_from(MOST_PAYLOAD).unwrap().to_le_bytes()].concat();
    transport.trust();
    transport.receive(&header);
    assert_eq!(transport.read(), Ok(None));
}

fn are_refused(trusted: bool, too_long: u32) {
    let mut full = (too_long + 12).to_le_bytes().to_vec();
    full.extend([0; 4]);
    for bytes in [
        vec![0xef, 0],
        [&[0xef, 0x7f][..], &(too_long / 4).to_le_bytes()[..3]].concat(),
        [[0xee; 4], too_long.to_le_bytes()].concat(),
        [[0xee; 4], [0; 4]].concat(),
        [[0xdd; 4], (too_long + 16).to_le_bytes()].concat(),
        full,
        vec![11, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let mut transport = Transport::default();
        if trusted {
            transport.trust();
        }
        transport.receive(&bytes);
        assert_eq!(transport.read(), Err(MalformedTl), "{bytes:x?}");
    }
}

#[test]
fn a_full_frame_needs_its_checksum_and_its_number() {
    let (mut client, _) = FramingClient::new(Framing::Full, false);
    let (first, second) = (client.frame(&[1; 8]), client.frame(&[2; 8]));
    let mut wrong = first.clone();
    wrong[10] ^= 1;
    for bytes in [wrong, [first.clone(), first.clone()].concat()] {
        assert_eq!(read_all(&bytes, 7), Err(MalformedTl));
    }
    assert_eq!(read_all(&[first, second].concat(), 7).unwrap().len(), 2);
}

#[test]
fn a_hidden_stream_without_a_known_tag_is_refused() {
    let mut transport = Transport::default();
    transport.receive(&[7; 63]);
    assert_eq!(transport.read(), Ok(None));
    transport.receive(&[7]);
    assert_eq!(transport.read(), Err(MalformedTl));
}

proptest! {
    /// Whatever comes, nothing panics and no more is kept than came.
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, piece in 1..50usize) {
        let mut transport = Transport::default();
        for piece in bytes.chunks(piece) {
            transport.receive(piece);
            while let Ok(Some(payload)) = transport.read() {
                prop_assert!(payload.len() <= bytes.len());
            }
        }
        prop_assert!(transport.received.len() <= bytes.len());
    }
}
