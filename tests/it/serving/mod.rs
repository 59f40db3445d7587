//! The server as a process and as a listener: what holds whatever the API says.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod administering;
mod audit;
mod audit_chain;
mod backups;
mod codes;
mod conversions;
mod crowd;
mod curl;
mod database;
mod decisions;
mod every_command;
mod failed_logins;
mod failover;
mod first_contact;
mod forged;
mod half_filled;
mod heads;
mod health;
pub(crate) mod http;
pub(crate) mod http2;
mod key_commands;
mod keys;
mod limits;
pub(crate) mod metrics;
mod ops;
mod outbox;
mod private_authority;
pub(crate) mod process;
mod progress;
mod register;
mod rolling;
mod schedules;
mod secrets;
mod sender_tests;
mod service_manager;
mod settings;
mod shares;
mod shell_tests;
mod shutdown;
mod starting;
mod streams;
pub(crate) mod tls;
mod user_commands;
mod waiters;
mod warnings;
mod witness_rows;
mod witnesses;
