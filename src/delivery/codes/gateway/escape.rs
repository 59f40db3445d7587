//! How a value is written so that it stays a value.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but what RFC 3986, section 2.3, calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// As a part of a URL's path or query.
pub(super) fn url(value: &str, text: &mut String) {
    text.extend(utf8_percent_encode(value, RESERVED));
}

/// As text or an attribute of XML 1.0. What XML cannot hold at all is left out.
pub(super) fn xml(value: &str, text: &mut String) {
    for letter in value.chars() {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&apos;"),
            '\t' => text.push_str("&#9;"),
            '\n' => text.push_str("&#10;"),
            '\r' => text.push_str("&#13;"),
            '\u{fffe}' | '\u{ffff}' => {}
            control if control.is_ascii_control() => {}
            other => text.push(other),
        }
    }
}

pub(super) fn plain(value: &str, text: &mut String) {
    text.push_str(value);
}

/// Whether a part of a path means "here" or "one up", however it is written (WHATWG URL, 4.1).
pub(super) fn is_dot_segment(segment: &str) -> bool {
    matches!(
        segment.to_ascii_lowercase().replace("%2e", ".").as_str(),
        "." | ".."
    )
}
