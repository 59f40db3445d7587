//! Whether a store takes changes, as its engine says it.

use std::fmt;

/// Whether an engine takes changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreCondition {
    /// As far as it knows.
    #[default]
    Working,
    /// It reads, and refuses changes until there is space on its disk again.
    Full(LowSpace),
    /// It refuses everything, for this reason, until it is opened anew.
    Failed(String),
}

/// How little space is left on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowSpace {
    /// The bytes that are left.
    pub free: u64,
    /// With how many changes are taken again.
    pub needed: u64,
}

impl fmt::Display for LowSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MEBIBYTE: u64 = 1024 * 1024;
        write!(
            f,
            "{} MiB are free on the disk of the store, and {} MiB have to be",
            self.free / MEBIBYTE,
            self.needed / MEBIBYTE
        )
    }
}
