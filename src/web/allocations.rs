//! How often this process asked for memory.
//!
//! Only a build with the feature `count-allocations` counts, for `countersign bench --cost`: a count that all threads share costs
//! more than most of what it counts.

#[cfg(feature = "count-allocations")]
use mimalloc::MiMalloc;
#[cfg(feature = "count-allocations")]
use stats_alloc::StatsAlloc;

/// What memory was asked for since the process began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allocations {
    /// How often, for new memory or more of it.
    pub(super) times: u64,
    /// How many bytes.
    pub(super) bytes: u64,
}

/// What was counted; none where nobody counts.
#[cfg(not(feature = "count-allocations"))]
pub(super) fn allocations() -> Option<Allocations> {
    None
}

/// What was counted; none where nobody counts.
#[cfg(feature = "count-allocations")]
#[expect(
    clippy::unnecessary_wraps,
    reason = "it is not known in a build without the feature"
)]
pub(super) fn allocations() -> Option<Allocations> {
    let counted = COUNTED.stats();
    Some(Allocations {
        times: (counted.allocations + counted.reallocations) as u64,
        bytes: counted.bytes_allocated as u64,
    })
}

/// The program's allocator in a build that counts.
#[cfg(feature = "count-allocations")]
pub static COUNTED: StatsAlloc<MiMalloc> = StatsAlloc::new(MiMalloc);
