//! The integration tests: one binary that mirrors the dialects.

mod architecture;
mod check_store;
mod foreign;
mod old_data;
mod server_kill;
mod serving;
mod store_kill;
