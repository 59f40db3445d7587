//! What a text holds that nobody sees.

/// Whether the character turns the direction of writing: a name that has one can look like another (Unicode's property
/// `Bidi_Control`).
#[must_use]
pub fn directs(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether people may be shown the character: it is no control character, and none that turns the direction of writing. The
/// others could play tricks on a terminal, or make one text look like another.
#[must_use]
pub fn may_be_shown(c: char) -> bool {
    !c.is_control() && !directs(c)
}

/// A text from outside as people may be shown it: on one line, with blanks in the place of what may not be shown.
pub fn shown(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| if may_be_shown(c) { c } else { ' ' })
}

/// Whether people may be shown each of the lines of a text. They end with a line feed, or with a carriage return before it.
pub(super) fn has_shown_lines(text: &str) -> bool {
    let fits = |line: &str| line.chars().all(|c| c == '\n' || may_be_shown(c));
    text.split("\r\n").all(fits)
}

/// Whether the character takes no room of its own: joiners, marks of direction, tags, byte order marks. Some scripts and
/// pictures need joiners, so that this is for what machines compare, not for what people are shown.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    directs(c)
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200d}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{2060}'..='\u{2065}'
                | '\u{206a}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_of_terminals_and_of_direction_are_not_shown() {
        for c in [
            '\u{0}', '\t', '\n', '\u{1b}', '\u{7f}', '\u{9b}', '\u{200e}', '\u{202e}', '\u{2069}',
        ] {
            assert!(!may_be_shown(c), "{c:?}");
        }
        for c in ['a', ' ', '\u{a0}', '\u{5d0}', '\u{200d}', '\u{1f600}', '\u{fffd}'] {
            assert!(may_be_shown(c), "{c:?}");
        }
        assert_eq!(
            shown("a\u{1b}[2J\u{202e}\n\u{5d0}").collect::<String>(),
            "a [2J  \u{5d0}"
        );
        for lines in ["", "one", "one\ntwo", "one\r\ntwo\r\n", "\n\n"] {
            assert!(has_shown_lines(lines), "{lines:?}");
        }
        for bad in [
            "one\rtwo",
            "\r",
            "\n\r",
            "\r\r\n",
            "a\tb",
            "\u{85}",
            "a\n\u{2066}",
        ] {
            assert!(!has_shown_lines(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_is_seen_is_told_from_what_is_not() {
        for c in ['\u{202e}', '\u{2066}', '\u{61c}', '\u{200f}'] {
            assert!(directs(c) && is_invisible(c), "{c:?}");
        }
        for c in ['\u{200b}', '\u{200d}', '\u{feff}', '\u{ad}', '\u{e0041}'] {
            assert!(!directs(c) && is_invisible(c), "{c:?}");
        }
        for c in [
            'a',
            ' ',
            '\u{5d0}',
            '\u{627}',
            '\u{1f600}',
            '\u{fffd}',
            '\u{fffc}',
        ] {
            assert!(!directs(c) && !is_invisible(c), "{c:?}");
        }
    }
}
