//! Budgets: how much of something a subject may have in a window of time.
//!
//! Windows are fixed and begin at whole hours and days of the Unix epoch (UTC). What was taken of a budget is a counter in
//! the store, one for each subject and window. A process takes *blocks* out of it, each with one asserted commit, and
//! spends them from memory: so the counter of a whole country is no bottleneck, and the sum over all processes is never
//! above the limit. What a process has not spent when it dies is lost until the window ends.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::block::BlockReason;
use super::prefix::DestinationPrefix;
use crate::domain::country::Country;
use crate::domain::destination::Destination;
use crate::domain::price::{Currency, Price};
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::time::Timestamp;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CounterKind {
    /// Codes to a country, by day.
    Country,
    /// Nothing: that codes to a country are refused, by day.
    CountryRefused,
    /// Codes that a device's address asks for, by hour.
    Device,
    /// Nothing: that dear numbers of a country are refused, by day.
    KindRefused,
    /// Codes to a number or an e-mail address, by day.
    Number,
    /// Codes to a prefix, by day.
    PrefixDay,
    /// Codes to a prefix, by hour.
    PrefixHour,
    /// Codes of a service, by day.
    Service,
    /// Millionths of a currency, by day.
    Spend,
    /// Nothing: that numbers of unknown ranges of a country are refused, by day.
    UnknownRefused,
}

impl CounterKind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Country,
        Self::CountryRefused,
        Self::Device,
        Self::KindRefused,
        Self::Number,
        Self::PrefixDay,
        Self::PrefixHour,
        Self::Service,
        Self::Spend,
        Self::UnknownRefused,
    ];

    /// The byte in keys.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Country => b'c',
            Self::CountryRefused => b'C',
            Self::Device => b'd',
            Self::KindRefused => b'K',
            Self::Number => b'n',
            Self::PrefixDay => b'p',
            Self::PrefixHour => b'h',
            Self::Service => b's',
            Self::Spend => b'm',
            Self::UnknownRefused => b'U',
        }
    }

    /// `None` for a byte that [`CounterKind::to_byte`] gives for no kind.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.to_byte() == byte)
    }

    /// How long its windows are.
    #[must_use]
    pub fn window(self) -> Duration {
        match self {
            Self::Device | Self::PrefixHour => Duration::from_hours(1),
            Self::Country
            | Self::CountryRefused
            | Self::KindRefused
            | Self::Number
            | Self::PrefixDay
            | Self::Service
            | Self::Spend
            | Self::UnknownRefused => Duration::from_hours(24),
        }
    }

    /// Why a code is refused when nothing is left.
    #[must_use]
    pub fn reason(self) -> BlockReason {
        match self {
            Self::Country => BlockReason::CountryBudget,
            Self::CountryRefused => BlockReason::Country,
            Self::Device => BlockReason::DeviceBudget,
            Self::KindRefused => BlockReason::NumberKind,
            Self::Number => BlockReason::NumberBudget,
            Self::PrefixDay | Self::PrefixHour => BlockReason::PrefixBudget,
            Self::Service => BlockReason::ServiceBudget,
            Self::Spend => BlockReason::SpendCap,
            Self::UnknownRefused => BlockReason::NumberUnknown,
        }
    }
}

/// A counter: of what, of whom, in which window. The subject may be a number, so `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Counter {
    pub account: AccountSid,
    pub kind: CounterKind,
    /// Which window: how many of this length there were since the epoch.
    pub window: u64,
    /// Of whom, as it stands in keys.
    pub subject: Vec<u8>,
}

impl Counter {
    fn new(account: AccountSid, kind: CounterKind, subject: Vec<u8>, now: Timestamp) -> Self {
        let window = now.seconds() / kind.window().as_secs();
        Self {
            account,
            kind,
            window,
            subject,
        }
    }

    /// Codes to `destination`.
    #[must_use]
    pub fn of_number(account: AccountSid, destination: &Destination, now: Timestamp) -> Self {
        Self::new(account, CounterKind::Number, destination.to_key(), now)
    }

    /// Codes to `prefix`; `kind` is one of those of prefixes.
    #[must_use]
    pub fn of_prefix(
        account: AccountSid,
        kind: CounterKind,
        prefix: &DestinationPrefix,
        now: Timestamp,
    ) -> Self {
        Self::new(account, kind, prefix.as_str().as_bytes().to_vec(), now)
    }

    /// Something of `country`; `kind` is one of those of countries. Numbers of no country are together.
    #[must_use]
    pub fn of_country(
        account: AccountSid,
        kind: CounterKind,
        country: Option<Country>,
        now: Timestamp,
    ) -> Self {
        let subject = country.map_or_else(Vec::new, |country| country.as_bytes().to_vec());
        Self::new(account, kind, subject, now)
    }

    /// Codes that a device at `address` asks for.
    #[must_use]
    pub fn of_device(account: AccountSid, address: DeviceNetwork, now: Timestamp) -> Self {
        Self::new(account, CounterKind::Device, address.to_bytes(), now)
    }

    /// Codes of `service`.
    #[must_use]
    pub fn of_service(account: AccountSid, service: ServiceSid, now: Timestamp) -> Self {
        Self::new(account, CounterKind::Service, service.as_bytes().to_vec(), now)
    }

    /// What an account spends in a currency.
    #[must_use]
    pub fn of_spend(account: AccountSid, currency: Currency, now: Timestamp) -> Self {
        Self::new(account, CounterKind::Spend, currency.as_str().into(), now)
    }

    /// When its window ends.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        let seconds = self.kind.window().as_secs();
        Timestamp::from_seconds(self.window.saturating_add(1).saturating_mul(seconds))
    }

    /// Until when it is kept: one window longer, so that a clock that is set back a little finds what was counted.
    #[must_use]
    pub fn kept_until(&self) -> Timestamp {
        self.end() + self.kind.window()
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} of {}", self.kind, self.window, self.account)
    }
}

/// What is stored of a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// How much of the budget was taken, spent or not.
    pub units: u64,
    /// Whether it was told that nothing was left.
    pub told: bool,
}

/// The address of a device as it is counted: an IPv4 address, or the /64 network of an IPv6 address, for that is the least
/// that one customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceNetwork {
    /// An IPv4 address.
    V4([u8; 4]),
    /// The first half of an IPv6 address.
    V6([u8; 8]),
}

impl DeviceNetwork {
    /// The network of an address. IPv4 addresses written as IPv6 ones are what they are.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let mut network = [0; 8];
                network.copy_from_slice(&address.octets()[..8]);
                Self::V6(network)
            }
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::V4(bytes) => bytes.to_vec(),
            Self::V6(bytes) => bytes.to_vec(),
        }
    }
}

/// With so much hidden that it tells a network and no household: an address is personal data.
impl fmt::Display for DeviceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c, _]) => write!(f, "{a}.{b}.{c}.*"),
            Self::V6(bytes) => {
                let group = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
                write!(f, "{:x}:{:x}:{:x}:*", group(0), group(2), group(4))
            }
        }
    }
}

/// How much of the budget that `counter` counts a code needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Need {
    pub counter: Counter,
    pub amount: u64,
    /// How much there is in the window altogether.
    pub limit: u64,
}

impl Need {
    /// One code, of `limit` ones.
    #[must_use]
    pub fn one(counter: Counter, limit: u32) -> Self {
        Self {
            counter,
            amount: 1,
            limit: limit.into(),
        }
    }

    /// The price of a code. A price in another currency than the cap's cannot be compared with it: it is more than there
    /// is, so that a wrong setting does not switch the cap off.
    #[must_use]
    pub fn price(account: AccountSid, price: Price, cap: Price, now: Timestamp) -> Self {
        let comparable = price.currency == cap.currency || price.micros == 0;
        Self {
            counter: Counter::of_spend(account, cap.currency, now),
            amount: if comparable { price.micros } else { u64::MAX },
            limit: cap.micros,
        }
    }

    /// How much is taken out of the store when `units` are taken already; `None` if what is left does not suffice.
    #[must_use]
    pub fn grant(&self, units: u64) -> Option<u64> {
        /// A process that dies loses at most this part of a budget, and at most so many codes of it.
        const PARTS: u64 = 64;
        let left = self.limit.saturating_sub(units);
        let block = match self.counter.kind {
            CounterKind::Number => self.amount,
            CounterKind::Spend => self.limit / PARTS,
            _ => (self.limit / PARTS).min(PARTS),
        };
        (left >= self.amount).then(|| block.max(self.amount).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountSid {
        AccountSid::from_bytes([1; 16])
    }

    fn need(kind: CounterKind, amount: u64, limit: u64) -> Need {
        let counter = Counter::new(
            account(),
            kind,
            Vec::new(),
            Timestamp::from_seconds(1_800_000_000),
        );
        Need {
            counter,
            amount,
            limit,
        }
    }

    #[test]
    fn windows_begin_at_whole_hours_and_days() {
        let midnight = 1_800_000_000 / 86_400 * 86_400;
        let of = |kind, seconds| Counter::new(account(), kind, Vec::new(), Timestamp::from_seconds(seconds));
        let day = of(CounterKind::Number, midnight);
        assert_eq!(of(CounterKind::Number, midnight + 86_399), day);
        assert_ne!(of(CounterKind::Number, midnight + 86_400), day);
        assert_eq!(day.end(), Timestamp::from_seconds(midnight + 86_400));
        let hour = of(CounterKind::Device, midnight);
        assert_ne!(of(CounterKind::Device, midnight + 3_600), hour);
        assert_eq!(hour.end(), Timestamp::from_seconds(midnight + 3_600));
        assert_eq!(hour.kept_until(), Timestamp::from_seconds(midnight + 7_200));
    }

    #[test]
    fn a_block_is_a_sixty_fourth_and_never_more_than_is_left() {
        assert_eq!(need(CounterKind::Number, 1, 30_000).grant(0), Some(1));
        assert_eq!(need(CounterKind::PrefixHour, 1, 100).grant(0), Some(1));
        assert_eq!(need(CounterKind::PrefixDay, 1, 500).grant(0), Some(7));
        assert_eq!(need(CounterKind::PrefixDay, 1, 500).grant(497), Some(3));
        assert_eq!(need(CounterKind::PrefixDay, 1, 500).grant(500), None);
        assert_eq!(need(CounterKind::Service, 1, 1_000_000).grant(0), Some(64));
        assert_eq!(
            need(CounterKind::Service, 1, 5).grant(9),
            None,
            "the limit was lowered"
        );
        assert_eq!(
            need(CounterKind::Spend, 50_000, 6_400_000).grant(0),
            Some(100_000)
        );
        assert_eq!(
            need(CounterKind::Spend, 500_000, 6_400_000).grant(0),
            Some(500_000)
        );
        assert_eq!(
            need(CounterKind::Spend, 500_000, 6_400_000).grant(6_000_000),
            None
        );
    }

    #[test]
    fn a_price_in_another_currency_is_more_than_there_is() {
        let price = |micros, currency: &str| Price {
            micros,
            currency: Currency::parse(currency).unwrap(),
        };
        let now = Timestamp::from_seconds(1_800_000_000);
        let cap = price(1_000_000, "eur");
        assert!(
            Need::price(account(), price(1, "eur"), cap, now)
                .grant(0)
                .is_some()
        );
        assert_eq!(Need::price(account(), price(1, "usd"), cap, now).grant(0), None);
        let free = Need::price(account(), price(0, "usd"), cap, now);
        assert_eq!(free.amount, 0, "nothing is nothing in every currency");
    }

    #[test]
    fn devices_are_counted_by_address_and_by_the_network_of_a_customer() {
        let of = |text: &str| DeviceNetwork::of(text.parse().unwrap());
        assert_eq!(of("203.0.113.7"), of("::ffff:203.0.113.7"));
        assert_ne!(of("203.0.113.7"), of("203.0.113.8"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("203.0.113.7").to_string(), "203.0.113.*");
        assert_eq!(of("2001:db8:1:2::1").to_string(), "2001:db8:1:*");
    }

    #[test]
    fn kinds_are_told_apart_by_their_bytes() {
        for kind in CounterKind::ALL {
            assert_eq!(CounterKind::from_byte(kind.to_byte()), Some(kind));
        }
        assert_eq!(CounterKind::from_byte(b'x'), None);
    }

    #[test]
    fn no_number_is_printed() {
        let number = crate::domain::phone::PhoneNumber::try_from("+32470123456".to_owned()).unwrap();
        let counter = Counter::of_number(account(), &Destination::Phone(number), Timestamp::default());
        assert!(!format!("{counter:?}").contains("3247"), "{counter:?}");
    }
}
