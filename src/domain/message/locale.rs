//! Locales: in which language somebody is written to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::country::Country;
use super::super::text::Invalid;
use super::countries;

/// A language, perhaps with a script and a region, as BCP 47 writes them: `de`, `pt-BR`, `zh-Hant-TW`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Locale(String);

impl Locale {
    /// Reads a name in lower or upper case, with dashes or underscores. Whether there are messages in the language does
    /// not matter: English is what everybody else gets.
    ///
    /// # Errors
    /// [`Invalid`] if it is not a language of 2 or 3 letters, perhaps a script of 4, perhaps a region of 2 letters or 3
    /// digits, in this order.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const EXPECTED: Invalid = Invalid::Locale;
        if text.len() > 12 {
            return Err(EXPECTED);
        }
        let letters = |part: &str| part.bytes().all(|b| b.is_ascii_alphabetic());
        let mut parts = text.split(['-', '_']).peekable();
        let language = parts
            .next()
            .filter(|part| matches!(part.len(), 2 | 3) && letters(part));
        let mut tag = language.ok_or(EXPECTED)?.to_ascii_lowercase();
        if let Some(script) = parts.next_if(|part| part.len() == 4 && letters(part)) {
            tag.push('-');
            tag.push_str(&script[..1].to_ascii_uppercase());
            tag.push_str(&script[1..].to_ascii_lowercase());
        }
        let digits = |part: &str| part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit());
        if let Some(region) = parts.next_if(|part| (part.len() == 2 && letters(part)) || digits(part)) {
            tag.push('-');
            tag.push_str(&region.to_ascii_uppercase());
        }
        if parts.next().is_some() {
            return Err(EXPECTED);
        }
        Ok(Self(tag))
    }

    /// The language that most people of a country read: what is used where nobody chose one.
    #[must_use]
    pub fn for_country(country: Country) -> Self {
        Self(countries::language(country).to_owned())
    }

    /// The name in its usual spelling, `pt-BR`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is said where there are no words in a language.
    #[must_use]
    pub fn english() -> Self {
        Self("en".to_owned())
    }

    /// The names that will do, the best first: the locale, without its region, without its script, the language.
    pub(super) fn fallbacks(&self) -> impl Iterator<Item = String> {
        let mut parts: Vec<&str> = self.0.split('-').collect();
        let mut names = vec![self.0.clone()];
        if parts.len() == 3 {
            names.push(parts[..2].join("-"));
            names.push([parts[0], parts[2]].join("-"));
        }
        parts.truncate(1);
        names.push(parts.concat());
        names.into_iter()
    }
}

impl TryFrom<String> for Locale {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<Locale> for String {
    fn from(locale: Locale) -> Self {
        locale.0
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_has_one_spelling() {
        for (text, tag) in [
            ("en", "en"),
            ("EN_gb", "en-GB"),
            ("pt-br", "pt-BR"),
            ("ZH-hant-tw", "zh-Hant-TW"),
            ("fil", "fil"),
            ("es-419", "es-419"),
        ] {
            assert_eq!(Locale::parse(text).unwrap().as_str(), tag);
        }
        for text in [
            "",
            "e",
            "english",
            "en-",
            "en--GB",
            "en-GB-x",
            "-en",
            "en GB",
            "d\u{e9}",
            "en-4l9",
            "en-GB-Latn",
            "zh-Hant-TW-TW",
        ] {
            assert!(Locale::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_locale_is_given_up_piece_by_piece() {
        let names = |text| Locale::parse(text).unwrap().fallbacks().collect::<Vec<_>>();
        assert_eq!(names("de"), ["de", "de"]);
        assert_eq!(names("de-AT"), ["de-AT", "de"]);
        assert_eq!(names("zh-Hant-TW"), ["zh-Hant-TW", "zh-Hant", "zh-TW", "zh"]);
    }
}
