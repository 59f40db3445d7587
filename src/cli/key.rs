//! `countersign key`.

use clap::Subcommand;

use super::admin::AdminRequest;
use super::admin::client::ClientFlags;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create an API key and show its secret, this once
    Create {
        /// The account that the key acts for (AC...); can be left out when there is only one
        #[arg(value_name = "ACCOUNT")]
        account: Option<String>,
        /// A name for people
        #[arg(long, default_value = "API key")]
        name: String,
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// List the API keys of an account
    List {
        /// The account (AC...); can be left out when there is only one
        #[arg(value_name = "ACCOUNT")]
        account: Option<String>,
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Delete an API key; it is refused from then on
    Revoke {
        /// The key's SID (SK...)
        #[arg(value_name = "SID")]
        sid: String,
        #[command(flatten)]
        flags: ClientFlags,
    },
}

impl Command {
    pub(super) fn into_request(self) -> (AdminRequest, ClientFlags) {
        match self {
            Self::Create { account, name, flags } => (AdminRequest::CreateKey { account, name }, flags),
            Self::List { account, flags } => (AdminRequest::ListKeys { account }, flags),
            Self::Revoke { sid, flags } => (AdminRequest::RevokeKey { key: sid }, flags),
        }
    }
}
