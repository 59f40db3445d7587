//! Telegram's login codes: a real client, over TCP, on a clock that is moved; and clients that do not follow the protocol.

mod binary;
mod bounds;
mod clients;
mod decisions;
mod errors;
mod handshakes;
mod idle;
mod keys;
mod kills;
mod limits;
pub(crate) mod raw;
mod server;
mod shaking;
mod tcp;
