//! One line on a terminal, written again and again; nothing elsewhere.

use std::io::{IsTerminal as _, Write as _};

use crate::domain::time::Timestamp;

/// A line that says how far a command is.
pub(super) struct ProgressLine {
    on_terminal: bool,
    shown_at: Option<Timestamp>,
}

impl ProgressLine {
    const INTERVAL_MILLIS: u64 = 200;

    /// Nothing is shown yet.
    pub(super) fn begin() -> Self {
        Self {
            on_terminal: std::io::stderr().is_terminal(),
            shown_at: None,
        }
    }

    /// Shows `line`, unless that was done a moment ago.
    pub(super) fn show(&mut self, now: Timestamp, line: impl FnOnce() -> String) {
        let is_due = |shown: Timestamp| now.millis().saturating_sub(shown.millis()) >= Self::INTERVAL_MILLIS;
        if self.on_terminal && self.shown_at.is_none_or(is_due) {
            self.shown_at = Some(now);
            rewrite(&line());
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if self.shown_at.is_some() {
            rewrite("");
        }
    }
}

fn rewrite(line: &str) {
    let mut err = std::io::stderr().lock();
    let _unread = write!(err, "\r\x1b[K{line}").and_then(|()| err.flush());
}
