//! Providers' words on a failure, made fit for logs and lists.

use super::CodeMessage;

/// The most that is kept of them, in characters.
const MOST: usize = 200;

/// What stands for something that must not be shown.
const HIDDEN: &str = "***";

/// `words` on one line, without what the message holds and without `secret`. Providers like to repeat what they were
/// sent.
pub(super) fn of_provider(words: &str, message: &CodeMessage, secret: Option<&str>) -> String {
    let to = message.to.as_str();
    let digits = message.to.phone().map_or(to, |number| number.digits());
    let mut text: String = words
        .chars()
        .take(MOST * 4)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let mut all = [secret.unwrap_or(""), &message.text, digits, &message.code];
    // The longest first: the code is a part of the text.
    all.sort_by_key(|hidden| std::cmp::Reverse(hidden.len()));
    for hidden in all {
        text = without(&text, hidden);
    }
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
        let message = samples::email("ada@example.com", "", "x");
        let told = of_provider("<Ada@Example.com>: unknown", &message, None);
        assert_eq!(told, "<***>: unknown");
        assert_eq!(
            of_provider(&"\u{e4}".repeat(999), &message, None).chars().count(),
            200
        );
    }
}
