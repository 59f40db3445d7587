//! Why a code is not sent, and what is told and kept of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::ConversionRule;
use crate::domain::country::Country;
use crate::domain::events::EventType;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::time::Timestamp;

/// Why a code is not sent, or not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BlockReason {
    /// The operator does not want codes sent to the country.
    Country,
    /// The country had as many codes within the day as it may.
    CountryBudget,
    /// The device's address asked for as many codes within the hour as it may.
    DeviceBudget,
    /// Too few of the codes that went to the prefix were used.
    LowConversion,
    /// The wrong codes of a verification are used up, and nothing else begins there until it is over.
    MaxAttempts,
    /// The number, or the e-mail address, had as many codes within the day as it may.
    NumberBudget,
    /// The number is of a kind that is dear to reach, or of no country.
    NumberKind,
    /// The number is of a range that no plan known here has given out.
    NumberUnknown,
    /// The prefix had as many codes within the hour or the day as it may.
    PrefixBudget,
    /// The service sent as many codes within the day as it may.
    ServiceBudget,
    /// The account spent as much within the day as it may.
    SpendCap,
    /// Too many wrong codes were given there, over all verifications: for a while none is looked at.
    WrongCodes,
}

impl BlockReason {
    /// Those of the guards against toll fraud, in the order of their names: for them a code is not sent.
    pub const GUARDS: [Self; 10] = [
        Self::Country,
        Self::CountryBudget,
        Self::DeviceBudget,
        Self::LowConversion,
        Self::NumberBudget,
        Self::NumberKind,
        Self::NumberUnknown,
        Self::PrefixBudget,
        Self::ServiceBudget,
        Self::SpendCap,
    ];

    /// The name in events and metrics, such as `low_conversion`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::CountryBudget => "country_budget",
            Self::DeviceBudget => "device_budget",
            Self::LowConversion => "low_conversion",
            Self::MaxAttempts => "max_attempts",
            Self::NumberBudget => "number_budget",
            Self::NumberKind => "number_kind",
            Self::NumberUnknown => "number_unknown",
            Self::PrefixBudget => "prefix_budget",
            Self::ServiceBudget => "service_budget",
            Self::SpendCap => "spend_cap",
            Self::WrongCodes => "wrong_codes",
        }
    }

    /// What the log says of it, and what the operator can do; what a caller is told is the dialect's to word.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Country => {
                "codes are not sent to this country (settings codes.countries and codes.blocked_countries)"
            }
            Self::CountryBudget => "as many codes as may be in a day were sent to this country",
            Self::DeviceBudget => {
                "as many codes as may be in an hour were asked for from this device's address"
            }
            Self::LowConversion => {
                "too few of the codes sent to numbers or addresses like this one were used, so none are sent there for a while"
            }
            Self::MaxAttempts => "the wrong codes of a verification are used up",
            Self::NumberBudget => "as many codes as may be in a day were sent to this number or address",
            Self::NumberKind => {
                "the number is a premium-rate or shared-cost one, or of no country (setting codes.premium_numbers)"
            }
            Self::NumberUnknown => {
                "the number is of a range that is not known to be given out (setting codes.unknown_numbers)"
            }
            Self::PrefixBudget => {
                "as many codes as may be in a while were sent to numbers or addresses like this one"
            }
            Self::ServiceBudget => "this service sent as many codes as it may in a day",
            Self::SpendCap => {
                "the account's messages cost as much as they may in a day (setting codes.spend_per_day)"
            }
            Self::WrongCodes => "too many wrong codes were given for this number or address",
        }
    }

    /// Whether it is the operator's choice of where codes may go, which no waiting changes.
    #[must_use]
    pub fn is_permission(self) -> bool {
        matches!(self, Self::Country | Self::NumberKind | Self::NumberUnknown)
    }
}

/// That a code is not let out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the code was not sent: {}", why.explanation())]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Blocked {
    pub why: BlockReason,
    /// When it may be asked for again; `None` if no waiting changes it.
    pub retry_after: Option<Duration>,
}

impl Blocked {
    /// Refused for `why` at `now`, and until `until` if waiting helps.
    #[must_use]
    pub fn until(why: BlockReason, until: Option<Timestamp>, now: Timestamp) -> Self {
        let retry_after = until.map(|until| until.since(now).max(Duration::from_secs(1)));
        Self { why, retry_after }
    }
}

/// That something is blocked from now on, or not any more: told once, not with each refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct BlockEvent {
    pub reason: BlockReason,
    /// When the first code was refused.
    pub at: Timestamp,
    pub account: AccountSid,
    /// By which service that code was to be sent.
    pub service: ServiceSid,
    /// What is blocked, for people: a prefix, a country, a number or an address with most of it hidden.
    pub subject: String,
    /// In which country the number is, if it is in one.
    pub country: Option<Country>,
    /// Until when; `None` for what no waiting changes.
    pub until: Option<Timestamp>,
    /// Whether it is not blocked any more, before that moment.
    pub lifted: bool,
}

impl BlockEvent {
    /// Which event it is.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        if self.lifted {
            EventType::VerificationUnblocked
        } else {
            EventType::VerificationBlocked
        }
    }
}

/// That nothing is sent to a prefix of an account for a while, from one moment to another, and why; or that the account vouches
/// for the prefix, so that nothing holds codes up meanwhile that is about the prefix as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct PrefixBlock {
    pub reason: BlockReason,
    pub since: Timestamp,
    pub until: Timestamp,
    /// Of how many codes it was decided.
    pub sends: u32,
    /// How many of them were used.
    pub converted: u32,
    /// Whether the account vouches for the prefix, instead of its being blocked.
    pub lifted: bool,
}

impl PrefixBlock {
    /// By how much clocks may be set back without ending a block.
    const TOLERANCE: Duration = Duration::from_mins(5);

    /// What holds nothing up and opens nothing, but says that what was sent to the prefix before `now` tells nothing.
    #[must_use]
    pub fn forgiven(now: Timestamp) -> Self {
        Self {
            reason: BlockReason::LowConversion,
            since: now,
            until: now,
            sends: 0,
            converted: 0,
            lifted: true,
        }
    }

    /// Until when what was sent before it counts for nothing, which outlasts the time for which the account vouches for the
    /// prefix; `None` if it counts.
    #[must_use]
    pub fn forgiven_before(&self, now: Timestamp) -> Option<Timestamp> {
        (self.lifted && !self.since.was_set_back(now)).then_some(self.since)
    }

    /// Until when its record is of use.
    #[must_use]
    pub fn kept_until(&self) -> Timestamp {
        if self.lifted {
            self.until.max(self.since + ConversionRule::WINDOW)
        } else {
            self.until
        }
    }

    /// For how long it still holds; `None` if it does not.
    ///
    /// One that begins in the future was made before the clock was set back: it does not hold for the length of that
    /// jump. Whether the prefix is to be blocked is decided anew.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        let left = self.until.since(now);
        let begun = self.since.since(now) <= Self::TOLERANCE;
        (begun && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_in_the_order_of_their_names_and_explained_in_one_line() {
        assert!(BlockReason::GUARDS.map(BlockReason::name).is_sorted());
        for reason in BlockReason::GUARDS {
            assert_eq!(reason.explanation().lines().count(), 1);
        }
    }

    #[test]
    fn a_block_ends_in_time_and_does_not_outlast_a_clock_that_was_wrong() {
        let at = |seconds: u64| Timestamp::from_seconds(1_800_000_000 + seconds);
        let block = PrefixBlock {
            reason: BlockReason::LowConversion,
            since: at(10_000),
            until: at(13_600),
            sends: 25,
            converted: 0,
            lifted: false,
        };
        assert_eq!(block.remaining(at(10_000)), Some(Duration::from_hours(1)));
        assert_eq!(block.remaining(at(13_599)), Some(Duration::from_secs(1)));
        assert_eq!(block.remaining(at(13_600)), None);
        assert_eq!(block.remaining(at(9_700)), Some(Duration::from_mins(65)));
        assert_eq!(block.remaining(at(9_699)), None, "the clock was set back");
    }
}
