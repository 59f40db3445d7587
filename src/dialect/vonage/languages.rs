//! The languages that a request may name, and what they are called elsewhere.

use crate::domain::message::locale::Locale;

/// What `lg` may be for a code.
pub(super) const OF_CODES: [&str; 39] = [
    "ar-xa", "cs-cz", "cy-cy", "cy-gb", "da-dk", "de-de", "el-gr", "en-au", "en-gb", "en-in", "en-us",
    "es-es", "es-mx", "es-us", "fi-fi", "fil-ph", "fr-ca", "fr-fr", "hi-in", "hu-hu", "id-id", "is-is",
    "it-it", "ja-jp", "ko-kr", "nb-no", "nl-nl", "pl-pl", "pt-br", "pt-pt", "ro-ro", "ru-ru", "sv-se",
    "th-th", "tr-tr", "vi-vn", "yue-cn", "zh-cn", "zh-tw",
];

/// What `lg` may be for a payment.
pub(super) const OF_PAYMENTS: [&str; 21] = [
    "en-gb", "bg-bg", "cs-cz", "da-dk", "de-de", "ee-et", "el-gr", "es-es", "fi-fi", "fr-fr", "ga-ie",
    "hu-hu", "it-it", "lv-lv", "lt-lt", "mt-mt", "nl-nl", "pl-pl", "sk-sk", "sl-si", "sv-se",
];

/// The language that `lg` names, if it is one of `known`.
pub(super) fn language(lg: &str, known: &[&str]) -> Option<Locale> {
    let lower = lg.to_ascii_lowercase();
    if !known.contains(&lower.as_str()) {
        return None;
    }
    let tag = match lower.as_str() {
        // The protocol's own names for what BCP 47 calls otherwise.
        "ar-xa" => "ar",
        "cy-cy" => "cy-gb",
        "ee-et" => "et-ee",
        // What is written in Cantonese is in traditional characters.
        "yue-cn" => "zh-hk",
        tag => tag,
    };
    Locale::parse(tag).ok()
}
