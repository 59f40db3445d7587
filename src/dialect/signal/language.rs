//! Which language a message is to be in.

use crate::domain::message::is_spoken;
use crate::domain::message::locale::Locale;

/// The language that whoever sent this `Accept-Language` (RFC 9110, 12.5.4) likes best, of those that we can read; `None` if
/// there is none, and if the header is no such header.
pub(super) fn preferred(accept_language: &str) -> Option<Locale> {
    let mut ranges = Vec::new();
    for range in accept_language.split(',').take(MOST_RANGES) {
        let (tag, parameters) = range.split_once(';').unwrap_or((range, "q=1"));
        ranges.push((tag.trim(), weight(parameters.trim())?));
    }
    // Of equals the first counts, and what has no weight is not wanted.
    ranges.retain(|(_, weight)| *weight > 0);
    ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    let read: Vec<_> = ranges
        .into_iter()
        .filter_map(|(tag, _)| Locale::parse(tag).ok())
        .collect();
    // One that only a template may have words for is better than none.
    let spoken = read.iter().position(is_spoken).unwrap_or(0);
    read.into_iter().nth(spoken)
}

/// In thousandths.
fn weight(parameter: &str) -> Option<u16> {
    let value = parameter
        .strip_prefix("q=")
        .or_else(|| parameter.strip_prefix("Q="))?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let decimals_fit = decimals.len() <= 3 && decimals.bytes().all(|digit| digit.is_ascii_digit());
    if !decimals_fit || !matches!(whole, "0" | "1") {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    let weight = if whole == "1" {
        1000 + thousandths
    } else {
        thousandths
    };
    (weight <= 1000).then_some(weight)
}

/// Nobody reads more languages than these.
const MOST_RANGES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_range_that_can_be_read_is_preferred() {
        for (header, expected) in [
            ("de", Some("de")),
            ("de-AT, en;q=0.8", Some("de-AT")),
            ("en;q=0.8, pt-BR", Some("pt-BR")),
            ("en;q=0.2,fr;q=0.9,de;q=0.9", Some("fr")),
            ("*", None),
            ("*, sv;q=0.1", Some("sv")),
            ("de;q=0, en", Some("en")),
            ("tlh, de;q=0.9", Some("de")),
            ("tlh", Some("tlh")),
            ("", None),
            ("de;q=2", None),
            ("de;q=0.1234", None),
            ("de;level=1", None),
            ("\u{202e}", None),
        ] {
            let found = preferred(header);
            assert_eq!(found.as_ref().map(Locale::as_str), expected, "{header}");
        }
    }
}
