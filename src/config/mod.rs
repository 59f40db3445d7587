//! The settings: one table.
//!
//! Each setting is looked for on the command line (`--ops-listen`), in the environment (`COUNTERSIGN_OPS_LISTEN`) and
//! in the configuration file (`ops_listen`), in this order, and has a default. A name that nobody knows and a value
//! that does not fit stop the start with one line: a typing error must not switch off what it was meant to switch on.
//!
//! Senders of codes, templates of messages and programs that log in are arrays of tables and stand in the file only; see
//! `senders`, `templates` and `telegram`.
//!
//! To add a setting: a row in `table`, and its use here or by whom `Config` is handed to. Nothing else knows of it; the
//! reference page of the manual is made anew with `countersign config reference`.

mod alike;
mod command_line;
mod faults;
mod formats;
mod hiding;
pub(crate) mod inspection;
mod log_directives;
mod reference;
pub(crate) mod senders;
mod setting;
mod sources;
mod table;
pub(crate) mod telegram;
mod templates;
mod together;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

pub(crate) use self::alike::AlikeSettings;
pub(crate) use self::command_line::CommandLine;
pub use self::log_directives::{LogDirectives, LogFormat};
pub use self::reference::reference;
pub use self::setting::{Flag, Section, Setting, Unset};
pub use self::sources::ConfigError;
pub(crate) use self::sources::nearest;
pub use self::table::{NetworkSettings, OutboundSettings, SECTIONS, ZitadelSettings};

use self::faults::Faults;
use self::sources::GivenSettings;
use self::table::{
    AuditSettings, BackupSettings, CodeSettings, DeviceSettings, LimitSettings, LoggingSettings,
    RetentionSettings, SignalSettings, StorageSettings, TelegramSettings, TlsSettings, TotpSettings,
    WaitingSettings,
};
use self::together::{backup, signal, tls};
use crate::app::Policy;
use crate::crypto::age::AgeRecipient;
use crate::crypto::master_key::MasterKey;
use crate::domain::factor::DriftLimit;
use crate::domain::fraud::settings::{ConversionRule, Settings as TollFraud};
use crate::domain::message::template::Templates;
use crate::domain::push_guard::PushLimits;
use crate::domain::sid::AccountSid;
use crate::domain::text::AppHash;

/// What the operator chose, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// What all servers of the store must have alike.
    pub alike: AlikeSettings,
    /// Which backups the server makes by itself.
    pub backup: Option<BackupSchedule>,
    /// What is created in an empty store.
    pub bootstrap: Option<Bootstrap>,
    /// How much is logged.
    pub log: LogDirectives,
    /// In which form a server logs it.
    pub log_format: LogFormat,
    /// Where requests arrive.
    pub network: NetworkSettings,
    /// Whom the server connects to.
    pub outbound: OutboundSettings,
    /// What use cases ask for.
    pub policy: Policy,
    /// Who sends codes, in order of preference.
    pub senders: Vec<senders::Sender>,
    /// How Signal's registration service is spoken.
    pub signal: Signal,
    /// Where the data is.
    pub storage: Storage,
    /// How Telegram's login codes are spoken.
    pub telegram: telegram::Telegram,
    /// The listener for HTTPS.
    pub tls: Option<Tls>,
    /// Which pages may call Zitadel's services.
    pub zitadel: ZitadelSettings,
}

/// Which backups a server makes by itself.
#[derive(Clone, Debug)]
pub(crate) struct BackupSchedule {
    pub every: Duration,
    pub directory: PathBuf,
    /// How many there are at the most.
    pub keep: usize,
    /// Who can open them; only the master key if there are none.
    pub recipients: Vec<AgeRecipient>,
    /// What takes them elsewhere.
    pub command: Option<CommandLine>,
    /// How long that may take for one.
    pub command_limit: Duration,
}

/// How Signal's registration service is spoken.
#[derive(Debug)]
pub(crate) struct Signal {
    /// Whether callers have to show a bearer token.
    pub needs_token: bool,
    /// Without tokens: the account that calls act for; the only one if `None`.
    pub account: Option<AccountSid>,
    /// What text messages to Android apps end in.
    pub app_hash: Option<AppHash>,
}

/// The account that is created in an empty store.
pub(crate) struct Bootstrap {
    pub sid: AccountSid,
    pub token: Zeroizing<String>,
}

/// Where the data is.
pub(crate) struct Storage {
    pub directory: PathBuf,
    /// The URL of the database that is the store, if it is not in the directory. A password may be in it.
    pub database: Option<Zeroizing<String>>,
    /// How many connections to the database there are at the most.
    pub connections: usize,
    /// Where passwords for databases are, if the URL does not say: the file that libpq looks into.
    pub password_file: Option<PathBuf>,
    /// How much of the store in the directory is kept in memory.
    pub cache_bytes: u64,
    pub master_key: KeySource,
    /// What knows how far the store in the directory has come.
    pub witness: Option<WitnessSetting>,
    /// Whether servers that share the database may have other settings.
    pub rolling: bool,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// Where the witness of a store is.
pub(crate) enum WitnessSetting {
    /// In the database with this URL. A password may be in it.
    Database(Zeroizing<String>),
    File(PathBuf),
}

impl WitnessSetting {
    fn parse(text: String) -> Self {
        let is_url = ["postgres:", "postgresql:"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        // Another URL is a mistake, which the address says without showing it: a password may be in it.
        if is_url || text.contains("://") {
            Self::Database(Zeroizing::new(text))
        } else {
            Self::File(PathBuf::from(text))
        }
    }
}

impl fmt::Debug for WitnessSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(_) => f.write_str("a database"),
            Self::File(path) => path.fmt(f),
        }
    }
}

/// Where the master key is.
#[derive(Debug)]
pub(crate) enum KeySource {
    /// This prints it.
    Command(CommandLine),
    /// In this file, which must exist.
    File(PathBuf),
    Given(MasterKey),
    /// In the data directory, where it is generated on the first start.
    InDirectory,
}

/// The listener for HTTPS.
#[derive(Debug)]
pub(crate) struct Tls {
    pub listen: SocketAddr,
    pub certificate: Certificate,
}

/// The certificate of the listener for HTTPS.
#[derive(Debug)]
pub(crate) enum Certificate {
    Files {
        /// The certificate and its intermediates.
        certificate: PathBuf,
        key: PathBuf,
    },
    /// Made here.
    SelfSigned,
}

impl Config {
    /// Reads the settings: `flags` are those of the command line, each with the name of its setting; `environment` is the
    /// process's.
    ///
    /// # Errors
    /// [`ConfigError`], one line that names the setting and says what it must be.
    pub(crate) fn load(
        flags: Vec<(&'static str, String)>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        inspection::inspect(flags, environment).into_config()
    }

    /// Puts together what was given; `None` if something is wrong with it, which `faults` has then.
    fn of(mut given: GivenSettings, password_file: Option<PathBuf>, faults: &mut Faults) -> Option<Self> {
        let alike = AlikeSettings::of(&given);
        let network = faults.unless(NetworkSettings::read(&given));
        let outbound = faults.unless(OutboundSettings::read(&given));
        let policy = network
            .as_ref()
            .zip(outbound.as_ref())
            .and_then(|(network, outbound)| faults.unless(policy(&given, network, outbound)));
        let settings = StorageSettings::read(&given);
        let stored = faults.unless(settings.and_then(|settings| storage(settings, password_file)));
        let backup = faults.unless(BackupSettings::read(&given).and_then(backup));
        let tls = faults.unless(TlsSettings::read(&given).and_then(tls));
        let logging = faults.unless(LoggingSettings::read(&given));
        let senders = senders::read(&mut given, faults);
        let own = given.take_templates().map(templates::templates);
        let templates = faults.unless(own.unwrap_or_else(|| Ok(Templates::default())));
        let apps = given.take_telegram_apps();
        let telegram = TelegramSettings::read(&given);
        let telegram = faults.unless(telegram.and_then(|settings| telegram::telegram(settings, apps)));
        let signal = match (&network, &tls) {
            (Some(network), Some(tls)) => {
                if network.listen.is_none() && tls.is_none() {
                    faults.add(ConfigError::missing(
                        &["tls_listen"],
                        "listen must not be none unless tls_listen is given: there would be no listener",
                    ));
                }
                let settings = SignalSettings::read(&given);
                faults.unless(settings.and_then(|settings| signal(settings, network, tls.as_ref())))
            }
            _ => None,
        };
        let zitadel = faults.unless(ZitadelSettings::read(&given));
        let (LoggingSettings { log, log_format }, (storage, bootstrap)) = (logging?, stored?);
        Some(Self {
            alike,
            backup: backup?,
            bootstrap,
            log,
            log_format,
            network: network?,
            outbound: outbound?,
            policy: Policy {
                templates: templates?,
                ..policy?
            },
            senders,
            signal: signal?,
            storage,
            telegram: telegram?,
            tls: tls?,
            zitadel: zitadel?,
        })
    }
}

fn policy(
    given: &GivenSettings,
    network: &NetworkSettings,
    outbound: &OutboundSettings,
) -> Result<Policy, ConfigError> {
    let limits = LimitSettings::read(given)?;
    let retention = RetentionSettings::read(given)?;
    let codes = CodeSettings::read(given)?;
    let totp = TotpSettings::read(given)?;
    let audit = AuditSettings::read(given)?;
    let public_https = network.public_url.as_ref().filter(|url| url.scheme() == "https");
    // Those who wait leave room for those who come to change something.
    let room = network.max_connections / 4 * 3;
    Ok(Policy {
        entity_creations_per_second: limits.entity_creations_per_second,
        outbox_rows_per_account: limits.outbox_rows_per_account,
        services_per_account: limits.services_per_account,
        identities: limits.identities,
        legacy_totp_secrets: totp.legacy_secrets,
        totp_drift: DriftLimit::of_steps(totp.drift_steps),
        unverified_factor_retention: retention.unverified_factors_days,
        empty_entity_retention: retention.empty_entities_days,
        max_waiters: WaitingSettings::read(given)?.max_waiters.min(room),
        challenge_retention: retention.challenges_days,
        device_clock_skew: DeviceSettings::read(given)?.clock_skew_seconds,
        outbox_retention: retention.outbox_days,
        webpush_contact: outbound
            .webpush_contact
            .clone()
            .or_else(|| public_https.and_then(|url| (formats::contact().parse)(url.as_str()))),
        push: PushLimits {
            max_pending: limits.max_pending_challenges,
            max_since_success: limits.max_pushes_since_success,
            pause: limits.push_pause_seconds,
        },
        outbox_dead_retention: retention.outbox_dead_days,
        audit_detail: audit.detail,
        audit_retention: retention.audit_days,
        templates: Templates::default(),
        email_from: codes.email_from.clone().unwrap_or_default(),
        sna_client_token: codes.sna_client_token,
        toll_fraud: toll_fraud(codes),
    })
}

fn toll_fraud(codes: CodeSettings) -> TollFraud {
    TollFraud {
        countries: codes.countries,
        blocked_countries: codes.blocked_countries.unwrap_or_default(),
        premium_numbers: codes.premium_numbers,
        unknown_numbers: codes.unknown_numbers,
        risk_check_may_be_disabled: codes.risk_check_may_be_disabled,
        number_per_day: codes.sends_per_number_per_day,
        prefix_per_hour: codes.sends_per_prefix_per_hour,
        prefix_per_day: codes.sends_per_prefix_per_day,
        domain_per_hour: codes.sends_per_domain_per_hour,
        domain_per_day: codes.sends_per_domain_per_day,
        country_per_day: codes.sends_per_country_per_day,
        device_per_hour: codes.sends_per_device_per_hour,
        service_per_day: codes.sends_per_service_per_day,
        spend_per_day: codes.spend_per_day,
        conversion: codes.conversion_min_sends.map(|min_sends| ConversionRule {
            min_sends,
            min_percent: codes.conversion_min_percent,
            block: codes.conversion_block_minutes,
        }),
    }
}

/// Where libpq looks for passwords, in the environment of a process.
pub(crate) fn password_file(environment: &[(OsString, OsString)]) -> Option<PathBuf> {
    let value = |name: &str| {
        environment
            .iter()
            .find(|(variable, _)| variable == name)
            .map(|(_, value)| value)
    };
    match (value("PGPASSFILE"), value("HOME")) {
        (Some(file), _) => Some(PathBuf::from(file)),
        (None, Some(home)) => Some(PathBuf::from(home).join(".pgpass")),
        (None, None) => None,
    }
}

fn storage(
    settings: StorageSettings,
    password_file: Option<PathBuf>,
) -> Result<(Storage, Option<Bootstrap>), ConfigError> {
    let (command, file, key) = (
        settings.master_key_command,
        settings.master_key_file,
        settings.master_key,
    );
    let given = [
        ("master_key_command", command.is_some()),
        ("master_key_file", file.is_some()),
        ("COUNTERSIGN_MASTER_KEY", key.is_some()),
    ];
    let mut given = given
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name));
    if let (Some(one), Some(other)) = (given.next(), given.next()) {
        return Err(ConfigError::new(format!(
            "{one} must not be given together with {other}: nobody could tell which of two master keys is meant; leave one \
             of them out"
        )));
    }
    let command = command.map(KeySource::Command);
    let master_key = command
        .or_else(|| file.map(KeySource::File))
        .or_else(|| key.map(KeySource::Given))
        .unwrap_or(KeySource::InDirectory);
    let witness = settings.witness.map(WitnessSetting::parse);
    if settings.store.is_some() && witness.is_some() {
        return Err(ConfigError::new(
            "witness must not be given together with store: several servers have a database, and each knows by itself when it \
             lost what it had acknowledged, and a witness in that database would be put back along with it; leave it out",
        ));
    }
    let storage = Storage {
        directory: settings.data,
        database: settings.store.map(Zeroizing::new),
        connections: settings.store_connections,
        password_file,
        cache_bytes: settings.cache_bytes,
        master_key,
        witness,
        rolling: settings.rolling,
    };
    Ok((storage, settings.bootstrap))
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bootstrap({}, ..)", self.sid)
    }
}

#[cfg(test)]
mod tests;
