//! How Telegram's login codes are spoken, and the programs that may log in: `[[telegram_apps]]` in the configuration file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::ConfigError;
use super::table::TelegramSettings;
use crate::domain::sid::AccountSid;

/// The setting's name.
pub(super) const APPS: &str = "telegram_apps";

/// The keys of a program, and what each is, in Markdown.
pub(super) const KEYS: &[(&str, &str)] = &[
    (
        "api_id",
        "The number of the program, as its users or its maker write it.",
    ),
    ("api_hash", "What the program shows with it: 1 to 128 characters."),
];

/// How Telegram's login codes are spoken.
#[derive(Debug)]
pub(crate) struct Telegram {
    /// Where, if at all.
    pub listen: Option<SocketAddr>,
    /// The file with the RSA key, if it is not the one in the data directory.
    pub rsa_key_file: Option<PathBuf>,
    /// The account that clients log in for; the only one if `None`.
    pub account: Option<AccountSid>,
    /// How long a key with a login is kept without a use.
    pub key_life: Duration,
    /// The programs that may log in; any if there are none.
    pub apps: Vec<TelegramApp>,
}

/// A program that may log in.
pub(crate) struct TelegramApp {
    pub api_id: i32,
    pub api_hash: Zeroizing<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    api_id: i32,
    api_hash: String,
}

/// Puts the settings and the programs together.
///
/// # Errors
/// [`ConfigError`] that says what a program must be; it does not repeat what is secret.
pub(super) fn telegram(
    settings: TelegramSettings,
    apps: Option<toml::Value>,
) -> Result<Telegram, ConfigError> {
    let tables: Vec<Table> = match apps {
        None => Vec::new(),
        Some(apps) => apps.try_into().map_err(|_| {
            ConfigError::new(
                "telegram_apps must be tables [[telegram_apps]], each with api_id, a whole number, and api_hash, a text",
            )
        })?,
    };
    let mut apps = Vec::with_capacity(tables.len());
    for table in tables {
        if !(1..=128).contains(&table.api_hash.len()) {
            return Err(ConfigError::new(format!(
                "telegram_apps, api_id {}: api_hash must have 1 to 128 characters",
                table.api_id
            )));
        }
        apps.push(TelegramApp {
            api_id: table.api_id,
            api_hash: Zeroizing::new(table.api_hash),
        });
    }
    Ok(Telegram {
        listen: settings.telegram_listen,
        rsa_key_file: settings.telegram_rsa_key_file,
        account: settings.telegram_account,
        key_life: settings.telegram_key_days,
        apps,
    })
}

/// The hash is a secret of whoever made the program.
impl std::fmt::Debug for TelegramApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TelegramApp({}, ..)", self.api_id)
    }
}
