//! The integration tests: one binary that mirrors the dialects.

mod foreign;
mod serving;
mod store_kill;
