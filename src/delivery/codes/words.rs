//! Providers' words on a failure, made fit for logs and lists.

use super::CodeMessage;
use crate::domain::text::shown;

/// The most that is kept of them, in characters.
const MOST: usize = 1000;

/// What stands for something that must not be shown.
const HIDDEN: &str = "***";

/// `words` on one line, without what the message holds and without `secret`. Providers like to repeat what they were
/// sent.
pub(super) fn of_provider(words: &str, message: &CodeMessage, secret: Option<&str>) -> String {
    let to = message.to.as_str();
    let digits = message.to.phone().map_or(to, |number| number.digits());
    // All of it: where it were cut off first, the beginning of a code could be left.
    let mut text: String = shown(words).collect();
    let mut all = [secret.unwrap_or(""), &message.text, digits, &message.code];
    // The longest first: the code is a part of the text.
    all.sort_by_key(|hidden| std::cmp::Reverse(hidden.len()));
    for hidden in all {
        text = without(&text, hidden);
    }
    text = without_spelled(&text, &message.code);
    let text: Vec<&str> = text.split_whitespace().collect();
    text.join(" ").chars().take(MOST).collect()
}

/// `text` with every `hidden` replaced, in lower or upper case.
fn without(text: &str, hidden: &str) -> String {
    if hidden.is_empty() {
        return text.to_owned();
    }
    // Lower case of ASCII keeps every place where it is.
    let (lower, hidden) = (text.to_ascii_lowercase(), hidden.to_ascii_lowercase());
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in lower.match_indices(&hidden) {
        kept.push_str(&text[from..at]);
        kept.push_str(HIDDEN);
        from = at + found.len();
    }
    kept.push_str(&text[from..]);
    kept
}

/// `text` without the code as a call reads it out: its characters with up to [`MOST_BETWEEN`] others between them that are
/// neither letters nor digits. The text around it may come back in another spelling, `\u00e4` for one letter.
fn without_spelled(text: &str, code: &str) -> String {
    if code.is_empty() {
        return text.to_owned();
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(behind) = behind_spelled(rest, code) {
            kept.push_str(HIDDEN);
            rest = behind;
        } else {
            kept.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    kept
}

/// What stands behind the code that `text` begins with; `None` if it does not.
fn behind_spelled<'a>(text: &'a str, code: &str) -> Option<&'a str> {
    let mut rest = text;
    for (nth, wanted) in code.chars().enumerate() {
        if nth > 0 {
            let between = rest
                .chars()
                .take(MOST_BETWEEN)
                .take_while(|letter| !letter.is_alphanumeric());
            let between: usize = between.map(char::len_utf8).sum();
            rest = &rest[between..];
        }
        let found = rest
            .chars()
            .next()
            .filter(|found| found.eq_ignore_ascii_case(&wanted))?;
        rest = &rest[found.len_utf8()..];
    }
    Some(rest)
}

/// A comma and a blank, and one more.
const MOST_BETWEEN: usize = 3;

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn what_the_message_holds_is_hidden() {
        let message = samples::sms("+15005550006", "4711", "Your code is 4711");
        let told = of_provider(
            "no\r\nroute to 15005550006 / +15005550006: your CODE is 4711; key=hunter2 4711",
            &message,
            Some("hunter2"),
        );
        assert_eq!(told, "no route to *** / +***: ***; key=*** ***");
        let spelled = of_provider(
            "Ihr Code f\\u00fcr Owl lautet: 4, 7, 1, 1. 4,7,1,2",
            &message,
            None,
        );
        assert_eq!(spelled, "Ihr Code f\\u00fcr Owl lautet: ***. 4,7,1,2");
        let cut = of_provider(&format!("{}4711", " ".repeat(998)), &message, None);
        assert_eq!(cut, "***");
        let long = format!("{} the end", "why ".repeat(200));
        assert_eq!(of_provider(&long, &message, None), long.replace("  ", " "));
        let message = samples::email("ada@example.com", "", "x");
        let told = of_provider("<Ada@Example.com>: unknown", &message, None);
        assert_eq!(told, "<***>: unknown");
        assert_eq!(
            of_provider(&"\u{e4}".repeat(1999), &message, None)
                .chars()
                .count(),
            1000
        );
    }
}
