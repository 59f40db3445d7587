//! The listener for HTTPS.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::network::{ADDRESS, address};
use super::sources::Sources;
use super::{ConfigError, Key, Settings};

/// The address and port that serve the API over HTTPS, beside `listen`. None by default.
pub const TLS_LISTEN: Key = Key::new("tls_listen", Sources::All);

/// The file with the certificate and its intermediates (PEM); read again when it changes.
pub const TLS_CERT: Key = Key::new("tls_cert", Sources::All);

/// The file with the certificate's private key (PEM); read again when it changes.
pub const TLS_KEY: Key = Key::new("tls_key", Sources::All);

/// For development: `true` makes a certificate for `localhost`, `127.0.0.1`, `::1` and the host of `public_url`, kept
/// in `tls` in the data directory. Default `false`.
pub const TLS_SELF_SIGNED: Key = Key::new("tls_self_signed", Sources::All);

/// The listener for HTTPS.
#[derive(Debug)]
pub struct Tls {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it shows.
    pub certificate: Certificate,
}

/// The certificate of the listener for HTTPS.
#[derive(Debug)]
pub enum Certificate {
    /// In these files.
    Files {
        /// The certificate and its intermediates.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Made here.
    SelfSigned,
}

pub(super) fn read(settings: &mut Settings) -> Result<Option<Tls>, ConfigError> {
    let listen = settings.take(&TLS_LISTEN, ADDRESS, address)?;
    let certificate = settings.take(&TLS_CERT, "the path of a file", |text| Some(PathBuf::from(text)))?;
    let key = settings.take(&TLS_KEY, "the path of a file", |text| Some(PathBuf::from(text)))?;
    let self_signed = settings.take(&TLS_SELF_SIGNED, "true or false", |text| text.parse().ok())?;
    let certificate = match (certificate, key, self_signed.unwrap_or(false)) {
        (Some(certificate), Some(key), false) => Some(Certificate::Files { certificate, key }),
        (None, None, true) => Some(Certificate::SelfSigned),
        (None, None, false) => None,
        (_, _, true) => {
            return Err(ConfigError::new(
                "tls_self_signed must not be given together with tls_cert or tls_key",
            ));
        }
        (Some(_), None, _) => return Err(ConfigError::new("tls_key must be given together with tls_cert")),
        (None, Some(_), _) => return Err(ConfigError::new("tls_cert must be given together with tls_key")),
    };
    match (listen, certificate) {
        (Some(listen), Some(certificate)) => Ok(Some(Tls { listen, certificate })),
        (Some(_), None) => Err(ConfigError::new(
            "tls_listen must be given together with tls_cert and tls_key, or tls_self_signed",
        )),
        (None, Some(_)) => Err(ConfigError::new(
            "tls_listen must be given when there is a certificate",
        )),
        (None, None) => Ok(None),
    }
}
