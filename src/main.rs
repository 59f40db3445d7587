//! The `countersign` binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

// With the system's allocator, a quarter of a request is spent in it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    countersign::cli::main(std::env::args_os(), std::env::vars_os())
}
