//! Texts with places to fill in: `{{code}}`.

use zeroize::Zeroizing;

/// Fills the places of `text` with what `value` gives for their names. A place that it gives nothing for stays as it is.
/// What was filled in is not looked at again.
pub(super) fn fill<'a>(text: &'a str, value: impl Fn(&str) -> Option<&'a str>) -> Zeroizing<String> {
    let parts: Vec<&str> = pieces(text)
        .map(|piece| match piece {
            Piece::Place { name, whole } => value(name).unwrap_or(whole),
            Piece::Text(text) => text,
        })
        .collect();
    // Its size is known before a code is written, so that no copy of the code stays where it grew.
    let mut filled = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        filled.push_str(part);
    }
    filled
}

/// The names of the places of `text`, in its order.
pub(super) fn places(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|piece| match piece {
        Piece::Place { name, .. } => Some(name),
        Piece::Text(_) => None,
    })
}

/// Whether `name` may be a place's: 1 to 32 letters and digits of ASCII, dashes and underscores.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    (1..=32).contains(&name.len()) && name.bytes().all(plain)
}

enum Piece<'a> {
    /// A place; `whole` has its braces.
    Place {
        name: &'a str,
        whole: &'a str,
    },
    Text(&'a str),
}

/// Takes `text` apart. Braces around what is no name are text.
fn pieces(mut text: &str) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let place = text.strip_prefix("{{").and_then(|rest| {
            let (inner, rest) = rest.split_once("}}")?;
            let name = inner.trim_matches(' ');
            is_name(name).then_some((name, rest))
        });
        if let Some((name, rest)) = place {
            let whole = &text[..text.len() - rest.len()];
            text = rest;
            return Some(Piece::Place { name, whole });
        }
        // What begins here is no place: the next may begin behind its first character.
        let first = text.chars().next().map_or(1, char::len_utf8);
        let end = text[first..].find("{{").map_or(text.len(), |at| first + at);
        let (plain, rest) = text.split_at(end);
        text = rest;
        Some(Piece::Text(plain))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once() {
        let value = |name: &str| match name {
            "code" => Some("{{name}}"),
            "name" => Some("Ada"),
            _ => None,
        };
        for (text, filled) in [
            ("", ""),
            ("{{code}}", "{{name}}"),
            ("{{ name }}: {{code}}.", "Ada: {{name}}."),
            ("{{other}} {{name}}", "{{other}} Ada"),
            ("{{{name}}}", "{Ada}"),
            ("{{na me}} {{name", "{{na me}} {{name"),
            ("{name} é{{name}}é", "{name} éAda\u{e9}"),
            ("{{}}{{ }}", "{{}}{{ }}"),
        ] {
            assert_eq!(*fill(text, value), filled);
        }
        assert_eq!(
            places("{{a}} {{b}}{{a}} {{c d}}").collect::<Vec<_>>(),
            ["a", "b", "a"]
        );
    }
}
