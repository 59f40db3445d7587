//! What the guards against toll fraud keep in memory, for one process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::gates::Gates;
use super::tallies::BlockTally;
use crate::domain::fraud::conversion::PrefixConversions;
use crate::domain::fraud::ledger::Ledger;

/// What is kept in memory. Nothing is lost with it: what counts is in the store.
#[derive(Debug, Default)]
pub struct FraudMemory {
    ledger: Mutex<Ledger>,
    conversions: Mutex<PrefixConversions>,
    /// How many codes were refused.
    pub refused: BlockTally,
    /// Who asks the store for the next block of a budget; the others wait for what comes of it.
    pub gates: Gates,
}

impl FraudMemory {
    /// What this process holds of the budgets. Held for moments only.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was sent within the last hour. Held for moments only.
    pub fn conversions(&self) -> MutexGuard<'_, PrefixConversions> {
        self.conversions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
