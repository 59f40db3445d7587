//! What a client of the streaming protocol sends, in pieces: the same payloads come out however it is cut, none is longer than
//! may be, and what is refused stays refused.

#![no_main]

use countersign::dialect::telegram::transport::{MOST_PADDING, MOST_PAYLOAD, Transport};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], u8)| {
    let (bytes, piece) = input;
    let whole = payloads(bytes, bytes.len().max(1));
    assert_eq!(payloads(bytes, usize::from(piece) + 1), whole);
    for payload in &whole.0 {
        assert!(!payload.is_empty() && payload.len() <= MOST_PAYLOAD + MOST_PADDING);
    }
});

/// All payloads, and whether what follows them is refused.
fn payloads(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
    let mut transport = Transport::default();
    let mut payloads = Vec::new();
    for piece in bytes.chunks(piece) {
        transport.receive(piece);
        loop {
            match transport.read() {
                Ok(Some(payload)) => payloads.push(payload),
                Ok(None) => break,
                Err(_) => return (payloads, true),
            }
        }
    }
    (payloads, false)
}
