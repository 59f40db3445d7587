//! What is wrong with the settings: all of it, each thing once.

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

    /// In the order in which they were found.
    pub(super) fn into_all(self) -> Vec<ConfigError> {
        self.0
    }
}
