//! The integration tests: one binary that mirrors the dialects.

mod architecture;
mod check_store;
mod old_data;
mod store_kill;
