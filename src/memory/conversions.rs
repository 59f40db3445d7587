//! Whether the codes of each sender come back, as far as this process has seen or was told by the store.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::code_routing::{ConversionWindow, Rate};
use crate::domain::country::Country;
use crate::domain::sender_name::SenderName;
use crate::domain::time::Timestamp;

type Windows = HashMap<(SenderName, Option<Country>), ConversionWindow>;

/// The windows of all senders and countries.
#[derive(Debug, Default)]
pub struct SenderConversions(Mutex<Windows>);

impl SenderConversions {
    /// Takes in that `sender` was given a code for `country` at `at`.
    pub fn tried(&self, sender: SenderName, country: Option<Country>, at: Timestamp) {
        self.windows().entry((sender, country)).or_default().tried(at);
    }

    /// Takes in that the try of `at` was followed by an approval.
    pub fn converted(&self, sender: SenderName, country: Option<Country>, at: Timestamp) {
        self.windows().entry((sender, country)).or_default().converted(at);
    }

    /// Forgets all, and knows what `learnt` does.
    pub fn replace(&self, learnt: Self) {
        *self.windows() = learnt.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    }

    /// What counts of `sender` in `country` at `now`.
    #[must_use]
    pub fn rate(&self, sender: SenderName, country: Option<Country>, now: Timestamp) -> Rate {
        let windows = self.windows();
        let window = windows.get(&(sender, country));
        window.map_or_else(Rate::default, |window| window.rate(now))
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
