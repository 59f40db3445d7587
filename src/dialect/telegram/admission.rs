//! What this server does for clients of which it knows only where they are: handshakes, keys and codes.
//!
//! Each network ([`Network`]) begins only so many handshakes, keeps only so many keys and has only so many codes sent in a while.
//! Handshakes that were begun and not finished are bounded, altogether and for each network. Powers are raised on a few
//! threads, so that they leave the others to those who are through, and networks take turns at them.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::networks::{Network, NetworkPermits};
use super::turns::{PowersTurn, Turns};
use crate::domain::limits::PermitRule;
use crate::domain::shares::Shares;
use crate::domain::time::Timestamp;

/// What is counted of everybody.
#[derive(Debug)]
pub struct NetworkGate {
    state: Mutex<GateState>,
    powers: Turns,
}

#[derive(Debug)]
struct GateState {
    half_open: Shares<Network>,
    begun: NetworkPermits,
    kept: NetworkPermits,
    codes: NetworkPermits,
}

/// A place for a handshake that is not finished; given back when dropped.
#[derive(Debug)]
pub struct HalfOpen {
    gate: Arc<NetworkGate>,
    network: Network,
}

impl Default for NetworkGate {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let permits = |rule| NetworkPermits::new(rule, MOST_REMEMBERED);
        Self {
            state: Mutex::new(GateState {
                half_open: Shares::halves(MOST_HALF_OPEN),
                begun: permits(HANDSHAKES),
                kept: permits(KEYS),
                codes: permits(CODES),
            }),
            powers: Turns::new((threads / 2).max(1)),
        }
    }
}

impl NetworkGate {
    /// Lets `peer` begin a handshake; `None` if too many are not finished, or its network has begun too many or may keep no
    /// key now: that is said before it costs either side anything.
    pub fn begin(self: &Arc<Self>, peer: IpAddr, now: Timestamp) -> Option<HalfOpen> {
        let network = Network::largest(peer);
        let mut state = self.lock();
        state.kept.require(peer, now).ok()?;
        if !state.half_open.take(network) {
            return None;
        }
        if state.begun.take(peer, now).is_err() {
            state.half_open.give_back(network);
            return None;
        }
        Some(HalfOpen {
            gate: Arc::clone(self),
            network,
        })
    }

    /// Lets `peer` keep a key that it agreed on. False if its network has kept too many since the handshake began.
    pub fn keep_key(&self, peer: IpAddr, now: Timestamp) -> bool {
        self.lock().kept.take(peer, now).is_ok()
    }

    /// Lets `peer` have a code sent.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn send_code(&self, peer: IpAddr, now: Timestamp) -> Result<(), Duration> {
        self.lock().codes.take(peer, now)
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HalfOpen {
    /// Waits until a thread is free for powers, and it is the turn of the network that this is of.
    pub async fn turn(&self) -> PowersTurn<'_> {
        self.gate.powers.turn(self.network).await
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        self.gate.lock().half_open.give_back(self.network);
    }
}

/// How many handshakes are begun and not finished.
const MOST_HALF_OPEN: usize = 1024;
/// How many networks are remembered of those that did something.
const MOST_REMEMBERED: usize = 20_000;
/// How many handshakes a network begins.
const HANDSHAKES: PermitRule = PermitRule {
    capacity: 60,
    regeneration: Duration::from_secs(2),
    pause: Duration::ZERO,
};
/// How many keys are kept of those that a network agrees on.
const KEYS: PermitRule = PermitRule {
    capacity: 60,
    regeneration: Duration::from_mins(1),
    pause: Duration::ZERO,
};
/// How many codes a network has sent, whatever becomes of them.
const CODES: PermitRule = PermitRule {
    capacity: 30,
    regeneration: Duration::from_secs(10),
    pause: Duration::ZERO,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn now(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_network_begins_only_so_many_and_others_are_let_in() {
        let gate = Arc::new(NetworkGate::default());
        for (greedy, other) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1")] {
            let greedy = address(greedy);
            let begun = (0..1000).filter(|_| gate.begin(greedy, now(0)).is_some());
            assert_eq!(begun.count(), 60);
            assert!(gate.begin(address(other), now(0)).is_some());
            assert!(gate.begin(greedy, now(2)).is_some(), "one is there again");
            assert!(gate.begin(greedy, now(2)).is_none());
        }
        assert!(gate.begin(address("2001:db8::ffff"), now(2)).is_none());
        assert_eq!(gate.lock().half_open.taken(), 0);
    }

    #[test]
    fn what_is_half_open_is_bounded_and_given_back() {
        let gate = Arc::new(NetworkGate::default());
        let peer = |number: u32| IpAddr::V4(number.into());
        let held: Vec<_> = (0..5000)
            .filter_map(|number| gate.begin(peer(number), now(0)))
            .collect();
        assert_eq!(held.len(), MOST_HALF_OPEN);
        drop(held);
        assert!(gate.begin(peer(9000), now(0)).is_some());
        // However many households a site has, others find a place.
        let household = |number: u16| address(&format!("2001:db8:0:{number:x}::1"));
        let held: Vec<_> = (0..u16::MAX)
            .filter_map(|number| gate.begin(household(number), now(0)))
            .collect();
        assert_eq!(held.len(), 240);
    }

    #[test]
    fn a_network_that_may_keep_no_more_keys_begins_no_handshake() {
        let gate = Arc::new(NetworkGate::default());
        let (greedy, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let begun: Vec<_> = (0..60).filter_map(|_| gate.begin(greedy, now(0))).collect();
        assert_eq!(begun.len(), 60);
        let kept = (0..100).filter(|_| gate.keep_key(greedy, now(0)));
        assert_eq!(kept.count(), 60);
        assert!(gate.begin(greedy, now(59)).is_none());
        assert!(gate.keep_key(other, now(59)) && gate.begin(other, now(59)).is_some());
        assert!(gate.begin(greedy, now(60)).is_some());
        assert!(gate.keep_key(greedy, now(60)) && !gate.keep_key(greedy, now(60)));
    }
}
