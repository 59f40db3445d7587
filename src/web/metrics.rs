//! What the listeners count.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;

use crate::memory::code_offsets::AcceptedOffsets;
use crate::memory::tallies::BlockTally;

/// Answered requests by the class of their status.
#[derive(Debug, Default)]
pub struct Requests([AtomicU64; 5]);

impl Requests {
    pub(super) fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        self.0[class - 1].fetch_add(1, Ordering::Relaxed);
    }

    /// How many were answered with each class, `1xx` first.
    pub fn by_class(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        classes
            .into_iter()
            .zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

/// Adds the codes that guards against toll fraud refused to `text`, by the reason.
pub(super) fn blocked_codes(tally: &BlockTally, text: &mut String) {
    let name = "countersign_codes_blocked_total";
    let _ = write!(
        text,
        "# HELP {name} Codes by message that guards against toll fraud refused, by the reason.\n# TYPE {name} counter\n"
    );
    for (reason, count) in tally.by_reason() {
        let _ = writeln!(text, "{name}{{reason=\"{}\"}} {count}", reason.name());
    }
}

/// Adds how far the codes of authenticator apps were off that were accepted.
pub(super) fn code_offsets(offsets: &AcceptedOffsets, text: &mut String) {
    let name = "countersign_totp_accepted_codes_total";
    let _ = write!(
        text,
        "# HELP {name} Accepted codes of authenticator apps by how many time steps they were ahead of this server's clock.\n\
         # TYPE {name} counter\n"
    );
    for (ahead, count) in offsets.counts() {
        let _ = writeln!(text, "{name}{{ahead=\"{ahead}\"}} {count}");
    }
    let name = "countersign_totp_clock_hints_total";
    let hints = offsets.hints();
    let _ = write!(
        text,
        "# HELP {name} How often the codes of many apps said that this server's clock is off.\n\
         # TYPE {name} counter\n{name} {hints}\n"
    );
}
