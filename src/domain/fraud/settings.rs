//! What the operator chose.

use std::time::Duration;

use crate::domain::country::Country;
use crate::domain::price::Price;

/// What the operator chose against toll fraud. The defaults are such that a normal installation never meets them, except
/// for those who send to premium-rate numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The countries that codes may go to.
    pub countries: Countries,
    /// Countries that no code goes to, whatever else is allowed.
    pub blocked_countries: Vec<Country>,
    /// Whether codes may go to premium-rate and shared-cost numbers, and to those of no country.
    pub premium_numbers: bool,
    /// Whether codes may go to numbers of ranges that no plan known here has given out.
    pub unknown_numbers: bool,
    /// Whether a caller may switch the guard of prefixes with a low conversion off for a verification.
    pub risk_check_may_be_disabled: bool,
    /// The most codes to a number or an e-mail address in a day; no limit if `None`, as for all that follow.
    pub number_per_day: Option<u32>,
    /// The most codes to a prefix in an hour.
    pub prefix_per_hour: Option<u32>,
    /// The most codes to a prefix in a day.
    pub prefix_per_day: Option<u32>,
    /// The most codes to an e-mail domain in an hour.
    pub domain_per_hour: Option<u32>,
    /// The most codes to an e-mail domain in a day.
    pub domain_per_day: Option<u32>,
    /// The most codes to a country in a day.
    pub country_per_day: Option<u32>,
    /// The most codes that one device's address asks for in an hour.
    pub device_per_hour: Option<u32>,
    /// The most codes of a service in a day.
    pub service_per_day: Option<u32>,
    /// The most that an account's messages cost in a day.
    pub spend_per_day: Option<Price>,
    /// When a prefix is blocked because its codes are not used; never if `None`.
    pub conversion: Option<ConversionRule>,
}

/// Which countries codes may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum Countries {
    All,
    Only(Vec<Country>),
}

/// When a prefix is blocked because its codes are not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversionRule {
    /// From how many codes on there is a judgement.
    pub min_sends: u32,
    /// How many of a hundred codes have to be used, at least.
    pub min_percent: u32,
    /// For how long a prefix is blocked.
    pub block: Duration,
}

impl ConversionRule {
    /// Codes sent longer ago than this do not count.
    pub const WINDOW: Duration = Duration::from_hours(1);
    /// Codes sent more recently than this do not count yet: somebody may be typing them.
    pub const MATURES_AFTER: Duration = Duration::from_mins(5);
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            countries: Countries::All,
            blocked_countries: Vec::new(),
            premium_numbers: false,
            unknown_numbers: false,
            risk_check_may_be_disabled: false,
            number_per_day: Some(30),
            prefix_per_hour: Some(100),
            prefix_per_day: Some(500),
            domain_per_hour: Some(500),
            domain_per_day: Some(2000),
            country_per_day: None,
            device_per_hour: Some(200),
            service_per_day: None,
            spend_per_day: None,
            conversion: Some(ConversionRule::default()),
        }
    }
}

impl Default for ConversionRule {
    fn default() -> Self {
        Self {
            min_sends: 25,
            min_percent: 10,
            block: Duration::from_hours(6),
        }
    }
}

impl Settings {
    /// No guard at all: for whoever measures or tests something else.
    #[must_use]
    pub fn off() -> Self {
        Self {
            premium_numbers: true,
            unknown_numbers: true,
            number_per_day: None,
            prefix_per_hour: None,
            prefix_per_day: None,
            domain_per_hour: None,
            domain_per_day: None,
            device_per_hour: None,
            conversion: None,
            ..Self::default()
        }
    }
}
