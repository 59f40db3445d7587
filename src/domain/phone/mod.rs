//! Phone numbers, always in the one form that E.164 gives them.
//!
//! However a number is spelled, it comes to one text: counters, limits and the safe list know a number by that text.
//! What the numbering plans say is asked in `plan` only.

mod leading_digits;
mod plan;
mod renumbered;
mod spelling;
#[cfg(test)]
mod tests;

pub use self::leading_digits::LeadingDigits;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::country::Country;
use super::text::{BadPhone, Invalid};

/// A phone number in E.164 form: `+`, then 7 to 15 digits of which the first is not 0.
///
/// It is personal data: `Debug` shows its country code and its last two digits only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

/// What the numbering plans say of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct NumberFacts {
    /// In which country it is; `None` for those of no country (satellite phones, say).
    pub country: Option<Country>,
    pub kind: LineKind,
}

/// What kind of line a number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum LineKind {
    /// A line in a house.
    FixedLine,
    /// The plan does not tell a line in a house from a mobile phone.
    FixedLineOrMobile,
    Mobile,
    /// Everything else that nobody has in his pocket: universal access, personal numbers, pagers, voicemail.
    Other,
    /// Calls to it are dear.
    PremiumRate,
    /// The costs are shared between caller and callee.
    SharedCost,
    /// Calls to it are free.
    TollFree,
    /// The plan does not say: the range is not given out, or newer than what this program knows.
    Unknown,
    /// A number on the Internet.
    Voip,
}

impl PhoneNumber {
    /// Reads a number as people write it: digits of ASCII with blanks and dashes of all kinds, dots, slashes and brackets
    /// between them, at most 40 characters altogether. `+` or, without a default country, `00` begins a number with its country's code;
    /// any other number is one of `default_country` and as dialled there.
    ///
    /// A number that its plan has no place for is refused. One whose range is merely not given out is taken, since
    /// plans change more often than programs: its [`LineKind`] is [`LineKind::Unknown`].
    ///
    /// # Errors
    /// [`Invalid`] with what the number must be.
    pub fn parse(text: &str, default_country: Option<Country>) -> Result<Self, Invalid> {
        let dialled = spelling::read(text)?;
        plan::number(&dialled, default_country).and_then(Self::try_from)
    }

    /// The number as text messages need it: that of a mobile phone, in the form that its country gives it today.
    #[must_use]
    pub fn for_texts(&self) -> Self {
        renumbered::mobile(self.digits()).map_or_else(|| self.clone(), |digits| Self(format!("+{digits}")))
    }

    /// The digits by which limits know the number: the same for all forms that lead to one line.
    pub(super) fn counted(&self) -> String {
        self.for_texts().digits().to_owned()
    }

    /// What the numbering plan says of the number. Takes tens of microseconds.
    #[must_use]
    pub fn facts(&self) -> NumberFacts {
        let facts = plan::facts(&self.0);
        let mobile = self.for_texts();
        if mobile == *self {
            return facts;
        }
        // Nobody can tell from the number whether a line in a house is meant, or a mobile phone in its old form.
        let kind = match (facts.kind, plan::facts(&mobile.0).kind) {
            (LineKind::FixedLine, LineKind::Mobile) => LineKind::FixedLineOrMobile,
            (LineKind::Unknown, kind) | (kind, _) => kind,
        };
        NumberFacts { kind, ..facts }
    }

    /// The number, with the plus sign.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number without the plus sign.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// The number with all but its country code's digits and the last two hidden, for logs.
    #[must_use]
    pub fn masked(&self) -> String {
        let digits = self.digits();
        let (shown, end) = (2.min(digits.len()), digits.len().saturating_sub(2));
        let hidden = "*".repeat(end.saturating_sub(shown));
        format!("+{}{hidden}{}", &digits[..shown], &digits[end.max(shown)..])
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = Invalid;

    /// Takes what was stored: strictly the one form, without looking into any plan.
    fn try_from(text: String) -> Result<Self, Invalid> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let fits = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
        if fits && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text))
        } else {
            Err(BadPhone::NotNormal.into())
        }
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.0
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}
