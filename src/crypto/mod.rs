//! Sealing, tokens, one-time codes and device signatures.
//!
//! - At rest: [`master_key`], [`key_ring`], [`vault`], [`sealed`], `derived_key`, `plain_token`.
//! - Backups: [`age`].
//! - Webhooks: [`webhook_secret`].
//! - Codes by message: [`plain_code`].
//! - TOTP: [`totp`], [`otpauth`], `qr`.
//! - Web Push: [`web_push`].
//! - Push providers: `provider_key`, [`service_account`].
//! - Messages: `template_sid`.
//! - The audit log: [`audit_chain`].
//! - Devices: `device_key`; `jws`; `unique_json`.
//!
//! Invariants:
//! - No primitive is written here: every one comes from a library, and published test vectors run over our use of it.
//! - Randomness and time are arguments. Nothing here knows the store or HTTP.
//! - No type that holds a secret prints it. Keys, tokens, codes and shared secrets are wiped when dropped.
//! - Secrets are compared in constant time.
//! - Of a signed token nobody sees more than the header before its signature was checked.

pub mod age;
pub mod audit_chain;
mod derived_key;
pub(crate) mod device_key;
pub(crate) mod jws;
pub mod key_ring;
pub mod master_key;
pub mod otpauth;
pub mod plain_code;
pub mod plain_token;
pub(crate) mod provider_key;
pub(crate) mod qr;
pub mod sealed;
pub mod service_account;
pub(crate) mod short_digest;
pub(crate) mod template_sid;
pub mod totp;
pub(crate) mod unique_json;
pub mod vault;
pub mod web_push;
pub mod webhook_secret;

#[cfg(test)]
pub(crate) mod tests;
