//! `countersign token`.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use super::admin::AdminRequest;
use super::admin::client::ClientFlags;
use super::flags::duration;
use crate::domain::bearer_token::TokenUser;
use crate::domain::text::Identity;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a bearer token and show it, this once, alone on a line
    Create {
        /// The account that the token acts for (AC...); can be left out when there is only one
        #[arg(value_name = "ACCOUNT")]
        account: Option<String>,
        #[command(flatten)]
        whose: Whose,
        /// A name for people
        #[arg(long, default_value = "bearer token")]
        name: String,
        /// For how long it is accepted, such as 90d; for ever unless told
        #[arg(long, value_name = "TIME", value_parser = life)]
        life: Option<Duration>,
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// List the bearer tokens of an account
    List {
        /// The account (AC...); can be left out when there is only one
        #[arg(value_name = "ACCOUNT")]
        account: Option<String>,
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Delete a bearer token; it is refused from then on
    Revoke {
        /// The token's SID (BT...), which is also what the token begins with
        #[arg(value_name = "SID")]
        sid: String,
        #[command(flatten)]
        flags: ClientFlags,
    },
}

/// In which protocol a token is accepted.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("protocol").required(true))]
pub(super) struct Whose {
    /// For Signal's registration service
    #[arg(long, group = "protocol")]
    signal: bool,
    /// For this user of Zitadel's API: 8 to 64 letters, digits and dashes
    #[arg(long, value_name = "NAME", group = "protocol", value_parser = user_name)]
    user: Option<Identity>,
    /// With --user: may do everything for every user of the account
    #[arg(long, requires = "user", conflicts_with = "signal")]
    manage_users: bool,
}

/// What lives for no time at all would be refused from the first call on.
fn life(text: &str) -> Result<Duration, &'static str> {
    let life = duration(text)?;
    if life.is_zero() {
        return Err("a token must live for some time, such as 90d; without --life it lives for ever");
    }
    Ok(life)
}

fn user_name(text: &str) -> Result<Identity, String> {
    Identity::parse(text).map_err(|invalid| format!("the name of a user {invalid}"))
}

impl Command {
    pub(super) fn into_request(self) -> (AdminRequest, ClientFlags) {
        match self {
            Self::Create {
                account,
                whose,
                name,
                life,
                flags,
            } => {
                let dialect = if whose.signal { "signal" } else { "zitadel" };
                let request = AdminRequest::CreateToken {
                    account,
                    name,
                    dialect: dialect.to_owned(),
                    user: whose.user.map(|name| TokenUser {
                        name,
                        manages_users: whose.manage_users,
                    }),
                    life_seconds: life.map(|life| life.as_secs()),
                };
                (request, flags)
            }
            Self::List { account, flags } => (AdminRequest::ListTokens { account }, flags),
            Self::Revoke { sid, flags } => (AdminRequest::RevokeToken { token: sid }, flags),
        }
    }
}
