//! Use cases: one file, one use case. The only place that reads, decides and commits.
//!
//! Every flow has the same shape: read records with their versions, let the domain decide, commit what follows with
//! the versions asserted, and read again if another change came first. What is to be sent to others goes into the same
//! batch as outbox rows.
//!
//! Invariant: no HTTP, no dialect. A flow answers with domain types or with an [`Error`].

pub mod access_token;
pub mod account;
pub mod actor;
pub mod admission;
pub mod attempt;
pub mod challenge;
pub mod check_store;
pub mod code;
pub mod credential;
pub mod deliveries;
pub mod entity;
mod error;
pub mod event;
pub mod factor;
pub mod messaging_configuration;
pub mod outbox;
pub mod page;
pub mod push;
pub mod rate_limit;
mod retry;
pub mod safe_list;
pub mod service;
pub mod store_format;
pub mod sweep;
pub mod template;
pub mod toll_fraud;
pub mod verification;
mod waiting;
pub mod webhook;

pub use self::error::{Error, Fault};
pub(crate) use self::retry::retry_on_conflict;
