//! How many text messages a text takes: the alphabets of 3GPP TS 23.038 and the sizes of TS 23.040.

use crate::domain::gsm_alphabet::Letter;

/// How a text goes over the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The 7-bit default alphabet with its extension table: 160 septets in a message, 153 in each of several.
    Gsm7,
    /// UTF-16, for all other texts: 70 units in a message, 67 in each of several.
    Ucs2,
}

/// What a text takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The alphabet that it needs.
    pub encoding: Encoding,
    /// How many septets or UTF-16 units it has.
    pub units: usize,
    /// How many messages it takes, at least 1; what an operator pays for.
    pub segments: usize,
}

/// Counts `text`.
#[must_use]
pub fn segments(text: &str) -> Segments {
    let septets = text.chars().map(septets).sum::<Option<usize>>();
    let (encoding, units, single, part) = match septets {
        Some(units) => (Encoding::Gsm7, units, 160, 153),
        None => (Encoding::Ucs2, text.chars().map(char::len_utf16).sum(), 70, 67),
    };
    let segments = if units <= single {
        1
    } else {
        parts(text, encoding, part)
    };
    Segments {
        encoding,
        units,
        segments,
    }
}

/// How many parts of this size: neither an escape and its character nor a surrogate pair is torn apart.
fn parts(text: &str, encoding: Encoding, size: usize) -> usize {
    let (mut parts, mut used) = (1, 0);
    for c in text.chars() {
        let units = match encoding {
            Encoding::Gsm7 => septets(c).unwrap_or(1),
            Encoding::Ucs2 => c.len_utf16(),
        };
        used += units;
        if used > size {
            parts += 1;
            used = units;
        }
    }
    parts
}

/// How many septets the character takes; `None` if the 7-bit alphabet does not have it.
fn septets(c: char) -> Option<usize> {
    Letter::of(c).map(Letter::septets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &str) -> (Encoding, usize, usize) {
        let Segments {
            encoding,
            units,
            segments,
        } = segments(text);
        (encoding, units, segments)
    }

    #[test]
    fn sizes_of_one_and_of_several_messages() {
        for (text, expected) in [
            ("", (Encoding::Gsm7, 0, 1)),
            (&"a".repeat(160), (Encoding::Gsm7, 160, 1)),
            (&"a".repeat(161), (Encoding::Gsm7, 161, 2)),
            (&"a".repeat(306), (Encoding::Gsm7, 306, 2)),
            (&"a".repeat(307), (Encoding::Gsm7, 307, 3)),
            (&"€".repeat(80), (Encoding::Gsm7, 160, 1)),
            ("ä", (Encoding::Gsm7, 1, 1)),
            ("á", (Encoding::Ucs2, 1, 1)),
            ("ç", (Encoding::Ucs2, 1, 1)),
            (&"я".repeat(70), (Encoding::Ucs2, 70, 1)),
            (&"я".repeat(71), (Encoding::Ucs2, 71, 2)),
            (&"я".repeat(134), (Encoding::Ucs2, 134, 2)),
            (&"я".repeat(135), (Encoding::Ucs2, 135, 3)),
            ("\u{1f511}", (Encoding::Ucs2, 2, 1)),
        ] {
            assert_eq!(counted(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_is_torn_apart() {
        // 76 pairs fill 152 of 153 septets, 33 pairs 66 of 67 units.
        assert_eq!(counted(&"€".repeat(152)), (Encoding::Gsm7, 304, 2));
        assert_eq!(counted(&"€".repeat(153)), (Encoding::Gsm7, 306, 3));
        assert_eq!(counted(&"\u{1f511}".repeat(66)), (Encoding::Ucs2, 132, 2));
        assert_eq!(counted(&"\u{1f511}".repeat(67)), (Encoding::Ucs2, 134, 3));
    }
}
