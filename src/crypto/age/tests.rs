//! Round trips, what is refused, and files of the age program itself.

use std::io::{BufReader, Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::crypto::master_key::MasterKey;
use crate::doubles::SeededEntropy;

fn identity(seed: u64) -> AgeIdentity {
    AgeIdentity::of_master_key(&MasterKey::generate(&SeededEntropy::new(seed))).unwrap()
}

fn sealed(plain: &[u8], recipients: &[AgeRecipient]) -> Vec<u8> {
    let mut writer = AgeWriter::begin(Vec::new(), recipients, &SeededEntropy::new(7)).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

fn opened(file: &[u8], identity: &AgeIdentity) -> Result<Vec<u8>, AgeError> {
    let why = |error: std::io::Error| {
        *error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<AgeError>())
            .unwrap()
    };
    // Pieces of an odd length, so that no chunk comes in one.
    let mut reader = AgeReader::begin(BufReader::with_capacity(1009, file), identity).map_err(why)?;
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).map_err(why)?;
    Ok(plain)
}

fn sample(length: usize) -> Vec<u8> {
    (0..length)
        .map(|place| u8::try_from(place % 251).unwrap())
        .collect()
}

#[test]
fn whatever_was_sealed_is_opened_by_each_of_its_recipients() {
    let (one, other, nobody) = (identity(1), identity(2), identity(3));
    for length in [0, 1, 15, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let plain = sample(length);
        let file = sealed(&plain, &[one.recipient(), other.recipient()]);
        assert_eq!(opened(&file, &one).unwrap(), plain, "{length}");
        assert_eq!(opened(&file, &other).unwrap(), plain, "{length}");
        assert_eq!(opened(&file, &nobody), Err(AgeError::OtherKey), "{length}");
    }
}

/// The last line of the header is the only one that its MAC does not cover.
#[test]
fn a_blank_behind_a_line_of_the_header_is_noticed() {
    let one = identity(1);
    let file = sealed(b"plain", &[one.recipient()]);
    let header = file.windows(5).position(|part| part == b"\n--- ").unwrap() + 5 + 43;
    for end in (0..=header).filter(|place| file[*place] == b'\n') {
        for blank in [b' ', b'\r', b'\t', b'\n'] {
            let mut changed = file.clone();
            changed.insert(end, blank);
            assert!(opened(&changed, &one).is_err(), "{end}");
        }
    }
    assert_eq!(file[header], b'\n');
}

#[test]
fn a_file_that_is_cut_short_anywhere_is_refused() {
    let one = identity(1);
    let file = sealed(&sample(131_072), &[one.recipient()]);
    let whole = 65_536 + 16;
    let header = file.len() - 2 * whole;
    let lengths = (0..header + 40)
        .chain([
            header + whole - 1,
            header + whole,
            header + whole + 1,
            header + whole + 16,
        ])
        .chain([file.len() - 1]);
    for length in lengths {
        let refused = opened(&file[..length], &one).unwrap_err();
        let expected = match length {
            0..21 => &[AgeError::NotAge][..],
            _ => &[
                AgeError::Truncated,
                AgeError::Changed,
                AgeError::OtherKey,
                AgeError::NotAge,
            ],
        };
        assert!(expected.contains(&refused), "{length}: {refused}");
    }
    // At the end of a chunk it is told from one that was changed.
    assert_eq!(opened(&file[..header + whole], &one), Err(AgeError::Truncated));
}

#[test]
fn a_file_that_was_changed_anywhere_is_refused() {
    let one = identity(1);
    let file = sealed(&sample(70_000), &[one.recipient()]);
    let header = file.len() - 70_000 - 2 * 16;
    let chunks = [header, header + 65_536, header + 65_552, file.len() - 1];
    for position in (0..header + 3).chain(chunks) {
        for bit in [1, 64] {
            let mut changed = file.clone();
            changed[position] ^= bit;
            assert!(opened(&changed, &one).is_err(), "{position}");
        }
    }
    for more in [&b"\0"[..], &[0; 40], &file] {
        assert_eq!(opened(&[&file, more].concat(), &one), Err(AgeError::Changed));
    }
    // Two chunks that changed places.
    let mut swapped = sealed(&vec![9; 131_072], &[one.recipient()]);
    let (first, length) = (swapped.len() - 2 * 65_552, 65_552);
    let chunk = swapped[first..first + length].to_vec();
    swapped.copy_within(first + length.., first);
    swapped[first + length..].copy_from_slice(&chunk);
    assert_eq!(opened(&swapped, &one), Err(AgeError::Changed));
}

#[test]
fn what_is_no_such_file_is_refused_without_reading_it_all() {
    let one = identity(1);
    for text in [
        &b"countersign"[..],
        b"age-encryption.org/v2\n",
        &vec![b'a'; 1 << 20],
    ] {
        assert_eq!(opened(text, &one), Err(AgeError::NotAge));
    }
    let endless = [
        b"age-encryption.org/v1\n-> X25519 ".as_slice(),
        &vec![b'a'; 1 << 20],
    ]
    .concat();
    assert_eq!(opened(&endless, &one), Err(AgeError::NotAge));
}

/// The keys that the documentation of age and its test vectors use.
#[test]
fn keys_are_written_as_age_writes_them() {
    let secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    let known = AgeIdentity::parse(&format!("# created: today\n\n{secret}\n")).unwrap();
    assert_eq!(*known.to_text(), secret);
    assert_eq!(
        known.recipient().to_string(),
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
    );
    let text = known.recipient().to_string();
    assert_eq!(text.parse::<AgeRecipient>().unwrap(), known.recipient());
    for wrong in [
        "",
        "age1",
        &text[..text.len() - 1],
        &text.replace("age1z", "age1q"),
        &text.replace("zvk", "ZVK"),
        secret,
    ] {
        assert_eq!(
            wrong.parse::<AgeRecipient>(),
            Err(AgeKeyError::Recipient),
            "{wrong}"
        );
        assert!(wrong == secret || AgeIdentity::parse(wrong).is_err());
    }
    assert_eq!(format!("{known:?}"), "AgeIdentity(..)");
}

#[test]
fn a_master_key_leads_to_one_identity_and_another_one_to_another() {
    assert_eq!(identity(1).recipient(), identity(1).recipient());
    assert_ne!(identity(1).recipient(), identity(2).recipient());
}

#[test]
fn nothing_is_sealed_for_nobody_or_for_a_key_of_low_order() {
    let entropy = SeededEntropy::new(1);
    assert!(AgeWriter::begin(Vec::new(), &[], &entropy).is_err());
    let mut values = [0; 32];
    for low in [0, 1] {
        values[0] = low;
        let weak: AgeRecipient = bech32::encode("age", &values).parse().unwrap();
        assert!(AgeWriter::begin(Vec::new(), &[weak], &entropy).is_err());
    }
}

/// What `age -r age1zvkyg2... | base64` (age 1.1.1) made.
#[test]
fn a_file_of_the_age_program_is_read() {
    let file = STANDARD
        .decode(concat!(
            "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBaQSt2YWl6RklEa1NCN3R5emNQRzBuN1ZTY2VEU3ZwQlR0bWRKRy8y",
            "c1M4CkJnQmp4U1JYSW1ETm9kUXZsNTRGTTVzeFlsQksxcllXMW9zbmtOUXRHR1EKLS0tIGk3YjhzbjdGMDRpWk41ODQ2TTFa",
            "MTNVZnB3a3NFMkFEdDZidkxlYThFczgKqQcIaigFoguakPp/A1ZsxwHPsF2QPLmfg4pMMcXCqvGb3i2CSfSzox4T8GeVqkB2",
            "Daxx18N6387yRxczdhjZT0RQ4T4ikhrhN3PVpw==",
        ))
        .unwrap();
    let known =
        AgeIdentity::parse("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX");
    let plain = opened(&file, &known.unwrap()).unwrap();
    assert_eq!(plain, b"a countersign is the answer a sentry expects");
}
