//! The integration tests: one binary that mirrors the dialects.

mod old_data;
mod store_kill;
