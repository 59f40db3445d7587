//! What the guards against toll fraud keep in memory, for one process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::conversion::Conversions;
use super::ledger::Ledger;
use super::tally::Tally;

/// What is kept in memory. Nothing is lost with it: what counts is in the store.
#[derive(Debug, Default)]
pub struct Guard {
    ledger: Mutex<Ledger>,
    conversions: Mutex<Conversions>,
    /// How many codes were refused.
    pub tally: Tally,
}

impl Guard {
    /// What this process holds of the budgets. Held for moments only.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was sent within the last hour. Held for moments only.
    pub fn conversions(&self) -> MutexGuard<'_, Conversions> {
        self.conversions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
