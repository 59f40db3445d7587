//! Sharing a bounded number of places between those who never heard of each other.
//!
//! Somebody may take one more place as long as that leaves enough for others: the more one has, the more must be free. One
//! who takes all that he can gets no more than [`Shares::largest`]; with several of that kind each gets less, and there is
//! always a place for one who has none, unless there are as many greedy ones as places. Nothing is set aside: whoever is
//! alone gets nearly all.

use std::collections::HashMap;
use std::hash::Hash;

/// Places, and who has how many of them.
#[derive(Clone, Debug)]
pub struct Shares<Who> {
    most: usize,
    greed: usize,
    taken: usize,
    held: HashMap<Who, usize>,
}

impl<Who: Copy + Eq + Hash> Shares<Who> {
    /// `most` places, of which one alone may have half, and a tenth if nine others want as much.
    #[must_use]
    pub fn halves(most: usize) -> Self {
        Self::of(most, 1)
    }

    /// `most` places, of which one alone may have three quarters.
    #[must_use]
    pub fn three_quarters(most: usize) -> Self {
        Self::of(most, 3)
    }

    fn of(most: usize, greed: usize) -> Self {
        Self {
            most,
            greed,
            taken: 0,
            held: HashMap::new(),
        }
    }

    /// Takes a place for `who`. False if there is none, or others are to have what is left.
    pub fn take(&mut self, who: Who) -> bool {
        let mine = self.held(who);
        let may = mine < self.free().saturating_mul(self.greed);
        if may {
            self.taken += 1;
            self.held.insert(who, mine + 1);
        }
        may
    }

    /// Gives back a place that `who` took.
    pub fn give_back(&mut self, who: Who) {
        let Some(mine) = self.held.get_mut(&who) else {
            return;
        };
        self.taken = self.taken.saturating_sub(1);
        *mine -= 1;
        if *mine == 0 {
            self.held.remove(&who);
        }
    }

    /// How many places `who` has.
    #[must_use]
    pub fn held(&self, who: Who) -> usize {
        self.held.get(&who).copied().unwrap_or_default()
    }

    /// How many places nobody has.
    #[must_use]
    pub fn free(&self) -> usize {
        self.most.saturating_sub(self.taken)
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// The most that one alone can have.
    #[must_use]
    pub fn largest(&self) -> usize {
        (self.most * self.greed).div_ceil(self.greed + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_greedy_some_are_there_is_a_place_for_one_who_has_none() {
        for greed in [Shares::halves, Shares::three_quarters] {
            for greedy in [1, 2, 5, 20] {
                let mut shares = greed(256);
                for _ in 0..512 {
                    for who in 0..greedy {
                        shares.take(who);
                    }
                }
                assert!(shares.free() > 0, "{greedy}");
                assert!(shares.take(greedy), "{greedy}");
                assert!(shares.held(0) <= shares.largest());
                // They have about the same.
                assert!(shares.held(0).abs_diff(shares.held(greedy - 1)) <= 1);
            }
        }
    }

    #[test]
    fn whoever_is_alone_gets_the_largest_share_and_what_is_given_back_can_be_taken() {
        for (mut shares, largest) in [
            (Shares::halves(64), 32),
            (Shares::three_quarters(64), 48),
            (Shares::halves(1), 1),
            (Shares::three_quarters(2), 2),
            (Shares::halves(0), 0),
        ] {
            let got = (0..200).filter(|_| shares.take("a")).count();
            assert_eq!((got, shares.largest()), (largest, largest));
            for _ in 0..got {
                shares.give_back("a");
            }
            shares.give_back("a");
            assert_eq!((shares.taken(), shares.held.len()), (0, 0));
            assert_eq!(shares.take("b"), largest > 0);
        }
    }
}
