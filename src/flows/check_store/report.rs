//! What a check has found.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::key_ring::KeyNumber;

/// What a check has found. It names entries by their identifiers and repeats nothing of what is in them.
#[derive(Clone, Debug, Default)]
pub struct StoreReport {
    counts: BTreeMap<&'static str, u64>,
    keys: BTreeMap<KeyNumber, u64>,
    problems: Vec<String>,
    unlisted: u64,
}

impl StoreReport {
    /// How many problems are listed; more are only counted.
    pub const MOST_LISTED: usize = 1000;

    /// Whether there is no problem.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many entries of each kind there are.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// How many entries each data key vouches for.
    #[must_use]
    pub fn keys(&self) -> &BTreeMap<KeyNumber, u64> {
        &self.keys
    }

    /// Those of all kinds together.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The first problems, one line each.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// How many problems there are beyond those that are listed.
    #[must_use]
    pub fn unlisted_problems(&self) -> u64 {
        self.unlisted
    }

    pub(super) fn count(&mut self, kind: &'static str) {
        *self.counts.entry(kind).or_default() += 1;
    }

    pub(super) fn count_key(&mut self, number: KeyNumber) {
        *self.keys.entry(number).or_default() += 1;
    }

    pub(super) fn note(&mut self, problem: String) {
        if self.problems.len() < Self::MOST_LISTED {
            self.problems.push(problem);
        } else {
            self.unlisted += 1;
        }
    }
}

/// A line for each kind of entry and for each problem, and one that sums up.
impl fmt::Display for StoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.counts {
            writeln!(f, "{count:>10} {kind}")?;
        }
        for problem in &self.problems {
            writeln!(f, "problem: {problem}")?;
        }
        match (self.is_healthy(), self.unlisted) {
            (true, _) => write!(f, "{} entries, no problem", self.entries()),
            (false, 0) => write!(f, "{} entries, {} problems", self.entries(), self.problems.len()),
            (false, more) => write!(
                f,
                "{} entries, {} problems and {more} more that are not listed",
                self.entries(),
                self.problems.len()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_beyond_the_limit_are_counted_only() {
        let mut report = StoreReport::default();
        report.count("factors");
        for number in 0..StoreReport::MOST_LISTED + 5 {
            report.note(format!("number {number}"));
        }
        assert_eq!((report.problems().len(), report.unlisted_problems()), (1000, 5));
        assert!(
            report
                .to_string()
                .ends_with("1 entries, 1000 problems and 5 more that are not listed")
        );
    }
}
