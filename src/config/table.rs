//! The table of settings: one row for each.
//!
//! A row is everything there is to say of a setting: its name, what is read from its text, its default, what a value
//! must be, where it may stand and what it is for. Reading, names of variables and flags, `--help` and the reference page
//! of the manual are made of it; see [`settings`] for the form of a row.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::{Origin, Url};

use super::formats::{
    account_sid, address, address_or_none, addresses, age_recipients, app_hash, audit_detail, bearer_or_none,
    bootstrap, bytes, command_line, contact, countries, countries_or_all, days, directory, file_path,
    identity_rule, log_directives, log_format, master_key, minutes, networks, number, number_or_none,
    page_origins, permission, provider_url, public_url, seconds, spend_or_none, store_url, truth, witness,
};
use super::log_directives::{LogDirectives, LogFormat};
use super::setting::{
    Described, Section, Setting, Unset, every_command, file, not_in_file, secret, serve, settings, switch,
};
use super::sources::GivenSettings;
use super::{Bootstrap, CommandLine, ConfigError};
use crate::crypto::age::AgeRecipient;
use crate::crypto::master_key::MasterKey;
use crate::domain::audit::AuditDetail;
use crate::domain::country::Country;
use crate::domain::email::EmailAddress;
use crate::domain::factor::DriftLimit;
use crate::domain::fraud::settings::Countries;
use crate::domain::price::Price;
use crate::domain::push_guard::PushLimits;
use crate::domain::sid::AccountSid;
use crate::domain::text::{AppHash, IdentityRule};

settings! {
    /// The configuration file
    pub(super) ConfigFile [] {
        /// The configuration file (TOML). None is read unless it is named.
        config: PathBuf | "none", file_path(), not_in_file("FILE"), own;
    }

    /// What is stored, and the key that seals it
    pub(super) StorageSettings [] {
        /// The data directory. It is created, for this user alone, if it does not exist.
        data: PathBuf = "countersign-data", directory(), every_command("DIR"), own;

        /// The database that everything is stored in, instead of the data directory: `postgres://USER@HOST/DATABASE`, with the
        /// parameters that libpq knows. A password is better in a password file than here.
        store: String | "the data directory", store_url(), every_command("URL"), own;

        /// How many connections to the database there are at the most. A fifth of them writes.
        store_connections: usize = "20", number(2, 1000), serve("NUMBER"), own;

        /// The file with the master key. Only its owner may be able to read it. It must exist; that in the data directory
        /// is made on the first start.
        master_key_file: PathBuf | "master.key in the data directory", file_path(), every_command("FILE"), own;

        /// The command that prints the master key, instead of `master_key_file`: the client of a key service, say. It is split
        /// into words as a shell does it, and run without one, once, at the start; it has 30 seconds.
        master_key_command: CommandLine | "none", command_line(), every_command("COMMAND"), own;

        /// The master key itself, instead of `master_key_file`.
        master_key: MasterKey | "none", master_key(), secret(), own;

        /// What notices when the store was put back to an older state: a directory that was copied back, a machine that was rolled
        /// back. What was used since is void then. It is a file outside of the data directory, on another disk or machine, or a
        /// row in a database, `postgres://USER@HOST/DATABASE`, as in `store`.
        witness: String | "none", witness(), every_command("FILE|URL"), own;

        /// Start although other servers of the database have other settings, and only warn of it: for a change of settings
        /// server by server.
        rolling: bool = "false", truth(), switch("true"), own;

        /// How many bytes of the store are kept in memory.
        cache_bytes: u64 = "268435456", bytes(1 << 20, 1 << 40), serve("BYTES"), own;

        /// The account that is created in an empty store. Without it, the first start makes one and prints it.
        bootstrap: Bootstrap | "none", bootstrap(), secret(), own;
    }

    /// Where requests arrive
    pub NetworkSettings [] {
        /// Serve the API over HTTP here; port 0 takes a free one, `none` serves HTTPS only. That needs `tls_listen`.
        listen: Option<SocketAddr> = "127.0.0.1:8080", address_or_none(), serve("ADDRESS"), own;

        /// Serve /livez, /readyz, /startupz, /metrics and the manual (/docs) here. Everybody who reaches this address may read them.
        ops_listen: SocketAddr | "none", address(), serve("ADDRESS"), own;

        /// Serve the manual at /docs of the API's listeners, too, for everybody. What errors mean is served there in any case.
        public_docs: bool = "false", truth(), switch("true"), own;

        /// What clients reach the API at. Every URL in answers begins with it; a path is allowed.
        public_url: Url | "what each request was sent to", public_url(), serve("URL");

        /// How many connections are open at the same time. Others wait. One address (of IPv6 a /64) has at most three
        /// quarters of them, less if others want as many, unless `trusted_proxies` names it; an idle connection goes first.
        /// There are as many requests at work, of which each client has at most three quarters, whoever brings them.
        max_connections: usize = "8192", number(1, 1_000_000), serve("NUMBER"), own;

        /// For how many seconds the server goes on serving when it was told to stop, while `/readyz` says that it will: a load
        /// balancer has to notice that before connections are refused. A second signal stops at once.
        drain_delay_seconds: Duration | "5 with `store`, else 0", seconds(0, 300), serve("SECONDS"), own;

        /// The networks of the proxies in front of this server. What these say in `X-Forwarded-For` of where a request
        /// comes from is believed, which silent network authentication and fair shares need. Without any, the address of
        /// the connection counts, and all clients of a proxy have three quarters of `max_connections` together.
        trusted_proxies: Vec<IpNet> | "none", networks(), file(), own;

        /// The origins of web pages that may speak to the API, such as the app of a device that is a browser. Browsers keep
        /// pages of other origins from reading answers.
        cors_origins: Vec<Origin> | "none", page_origins(), serve("ORIGINS");
    }

    /// HTTPS
    #[expect(clippy::struct_field_names, reason = "fields are called as their settings")]
    pub(super) TlsSettings [] {
        /// Serve the API over HTTPS here, too. It needs `tls_cert` and `tls_key`, or `tls_self_signed`.
        tls_listen: SocketAddr | "none", address(), serve("ADDRESS"), own;

        /// The certificate and its intermediates (PEM), read again when they change.
        tls_cert: PathBuf | "none", file_path(), serve("FILE"), own;

        /// The certificate's private key (PEM). It is read again when it changes.
        tls_key: PathBuf | "none", file_path(), serve("FILE"), own;

        /// For development: make a certificate for localhost and the public URL's host. It is kept in `tls` in the data
        /// directory.
        tls_self_signed: bool = "false", truth(), switch("true"), own;
    }

    /// Signal's registration service
    #[expect(clippy::struct_field_names, reason = "fields are called as their settings")]
    pub(super) SignalSettings [] {
        /// Whether callers show a bearer token (`countersign token create --signal`). `none` lets everybody call, so every
        /// listener must be on this machine's own addresses.
        signal_auth: bool = "bearer", bearer_or_none(), serve("bearer|none");

        /// With `signal_auth = "none"`: the account that calls act for. Needed only where there are several.
        signal_account: AccountSid | "the only account", account_sid(), file();

        /// What text messages to Android apps end in, so that the app finds the code (SMS Retriever).
        signal_app_hash: AppHash | "none", app_hash(), file();
    }

    /// Zitadel's services for users
    pub ZitadelSettings [] {
        /// The origins of web pages that may make calls, over gRPC-Web or as JSON. `cors_origins` says nothing of them.
        zitadel_cors_origins: Vec<Origin> | "none", page_origins(), file();
    }

    /// Telegram's login codes
    #[expect(clippy::struct_field_names, reason = "fields are called as their settings")]
    pub(super) TelegramSettings [] {
        /// Serve Telegram's login codes here, over MTProto; port 0 takes a free one.
        telegram_listen: SocketAddr | "none", address(), serve("ADDRESS"), own;

        /// The file with the RSA key that clients know this server by (PEM, 2048 bits). Only its owner may be able to read it.
        /// It must exist; that in the data directory is made on the first start with `telegram_listen`.
        telegram_rsa_key_file: PathBuf | "telegram.pem in the data directory", file_path(), file(), own;

        /// The account that clients log in for. Needed only where there are several.
        telegram_account: AccountSid | "the only account", account_sid(), file();

        /// For how many days the key of a client is kept that is logged in and does not use it. A key without a login is kept
        /// for an hour.
        telegram_key_days: Duration = "180", days(3650), file();
    }

    /// What is logged
    pub(super) LoggingSettings [] {
        /// How much is logged on standard error: off, error, warn, info, debug or trace. Behind a comma, others for modules of this
        /// program: `warn,countersign::decision=info` logs what was decided and what went wrong.
        log: LogDirectives = "info", log_directives(), every_command("DIRECTIVES"), own;

        /// In which form a server logs: text, or json for an object on each line.
        log_format: LogFormat = "text", log_format(), serve("FORMAT"), own;
    }

    /// Whom the server connects to
    pub OutboundSettings [] {
        /// Also let webhooks and devices' push endpoints lead to these networks, which are not public; separated by commas.
        /// In the file they may be a list.
        outbound_allow: Vec<IpNet> | "none", networks(), serve("NETWORKS");

        /// Apple's production environment; another address is for proxies and tests.
        apns_url: Url = "https://api.push.apple.com", provider_url(), file();

        /// Apple's development environment.
        apns_sandbox_url: Url = "https://api.sandbox.push.apple.com", provider_url(), file();

        /// Google's API.
        fcm_url: Url = "https://fcm.googleapis.com", provider_url(), file();

        /// Where the access tokens for Google's API are asked for, whatever a service account says.
        fcm_token_url: Url | "https://oauth2.googleapis.com/token", provider_url(), file();

        /// Where push services reach the operator; they are told with every Web Push message. Some refuse messages without
        /// it.
        webpush_contact: String | "`public_url`, if that is https", contact(), file();
    }

    /// Who waits for a change
    pub(super) WaitingSettings [] {
        /// How many requests wait for a change at the same time, streams included. It is never more than three quarters of
        /// `max_connections` (6144 of the default): those who wait must leave room for those who come to change something.
        max_waiters: usize = "20000", number(0, 1_000_000), file(), own;
    }

    /// Limits
    pub(super) LimitSettings [limits] {
        /// The most entities and factors that one account may create in a second (Twilio: 40).
        entity_creations_per_second: u32 | "no limit", number(1, 1_000_000), file();

        /// The most challenges of a push factor that wait for an answer at once.
        max_pending_challenges: usize = "5", number(1, PushLimits::LARGEST), file();

        /// The most pushes to a factor since its holder last approved, within 24 hours.
        max_pushes_since_success: usize = "10", number(1, PushLimits::LARGEST), file();

        /// For how many seconds a report or the third wrong number pauses a push factor.
        push_pause_seconds: Duration = "3600", seconds(60, 604_800), file();

        /// With how many messages of an account in the outbox (events, pushes, codes that wait for their receivers) nothing
        /// more begins for it. Answers to what has begun are taken up to twice as many.
        outbox_rows_per_account: usize = "100000", number(100, 10_000_000), file();

        /// The most services that one account may have. Services have no lifetime: nobody can tell one that waits for its
        /// users from one that was forgotten.
        services_per_account: u32 = "1000", number(1, 1_000_000), file();

        /// What identities of users may be. narrow: 8 to 64 letters, digits and dashes, which is Twilio's rule. wide: 1 to 64
        /// letters, digits and - _ . @ +, with a letter or a digit first. After a change back, users whose identities are too wide
        /// keep their factors and cannot be asked for.
        identities: IdentityRule = "narrow", identity_rule(), file();
    }

    /// Devices
    pub(super) DeviceSettings [devices] {
        /// By how many seconds a device's clock may differ from the server's.
        clock_skew_seconds: Duration = "60", seconds(0, 300), file();
    }

    /// TOTP
    pub(super) TotpSettings [totp] {
        /// Whether a new factor may bring a secret of 80 to 127 bits (10 to 15 bytes) from an older system. Such secrets are
        /// weaker than RFC 4226 asks for; the factor says so for good. Factors that have one keep working when this is
        /// set back to `refuse`.
        legacy_secrets: bool = "refuse", permission(), file();

        /// Up to how many time steps away from its own clock the server follows the clock of a factor's device, by the codes
        /// that it accepted. 0 learns nothing. Codes are then tried around both: with a skew of 1, up to six are live instead
        /// of three.
        drift_steps: u8 = "0", number(0, DriftLimit::LARGEST), file();
    }

    /// How long things are kept
    #[expect(clippy::struct_field_names, reason = "fields are called as their settings")]
    pub(super) RetentionSettings [retention] {
        /// For how many days challenges are kept after they were created.
        challenges_days: Duration = "30", days(3650), file();

        /// For how many days after its creation a factor is kept that is not verified. Then it is deleted.
        unverified_factors_days: Duration = "14", days(3650), file();

        /// For how many days an entity is kept that has no factors. Then it is deleted; a new factor makes it again.
        empty_entities_days: Duration = "90", days(3650), file();

        /// For how many days an event waits for its delivery before it is given up.
        outbox_days: Duration = "3", days(365), file();

        /// For how many days what was given up (a dead letter) is kept.
        outbox_dead_days: Duration = "30", days(3650), file();

        /// For how many days entries of the audit log are kept.
        audit_days: Duration = "90", days(3650), file();
    }

    /// The audit log
    pub(super) AuditSettings [audit] {
        /// What is written down of who did what: what was decided and set up, or each change besides, or nothing.
        detail: AuditDetail = "decisions", audit_detail(), file();
    }

    /// Backups that the server makes by itself
    pub(super) BackupSettings [backup] {
        /// Every how many minutes a backup is made. It needs `backup.directory`. Of servers that share a database one does it.
        every_minutes: Duration | "never", minutes(1, 44_640), file();

        /// Where backups are put. The directory must exist, and nobody but its owner may be able to write to it.
        directory: PathBuf | "none", directory(), file();

        /// How many backups of the store are kept there. The oldest one beyond that goes once a new one is whole.
        keep: usize = "14", number(1, 10_000), file();

        /// Whom backups are encrypted to: recipients of age (age1...), separated by commas. In the file they may be a list.
        recipients: Vec<AgeRecipient> | "the master key", age_recipients(), file();

        /// A command that each backup is piped to once it is whole in `backup.directory`, to take it elsewhere. It is split into
        /// words as a shell does it, and run without one; `COUNTERSIGN_BACKUP` in its environment is the name of the backup.
        command: CommandLine | "none", command_line(), file();

        /// For how many minutes that command may run.
        command_minutes: Duration = "60", minutes(1, 1440), file();
    }

    /// Codes by message: guards against toll fraud
    pub(super) CodeSettings [codes] {
        /// The countries that codes may go to.
        countries: Countries = "all", countries_or_all(), file();

        /// Countries that no code goes to, whatever `codes.countries` says.
        blocked_countries: Vec<Country> | "none", countries(), file();

        /// Whether codes may go to premium-rate and shared-cost numbers and to those of no country.
        premium_numbers: bool = "refuse", permission(), file();

        /// Whether codes may go to numbers of ranges that no numbering plan had given out when this version was made.
        /// Plans grow, and so does fraud with ranges that nobody has.
        unknown_numbers: bool = "refuse", permission(), file();

        /// Whether a caller may have a code sent to a prefix that is blocked for its low conversion (`RiskCheck=disable`).
        risk_check_may_be_disabled: bool = "false", truth(), file();

        /// The addresses that a caller may have an e-mail come from (`from` of `ChannelConfiguration`), separated by commas. In
        /// the file they may be a list.
        email_from: Vec<EmailAddress> | "none", addresses(), file();

        /// Whether silent authentication hands the device a token that the check has to name, unless the caller says
        /// (`EnableSnaClientToken`). Without it a GET of the URL is enough, as Twilio's SDKs make it.
        sna_client_token: bool = "true", truth(), file();

        /// The most codes to a number or an e-mail address in a day, over all services of an account.
        sends_per_number_per_day: Option<u32> = "30", number_or_none(1, MOST_SENDS), file();

        /// The most codes to a prefix (ten thousand numbers) in an hour.
        sends_per_prefix_per_hour: Option<u32> = "100", number_or_none(1, MOST_SENDS), file();

        /// The most codes to a prefix in a day.
        sends_per_prefix_per_day: Option<u32> = "500", number_or_none(1, MOST_SENDS), file();

        /// The most codes to an e-mail domain, with all below it, in an hour. Not counted where everybody has mailboxes
        /// (Gmail, Outlook and their like).
        sends_per_domain_per_hour: Option<u32> = "500", number_or_none(1, MOST_SENDS), file();

        /// The most codes to an e-mail domain in a day.
        sends_per_domain_per_day: Option<u32> = "2000", number_or_none(1, MOST_SENDS), file();

        /// The most codes to a country in a day.
        sends_per_country_per_day: Option<u32> = "none", number_or_none(1, MOST_SENDS), file();

        /// The most codes that one device's address (`DeviceIp`; an IPv6 address counts as its /64) asks for in an hour.
        sends_per_device_per_hour: Option<u32> = "200", number_or_none(1, MOST_SENDS), file();

        /// The most codes of a service in a day.
        sends_per_service_per_day: Option<u32> = "none", number_or_none(1, MOST_SENDS), file();

        /// The most that an account's messages cost in a day, by the prices of the senders.
        spend_per_day: Option<Price> = "none", spend_or_none(), file();

        /// From how many codes within an hour on a prefix is judged by how many of them were used. `none` switches that off.
        conversion_min_sends: Option<u32> = "25", number_or_none(5, 500), file();

        /// How many of a hundred codes to a prefix have to be used.
        conversion_min_percent: u32 = "10", number(1, 100), file();

        // Shorter than the window, what led to a block would lead to the next one.
        /// For how many minutes a prefix is blocked whose codes are not used.
        conversion_block_minutes: Duration = "360", minutes(60, 10_080), file();
    }
}

const MOST_SENDS: u32 = 1_000_000_000;
