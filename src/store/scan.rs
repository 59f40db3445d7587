//! Which stretch of the key map is read, and what is found there.

use super::Entry;

/// Which entries to read.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Scan {
    /// What the keys begin with.
    pub prefix: Vec<u8>,
    /// Begin behind this key (before it, when descending). It need not exist, but must begin with `prefix`.
    pub after: Option<Vec<u8>>,
    pub order: Order,
    /// How many entries at the most.
    pub limit: usize,
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

/// Some of what a scan was for.
#[derive(Clone, Debug, Default)]
pub struct ScanPage {
    /// The entries with their keys, in the order of the scan.
    pub entries: Vec<(Vec<u8>, Entry)>,
    /// Behind which key to go on, if fewer than were wanted are here and there may be more. It need not be the key of anything
    /// that a server wrote.
    pub next: Option<Vec<u8>>,
}
