//! Accounts and API keys: who may call the API.

pub mod authenticate;
pub mod create_account;
pub mod create_api_key;
pub mod list_accounts;
pub mod list_api_keys;
pub mod revoke_api_key;
pub mod rotate_token;
pub mod rotate_webhook_secret;
pub mod set_status;
pub(crate) mod webhook_secrets;
