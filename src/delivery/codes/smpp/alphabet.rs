//! How a text becomes octets: the GSM 7-bit default alphabet (3GPP TS 23.038, 6.2.1), ISO 8859-1 or UCS-2, and how a long
//! one is taken apart.

use crate::domain::gsm_alphabet::{ESCAPE, Letter};

/// What the message centre expects behind `data_coding` 0, or instead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmppAlphabet {
    /// The GSM alphabet, one septet in each octet (`data_coding` 0).
    Gsm7,
    /// ISO 8859-1 (`data_coding` 3).
    Latin1,
    /// UCS-2 for every text (`data_coding` 8).
    Ucs2,
}

/// A text as octets, each letter apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Encoded {
    /// SMPP 3.4, 5.2.19.
    pub(super) data_coding: u8,
    letters: Vec<Vec<u8>>,
    /// How many octets one short message holds, alone and as a part.
    limits: (usize, usize),
}

impl Encoded {
    /// Writes `text` in `alphabet` if it has all letters, else in UCS-2.
    pub(super) fn of(text: &str, alphabet: SmppAlphabet) -> Self {
        let (data_coding, letters, limits): (_, Option<Vec<_>>, _) = match alphabet {
            SmppAlphabet::Gsm7 => (0, text.chars().map(gsm7).collect(), (160, 153)),
            SmppAlphabet::Latin1 => (3, text.chars().map(latin1).collect(), (140, 134)),
            SmppAlphabet::Ucs2 => (8, None, (0, 0)),
        };
        match letters {
            Some(letters) => Self {
                data_coding,
                letters,
                limits,
            },
            None => Self {
                data_coding: 8,
                letters: text.chars().map(ucs2).collect(),
                limits: (140, 134),
            },
        }
    }

    /// All octets.
    pub(super) fn whole(&self) -> Vec<u8> {
        self.letters.concat()
    }

    /// Whether one short message holds it.
    pub(super) fn is_short(&self) -> bool {
        self.letters.iter().map(Vec::len).sum::<usize>() <= self.limits.0
    }

    /// The octets of each short message, no letter torn apart.
    pub(super) fn parts(&self) -> Vec<Vec<u8>> {
        let mut parts = vec![Vec::new()];
        for letter in &self.letters {
            match parts.last_mut() {
                Some(part) if part.len() + letter.len() <= self.limits.1 => part.extend_from_slice(letter),
                _ => parts.push(letter.clone()),
            }
        }
        parts
    }
}

/// Whether all letters are in the GSM alphabet, as an alphanumeric sender's must be.
pub(super) fn is_gsm7(text: &str) -> bool {
    text.chars().all(|letter| gsm7(letter).is_some())
}

fn gsm7(letter: char) -> Option<Vec<u8>> {
    Some(match Letter::of(letter)? {
        Letter::Basic(septet) => vec![septet],
        Letter::Extended(septet) => vec![ESCAPE, septet],
    })
}

fn latin1(letter: char) -> Option<Vec<u8>> {
    u8::try_from(u32::from(letter)).ok().map(|octet| vec![octet])
}

/// What is beyond the first plane becomes a surrogate pair: strictly that is UTF-16, and what all phones expect.
fn ucs2(letter: char) -> Vec<u8> {
    let mut units = [0; 2];
    let units = letter.encode_utf16(&mut units);
    units.iter().flat_map(|unit| unit.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_chosen_by_the_text() {
        let gsm = Encoded::of("\u{a3}@ 1[\u{20ac}\u{e0}", SmppAlphabet::Gsm7);
        assert_eq!(gsm.data_coding, 0);
        assert_eq!(gsm.whole(), [1, 0, 0x20, 0x31, 0x1b, 0x3c, 0x1b, 0x65, 0x7f]);
        let ucs2 = Encoded::of("\u{439}1\u{1f989}", SmppAlphabet::Gsm7);
        assert_eq!(ucs2.data_coding, 8);
        assert_eq!(ucs2.whole(), [0x04, 0x39, 0, 0x31, 0xd8, 0x3e, 0xdd, 0x89]);
        let latin = Encoded::of("\u{e9}1", SmppAlphabet::Latin1);
        assert_eq!((latin.data_coding, latin.whole()), (3, vec![0xe9, 0x31]));
        assert_eq!(Encoded::of("\u{20ac}", SmppAlphabet::Latin1).data_coding, 8);
        assert_eq!(Encoded::of("1", SmppAlphabet::Ucs2).whole(), [0, 0x31]);
        assert_eq!(Encoded::of("\u{1b}", SmppAlphabet::Gsm7).data_coding, 8);
        assert!(is_gsm7("Owl") && !is_gsm7("Owl\u{439}"));
    }

    #[test]
    fn places_in_the_table_are_those_of_the_specification() {
        for (letter, septet) in [
            ('@', 0x00),
            ('\u{394}', 0x10),
            ('\u{c9}', 0x1f),
            (' ', 0x20),
            ('0', 0x30),
            ('\u{a1}', 0x40),
            ('A', 0x41),
            ('\u{a7}', 0x5f),
            ('\u{bf}', 0x60),
            ('a', 0x61),
            ('z', 0x7a),
            ('\u{e4}', 0x7b),
        ] {
            assert_eq!(gsm7(letter), Some(vec![septet]), "{letter}");
        }
    }

    #[test]
    fn long_texts_are_taken_apart_between_letters() {
        let text = "a".repeat(152) + "\u{20ac}" + &"b".repeat(10);
        let encoded = Encoded::of(&text, SmppAlphabet::Gsm7);
        assert!(!encoded.is_short());
        let parts = encoded.parts();
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [152, 12]);
        assert_eq!(parts.concat(), encoded.whole());
        assert!(Encoded::of(&"a".repeat(160), SmppAlphabet::Gsm7).is_short());
        assert!(!Encoded::of(&"a".repeat(161), SmppAlphabet::Gsm7).is_short());
        let owls = Encoded::of(&"\u{1f989}".repeat(40), SmppAlphabet::Gsm7);
        assert_eq!(owls.parts().iter().map(Vec::len).collect::<Vec<_>>(), [132, 28]);
        assert!(Encoded::of(&"\u{439}".repeat(70), SmppAlphabet::Gsm7).is_short());
        assert!(!Encoded::of(&"\u{439}".repeat(71), SmppAlphabet::Gsm7).is_short());
    }
}
