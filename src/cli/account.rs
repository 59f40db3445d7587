//! `countersign account`.

use clap::{Args, Subcommand};

use super::admin::Request;
use super::admin::client::ClientFlags;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create an account and show its auth token, this once
    Create {
        /// A name for people
        #[arg(long, default_value = "Account")]
        name: String,
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// List all accounts
    List {
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Give an account a new auth token and show it, this once; the old one is refused from then on
    RotateToken(One),
    /// Refuse an account's credentials, its API keys and its devices
    Suspend(One),
    /// Accept a suspended account's credentials again
    Resume(One),
}

#[derive(Args, Debug)]
pub(super) struct One {
    /// The account's SID (AC...)
    #[arg(value_name = "SID")]
    sid: String,
    #[command(flatten)]
    flags: ClientFlags,
}

impl Command {
    pub(super) fn into_request(self) -> (Request, ClientFlags) {
        match self {
            Self::Create { name, flags } => (Request::CreateAccount { name }, flags),
            Self::List { flags } => (Request::ListAccounts, flags),
            Self::RotateToken(One { sid, flags }) => (Request::RotateToken { account: sid }, flags),
            Self::Suspend(One { sid, flags }) => (Request::SuspendAccount { account: sid }, flags),
            Self::Resume(One { sid, flags }) => (Request::ResumeAccount { account: sid }, flags),
        }
    }
}
