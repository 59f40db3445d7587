//! What the numbering plans say, as a library knows them.
//!
//! The library is kept within this file: it sees digits only, never a caller's text, and what makes it panic is refused.
//! It reads its data at the first use, in about 15 ms; each country's rules at the first number of that country.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, Region};

use super::super::country::Country;
use super::super::text::{BadPhone, Invalid};
use super::spelling::Dialled;
use super::{LineKind, NumberFacts, renumbered};

/// The one form of the number that was dialled, as it would be in `default_country`.
///
/// # Errors
/// [`Invalid`] with what is wrong with it.
pub(super) fn number(dialled: &Dialled, default_country: Option<Country>) -> Result<String, Invalid> {
    let digits = &dialled.digits;
    let international = match (dialled.plus, default_country, digits.strip_prefix("00")) {
        (true, _, _) => Some(digits.as_str()),
        // Where a country is known, the library knows what is dialled there before another country's code.
        (false, None, Some(rest)) if !rest.starts_with('0') => Some(rest),
        (false, None, _) => return Err(NO_COUNTRY_CODE),
        (false, Some(_), _) => None,
    };
    guarded(|| match (international, default_country) {
        (Some(digits), _) => {
            let today = renumbered::today(digits);
            one_form(&format!("+{}", today.as_deref().unwrap_or(digits)), None)
        }
        (None, Some(country)) => {
            let region = Region::try_from(country.as_str()).map_err(|_| UNKNOWN_COUNTRY)?;
            one_form(digits, Some(region))
        }
        (None, None) => Err(NO_COUNTRY_CODE),
    })
    .unwrap_or(Err(IMPOSSIBLE))
}

/// What is known of a number in its one form.
pub(super) fn facts(number: &str) -> NumberFacts {
    guarded(|| {
        let number = PHONE_NUMBER_UTIL.parse(number, None).ok()?;
        let region = PHONE_NUMBER_UTIL
            .get_region_for_number(&number)
            // A range that none of several countries gives out: most likely it is a new one of the greatest of them.
            .or_else(|| PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code));
        Some(NumberFacts {
            country: region.and_then(country),
            kind: kind(PHONE_NUMBER_UTIL.get_number_type(&number)),
        })
    })
    .flatten()
    .unwrap_or(NumberFacts {
        country: None,
        kind: LineKind::Unknown,
    })
}

/// Reads a number until reading it again changes nothing: a plan's own prefixes (`+44 0…`, `+54 … 15 …`) go one at a time.
fn one_form(text: &str, region: Option<Region>) -> Result<String, Invalid> {
    let mut form = possible(text, region)?;
    for _ in 0..MOST_PREFIXES {
        if form == text {
            return Ok(form);
        }
        let again = possible(&form, None)?;
        if again == form {
            return Ok(form);
        }
        form = again;
    }
    Err(IMPOSSIBLE)
}

fn possible(text: &str, region: Option<Region>) -> Result<String, Invalid> {
    let number = PHONE_NUMBER_UTIL.parse(text, region).map_err(|_| IMPOSSIBLE)?;
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) {
        Ok(NumberLengthType::IsPossible) => Ok(PHONE_NUMBER_UTIL
            .format(&number, PhoneNumberFormat::E164)
            .into_owned()),
        Ok(NumberLengthType::IsPossibleLocalOnly) | Err(_) => Err(IMPOSSIBLE),
    }
}

/// `None` if `ask` panics.
fn guarded<T>(ask: impl FnOnce() -> T) -> Option<T> {
    // The library keeps nothing but compiled rules from one call to the next.
    catch_unwind(AssertUnwindSafe(ask)).ok()
}

/// `None` for what the library calls the world: numbers of no country.
fn country(region: Region) -> Option<Country> {
    let text = region.to_string();
    Country::parse(&text).ok()
}

fn kind(kind: PhoneNumberType) -> LineKind {
    match kind {
        PhoneNumberType::FixedLine => LineKind::FixedLine,
        PhoneNumberType::FixedLineOrMobile => LineKind::FixedLineOrMobile,
        PhoneNumberType::Mobile => LineKind::Mobile,
        PhoneNumberType::PremiumRate => LineKind::PremiumRate,
        PhoneNumberType::SharedCost => LineKind::SharedCost,
        PhoneNumberType::TollFree => LineKind::TollFree,
        PhoneNumberType::Unknown => LineKind::Unknown,
        PhoneNumberType::VoIP => LineKind::Voip,
        PhoneNumberType::Pager
        | PhoneNumberType::PersonalNumber
        | PhoneNumberType::UAN
        | PhoneNumberType::VoiceMail => LineKind::Other,
    }
}

/// How often a number may change while it is read again.
const MOST_PREFIXES: usize = 4;

const IMPOSSIBLE: Invalid = Invalid::Phone(BadPhone::Impossible);
const NO_COUNTRY_CODE: Invalid = Invalid::Phone(BadPhone::NoCountryCode);
const UNKNOWN_COUNTRY: Invalid = Invalid::Phone(BadPhone::UnknownCountry);
