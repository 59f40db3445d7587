//! What an engine has done.

use crate::domain::histogram::HistogramCounts;

/// Counts for the operators' metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Batches that were applied.
    pub commits: u64,
    /// Batches that were refused with [`CommitError::Conflict`](super::CommitError::Conflict).
    pub conflicts: u64,
    /// How often batches were made durable together.
    pub groups: u64,
    /// How many batches were made durable together, each time.
    pub group_sizes: HistogramCounts,
    /// How long commits took that were made; nothing where nobody measures.
    pub commit_times: HistogramCounts,
    /// Reads of entries that no server of this store wrote; 0 where nobody verifies.
    pub forged: u64,
    /// How often the engine was asked for entries, single ones, several or a stretch; 0 where nobody counts.
    pub reads: u64,
    /// Bytes of the keys and values that applied batches wrote, as the engine got them; 0 where nobody counts.
    pub committed_bytes: u64,
    /// Bytes that the engine occupies on disk; 0 if it keeps none there, or cannot tell.
    pub disk_bytes: u64,
}
