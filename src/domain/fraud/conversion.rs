//! Whether codes that were sent are used: those who pump messages type none of them.
//!
//! A send is a code on its way to a number of a prefix; it is converted once its verification was approved. A resend counts
//! once more, and converts together with the first one. Counts are of the last hour, without the last minutes.

use std::collections::HashMap;

use super::prefix::DestinationPrefix;
use super::settings::ConversionRule;
use crate::domain::destination::Destination;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;

/// A prefix, as one account sends to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountPrefix {
    pub account: AccountSid,
    pub prefix: DestinationPrefix,
}

impl AccountPrefix {
    /// `None` for a destination that has no prefix.
    #[must_use]
    pub fn of(account: AccountSid, destination: &Destination) -> Option<Self> {
        let prefix = DestinationPrefix::of(destination)?;
        Some(Self { account, prefix })
    }
}

/// The sends of all prefixes within the window.
#[derive(Debug, Default)]
pub struct PrefixConversions {
    prefixes: HashMap<AccountPrefix, Vec<Sends>>,
    total: usize,
}

/// The sends of one verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sends {
    pub service: ServiceSid,
    pub verification: VerificationSid,
    /// When its code was sent last: only then its time runs.
    pub at: Timestamp,
    pub count: u32,
    pub converted: bool,
}

/// How many sends were used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conversion {
    /// Sends that had their time.
    pub sends: u32,
    /// Those of them whose verification was approved.
    pub converted: u32,
}

impl Conversion {
    pub fn add(&mut self, count: u32, converted: bool) {
        self.sends = self.sends.saturating_add(count);
        if converted {
            self.converted = self.converted.saturating_add(count);
        }
    }

    /// Whether so few of so many mean fraud.
    #[must_use]
    pub fn is_low(self, rule: &ConversionRule) -> bool {
        let (sends, converted) = (u64::from(self.sends), u64::from(self.converted));
        sends >= u64::from(rule.min_sends) && converted * 100 < sends * u64::from(rule.min_percent)
    }
}

impl PrefixConversions {
    /// The most verifications of a prefix that are remembered: the oldest ones of the window.
    pub const MOST_OF_A_PREFIX: usize = 512;
    /// The most verifications that are remembered altogether, about 100 bytes each.
    pub const MOST: usize = 200_000;

    pub fn sent(
        &mut self,
        place: &AccountPrefix,
        service: ServiceSid,
        verification: VerificationSid,
        now: Timestamp,
    ) {
        self.add(
            place,
            Sends {
                service,
                verification,
                at: now,
                count: 1,
                converted: false,
            },
            now,
        );
    }

    /// Adds what was sent, now or before this process began.
    pub fn add(&mut self, place: &AccountPrefix, sends: Sends, now: Timestamp) {
        if self.total >= Self::MOST {
            self.make_room(now);
        }
        let of_prefix = self.prefixes.entry(place.clone()).or_default();
        self.total -= of_prefix.len();
        // The clock may have been set back: what lies in the future counts as of now.
        for known in of_prefix.iter_mut() {
            known.at = known.at.min(now);
        }
        of_prefix.retain(|known| is_within(known, now));
        let before = of_prefix.len();
        let known = of_prefix
            .iter_mut()
            .find(|known| known.verification == sends.verification);
        match known {
            Some(known) => {
                known.count = known.count.saturating_add(sends.count);
                known.at = known.at.max(sends.at.min(now));
                known.converted |= sends.converted;
            }
            // The oldest ones stay: they are the first to be judged, however fast others follow.
            None if before < Self::MOST_OF_A_PREFIX => of_prefix.push(sends),
            None => {}
        }
        self.total += of_prefix.len();
    }

    pub fn converted(&mut self, place: &AccountPrefix, verification: VerificationSid) {
        if let Some(known) = self.find(place, verification) {
            known.converted = true;
        }
    }

    /// A verification's code went to nobody, or its number does not count.
    pub fn forget(&mut self, place: &AccountPrefix, verification: VerificationSid) {
        if let Some(of_prefix) = self.prefixes.get_mut(place) {
            let before = of_prefix.len();
            of_prefix.retain(|known| known.verification != verification);
            self.total -= before - of_prefix.len();
            if of_prefix.is_empty() {
                self.prefixes.remove(place);
            }
        }
    }

    /// Whoever they are for vouches for the prefix: what was sent there so far does not count.
    pub fn forget_all(&mut self, place: &AccountPrefix) {
        let forgotten = self.prefixes.remove(place);
        self.total -= forgotten.map_or(0, |sends| sends.len());
    }

    /// How many of the matured sends to a prefix were used.
    #[must_use]
    pub fn of(&self, place: &AccountPrefix, now: Timestamp) -> Conversion {
        let mut conversion = Conversion::default();
        for sends in self.matured(place, now) {
            conversion.add(sends.count, sends.converted);
        }
        conversion
    }

    /// The matured sends to a prefix.
    pub fn matured(&self, place: &AccountPrefix, now: Timestamp) -> impl Iterator<Item = Sends> + use<'_> {
        let of_prefix = self.prefixes.get(place).into_iter().flatten();
        of_prefix
            .filter(move |sends| is_within(sends, now))
            .filter(move |sends| now.since(sends.at) >= ConversionRule::MATURES_AFTER)
            .copied()
    }

    /// Forgets what is over; if that is not enough, the prefixes with the fewest sends, which are the farthest from being
    /// blocked.
    fn make_room(&mut self, now: Timestamp) {
        for of_prefix in self.prefixes.values_mut() {
            of_prefix.retain(|sends| is_within(sends, now));
        }
        let mut fewest = 1;
        loop {
            self.prefixes.retain(|_, of_prefix| of_prefix.len() >= fewest);
            self.total = self.prefixes.values().map(Vec::len).sum();
            if self.total <= Self::MOST / 4 * 3 {
                return;
            }
            fewest *= 2;
        }
    }

    /// How many verifications are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.total
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn find(&mut self, place: &AccountPrefix, verification: VerificationSid) -> Option<&mut Sends> {
        let of_prefix = self.prefixes.get_mut(place)?;
        of_prefix
            .iter_mut()
            .find(|known| known.verification == verification)
    }
}

fn is_within(sends: &Sends, now: Timestamp) -> bool {
    now.since(sends.at) < ConversionRule::WINDOW
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::phone::PhoneNumber;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    fn place(number: u64) -> AccountPrefix {
        let number = PhoneNumber::try_from(format!("+{number}")).unwrap();
        AccountPrefix::of(AccountSid::from_bytes([1; 16]), &Destination::Phone(number)).unwrap()
    }

    fn verification(number: u64) -> VerificationSid {
        let mut sid = [0; 16];
        sid[..8].copy_from_slice(&number.to_be_bytes());
        VerificationSid::from_bytes(sid)
    }

    fn service() -> ServiceSid {
        ServiceSid::from_bytes([2; 16])
    }

    #[test]
    fn sends_count_once_they_had_their_time_and_until_the_hour_is_over() {
        let (mut conversions, here) = (PrefixConversions::default(), place(32_470_123_456));
        for number in 0..30 {
            conversions.sent(&here, service(), verification(number), at(number));
        }
        let sends = |now| conversions.of(&here, at(now)).sends;
        assert_eq!([sends(0), sends(299), sends(300), sends(329)], [0, 0, 1, 30]);
        assert_eq!([sends(3_599), sends(3_600), sends(3_629)], [30, 29, 0]);
        assert_eq!(conversions.of(&place(32_470_993_456), at(329)).sends, 0);
    }

    #[test]
    fn few_of_many_are_low_and_few_of_few_are_not() {
        let rule = ConversionRule::default();
        let low = |sends, converted| Conversion { sends, converted }.is_low(&rule);
        assert!(!low(24, 0));
        assert!(low(25, 0) && low(25, 2) && low(10_000, 999));
        assert!(!low(25, 3) && !low(30, 3) && !low(10_000, 1_000));
    }

    #[test]
    fn a_resend_converts_with_its_verification_and_weighs_without() {
        let (mut conversions, here) = (PrefixConversions::default(), place(32_470_123_456));
        for (number, times) in [(1, 3), (2, 2)] {
            for _ in 0..times {
                conversions.sent(&here, service(), verification(number), at(0));
            }
        }
        conversions.converted(&here, verification(1));
        let found = conversions.of(&here, at(300));
        assert_eq!((found.sends, found.converted), (5, 3));
        conversions.forget(&here, verification(2));
        assert_eq!(conversions.of(&here, at(300)).sends, 3);
        assert_eq!(conversions.len(), 1);
    }

    #[test]
    fn a_clock_set_back_keeps_nothing_for_longer_than_the_window() {
        let (mut conversions, here) = (PrefixConversions::default(), place(32_470_123_456));
        conversions.sent(&here, service(), verification(1), at(1_000_000));
        conversions.sent(&here, service(), verification(2), at(0));
        assert_eq!(conversions.of(&here, at(300)).sends, 2);
        assert_eq!(conversions.of(&here, at(3_600)).sends, 0);
    }

    #[test]
    fn memory_is_bounded_and_the_busiest_prefixes_stay() {
        let (mut conversions, busy) = (PrefixConversions::default(), place(32_470_123_456));
        for number in 0..2_000 {
            conversions.sent(&busy, service(), verification(number), at(0));
        }
        assert_eq!(conversions.len(), PrefixConversions::MOST_OF_A_PREFIX);
        for number in 0..300_000 {
            let elsewhere = place(33_000_000_000 + number * 10_000);
            conversions.sent(&elsewhere, service(), verification(number), at(1));
            assert!(conversions.len() <= PrefixConversions::MOST);
        }
        assert_eq!(conversions.of(&busy, at(301)).sends, 512);
        let later = at(1) + Duration::from_hours(2);
        conversions.make_room(later);
        assert!(conversions.is_empty());
    }
}
