//! The settings: one file per concern.
//!
//! Each setting is looked for on the command line (`--ops-listen`), in the environment (`COUNTERSIGN_OPS_LISTEN`) and
//! in the configuration file (`ops_listen`), in this order, and has a default. A name that nobody knows and a value
//! that does not fit stop the start with one line: a typing error must not switch off what it was meant to switch on.
//!
//! Senders of codes and templates of messages are arrays of tables and stand in the file only; see `senders` and
//! `templates`.
//!
//! To add a setting: a [`Key`] in the file of its concern, its name in [`KEYS`], a row in `src/manual/settings.md`.

mod bootstrap;
mod logging;
mod network;
mod outbound;
mod policy;
mod push;
mod push_limits;
mod sender_kinds;
mod sender_table;
pub mod senders;
mod sources;
mod storage;
mod templates;
mod tls;
mod toll_fraud;

use std::ffi::OsString;

use tracing::level_filters::LevelFilter;

pub use self::bootstrap::Bootstrap;
pub use self::network::Network;
pub use self::outbound::Outbound;
pub use self::push::Push;
pub use self::sources::{ConfigError, Key, Settings};
pub use self::storage::{KeySource, Storage};
pub use self::tls::{Certificate, Tls};

use crate::app::Policy;

/// All settings.
#[derive(Debug)]
pub struct Config {
    /// What is created in an empty store.
    pub bootstrap: Option<Bootstrap>,
    /// How much is logged.
    pub log: LevelFilter,
    /// Where requests arrive.
    pub network: Network,
    /// Whom the server may connect to.
    pub outbound: Outbound,
    /// What use cases ask for.
    pub policy: Policy,
    /// Where push providers are.
    pub push: Push,
    /// Who sends codes, in order of preference.
    pub senders: Vec<senders::Sender>,
    /// Where the data is.
    pub storage: Storage,
    /// The listener for HTTPS.
    pub tls: Option<Tls>,
}

impl Config {
    /// Reads the settings: `flags` are those of the command line, `environment` is the process's.
    ///
    /// # Errors
    /// [`ConfigError`], one line that names the setting and says what it must be.
    pub fn load(
        flags: Vec<(&'static Key, String)>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut settings = Settings::gather(flags, environment)?;
        let mut config = Self {
            bootstrap: bootstrap::read(&mut settings)?,
            log: logging::read(&mut settings)?,
            network: network::read(&mut settings)?,
            outbound: outbound::read(&mut settings)?,
            policy: policy::read(&mut settings)?,
            push: push::read(&mut settings)?,
            senders: senders::read(&mut settings)?,
            storage: storage::read(&mut settings)?,
            tls: tls::read(&mut settings)?,
        };
        if let Some(own) = settings.take_templates() {
            config.policy.templates = templates::templates(own)?;
        }
        if config.policy.webpush_contact.is_none() {
            let url = config.network.public_url.as_ref();
            let url = url.filter(|url| url.scheme() == "https");
            config.policy.webpush_contact = url.map(ToString::to_string);
        }
        let room = config.network.max_connections / 4 * 3;
        config.policy.max_waiters = config.policy.max_waiters.min(room);
        if config.network.listen.is_none() && config.tls.is_none() {
            return Err(ConfigError::new(
                "listen must not be none unless tls_listen is given: there would be no listener",
            ));
        }
        Ok(config)
    }
}

pub use self::logging::LOG;
pub use self::network::{LISTEN, MAX_CONNECTIONS, OPS_LISTEN, PUBLIC_URL};
pub use self::outbound::OUTBOUND_ALLOW;
pub use self::sources::CONFIG;
pub use self::storage::{CACHE_BYTES, DATA, MASTER_KEY_FILE};
pub use self::tls::{TLS_CERT, TLS_KEY, TLS_LISTEN, TLS_SELF_SIGNED};

/// Every setting that exists.
pub const KEYS: &[&Key] = &[
    &CONFIG,
    &DATA,
    &LISTEN,
    &OPS_LISTEN,
    &PUBLIC_URL,
    &TLS_LISTEN,
    &TLS_CERT,
    &TLS_KEY,
    &TLS_SELF_SIGNED,
    &MASTER_KEY_FILE,
    &storage::MASTER_KEY,
    &bootstrap::BOOTSTRAP,
    &LOG,
    &CACHE_BYTES,
    &MAX_CONNECTIONS,
    &OUTBOUND_ALLOW,
    &network::TRUSTED_PROXIES,
    &policy::ENTITY_CREATIONS_PER_SECOND,
    &policy::CHALLENGES_DAYS,
    &policy::OUTBOX_DAYS,
    &policy::OUTBOX_DEAD_DAYS,
    &policy::CLOCK_SKEW_SECONDS,
    &policy::WEBPUSH_CONTACT,
    &push_limits::MAX_PENDING_CHALLENGES,
    &push_limits::MAX_PUSHES_SINCE_SUCCESS,
    &push_limits::PUSH_PAUSE_SECONDS,
    &push::APNS_URL,
    &push::APNS_SANDBOX_URL,
    &push::FCM_URL,
    &push::FCM_TOKEN_URL,
    &policy::MAX_WAITERS,
    &toll_fraud::COUNTRIES,
    &toll_fraud::BLOCKED_COUNTRIES,
    &toll_fraud::PREMIUM_NUMBERS,
    &toll_fraud::RISK_CHECK_MAY_BE_DISABLED,
    &toll_fraud::SENDS_PER_NUMBER_PER_DAY,
    &toll_fraud::SENDS_PER_PREFIX_PER_HOUR,
    &toll_fraud::SENDS_PER_PREFIX_PER_DAY,
    &toll_fraud::SENDS_PER_COUNTRY_PER_DAY,
    &toll_fraud::SENDS_PER_DEVICE_PER_HOUR,
    &toll_fraud::SENDS_PER_SERVICE_PER_DAY,
    &toll_fraud::SPEND_PER_DAY,
    &toll_fraud::CONVERSION_MIN_SENDS,
    &toll_fraud::CONVERSION_MIN_PERCENT,
    &toll_fraud::CONVERSION_BLOCK_MINUTES,
];

#[cfg(test)]
mod tests;
