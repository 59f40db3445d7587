//! `countersign account`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::admin::AdminRequest;
use super::admin::client::ClientFlags;
use super::flags::duration;
use crate::domain::webhook_secrets::MAX_OVERLAP;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create an account and show its auth token and its webhook secret, this once
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
    /// Give an account a new webhook signing secret and show it, this once; the old one signs beside it for a while
    RotateWebhookSecret {
        #[command(flatten)]
        one: One,
        /// How long the old secret goes on signing: a number and s, m, h or d, up to 30d; 0 if it must stop at once
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = overlap)]
        overlap: Duration,
    },
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
    pub(super) fn into_request(self) -> (AdminRequest, ClientFlags) {
        match self {
            Self::Create { name, flags } => (AdminRequest::CreateAccount { name }, flags),
            Self::List { flags } => (AdminRequest::ListAccounts, flags),
            Self::RotateToken(One { sid, flags }) => (AdminRequest::RotateToken { account: sid }, flags),
            Self::RotateWebhookSecret {
                one: One { sid, flags },
                overlap,
            } => {
                let request = AdminRequest::RotateWebhookSecret {
                    account: sid,
                    overlap_seconds: overlap.as_secs(),
                };
                (request, flags)
            }
            Self::Suspend(One { sid, flags }) => (AdminRequest::SuspendAccount { account: sid }, flags),
            Self::Resume(One { sid, flags }) => (AdminRequest::ResumeAccount { account: sid }, flags),
        }
    }
}

fn overlap(text: &str) -> Result<Duration, &'static str> {
    let overlap = duration(text).ok().filter(|overlap| *overlap <= MAX_OVERLAP);
    overlap.ok_or("must be a number and s, m, h or d (such as 24h), up to 30d, or 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("0", 0),
            ("0h", 0),
            ("90s", 90),
            ("5m", 300),
            ("24h", 86400),
            ("30d", 2_592_000),
        ] {
            assert_eq!(overlap(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in [
            "",
            "h",
            "24",
            "24H",
            "-1h",
            "1.5h",
            "31d",
            "18446744073709551615d",
            "1w",
            "1 h",
        ] {
            assert!(overlap(bad).is_err(), "{bad}");
        }
    }
}
