//! Who may begin a handshake: each costs some milliseconds of powers, for whoever asks.
//!
//! Handshakes that were begun and not finished are bounded, altogether and for each address (of IPv6 a /64), and so is how many
//! one address begins in a while. Powers are raised on a few threads, so that they leave the others to those who are through.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::limits::{PermitRule, Permits};
use crate::domain::shares::Shares;
use crate::domain::time::Timestamp;

/// The handshakes of everybody.
#[derive(Debug)]
pub struct HandshakeGate {
    state: Mutex<State>,
    powers: Semaphore,
}

#[derive(Debug)]
struct State {
    half_open: Shares<u128>,
    begun: HashMap<u128, Permits>,
}

/// A place for a handshake that is not finished; given back when dropped.
#[derive(Debug)]
pub struct HalfOpen {
    admission: Arc<HandshakeGate>,
    who: u128,
}

impl Default for HandshakeGate {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            state: Mutex::new(State {
                half_open: Shares::halves(MOST_HALF_OPEN),
                begun: HashMap::new(),
            }),
            powers: Semaphore::new((threads / 2).max(1)),
        }
    }
}

impl HandshakeGate {
    /// Lets `peer` begin a handshake; `None` if it or all others have begun too many.
    pub fn begin(self: &Arc<Self>, peer: IpAddr, now: Timestamp) -> Option<HalfOpen> {
        let who = network(peer);
        let mut state = self.lock();
        if state.begun.len() >= MOST_REMEMBERED {
            state.begun.retain(|_, begun| begun.counts_until(&RULE) > now);
        }
        let known = state.begun.get(&who).copied();
        if known.is_none() && state.begun.len() >= MOST_REMEMBERED {
            return None;
        }
        let begun = Permits::take(known, &RULE, now).ok()?;
        if !state.half_open.take(who) {
            return None;
        }
        state.begun.insert(who, begun);
        Some(HalfOpen {
            admission: Arc::clone(self),
            who,
        })
    }

    /// Waits until a thread is free for powers.
    pub async fn powers(&self) -> Option<SemaphorePermit<'_>> {
        self.powers.acquire().await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        self.admission.lock().half_open.give_back(self.who);
    }
}

/// What one host or household has: an address of IPv4, or a /64 of IPv6.
fn network(peer: IpAddr) -> u128 {
    match peer.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

/// How many handshakes are begun and not finished.
const MOST_HALF_OPEN: usize = 1024;
/// How many addresses are remembered of those that began some.
const MOST_REMEMBERED: usize = 20_000;
/// How many one address begins: sixty, each of which is there again after two seconds.
const RULE: PermitRule = PermitRule {
    capacity: 60,
    regeneration: Duration::from_secs(2),
    pause: Duration::ZERO,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn now(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    #[test]
    fn one_address_begins_only_so_many_and_others_are_let_in() {
        let admission = Arc::new(HandshakeGate::default());
        for (greedy, other) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1")] {
            let greedy: IpAddr = greedy.parse().unwrap();
            let begun = (0..1000).filter(|_| admission.begin(greedy, now(0)).is_some());
            assert_eq!(begun.count(), 60);
            assert!(admission.begin(other.parse().unwrap(), now(0)).is_some());
            assert!(admission.begin(greedy, now(2)).is_some(), "one is there again");
            assert!(admission.begin(greedy, now(2)).is_none());
        }
        let same_network: IpAddr = "2001:db8::ffff".parse().unwrap();
        assert!(admission.begin(same_network, now(2)).is_none());
    }

    #[test]
    fn what_is_half_open_is_bounded_and_given_back() {
        let admission = Arc::new(HandshakeGate::default());
        let address = |number: u32| IpAddr::V4(number.into());
        let held: Vec<_> = (0..5000)
            .filter_map(|number| admission.begin(address(number), now(0)))
            .collect();
        assert_eq!(held.len(), MOST_HALF_OPEN);
        drop(held);
        assert!(admission.begin(address(9000), now(0)).is_some());
    }
}
