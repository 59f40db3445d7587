//! Sealing, tokens, one-time codes and device signatures.

pub mod master_key;
pub mod plain_token;
pub mod sealed;
pub mod vault;
