//! What a text holds that nobody sees.

/// Whether the character turns the direction of writing: a name that has one can look like another (Unicode's property
/// `Bidi_Control`).
#[must_use]
pub fn directs(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
