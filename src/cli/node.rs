//! `countersign node`.

use clap::Subcommand;

use super::admin::AdminRequest;
use super::admin::client::ClientFlags;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the servers that run on the database
    List {
        #[command(flatten)]
        flags: ClientFlags,
    },
}

impl Command {
    pub(super) fn into_request(self) -> (AdminRequest, ClientFlags) {
        let Self::List { flags } = self;
        (AdminRequest::ListNodes, flags)
    }
}
