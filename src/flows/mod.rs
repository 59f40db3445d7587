//! Use cases: the only place that reads, decides and commits. A simple resource is one file with short names
//! (`webhook::create`, `webhook::fetch`); what has a longer story is a folder whose verbs are called the same way
//! (`challenge::answer`).
//!
//! Every flow has the same shape: read records through a [`Reading`](reading::Reading), let the domain decide, commit
//! through it what follows, which applies only if nothing changed that was read, and begin anew if another change came
//! first. What is to be sent to others goes into the same batch as outbox rows.
//!
//! Invariant: no HTTP, no dialect. A flow answers with domain types or with an [`Error`].

pub mod access;
pub mod access_token;
pub mod account;
pub mod api_key;
pub mod attempt;
pub mod audit;
pub mod backup;
pub mod bearer_token;
pub mod challenge;
pub mod check_store;
pub mod client_key;
pub mod code;
pub mod credential;
pub mod data_keys;
pub mod deliveries;
pub mod dialect_service;
pub mod entity;
pub mod epoch;
mod error;
pub mod event;
pub mod factor;
pub mod fraud;
pub mod messaging_configuration;
pub mod news;
pub mod nodes;
pub mod outbox;
pub mod page;
pub mod push;
pub mod rate_limit;
pub mod reading;
pub mod relearn;
mod retry;
pub mod safe_list;
pub mod service;
pub mod store_format;
pub mod support;
pub mod sweep;
pub mod template;
mod timers;
pub mod user;
pub mod verification;
mod waiting;
pub mod webhook;
pub mod webhook_secret;
pub mod witness;

pub(crate) use self::error::readable;
pub use self::error::{Error, Fault};
pub(crate) use self::retry::{SealedReads, retry_on_conflict};
