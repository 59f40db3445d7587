//! The `countersign` binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

// With the system's allocator, a quarter of a request is spent in it.
#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<MiMalloc> = &countersign::web::allocations::COUNTED;

fn main() -> ExitCode {
    countersign::cli::main(std::env::args_os(), std::env::vars_os())
}
