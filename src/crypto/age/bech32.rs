//! Bech32 (BIP 173), in which age writes its keys, for data of 32 bytes.

const DIGITS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const CHECKSUM_DIGITS: usize = 6;

/// `bytes` in lower case, with what they are in front.
pub(super) fn encode(what: &str, bytes: &[u8; 32]) -> String {
    let mut values = to_fives(bytes);
    let mut all = prefix(what);
    all.extend_from_slice(&values);
    all.extend([0; CHECKSUM_DIGITS]);
    let checksum = remainder(&all) ^ 1;
    values.extend((0..CHECKSUM_DIGITS).map(|place| five(checksum >> (5 * (CHECKSUM_DIGITS - 1 - place)))));
    let digits = values
        .iter()
        .map(|value| char::from(DIGITS[usize::from(value & 31)]));
    format!("{what}1{}", digits.collect::<String>())
}

/// The bytes, if `text` is of them and of `what` (in lower case), all in one case.
pub(super) fn decode(what: &str, text: &str) -> Option<[u8; 32]> {
    let lower = text.to_ascii_lowercase();
    if text != lower && text != text.to_ascii_uppercase() {
        return None;
    }
    let digits = lower.strip_prefix(what)?.strip_prefix('1')?;
    let values: Option<Vec<u8>> = digits
        .bytes()
        .map(|digit| DIGITS.iter().position(|known| *known == digit))
        .map(|place| u8::try_from(place?).ok())
        .collect();
    let values = values?;
    let mut all = prefix(what);
    all.extend_from_slice(&values);
    if remainder(&all) != 1 {
        return None;
    }
    to_bytes(values.get(..values.len().checked_sub(CHECKSUM_DIGITS)?)?)
}

/// What the checksum covers in front of the data.
fn prefix(what: &str) -> Vec<u8> {
    let high = what.bytes().map(|byte| byte >> 5);
    let low = what.bytes().map(|byte| byte & 31);
    high.chain([0]).chain(low).collect()
}

fn remainder(values: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    values.iter().fold(1, |sum: u32, value| {
        let top = sum >> 25;
        let next = ((sum & 0x01ff_ffff) << 5) ^ u32::from(*value);
        let added = GENERATOR
            .iter()
            .enumerate()
            .filter(|(bit, _)| (top >> bit) & 1 == 1);
        added.fold(next, |sum, (_, term)| sum ^ term)
    })
}

fn to_fives(bytes: &[u8]) -> Vec<u8> {
    let bit = |place: usize| {
        let byte = bytes.get(place / 8).copied().unwrap_or_default();
        (byte >> (7 - place % 8)) & 1
    };
    (0..(bytes.len() * 8).div_ceil(5))
        .map(|place| (0..5).fold(0, |five, next| five << 1 | bit(place * 5 + next)))
        .collect()
}

/// The bits behind the last byte must be zero.
fn to_bytes(fives: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if fives.len() != (32_usize * 8).div_ceil(5) {
        return None;
    }
    for (place, bit) in fives
        .iter()
        .flat_map(|five| (0..5).map(move |next| (five >> (4 - next)) & 1))
        .enumerate()
    {
        match bytes.get_mut(place / 8) {
            Some(byte) => *byte = *byte << 1 | bit,
            None if bit == 0 => {}
            None => return None,
        }
    }
    Some(bytes)
}

fn five(value: u32) -> u8 {
    u8::try_from(value & 31).unwrap_or_default()
}
