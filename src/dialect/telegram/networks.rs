//! How much each network may do that costs this server something before it is known who asks.
//!
//! A network is an address of IPv4, or a /64 of IPv6, which is what one host or household has. A /48 of IPv6 holds 65536 of
//! those and is as easily had as one: it counts as well, and has four times as much.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use crate::domain::limits::{PermitRule, Permits};
use crate::domain::time::Timestamp;

/// A part of the address space that counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// An address of IPv4.
    Address(u32),
    /// A /64 of IPv6, by its first bits.
    Household(u64),
    /// A /48 of IPv6, by its first bits.
    Site(u64),
}

impl Network {
    /// What an address belongs to, the smallest first.
    pub fn of(peer: IpAddr) -> impl Iterator<Item = Self> {
        let (small, large) = match peer.to_canonical() {
            IpAddr::V4(address) => (Self::Address(address.to_bits()), None),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                let first = |bits: u128| u64::try_from(bits).unwrap_or(u64::MAX);
                (
                    Self::Household(first(bits >> 64)),
                    Some(Self::Site(first(bits >> 80))),
                )
            }
        };
        std::iter::once(small).chain(large)
    }

    /// The largest that an address belongs to.
    #[must_use]
    pub fn largest(peer: IpAddr) -> Self {
        let smallest = Self::Address(0);
        Self::of(peer).last().unwrap_or(smallest)
    }

    fn rule(self, rule: PermitRule) -> PermitRule {
        const MORE: u32 = 4;
        match self {
            Self::Address(_) | Self::Household(_) => rule,
            Self::Site(_) => PermitRule {
                capacity: rule.capacity * MORE,
                regeneration: rule.regeneration / MORE,
                pause: rule.pause,
            },
        }
    }
}

/// What networks have taken of something of which each has so much. So many of them are remembered that took some; when others
/// come, those are forgotten that would have everything again soonest. Each use costs the logarithm of that number.
#[derive(Debug)]
pub struct NetworkPermits {
    rule: PermitRule,
    most: usize,
    taken: HashMap<Network, Permits>,
    /// The same by when everything is there again.
    order: BTreeSet<(Timestamp, Network)>,
}

impl NetworkPermits {
    /// Each network has what `rule` says, and `most` of them are remembered.
    #[must_use]
    pub fn new(rule: PermitRule, most: usize) -> Self {
        Self {
            rule,
            most,
            taken: HashMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// Whether `peer` could take one.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn require(&self, peer: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let waits = Network::of(peer).map(|network| self.after_one_more(network, now).err());
        waits.flatten().max().map_or(Ok(()), Err)
    }

    /// Takes one for `peer`, of all networks that it is in or of none.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn take(&mut self, peer: IpAddr, now: Timestamp) -> Result<(), Duration> {
        self.require(peer, now)?;
        for network in Network::of(peer) {
            let after = self.after_one_more(network, now)?;
            self.put(network, after);
        }
        Ok(())
    }

    fn after_one_more(&self, network: Network, now: Timestamp) -> Result<Permits, Duration> {
        let taken = self.taken.get(&network).copied();
        Permits::take(taken, &network.rule(self.rule), now)
    }

    fn put(&mut self, network: Network, permits: Permits) {
        let full_at = |permits: Permits| permits.counts_until(&network.rule(self.rule));
        if let Some(before) = self.taken.insert(network, permits) {
            self.order.remove(&(full_at(before), network));
        }
        self.order.insert((full_at(permits), network));
        if self.taken.len() > self.most
            && let Some((_, soonest)) = self.order.pop_first()
        {
            self.taken.remove(&soonest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: PermitRule = PermitRule {
        capacity: 3,
        regeneration: Duration::from_secs(10),
        pause: Duration::ZERO,
    };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_network_has_its_own_and_a_site_has_four_times_as_much() {
        let mut permits = NetworkPermits::new(RULE, 100);
        for (greedy, other) in [
            ("192.0.2.1", "192.0.2.2"),
            ("::ffff:192.0.2.3", "192.0.2.4"),
            ("2001:db8::1", "2001:db8:0:1::1"),
        ] {
            let (greedy, other) = (address(greedy), address(other));
            let taken = (0..10).filter(|_| permits.take(greedy, at(0)).is_ok());
            assert_eq!(taken.count(), 3);
            assert_eq!(permits.take(greedy, at(4)), Err(Duration::from_secs(6)));
            assert_eq!(permits.require(greedy, at(4)), Err(Duration::from_secs(6)));
            assert_eq!(permits.take(other, at(0)), Ok(()));
            assert_eq!(permits.take(greedy, at(10)), Ok(()));
        }
        assert_eq!(
            permits.take(address("192.0.2.3"), at(10)),
            Err(Duration::from_secs(10)),
            "it is the same address"
        );
        let mut of_a_site = NetworkPermits::new(RULE, 100);
        let household = |number: u16| address(&format!("2001:db8:0:{number:x}::1"));
        let taken = (0..100).filter(|number| of_a_site.take(household(*number), at(0)).is_ok());
        assert_eq!(taken.count(), 12);
        assert_eq!(
            of_a_site.take(household(99), at(0)),
            Err(Duration::from_millis(2500))
        );
        assert_eq!(of_a_site.take(address("2001:db8:1::1"), at(0)), Ok(()));
    }

    #[test]
    fn who_is_refused_by_one_network_takes_nothing_of_the_other() {
        let mut permits = NetworkPermits::new(RULE, 100);
        let greedy = address("2001:db8::1");
        let taken = (0..1000).filter(|_| permits.take(greedy, at(0)).is_ok());
        assert_eq!(taken.count(), 3);
        let others = (1..20).filter(|number: &u16| {
            permits
                .take(address(&format!("2001:db8:0:{number:x}::1")), at(0))
                .is_ok()
        });
        assert_eq!(others.count(), 9, "nine of the site's twelve are left");
    }

    #[test]
    fn newcomers_are_let_in_and_who_took_most_is_remembered() {
        let mut permits = NetworkPermits::new(RULE, 100);
        let greedy = address("198.51.100.1");
        for _ in 0..3 {
            permits.take(greedy, at(0)).unwrap();
        }
        for number in 0..10_000u32 {
            let peer = IpAddr::V4(number.into());
            assert_eq!(permits.take(peer, at(0)), Ok(()), "{number}");
        }
        assert_eq!((permits.taken.len(), permits.order.len()), (100, 100));
        assert!(permits.take(greedy, at(0)).is_err());
    }
}
