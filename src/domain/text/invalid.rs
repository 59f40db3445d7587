//! What a value would have to be: facts, which each dialect puts into its own words.

use std::fmt;

use super::script::{has_shown_lines, may_be_shown};

/// What a value that a caller gave would have to be; never what it was. Each dialect puts it into its own words, and what is
/// printed here is for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum Invalid {
    /// A text of so many characters, and only of some.
    #[error("must be {} long{}", Length(*.least, *.most), .only.words())]
    Characters {
        least: usize,
        most: usize,
        only: Charset,
    },
    /// Names and values of so many characters altogether.
    #[error("must be at most {most} characters long altogether")]
    CharactersAltogether { most: usize },
    /// The two letters of a country.
    #[error("must be the two letters of a country (ISO 3166-1 alpha-2), such as GB for the United Kingdom")]
    Country,
    /// The two letters of a country, or a word for all of them.
    #[error(
        "must be the two letters of a country (ISO 3166-1 alpha-2), such as GB for the United Kingdom, or all"
    )]
    CountryOrAll,
    /// An address of e-mail.
    #[error("must be an e-mail address such as ada@example.com")]
    EmailAddress,
    /// No more fields than this.
    #[error("must be at most {most} fields")]
    Fields { most: usize },
    /// A language, perhaps with its region.
    #[error("must be a language such as de, or one with its region such as pt-BR")]
    Locale,
    /// The length of a number that is matched, or that there is none.
    #[error("must be 0 (off), 2 or 3")]
    NumberLength,
    #[error(transparent)]
    Phone(#[from] BadPhone),
    /// The first digits of a phone number.
    #[error("must be the beginning of a phone number: + and 1 to {most} digits")]
    PhoneBeginning { most: usize },
    /// A whole number within bounds.
    #[error("must be a whole number{} from {least} to {most}", .unit.words())]
    Range { least: u32, most: u32, unit: Unit },
    /// What the places of a template stand for.
    #[error(
        "must be at most {most} characters long altogether, without control characters (but for line feeds) and marks of direction"
    )]
    Substitutions { most: usize },
    /// Tags for a provider.
    #[error(
        "must be at most {most} tags, each name and value at most {longest} characters long, without control characters and marks of direction"
    )]
    Tags {
        most: usize,
        /// The most characters of a name, and of a value.
        longest: usize,
    },
    /// A URL that requests can go to.
    #[error(
        "must be an absolute http or https URL of at most {most} characters, without user name, password and fragment"
    )]
    Url { most: usize },
}

/// What is wrong with a phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPhone {
    /// No plan has a place for it.
    #[error("is no possible phone number: the country code is unknown, or digits are missing or too many")]
    Impossible,
    /// It does not say in which country it is.
    #[error("must be a phone number in E.164 form, such as +14155552671: + and the country code are missing")]
    NoCountryCode,
    /// It is not written in the one form that is stored.
    #[error("must be a phone number in E.164 form: +, the country code and the number, at most 15 digits")]
    NotNormal,
    /// It is written as no number is.
    #[error("must be a phone number in E.164 form, such as +14155552671: +, the country code and the number")]
    Unreadable,
    /// Nobody knows how the default country dials.
    #[error("must be a phone number with + and its country code")]
    UnknownCountry,
}

/// Which characters a text may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Those of the hash of an Android app: standard Base64.
    AppHash,
    /// Those of an app's bundle identifier: visible ASCII.
    BundleId,
    /// What a telephone dials.
    Dialled,
    /// Letters A to Z, digits and some signs; the first one is none that spreadsheets or paths take for something else.
    Identity,
    /// Letters A to Z, digits and dashes.
    LettersDigitsDashes,
    /// Lower-case letters a to z, digits and dashes.
    LowerDigitsDashes,
    /// Anything but blanks and control characters.
    NoBlanks,
    /// What people may be shown, on one line.
    Shown,
    /// What people may be shown, on several lines if need be.
    ShownLines,
    /// Letters and numbers of any script, spaces, dashes and underscores; and no phone number.
    ServiceName,
    /// Letters A to Z, digits, dashes, underscores and dots.
    UniqueName,
    /// Upper-case letters A to Z and digits.
    UpperDigits,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum Unit {
    /// Nothing that has a name.
    None,
    Seconds,
}

impl Invalid {
    /// Checks a text.
    ///
    /// # Errors
    /// [`Invalid::Characters`] unless it has so many characters, and only such.
    pub fn unless_written(text: &str, least: usize, most: usize, only: Charset) -> Result<(), Self> {
        if (least..=most).contains(&text.chars().count()) && only.admits(text) {
            Ok(())
        } else {
            Err(Self::Characters { least, most, only })
        }
    }

    /// A whole number of nothing in particular.
    #[must_use]
    pub const fn range(least: u32, most: u32) -> Self {
        let unit = Unit::None;
        Self::Range { least, most, unit }
    }

    /// A whole number of seconds.
    #[must_use]
    pub const fn seconds(least: u32, most: u32) -> Self {
        let unit = Unit::Seconds;
        Self::Range { least, most, unit }
    }
}

impl Charset {
    /// Whether a text may be written so.
    fn admits(self, text: &str) -> bool {
        let all = |allowed: fn(char) -> bool| text.chars().all(allowed);
        match self {
            Self::AppHash => all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/')),
            Self::BundleId => all(|c| c.is_ascii_graphic()),
            Self::Dialled => all(|c| c.is_ascii_digit() || matches!(c, '*' | '#' | 'w' | 'W')),
            Self::Identity => {
                let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
                begins && all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+'))
            }
            Self::LettersDigitsDashes => all(|c| c.is_ascii_alphanumeric() || c == '-'),
            Self::LowerDigitsDashes => all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
            Self::NoBlanks => all(|c| !c.is_control() && !c.is_whitespace()),
            Self::Shown => all(may_be_shown),
            Self::ShownLines => has_shown_lines(text),
            Self::ServiceName => {
                all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')) && !holds_phone_number(text)
            }
            Self::UniqueName => all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')),
            Self::UpperDigits => all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::AppHash => ", only letters, digits, + and /",
            Self::BundleId => ", only visible ASCII, such as com.example.app",
            Self::Dialled => ", only digits, *, # and w",
            Self::Identity => ", only letters A to Z, digits and - _ . @ +, with a letter or a digit first",
            Self::LettersDigitsDashes => ", only letters A to Z, digits and dashes",
            Self::LowerDigitsDashes => ", only lower-case letters, digits and dashes",
            Self::NoBlanks => ", without blanks",
            Self::Shown => ", without control characters and marks of direction",
            Self::ShownLines => ", without control characters (but for line feeds) and marks of direction",
            Self::ServiceName => {
                ", only letters, numbers, spaces, dashes and underscores, and no phone number"
            }
            Self::UniqueName => ", only letters A to Z, digits, dashes, underscores and dots",
            Self::UpperDigits => ", only upper-case letters and digits",
        }
    }
}

impl Unit {
    fn words(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => " of seconds",
        }
    }
}

/// `8 to 64 characters`, `10 characters` or `at most 100 characters`.
struct Length(usize, usize);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(0, most) => write!(f, "at most {most} characters"),
            Self(least, most) if least == most => write!(f, "{most} characters"),
            Self(least, most) => write!(f, "{least} to {most} characters"),
        }
    }
}

/// Seven digits in a row can be dialled, and so can nine with blanks and dashes between them; two years cannot.
fn holds_phone_number(text: &str) -> bool {
    let (mut unbroken, mut spaced) = (0, 0);
    text.chars().any(|c| {
        (unbroken, spaced) = match c {
            _ if c.is_numeric() => (unbroken + 1, spaced + 1),
            ' ' | '-' => (0, spaced),
            _ => (0, 0),
        };
        unbroken >= 7 || spaced >= 9
    })
}
