//! Telegram's login codes, over MTProto 2.0 on a listener of its own.
//!
//! - [`transport`], [`disguise`]: how payloads are framed, and hidden.
//! - [`handshake`], [`rsa_key`], [`prime`], [`pq`], [`modular`]: how both sides agree on a key.
//! - [`envelope`], [`cipher`], [`digest`]: how messages are encrypted with it.
//! - [`content`], [`session`], [`sessions`]: what is in a message, and which ones count.
//! - [`rpc`]: the methods that clients call.
//! - [`tl`], [`schema`]: how all of it is written.
//! - [`connection`], `exchange`: what happens on one connection.
//! - [`admission`], [`networks`], [`turns`]: how much is done for whoever comes.
//! - [`complaints`]: what the operator is told.

pub mod admission;
pub mod cipher;
pub mod complaints;
pub mod connection;
pub mod content;
pub mod digest;
pub mod disguise;
pub mod envelope;
mod exchange;
pub mod handshake;
pub mod modular;
pub mod networks;
pub mod pq;
pub mod prime;
pub mod rpc;
pub mod rsa_key;
#[expect(missing_docs, reason = "the names are the published schema's")]
pub mod schema;
pub mod session;
pub mod sessions;
pub mod settings;
pub mod tl;
pub mod transport;
pub mod turns;

/// As operators write it.
pub const NAME: &str = "telegram";
