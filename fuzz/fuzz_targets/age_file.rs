//! A backup's envelope: a file in the age format, raw, or a good one with a few edits. What is opened is what was sealed, from
//! its beginning; to the end only if nothing was changed.

#![no_main]

use std::io::{BufReader, Read as _, Write as _};

use countersign::crypto::age::{AgeIdentity, AgeReader, AgeWriter};
use countersign::domain::entropy::Entropy;
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

fuzz_target!(|bytes: &[u8]| {
    let identity = AgeIdentity::from_secret(Zeroizing::new([7; 32])).expect("a secret");
    // Raw: whatever comes of it comes in bounded pieces.
    let _whatever = opened(bytes, &identity);

    let Some((&[count, pieces], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let edits = usize::from(count % 8) * 4;
    let Some((edits, plain)) = rest.split_at_checked(edits) else {
        return;
    };
    // Long enough for some chunks.
    let plain = plain.repeat(1 + 64 * usize::from(pieces));
    let plain = &plain[..plain.len().min(200_000)];
    let whole = sealed(plain, &identity);
    let mut file = whole.clone();
    for edit in edits.chunks_exact(4) {
        change(&mut file, [edit[0], edit[1], edit[2], edit[3]]);
    }
    let (read, is_whole) = opened(&file, &identity);
    assert!(plain.starts_with(&read), "what is given was sealed so");
    assert_eq!(is_whole, file == whole, "any change is noticed by the end");
    assert!(!is_whole || read == plain);
});

/// What a reader gives, and whether it said that this is all.
fn opened(file: &[u8], identity: &AgeIdentity) -> (Vec<u8>, bool) {
    let mut read = Vec::new();
    let Ok(mut reader) = AgeReader::begin(BufReader::with_capacity(1009, file), identity) else {
        return (read, false);
    };
    let is_whole = reader.read_to_end(&mut read).is_ok();
    assert!(read.len() <= file.len(), "nothing is made of nothing");
    (read, is_whole)
}

fn sealed(plain: &[u8], identity: &AgeIdentity) -> Vec<u8> {
    let recipients = [identity.recipient()];
    let mut writer = AgeWriter::begin(Vec::new(), &recipients, &SameBytes).expect("memory takes it");
    writer.write_all(plain).expect("memory takes it");
    writer.finish().expect("memory takes it")
}

/// Overwrites a byte, puts one in, takes some away, or copies some to another place; near the beginning or the end, or anywhere.
fn change(file: &mut Vec<u8>, [how, high, low, value]: [u8; 4]) {
    if file.is_empty() {
        return;
    }
    let offset = usize::from(u16::from_be_bytes([high, low]));
    let place = match how % 3 {
        0 => offset % file.len().min(512),
        1 => file.len() - 1 - offset % file.len().min(512),
        _ => offset * 4 % file.len(),
    };
    match how / 3 % 4 {
        0 => file[place] ^= value,
        1 => file.insert(place, value),
        2 => {
            let end = (place + usize::from(value)).min(file.len());
            file.drain(place..end);
        }
        _ => {
            let end = (place + usize::from(value)).min(file.len());
            let copied = file[place..end].to_vec();
            file.extend(copied);
        }
    }
}

/// One input, one file.
#[derive(Debug)]
struct SameBytes;

impl Entropy for SameBytes {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(9);
    }
}
