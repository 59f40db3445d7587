//! The GSM 7-bit default alphabet (3GPP TS 23.038, 6.2.1): what text messages are cheapest in.

/// The default alphabet: the character of each septet. Septet 27 leads to [`EXTENSION`].
const BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', 'Δ', '_', 'Φ', 'Γ',
    'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É', ' ', '!', '"', '#', '¤', '%', '&', '\'',
    '(', ')', '*', '+', ',', '-', '.', '/', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<',
    '=', '>', '?', '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q',
    'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', '¿', 'a', 'b', 'c', 'd', 'e', 'f',
    'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä',
    'ö', 'ñ', 'ü', 'à',
];

/// What stands behind septet 27.
const EXTENSION: [(char, u8); 10] = [
    ('\u{c}', 0x0a),
    ('^', 0x14),
    ('{', 0x28),
    ('}', 0x29),
    ('\\', 0x2f),
    ('[', 0x3c),
    ('~', 0x3d),
    (']', 0x3e),
    ('|', 0x40),
    ('€', 0x65),
];

/// The septet that leads to the extension table.
pub const ESCAPE: u8 = 0x1b;

/// A character in the alphabet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// It is in the default table: one septet.
    Basic(u8),
    /// It is in the extension table: [`ESCAPE`] and this septet.
    Extended(u8),
}

impl Letter {
    /// The character's place; `None` if the alphabet does not have it.
    #[must_use]
    pub fn of(character: char) -> Option<Self> {
        if character == char::from(ESCAPE) {
            return None;
        }
        let basic = BASIC.iter().position(|known| *known == character);
        if let Some(septet) = basic.and_then(|septet| u8::try_from(septet).ok()) {
            return Some(Self::Basic(septet));
        }
        let extended = EXTENSION.iter().find(|(known, _)| *known == character)?;
        Some(Self::Extended(extended.1))
    }

    /// How many septets it takes.
    #[must_use]
    pub fn septets(self) -> usize {
        match self {
            Self::Basic(_) => 1,
            Self::Extended(_) => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_where_the_standard_has_them() {
        let places = [
            ('@', 0),
            ('0', 0x30),
            ('A', 0x41),
            ('a', 0x61),
            ('à', 0x7f),
            ('Δ', 0x10),
            ('É', 0x1f),
        ];
        for (character, septet) in places {
            assert_eq!(Letter::of(character), Some(Letter::Basic(septet)), "{character}");
        }
        assert_eq!(Letter::of('€'), Some(Letter::Extended(0x65)));
        for character in ['ç', 'ś', 'д', '`', '\u{1b}', '\u{1f600}'] {
            assert_eq!(Letter::of(character), None, "{character:?}");
        }
    }
}
