//! What is wrong with the settings: all of it, each thing once, and nothing that only follows from something else.

use super::ConfigError;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<ConfigError>);

impl Faults {
    /// Adds `fault`, unless it is known: several parts may read one setting.
    pub(super) fn add(&mut self, fault: ConfigError) {
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// What went well, or `None` and one fault more.
    pub(super) fn unless<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|fault| self.add(fault)).ok()
    }

    /// In the order in which they were found. What would be right if a setting were known that something else is wrong with is left
    /// out: nobody knows yet whether it is wrong.
    pub(super) fn into_all(self) -> Vec<ConfigError> {
        let lost: Vec<_> = self.0.iter().filter_map(|fault| fault.lost).collect();
        let follows = |fault: &ConfigError| fault.misses.iter().any(|missed| lost.contains(missed));
        self.0.into_iter().filter(|fault| !follows(fault)).collect()
    }
}
