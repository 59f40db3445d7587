//! Countersign: a TOTP and push-factor authenticator server.
//!
//! # The map
//! - [`app`]: the wired parts; no logic.
//! - [`server`]: listeners, TLS, limits of clients, graceful shutdown.
//! - [`domain`]: what factors and challenges are and how they are decided; pure.
//! - [`flows`]: the use cases, a file or folder for each kind of thing: read, decide, commit.
//! - [`memory`]: what one process remembers and no store holds.
//! - [`store`]: the ordered key-value trait, the key map, the records, the engines (sled, PostgreSQL, memory), and the layer
//!   that vouches for what is in them.
//! - [`crypto`]: sealing, tokens, one-time codes, device signatures.
//! - [`delivery`]: senders, each for one protocol of somebody else's.
//! - [`dialect`]: the protocols that clients speak; each only translates.
//! - [`web`]: what every HTTP listener shares, the operators' endpoints, and the manual in a browser.
//! - [`cli`]: the commands of the binary.
//! - [`config`]: the settings, one file per concern.
//! - [`manual`]: the manual, one page a chapter.
//!
//! # Invariants
//! - Imports run one way: `dialect, web, cli -> flows -> {domain, memory, store, crypto, delivery}`; `domain` imports none
//!   of them. A dialect imports no other dialect and never [`store`]; [`server`] and [`web`] know of [`dialect`] only the
//!   seam at its root, and no dialect. `tests/it/architecture` reads the `use` lines.
//! - Whatever a flow decides, it commits with the versions it read asserted; a code, a token or a counter is checked and
//!   consumed in one commit.
//! - Time and randomness are arguments ([`domain::time::Clock`], [`domain::entropy::Entropy`]).
//! - No type that holds a secret prints it.

pub mod app;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod delivery;
pub mod dialect;
pub mod domain;
pub mod flows;
pub mod manual;
pub mod memory;
pub mod server;
pub mod store;
pub mod web;

// The tests' doubles name this crate as the integration tests do.
#[cfg(test)]
extern crate self as countersign;
#[cfg(test)]
#[path = "../tests/doubles/mod.rs"]
mod doubles;
// Public, as what is used of it differs from one of its two users to the other.
#[cfg(test)]
#[path = "../tests/it/support/postgres/mod.rs"]
pub mod postgres_server;
