//! Countries, as ISO 3166-1 names them with two letters.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::Invalid;

/// A country: two upper-case letters of ISO 3166-1 alpha-2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

impl Country {
    /// Reads the two letters of a country that there is, upper or lower case.
    ///
    /// # Errors
    /// [`Invalid`] if no country has these letters, as `UK`, which is reserved for what is `GB`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::stored(text)
            .filter(|country| country.exists())
            .ok_or(Invalid::Country)
    }

    /// Reads two letters that were taken for a country's once. What is stored is read whatever has become of its country, and an
    /// earlier release took all letters.
    #[must_use]
    pub fn stored(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    fn exists(self) -> bool {
        ALL.split_ascii_whitespace()
            .any(|letters| letters.as_bytes() == self.0)
    }

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The two letters, as they stand in keys.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 2] {
        &self.0
    }
}

impl TryFrom<String> for Country {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::stored(&text).ok_or(Invalid::Country)
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.as_str().to_owned()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// ISO 3166-1, and three that have numbers of their own without being in it: Ascension (AC), Tristan da Cunha (TA) and Kosovo (XK).
const ALL: &str = "\
    AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF \
    CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI \
    GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ \
    LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO \
    NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST \
    SV SX SY SZ TA TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_countries_as_there_are_in_their_order() {
        let all: Vec<_> = ALL.split_ascii_whitespace().collect();
        assert_eq!(all.len(), 249 + 3);
        assert!(all.is_sorted() && all.iter().all(|letters| Country::parse(letters).is_ok()));
        assert_eq!(Country::parse("gb").unwrap().as_str(), "GB");
    }

    #[test]
    fn letters_of_no_country_are_read_only_where_they_are_stored() {
        for letters in ["UK", "uk", "EN", "ZZ", "QQ"] {
            assert_eq!(Country::parse(letters), Err(Invalid::Country), "{letters}");
            assert!(Country::stored(letters).is_some(), "{letters}");
        }
        for letters in ["", "G", "GBR", "G1", "\u{dc}"] {
            assert!(Country::parse(letters).is_err() && Country::stored(letters).is_none());
        }
    }
}
