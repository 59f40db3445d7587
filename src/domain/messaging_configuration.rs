//! Messaging configurations: which messaging service sends a service's text messages to a country.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::country::Country;
use super::refusal::AreaRefusal;
use super::sid::MessagingServiceSid;
use super::text::Invalid;
use super::time::Timestamp;

/// Which messaging service sends to a country.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct MessagingConfiguration {
    pub region: Region,
    /// Which messaging service: senders carry its identifier in the operator's settings.
    pub messaging_service: MessagingServiceSid,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

/// Where a configuration holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Region {
    /// Wherever no other one holds.
    All,
    /// Here, whatever holds everywhere else.
    Country(Country),
}

impl Region {
    /// Reads `all`, or the two letters of a country, in upper or lower case.
    ///
    /// # Errors
    /// [`Invalid`] if it is neither.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        Country::parse(text)
            .map(Self::Country)
            .map_err(|_| Invalid::CountryOrAll)
    }

    /// Reads what names a configuration that may exist: an earlier release took all letters for a country's, and what it stored has
    /// to be reached.
    #[must_use]
    pub fn stored(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("all") {
            return Some(Self::All);
        }
        Country::stored(text).map(Self::Country)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Country(country) => fmt::Display::fmt(country, f),
        }
    }
}

/// Why nothing became of what somebody wanted of a messaging configuration.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The service has one for this region.
    #[error("the service has a messaging configuration for this country already")]
    Exists,
    /// The configuration, or its service, does not exist, or not for whoever asks.
    #[error("there is no such messaging configuration")]
    NotFound,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_read_back_what_they_display() {
        for (text, displayed) in [("all", "all"), ("ALL", "all"), ("CA", "CA"), ("ca", "CA")] {
            assert_eq!(Region::parse(text).unwrap().to_string(), displayed);
        }
        for bad in ["", "*", "C", "CAN", "C1", "alle", "\u{e9}"] {
            assert!(Region::parse(bad).is_err(), "{bad}");
            assert_eq!(Region::stored(bad), None, "{bad}");
        }
        for (text, displayed) in [("aLL", "all"), ("ca", "CA"), ("uk", "UK"), ("ZZ", "ZZ")] {
            assert_eq!(Region::stored(text).unwrap().to_string(), displayed);
        }
        assert!(Region::parse("UK").is_err());
    }
}
