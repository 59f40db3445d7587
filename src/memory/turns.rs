//! Whose turn it is to decide about a record for which many come at once.
//!
//! Where others may change a record meanwhile, all that read it together write it one after the other, and each that comes
//! too late has read and decided in vain. Those who have their turn do that one at a time. Nothing rests on it: whoever
//! decides without a turn, or another process, is noticed by the commit.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// The lines of those who wait for their turn. There are only as many as there are records that somebody has a turn at.
#[derive(Clone, Default)]
pub struct RecordTurns(Arc<Mutex<HashMap<TurnKey, TurnLine>>>);

/// Stands for the key of a record. Two records rarely have the same one, and then only wait for each other in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TurnKey(u64);

/// A turn, until it is dropped. Nobody may wait for a second one who has one.
pub struct RecordTurn {
    // Before the place: whoever is next has the turn when this one is no longer counted.
    _gate: OwnedMutexGuard<()>,
    place: TurnPlace,
}

#[derive(Default)]
struct TurnLine {
    gate: Arc<tokio::sync::Mutex<()>>,
    /// How many have their turn or wait for it.
    places: usize,
}

/// A place in a line. The last one to leave takes the line away.
struct TurnPlace {
    turns: RecordTurns,
    key: TurnKey,
}

impl RecordTurns {
    /// Waits for a turn, which those have in the order in which they came.
    pub(crate) async fn wait(&self, key: TurnKey) -> RecordTurn {
        let gate = {
            let mut lines = self.lines();
            let line = lines.entry(key).or_default();
            line.places += 1;
            Arc::clone(&line.gate)
        };
        let place = TurnPlace {
            turns: self.clone(),
            key,
        };
        RecordTurn {
            _gate: gate.lock_owned().await,
            place,
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<TurnKey, TurnLine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RecordTurns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordTurns")
            .field("lines", &self.lines().len())
            .finish()
    }
}

impl TurnKey {
    pub(crate) fn of(record: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        record.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl RecordTurn {
    pub(crate) fn key(&self) -> TurnKey {
        self.place.key
    }
}

impl Drop for TurnPlace {
    fn drop(&mut self) {
        let mut lines = self.turns.lines();
        if let Some(line) = lines.get_mut(&self.key) {
            line.places -= 1;
            if line.places == 0 {
                lines.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn turns_come_in_order_and_leave_nothing_behind() {
        let turns = RecordTurns::default();
        let key = TurnKey::of(b"record");
        let first = turns.wait(key).await;
        let mut second = Box::pin(turns.wait(key));
        let mut third = Box::pin(turns.wait(key));
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        assert!(
            (&mut third).now_or_never().is_none(),
            "the second one came before"
        );
        let second = second.now_or_never().unwrap();
        drop(second);
        drop(third.now_or_never().unwrap());
        assert!(turns.lines().is_empty());
    }

    #[tokio::test]
    async fn whoever_does_not_wait_any_longer_stops_nobody() {
        let turns = RecordTurns::default();
        let key = TurnKey::of(b"record");
        let first = turns.wait(key).await;
        let mut gone = Box::pin(turns.wait(key));
        let mut next = Box::pin(turns.wait(key));
        assert!((&mut gone).now_or_never().is_none());
        assert!((&mut next).now_or_never().is_none());
        drop(gone);
        drop(first);
        drop(next.now_or_never().unwrap());
        assert!(turns.lines().is_empty());
    }

    #[tokio::test]
    async fn another_record_has_a_line_of_its_own() {
        let turns = RecordTurns::default();
        let _held = turns.wait(TurnKey::of(b"record")).await;
        assert!(turns.wait(TurnKey::of(b"other")).now_or_never().is_some());
    }
}
