//! How far the codes of apps that were accepted were off, as far as this process has seen.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::code_offsets::CodeOffsets;
use crate::domain::sid::{AccountSid, FactorSid};
use crate::domain::time::Timestamp;

/// The latest ones, and how many there were since the start.
#[derive(Debug, Default)]
pub struct AcceptedOffsets(Mutex<OffsetCounts>);

#[derive(Debug, Default)]
struct OffsetCounts {
    latest: CodeOffsets,
    /// Windows are narrow, so there are few offsets.
    counts: BTreeMap<i64, u64>,
    hints: u64,
}

impl AcceptedOffsets {
    /// Takes in that a code of `factor` of `account` was accepted that was `ahead` time steps ahead of this server's clock, and
    /// tells the operator if it seems to be that clock that is off.
    pub fn accepted(&self, account: AccountSid, factor: FactorSid, ahead: i64, now: Timestamp) {
        let hint = {
            let mut seen = self.seen();
            *seen.counts.entry(ahead).or_default() += 1;
            let hint = seen.latest.accepted(account, factor, ahead, now);
            seen.hints += u64::from(hint.is_some());
            hint
        };
        if let Some(steps) = hint {
            tracing::warn!("{}", hint_line(steps));
        }
    }

    /// How many codes were accepted with each offset, the most negative first.
    #[must_use]
    pub fn counts(&self) -> Vec<(i64, u64)> {
        let seen = self.seen();
        seen.counts
            .iter()
            .map(|(ahead, count)| (*ahead, *count))
            .collect()
    }

    /// How often the operator was told.
    #[must_use]
    pub fn hints(&self) -> u64 {
        self.seen().hints
    }

    fn seen(&self) -> MutexGuard<'_, OffsetCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the operator is told when authenticator apps are so many time steps ahead of the server.
fn hint_line(steps: i64) -> String {
    let direction = if steps > 0 { "behind" } else { "ahead of" };
    format!(
        "the codes of most of the last {} or more authenticator apps say that this server's clock is {} or more time steps {direction} \
         theirs: check that a time service (NTP) sets it",
        CodeOffsets::FEWEST,
        steps.unsigned_abs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If the apps are ahead, the server is behind.
    #[test]
    fn the_operator_is_told_in_which_direction_the_servers_clock_is_off() {
        assert!(hint_line(2).contains("this server's clock is 2 or more time steps behind theirs"));
        assert!(hint_line(-1).contains("this server's clock is 1 or more time steps ahead of theirs"));
    }
}
