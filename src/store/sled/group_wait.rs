//! Whether many callers commit at the same time, so that waiting for a larger group pays.
//!
//! Each group costs a marker, two writes, a sync and a dozen switches between threads, whatever its size. When many wait
//! anyway, fewer and larger groups leave more of the machine to them; a few callers would only be slowed down. Callers
//! whose requests are dear (signatures to check, say) comes in a trickle: groups of five in a row look like those of
//! five callers. Only waiting tells them apart, so now and then a group waits to see who is there.

use std::time::Duration;

/// What the last groups said of those to come.
#[derive(Debug, Default)]
pub(super) struct GroupWait {
    last: usize,
    /// How many groups nobody waited for since the last one that was waited for.
    hasty: u32,
}

impl GroupWait {
    /// How long each step of the wait is.
    pub(super) const STEP: Duration = Duration::from_millis(1);
    /// How many steps are waited at the most.
    pub(super) const STEPS: usize = 4;

    /// Whether to wait for more than the `waiting` commands that are there.
    pub(super) fn pays(&mut self, waiting: usize) -> bool {
        let trial = self.hasty >= TRIAL && waiting.max(self.last) >= SEVERAL;
        if self.last >= WORTH_WAITING || trial {
            self.hasty = 0;
            return true;
        }
        self.hasty = self.hasty.saturating_add(1);
        false
    }

    /// Whether to wait another step, when one has brought `waiting` commands from `before` to where they are.
    pub(super) fn grows(before: usize, waiting: usize) -> bool {
        waiting > before && waiting < ENOUGH
    }

    /// Takes note of a group's size.
    pub(super) fn met(&mut self, size: usize) {
        self.last = size;
    }
}

/// How large a group has to be for the next one to be worth waiting for: no single caller and no dozen of them are
/// slowed down.
const WORTH_WAITING: usize = 24;

/// The size from which on a group costs little for each of its batches.
const ENOUGH: usize = 64;

/// How many groups in a row go on without waiting before one waits to see whether many are there: rare enough to cost
/// a dozen callers one part in a hundred.
const TRIAL: u32 = 256;

/// With fewer than these it is no use to look for more.
const SEVERAL: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `groups` were waited for, when each has `hasty` commands at once and `patient` after a wait.
    fn waits(groups: usize, hasty: usize, patient: usize) -> usize {
        let mut group_wait = GroupWait::default();
        let waited = (0..groups).filter(|_| {
            let waits = group_wait.pays(hasty);
            group_wait.met(if waits { patient } else { hasty });
            waits
        });
        waited.count()
    }

    #[test]
    fn a_single_caller_is_never_slowed_down() {
        assert_eq!(waits(10_000, 1, 1), 0);
    }

    #[test]
    fn a_dozen_callers_are_hardly_slowed_down() {
        let waited = waits(10_000, 6, 12);
        assert!((1..=40).contains(&waited), "{waited}");
    }

    #[test]
    fn many_are_noticed_at_once_if_they_come_together_and_soon_if_they_trickle() {
        assert_eq!(waits(1000, 80, 160), 999);
        assert_eq!(waits(1000, 5, 40), 1000 - 256);
    }

    #[test]
    fn the_wait_ends_when_few_are_left() {
        let mut group_wait = GroupWait::default();
        group_wait.met(100);
        assert!(group_wait.pays(1));
        group_wait.met(3);
        assert!(!group_wait.pays(1));
        assert!(GroupWait::grows(3, 4) && !GroupWait::grows(4, 4) && !GroupWait::grows(4, 64));
    }
}
