//! Telegram's login codes, over MTProto 2.0 on a listener of its own.
//!
//! - [`transport`], [`disguise`]: how payloads are framed, and hidden.
//! - [`handshake`], [`rsa_key`], [`prime`], [`pq`], [`modular`]: how both sides agree on a key.
//! - [`envelope`], [`cipher`], [`digest`]: how messages are encrypted with it.
//! - [`content`], [`session`], [`sessions`]: what is in a message, and which ones count.
//! - [`rpc`]: the methods that clients call.
//! - [`tl`], [`schema`]: how all of it is written.
//! - [`connection`], `exchange`, [`admission`]: what happens on one connection, and how many may begin.

pub mod admission;
pub mod cipher;
pub mod connection;
pub mod content;
pub mod digest;
pub mod disguise;
pub mod envelope;
mod exchange;
pub mod handshake;
pub mod modular;
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

/// As operators write it.
pub const NAME: &str = "telegram";
