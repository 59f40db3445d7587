//! Epochs of a store: when it may have forgotten something, what was decided before is void.
//!
//! A store that was put back to an older state, by a standby that takes over and was behind, or by a backup, has used codes in
//! it that count as unused. So from that moment on nothing that is in it and waits is good any more: challenges and codes that
//! wait for an answer are over, and the time steps up to that moment are used up. Whoever wants something asks again.

use serde::{Deserialize, Serialize};

use super::access_token::AccessToken;
use super::challenge::{Challenge, Outcome};
use super::factor::{DriftLimit, Factor, FactorKind};
use super::time::{CLOCKS_APART, Timestamp};
use super::verification::Verification;

/// The epoch that a store is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreEpoch {
    /// 0 for a store that has never forgotten anything; then nothing is void.
    pub number: u32,
    /// When it began, by the clock of the server that began it.
    pub began: Timestamp,
    /// How far servers followed the clocks of devices then. What they had learned of one may be forgotten, and so may be that a
    /// code was used which was that far ahead.
    pub drift: DriftLimit,
}

impl StoreEpoch {
    /// That of a new store.
    pub const FIRST: Self = Self {
        number: 0,
        began: Timestamp::from_millis(0),
        drift: DriftLimit::OFF,
    };

    /// Of those that are known the one that voids more.
    #[must_use]
    pub fn later(one: Option<Self>, other: Option<Self>) -> Self {
        let (one, other) = (one.unwrap_or(Self::FIRST), other.unwrap_or(Self::FIRST));
        Self {
            number: one.number.max(other.number),
            began: one.began.max(other.began),
            drift: one.drift.max(other.drift),
        }
    }

    /// The one that begins behind it, while servers follow clocks so far.
    #[must_use]
    pub fn next(self, now: Timestamp, drift: DriftLimit) -> Self {
        Self {
            number: self.number.saturating_add(1),
            began: now.max(self.began),
            drift: drift.max(self.drift),
        }
    }

    /// Whether what was decided before it counts no more.
    #[must_use]
    pub fn voids(self) -> bool {
        self.number > 0
    }
}

/// What counts no more once a store's epoch began behind the moment that it was written.
pub trait Voidable {
    /// Makes it what it is worth in `epoch`, which began behind it, whatever a clock says that goes a little behind.
    fn void(&mut self, epoch: StoreEpoch);
}

/// It cannot be answered any more.
impl Voidable for Challenge {
    fn void(&mut self, _: StoreEpoch) {
        if self.outcome == Outcome::Pending {
            self.expires_at = self.expires_at.min(self.date_created.before(CLOCKS_APART));
        }
    }
}

/// No code of it is right any more.
impl Voidable for Verification {
    fn void(&mut self, _: StoreEpoch) {
        if self.end.is_none() {
            self.expires_at = self.expires_at.min(self.date_created.before(CLOCKS_APART));
        }
    }
}

/// It may have been spent.
impl Voidable for AccessToken {
    fn void(&mut self, _: StoreEpoch) {
        self.end_at(self.date_created.before(CLOCKS_APART));
    }
}

/// Codes of time steps up to the epoch's beginning may have been used, by whichever server's clock they were live.
impl Voidable for Factor {
    fn void(&mut self, epoch: StoreEpoch) {
        if let FactorKind::Totp(totp) = &mut self.kind {
            let last = totp.last_possible_step(epoch.began, epoch.drift);
            totp.accepted.use_up_to(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_has_never_forgotten_anything_voids_nothing() {
        assert!(!StoreEpoch::FIRST.voids());
        let at = Timestamp::from_seconds;
        let next = StoreEpoch::FIRST.next(at(100), DriftLimit::of_steps(2));
        assert_eq!((next.voids(), next.number, next.began), (true, 1, at(100)));
        let apart = (
            Some(next),
            Some(StoreEpoch {
                number: 4,
                began: at(90),
                drift: DriftLimit::OFF,
            }),
        );
        let both = StoreEpoch {
            number: 4,
            began: at(100),
            drift: DriftLimit::of_steps(2),
        };
        assert_eq!(StoreEpoch::later(apart.0, apart.1), both);
        assert_eq!(StoreEpoch::later(apart.1, apart.0), both);
        assert_eq!(StoreEpoch::later(None, None), StoreEpoch::FIRST);
        // No clock that is set back opens what was closed.
        assert_eq!(
            next.next(at(50), DriftLimit::OFF),
            StoreEpoch { number: 2, ..next }
        );
    }
}
