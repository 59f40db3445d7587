//! What is said in each language: one table for each group of languages.
//!
//! To add a language: a row in the table of its group, with sentences that somebody who speaks it has read. The tests of
//! [`super`] then say whether its shortest message fits one text message, and which row to shorten.

mod baltic_and_uralic;
mod cyrillic;
mod east_asian;
mod germanic;
mod indic;
mod levant;
mod romance;
mod slavic;
mod south_east_asian_and_african;

use super::locale::Locale;

/// The sentences of one language. They hold `{{name}}`, `{{code}}`, `{{amount}}` and `{{payee}}`, and do not end in a full
/// stop unless they say so.
pub(super) struct Words {
    /// What locales they are for, in their usual spelling, the main one first.
    pub(super) tags: &'static [&'static str],
    /// The code, and the service's name.
    pub(super) named: &'static str,
    /// The code in a whole sentence, without a name.
    pub(super) plain: &'static str,
    /// The code with one word.
    pub(super) short: &'static str,
    /// That nobody else may get the code; a whole sentence with its end.
    pub(super) warning: &'static str,
    /// How much is paid to whom.
    pub(super) payment: &'static str,
    /// The subject of an e-mail, with the service's name.
    pub(super) subject: &'static str,
    /// What is said before the code is said again; with a colon or a full stop.
    pub(super) again: &'static str,
    /// What stands between two sentences.
    pub(super) stop: &'static str,
}

/// The words for `locale` and the name that they go by: its own, those of its language, or English.
pub(super) fn of(locale: &Locale) -> (&'static str, &'static Words) {
    locale
        .fallbacks()
        .find_map(|name| all().find_map(|words| tag(words, &name).map(|tag| (tag, words))))
        .unwrap_or(("en", &germanic::WORDS[0]))
}

/// All languages.
pub(super) fn all() -> impl Iterator<Item = &'static Words> {
    [
        germanic::WORDS,
        romance::WORDS,
        cyrillic::WORDS,
        slavic::WORDS,
        baltic_and_uralic::WORDS,
        levant::WORDS,
        indic::WORDS,
        east_asian::WORDS,
        south_east_asian_and_african::WORDS,
    ]
    .into_iter()
    .flatten()
}

fn tag(words: &'static Words, name: &str) -> Option<&'static str> {
    words.tags.iter().copied().find(|tag| *tag == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::fill::places;
    use super::*;

    #[test]
    fn there_are_fifty_languages_and_each_has_one_row() {
        let mut seen = HashSet::new();
        for tag in all().flat_map(|words| words.tags) {
            assert_eq!(Locale::parse(tag).unwrap().as_str(), *tag);
            assert!(seen.insert(tag), "{tag}");
        }
        assert!(all().count() >= 50, "{}", all().count());
        assert_eq!(all().next().unwrap().tags[0], "en");
    }

    #[test]
    fn every_sentence_has_its_places_once() {
        for words in all() {
            let name = words.tags[0];
            let found = |text| {
                let mut found: Vec<_> = places(text).collect();
                found.sort_unstable();
                found
            };
            assert_eq!(found(words.named), ["code", "name"], "{name}");
            assert_eq!(found(words.plain), ["code"], "{name}");
            assert_eq!(found(words.short), ["code"], "{name}");
            assert_eq!(found(words.payment), ["amount", "payee"], "{name}");
            assert_eq!(found(words.subject), ["name"], "{name}");
            for text in [words.warning, words.again, words.stop] {
                assert_eq!(found(text), [""; 0], "{name}");
                assert!(!text.is_empty() && !text.chars().any(char::is_numeric), "{name}");
            }
            for text in [words.named, words.plain, words.short, words.payment] {
                assert!(
                    !text.ends_with(['.', ' ']) && !text.starts_with(' '),
                    "{name}: {text}"
                );
            }
        }
    }

    #[test]
    fn a_locale_without_words_gets_those_of_its_language_or_english() {
        let of = |text| of(&Locale::parse(text).unwrap()).0;
        for (locale, used) in [
            ("de", "de"),
            ("de-AT", "de"),
            ("en-GB", "en-GB"),
            ("en-AU", "en"),
            ("pt-BR", "pt-BR"),
            ("pt-MZ", "pt"),
            ("es-419", "es"),
            ("zh", "zh"),
            ("zh-CN", "zh-CN"),
            ("zh-Hant-TW", "zh-Hant"),
            ("zh-TW", "zh-TW"),
            ("sr-Latn-RS", "sr"),
            ("no", "no"),
            ("tlh", "en"),
            ("is", "en"),
        ] {
            assert_eq!(of(locale), used);
        }
    }
}
