//! `countersign key`.

use std::fs::File;
use std::io::Read as _;

use clap::Subcommand;
use zeroize::Zeroizing;

use super::admin::AdminRequest;
use super::admin::client::ClientFlags;
use crate::crypto::plain_token::ImportedSecret;

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
    /// Take over an API key that was made elsewhere, so that its users keep its name and secret
    Import {
        /// The account that the key acts for (AC...); can be left out when there is only one
        #[arg(value_name = "ACCOUNT")]
        account: Option<String>,
        /// What the key is called: 4 to 32 letters, digits and dashes
        #[arg(long, value_name = "NAME")]
        key: String,
        /// The file that holds the key's secret, alone on a line
        #[arg(long = "secret-file", value_name = "FILE", value_parser = secret_in)]
        secret: ImportedSecret,
        /// A name for people
        #[arg(long, default_value = "imported API key")]
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
            Self::Import {
                account,
                key,
                secret,
                name,
                flags,
            } => {
                let request = AdminRequest::ImportKey {
                    account,
                    name,
                    key,
                    secret,
                };
                (request, flags)
            }
            Self::List { account, flags } => (AdminRequest::ListKeys { account }, flags),
            Self::Revoke { sid, flags } => (AdminRequest::RevokeKey { key: sid }, flags),
        }
    }
}

/// Reads a secret from a file. Its last line feed is not part of it.
fn secret_in(path: &str) -> Result<ImportedSecret, String> {
    let longest = u64::try_from(ImportedSecret::LONGEST).unwrap_or(u64::MAX);
    let mut text = Zeroizing::new(String::with_capacity(ImportedSecret::LONGEST + 3));
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(longest + 3)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    let length = text.strip_suffix('\n').map_or(text.len(), str::len);
    text.truncate(length);
    let length = text.strip_suffix('\r').map_or(text.len(), str::len);
    text.truncate(length);
    ImportedSecret::try_from(text).map_err(|error| error.to_string())
}
