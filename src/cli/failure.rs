//! How commands end: one table of exit statuses, and why a command failed.

use std::process::ExitCode;

use super::{logging, output};
use crate::config::ConfigError;

/// The exit status of a command. The manual's page Administering has this table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExitStatus {
    /// What was asked for was done, and what was asked about is well.
    Done = 0,
    /// It was not, or what was asked about is not there or not well.
    Failed = 1,
    /// The settings or the command line are at fault: the same will fail again.
    Misused = 2,
    /// What was asked for was done, and that is not everything.
    Incomplete = 3,
    /// The store cannot be written: whoever starts the program again may find that it can.
    Unwritable = 4,
    /// A second signal ended a server on the spot.
    Stopped = 130,
}

impl ExitStatus {
    /// Ends the process with this status, once what was logged is written.
    pub(super) fn exit(self) -> ! {
        logging::finish();
        std::process::exit(self as i32)
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Why a command failed: one line for standard error, and an exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(super) line: String,
    pub(super) status: ExitStatus,
}

impl Failure {
    pub(super) fn new(line: impl Into<String>) -> Self {
        Self::with(ExitStatus::Failed, line)
    }

    pub(super) fn misused(line: impl Into<String>) -> Self {
        Self::with(ExitStatus::Misused, line)
    }

    /// What was asked for was done, and that is not everything.
    pub(super) fn incomplete(line: impl Into<String>) -> Self {
        Self::with(ExitStatus::Incomplete, line)
    }

    /// The disk of the store is full or broken: whoever starts the program again may find it mended.
    pub(super) fn unwritable(line: impl Into<String>) -> Self {
        Self::with(ExitStatus::Unwritable, line)
    }

    fn with(status: ExitStatus, line: impl Into<String>) -> Self {
        Self {
            line: line.into(),
            status,
        }
    }

    pub(super) fn usage(error: &clap::Error) -> Self {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        let first = first.trim_end_matches(':');
        // What is missing stands in the lines below.
        let missing: Vec<_> = text
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with("  "))
            .map(str::trim)
            .collect();
        let missing = if missing.is_empty() {
            String::new()
        } else {
            format!(": {}", missing.join(" "))
        };
        let meant = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
        // Others say how to pass what is not known as a value: that is seldom meant.
        let meant = meant.filter(|tip| tip.contains("similar"));
        let meant = meant.map_or_else(String::new, |tip| format!("; {tip}"));
        Self::misused(format!("{first}{missing}{meant} (see countersign --help)"))
    }

    pub(super) fn report(&self) -> ExitCode {
        output::complain(&self.line);
        self.status.into()
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::misused(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_has_each_status_and_no_other() {
        let page = include_str!("../manual/administering.md");
        let (_, table) = page.split_once("| status |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let numbers: Vec<i32> = rows
            .map(|row| row.split('|').nth(1).unwrap().trim().parse().unwrap())
            .collect();
        let all = [
            ExitStatus::Done,
            ExitStatus::Failed,
            ExitStatus::Misused,
            ExitStatus::Incomplete,
            ExitStatus::Unwritable,
            ExitStatus::Stopped,
        ];
        assert_eq!(numbers, all.map(|status| status as i32));
    }
}
