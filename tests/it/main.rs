//! The integration tests: one binary that mirrors the dialects.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod architecture;
mod backups;
mod check_store;
mod code_delivery;
mod code_senders;
mod delivery;
#[path = "../doubles/mod.rs"]
mod doubles;
mod foreign;
mod forgeries;
mod key_changes;
mod manual;
mod mutations;
mod nodes;
mod old_data;
mod outbox;
mod outbox_kill;
mod pathways;
mod postgres;
// Public, as what is used of it differs from one of its two users to the other.
#[path = "support/postgres/mod.rs"]
pub mod postgres_server;
mod rpc_over_tls;
mod rpcs;
mod secrets_in_logs;
mod server_kill;
mod serving;
mod signal;
mod store_kill;
mod support;
mod sweeping;
mod telegram;
mod timing;
mod twilio;
mod vonage;
mod web_push;
mod webhooks;
mod zitadel;
