//! Settings that are given together, or not at all.

use super::table::{BackupSettings, NetworkSettings, SignalSettings, TlsSettings};
use super::{BackupSchedule, Certificate, ConfigError, Signal, Tls};

pub(super) fn backup(settings: BackupSettings) -> Result<Option<BackupSchedule>, ConfigError> {
    match (settings.every_minutes, settings.directory) {
        (Some(every), Some(directory)) => Ok(Some(BackupSchedule {
            every,
            directory,
            keep: settings.keep,
            recipients: settings.recipients.unwrap_or_default(),
            command: settings.command,
            command_limit: settings.command_minutes,
        })),
        (None, None) if settings.command.is_some() => Err(ConfigError::missing(
            &["backup.directory", "backup.every_minutes"],
            "backup.directory and backup.every_minutes must be given together with backup.command: it gets what was made there",
        )),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::missing(
            &["backup.directory"],
            "backup.directory must be given together with backup.every_minutes",
        )),
        (None, Some(_)) => Err(ConfigError::missing(
            &["backup.every_minutes"],
            "backup.every_minutes must be given together with backup.directory: no backup would be made",
        )),
    }
}

pub(super) fn tls(settings: TlsSettings) -> Result<Option<Tls>, ConfigError> {
    let certificate = match (settings.tls_cert, settings.tls_key, settings.tls_self_signed) {
        (Some(certificate), Some(key), false) => Some(Certificate::Files { certificate, key }),
        (None, None, true) => Some(Certificate::SelfSigned),
        (None, None, false) => None,
        (_, _, true) => {
            return Err(ConfigError::new(
                "tls_self_signed must not be given together with tls_cert or tls_key",
            ));
        }
        (Some(_), None, _) => {
            return Err(ConfigError::missing(
                &["tls_key"],
                "tls_key must be given together with tls_cert",
            ));
        }
        (None, Some(_), _) => {
            return Err(ConfigError::missing(
                &["tls_cert"],
                "tls_cert must be given together with tls_key",
            ));
        }
    };
    match (settings.tls_listen, certificate) {
        (Some(listen), Some(certificate)) => Ok(Some(Tls { listen, certificate })),
        (Some(_), None) => Err(ConfigError::missing(
            &["tls_cert", "tls_key", "tls_self_signed"],
            "tls_listen must be given together with tls_cert and tls_key, or tls_self_signed",
        )),
        (None, Some(_)) => Err(ConfigError::missing(
            &["tls_listen"],
            "tls_listen must be given when there is a certificate",
        )),
        (None, None) => Ok(None),
    }
}

pub(super) fn signal(
    settings: SignalSettings,
    network: &NetworkSettings,
    tls: Option<&Tls>,
) -> Result<Signal, ConfigError> {
    let mut listeners = network.listen.into_iter().chain(tls.map(|tls| tls.listen));
    if !settings.signal_auth && !listeners.all(|address| address.ip().is_loopback()) {
        return Err(ConfigError::missing(
            &["listen", "tls_listen"],
            "signal_auth must not be none unless listen and tls_listen are addresses of this machine alone, such as \
             127.0.0.1:8080: whoever reaches it could have codes sent",
        ));
    }
    if !settings.signal_auth && (network.public_url.is_some() || network.trusted_proxies.is_some()) {
        return Err(ConfigError::new(
            "signal_auth must not be none together with public_url or trusted_proxies: whoever reaches the proxy could have \
             codes sent",
        ));
    }
    Ok(Signal {
        needs_token: settings.signal_auth,
        account: settings.signal_account,
        app_hash: settings.signal_app_hash,
    })
}
