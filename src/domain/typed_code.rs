//! Codes, numbers and secrets as people type or paste them: one reading for all of them.
//!
//! What counts guesses or remembers what was used sees the plain spelling only, so that no spelling is a way around it.

use zeroize::Zeroizing;

use super::text::is_invisible;

/// Takes out blanks of all kinds, dashes of all kinds and what nobody sees, wherever they stand; full-width letters and
/// digits and those of Arabic keyboards become the plain ones. `None` if anything is left that is not ASCII, or if there is
/// far more than any code has.
#[must_use]
pub fn read(text: &str) -> Option<Zeroizing<String>> {
    read_long(text, LONGEST)
}

/// Like [`read`], of something that may be written in up to `longest` bytes.
#[must_use]
pub fn read_long(text: &str, longest: usize) -> Option<Zeroizing<String>> {
    if text.len() > longest {
        return None;
    }
    // As long as it can get, so that nothing of it is left behind in a smaller buffer.
    let mut plain = Zeroizing::new(String::with_capacity(longest));
    for letter in text.chars().filter(|&letter| !is_between(letter)) {
        plain.push(ascii(letter)?);
    }
    Some(plain)
}

fn is_between(letter: char) -> bool {
    letter.is_whitespace() || is_invisible(letter) || is_dash(letter)
}

/// Whether it is a dash, whichever (Unicode's property `Dash`, as far as keyboards and messages have them).
pub(super) fn is_dash(letter: char) -> bool {
    matches!(
        letter,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

fn ascii(letter: char) -> Option<char> {
    let plain = match letter {
        '\u{660}'..='\u{669}' => u32::from(letter) - 0x660 + 0x30,
        '\u{6f0}'..='\u{6f9}' => u32::from(letter) - 0x6f0 + 0x30,
        // Full-width forms stand 0xfee0 behind the plain ones.
        '\u{ff01}'..='\u{ff5e}' => u32::from(letter) - 0xfee0,
        _ => u32::from(letter),
    };
    char::from_u32(plain).filter(char::is_ascii_graphic)
}

/// Nobody needs that many bytes for ten characters and what stands among them.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_are_one() {
        for text in [
            "012345",
            " 012\t345\r\n",
            "012-345",
            "0-1-2-3-4-5",
            "012\u{2013}345",
            "\u{2011}012\u{2212}345",
            "\u{a0}012\u{202f}345\u{3000}",
            "\u{200e}012345\u{200f}",
            "\u{202a}012345\u{202c}",
            "012\u{200b}345\u{feff}",
            "\u{ff10}\u{ff11}\u{ff12}\u{ff0d}\u{ff13}\u{ff14}\u{ff15}",
            "\u{660}\u{661}\u{662}\u{663}\u{664}\u{665}",
            "\u{6f0}12345",
        ] {
            assert_eq!(read(text).unwrap().as_str(), "012345", "{text:?}");
        }
    }

    #[test]
    fn what_is_left_is_ascii_and_short() {
        let long = format!("123456{}", " ".repeat(128));
        for text in ["12345\0", "\u{b2}3456", "\u{967}23456", "\u{e4}", &long] {
            assert!(read(text).is_none(), "{text:?}");
        }
        assert_eq!(read("+1.5").unwrap().as_str(), "+1.5");
    }
}
