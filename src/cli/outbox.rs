//! `countersign outbox`.

use clap::{ArgGroup, Args, Subcommand};

use super::admin::AdminRequest;
use super::admin::client::ClientFlags;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what was given up (the dead letters), or what still waits to be delivered
    List {
        /// What was given up; that is the default
        #[arg(long, conflicts_with = "waiting")]
        dead: bool,
        /// What still waits to be delivered, receiver by receiver
        #[arg(long)]
        waiting: bool,
        /// The most rows
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Begin behind this place: the one that the list before ended with
        #[arg(long, value_name = "PLACE")]
        after: Option<String>,
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Put dead letters back, to be delivered as if they were new
    Retry(WhichRows),
    /// Forget dead letters
    Drop(WhichRows),
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).args(["sid", "receiver", "all"]))]
pub(super) struct WhichRows {
    /// The event's SID (EV...)
    #[arg(value_name = "SID")]
    sid: Option<String>,
    /// All for this receiver: the SID of a webhook (YW...), a push credential (CR...) or a factor (YF...), or a
    /// sender of codes, as in `sender:NAME`
    #[arg(long, value_name = "SID")]
    receiver: Option<String>,
    /// All there are
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    flags: ClientFlags,
}

impl Command {
    pub(super) fn into_request(self) -> (AdminRequest, ClientFlags) {
        match self {
            Self::List {
                dead: _,
                waiting,
                limit,
                after,
                flags,
            } => {
                let request = AdminRequest::ListOutbox {
                    waiting,
                    after,
                    limit,
                };
                (request, flags)
            }
            Self::Retry(WhichRows {
                sid, receiver, flags, ..
            }) => (AdminRequest::RetryOutbox { sid, receiver }, flags),
            Self::Drop(WhichRows {
                sid, receiver, flags, ..
            }) => (AdminRequest::DropOutbox { sid, receiver }, flags),
        }
    }
}
