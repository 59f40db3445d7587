//! Where the database is: a URL as libpq reads it.
//!
//! `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?sslmode=verify-full&passfile=/path`. What libpq knows and this does
//! not is refused by name, never ignored: a parameter that is passed over could be the one that made it safe.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use url::form_urlencoded;

use super::password_file;
use super::tls::TlsMode;

/// The address of a database, and what it takes to connect.
#[derive(Clone)]
pub struct PostgresAddress {
    pub(super) config: Config,
    pub(super) tls: TlsMode,
    /// A file of certificates in PEM that are trusted instead of the platform's.
    pub(super) root_certificates: Option<PathBuf>,
    password_file: Option<PathBuf>,
}

/// Why an address is none, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It is no URL of a database.
    #[error("expected postgres://USER@HOST/DATABASE: {0}")]
    NotAnAddress(String),
    /// A parameter has a value that it cannot have.
    #[error("{name} is {value:?}, which it cannot be: use {expected}")]
    BadValue {
        /// The parameter's name.
        name: &'static str,
        /// What it was given.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The password file cannot be used.
    #[error(transparent)]
    PasswordFile(#[from] password_file::PasswordFileError),
}

impl PostgresAddress {
    /// Whether `text` is meant to be such an address.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with("postgres:") || text.starts_with("postgresql:")
    }

    /// Reads a URL. `default_password_file` is looked into when the URL has no password and names no file; that it does not
    /// exist is no error.
    ///
    /// # Errors
    /// [`AddressError`] when it is no such URL, or has a parameter that is not known here.
    pub fn parse(text: &str, default_password_file: Option<PathBuf>) -> Result<Self, AddressError> {
        let (location, query) = text.split_once('?').unwrap_or((text, ""));
        let mut tls = None;
        let mut root_certificates = None;
        let mut named_password_file = None;
        let mut others = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "sslmode" => tls = Some(TlsMode::parse(&value)?),
                "sslrootcert" if value == "system" => root_certificates = None,
                "sslrootcert" => root_certificates = Some(PathBuf::from(value.into_owned())),
                "passfile" => named_password_file = Some(PathBuf::from(value.into_owned())),
                _ => {
                    others.append_pair(&name, &value);
                }
            }
        }
        let others = others.finish();
        let plain = if others.is_empty() {
            location.to_owned()
        } else {
            format!("{location}?{others}")
        };
        let not_an_address = |error: tokio_postgres::Error| {
            let detail =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            AddressError::NotAnAddress(detail)
        };
        let mut config: Config = plain.parse().map_err(not_an_address)?;
        if config.get_hosts().is_empty() {
            return Err(AddressError::NotAnAddress("it names no host".into()));
        }
        if config.get_user().is_none() {
            return Err(AddressError::NotAnAddress("it names no user".into()));
        }
        let tls = tls.unwrap_or_else(|| TlsMode::default_for(config.get_hosts()));
        config.ssl_mode(match tls {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
        // A standby is behind: what was acknowledged could not be read there.
        match config.get_target_session_attrs() {
            TargetSessionAttrs::ReadOnly => {
                return Err(AddressError::BadValue {
                    name: "target_session_attrs",
                    value: "read-only".into(),
                    expected: "read-write, which is what it is if you leave it out",
                });
            }
            _ => config.target_session_attrs(TargetSessionAttrs::ReadWrite),
        };
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(TCP_USER_TIMEOUT);
        }
        if config.get_keepalives_idle() == LIBRARY_KEEPALIVES_IDLE {
            config.keepalives_idle(KEEPALIVES_IDLE);
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(KEEPALIVES_INTERVAL);
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(KEEPALIVES_RETRIES);
        }
        if config.get_application_name().is_none() {
            config.application_name("countersign");
        }
        let password_file = match named_password_file {
            _ if config.get_password().is_some() => None,
            Some(named) => Some(named),
            None => default_password_file.filter(|file| file.exists()),
        };
        Ok(Self {
            config,
            tls,
            root_certificates,
            password_file,
        })
    }

    /// The settings of a connection, with the password as it stands in the password file now.
    pub(super) fn with_password(&self) -> Result<Config, AddressError> {
        let mut config = self.config.clone();
        if let Some(file) = &self.password_file
            && let Some(password) = password_file::find(file, &self.config)?
        {
            config.password(&*password);
        }
        Ok(config)
    }
}

/// Shows where it is, never the password.
impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@", self.config.get_user().unwrap_or_default())?;
        for (number, host) in self.config.get_hosts().iter().enumerate() {
            let separator = if number == 0 { "" } else { "," };
            let port = port_of(&self.config, number);
            match host {
                Host::Tcp(name) => write!(f, "{separator}{name}:{port}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{separator}{}:{port}", path.display())?,
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The port of the host with this number: each has its own, or all have one.
pub(super) fn port_of(config: &Config, number: usize) -> u16 {
    let ports = config.get_ports();
    ports
        .get(number)
        .or_else(|| ports.first())
        .copied()
        .unwrap_or(5432)
}

/// The same settings for each host alone, in the order of the address.
pub(super) fn for_each_host(config: &Config) -> Vec<Config> {
    let count = config.get_hosts().len().max(config.get_hostaddrs().len());
    (0..count).map(|number| of_host(config, number)).collect()
}

fn of_host(config: &Config, number: usize) -> Config {
    let mut host = Config::new();
    match config.get_hosts().get(number) {
        Some(Host::Tcp(name)) => _ = host.host(name),
        #[cfg(unix)]
        Some(Host::Unix(path)) => _ = host.host_path(path),
        None => {}
    }
    if let Some(address) = config.get_hostaddrs().get(number) {
        host.hostaddr(*address);
    }
    host.port(port_of(config, number))
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle());
    if let Some(user) = config.get_user() {
        host.user(user);
    }
    if let Some(password) = config.get_password() {
        host.password(password);
    }
    if let Some(database) = config.get_dbname() {
        host.dbname(database);
    }
    if let Some(options) = config.get_options() {
        host.options(options);
    }
    if let Some(name) = config.get_application_name() {
        host.application_name(name);
    }
    if let Some(bound) = config.get_connect_timeout() {
        host.connect_timeout(*bound);
    }
    if let Some(bound) = config.get_tcp_user_timeout() {
        host.tcp_user_timeout(*bound);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        host.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        host.keepalives_retries(retries);
    }
    host
}

/// How long one host may take to be connected to, unless the address says.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// After how long without an acknowledgement a connection is given up, unless the address says.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);

/// When it is looked whether an idle connection's other end is still there, unless the address says: so a writer without work
/// notices that a machine is gone.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVES_RETRIES: u32 = 3;

/// What the library takes where the address says nothing.
const LIBRARY_KEEPALIVES_IDLE: Duration = Duration::from_hours(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PostgresAddress, AddressError> {
        PostgresAddress::parse(text, None)
    }

    #[test]
    fn several_hosts_are_one_address() {
        let address = parse("postgres://me:secret@one:1,two:2/app?connect_timeout=7").unwrap();
        assert_eq!(address.to_string(), "postgres://me@one:1,two:2/app");
        assert!(!format!("{address:?}").contains("secret"));
        assert_eq!(
            address.config.get_connect_timeout(),
            Some(&Duration::from_secs(7))
        );
        assert_eq!(
            address.config.get_target_session_attrs(),
            TargetSessionAttrs::ReadWrite
        );
    }

    #[test]
    fn each_host_alone_has_what_all_have() {
        let text = "postgres://me:secret@one:1,two:2/app?options=-c%20x%3D1&hostaddr=127.0.0.1,127.0.0.2\
                    &application_name=name&connect_timeout=7&tcp_user_timeout=8&keepalives_idle=9&keepalives_interval=10\
                    &keepalives_retries=11&channel_binding=require&keepalives=0";
        let address = parse(text).unwrap();
        let alone = |name: &str, port: u16, ip: u8| {
            let text = text
                .replace("one:1,two:2", &format!("{name}:{port}"))
                .replace("127.0.0.1,127.0.0.2", &format!("127.0.0.{ip}"));
            parse(&text).unwrap().config
        };
        assert_eq!(
            for_each_host(&address.config),
            [alone("one", 1, 1), alone("two", 2, 2)]
        );
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "postgres://me@host/app?sslkey=x",
            "postgres://me@host/app?sslmode=verify",
            "postgres://me@host/app?target_session_attrs=read-only",
            "postgres:///app",
            "postgres://host/app",
            "mysql://me@host/app",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.to_string().is_empty(), "{text}");
        }
    }

    #[test]
    fn beyond_this_machine_certificates_are_verified_unless_told_otherwise() {
        let mode = |text: &str| parse(text).unwrap().tls;
        assert_eq!(mode("postgres://me@db.example/app"), TlsMode::VerifyFull);
        assert_eq!(mode("postgres://me@127.0.0.1/app"), TlsMode::Prefer);
        assert_eq!(
            mode("postgres://me@localhost,db.example/app"),
            TlsMode::VerifyFull
        );
        assert_eq!(mode("postgres://me@%2Fvar%2Frun/app"), TlsMode::Prefer);
        assert_eq!(
            mode("postgres://me@db.example/app?sslmode=disable"),
            TlsMode::Disable
        );
        assert_eq!(
            mode("postgres://me@db.example/app?sslmode=verify-ca"),
            TlsMode::VerifyCa
        );
    }
}
