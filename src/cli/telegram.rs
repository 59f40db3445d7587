//! Telegram's login codes: the listener, the RSA key that clients know the server by, and `countersign telegram`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;
use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

use super::flags::StoreFlags;
use super::key_file::write_secret;
use super::{Failure, logging, output};
use crate::app::App;
use crate::config::Config;
use crate::config::Storage;
use crate::config::telegram::Telegram;
use crate::dialect::Dialect;
use crate::dialect::telegram::connection;
use crate::dialect::telegram::handshake::HandshakeKeys;
use crate::dialect::telegram::rsa_key::RsaKey;
use crate::dialect::telegram::settings::{ClientApp, LoginSettings};
use crate::domain::client_key::KeyLives;
use crate::domain::sid::AccountSid;
use crate::flows::account::{self, FoundAccount};
use crate::server::Listener;

/// What is asked about Telegram's login codes.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the public RSA key that clients are given (PKCS#1, PEM)
    Key {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: StoreFlags,
    },
}

pub(super) fn run(
    command: Command,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    let Command::Key { json, flags } = command;
    let config = Config::load(flags.into_settings(), environment)?;
    logging::start(&config.log.at_most(LevelFilter::WARN));
    let path = key_path(&config.telegram, &config.storage.directory);
    let key = read(&path)?.ok_or_else(|| {
        absent(
            &path,
            "it is made when the server is started with telegram_listen",
        )
    })?;
    output::tell(
        json,
        || json!({"public_key": key.public_pem()}),
        || key.public_pem(),
    );
    Ok(())
}

/// The listener and what is spoken on it, if there is to be one.
pub(super) async fn listener(
    settings: Telegram,
    directory: &Path,
    app: &Arc<App>,
) -> Result<Option<(Listener, Dialect)>, Failure> {
    let Some(address) = settings.listen else {
        return Ok(None);
    };
    let listener = Listener::plain(address)
        .map_err(|error| Failure::new(format!("telegram_listen: cannot listen on {address}: {error}")))?;
    let path = key_path(&settings, directory);
    let key = match read(&path)? {
        Some(key) => key,
        None if settings.rsa_key_file.is_some() => {
            return Err(absent(
                &path,
                "leave telegram_rsa_key_file out to have one made in the data directory",
            ));
        }
        None if !app.store.is_exclusive() => {
            return Err(absent(
                &path,
                "none is made there, because all servers of one database have the same: copy that of another server to it, \
                 or for the first server make one with openssl genrsa -traditional, for its owner alone",
            ));
        }
        None => generate(&path)?,
    };
    warn_without_account(app, settings.account).await;
    let apps = settings.apps.into_iter().map(|app| ClientApp {
        api_id: app.api_id,
        api_hash: app.api_hash,
    });
    let settings = LoginSettings {
        apps: apps.collect(),
        account: settings.account,
        key_lives: KeyLives {
            logged_in: settings.key_life,
            otherwise: LIFE_WITHOUT_LOGIN,
        },
    };
    let dialect = connection::dialect(Arc::clone(app), HandshakeKeys::new(key), settings);
    Ok(Some((listener, dialect)))
}

/// Whether there is a key that can be used, where one is needed that the server does not make by itself.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_key(settings: &Telegram, storage: &Storage) -> Result<(), Failure> {
    if settings.listen.is_none() {
        return Ok(());
    }
    let path = key_path(settings, &storage.directory);
    let is_made = settings.rsa_key_file.is_none() && storage.database.is_none();
    match read(&path)? {
        None if !is_made => Err(absent(&path, "see telegram_rsa_key_file")),
        _ => Ok(()),
    }
}

/// The public key that clients know the server by, if it speaks to them and there is one.
pub(super) fn public_key(settings: &Telegram, directory: &Path) -> Result<Option<String>, Failure> {
    if settings.listen.is_none() {
        return Ok(None);
    }
    let key = read(&key_path(settings, directory))?;
    Ok(key.map(|key| key.public_pem()))
}

/// Whoever starts the server is to know it before clients do, which are told nothing of it.
async fn warn_without_account(app: &App, account: Option<AccountSid>) {
    let missing = match account::find(app, account).await {
        Ok(FoundAccount::None) => "there is no account that clients could log in for: create one",
        Ok(FoundAccount::Several) => {
            "there are several accounts: say in telegram_account which one clients log in for"
        }
        // What keeps it from being read is told by whoever needs it.
        Ok(FoundAccount::One(_)) | Err(_) => return,
    };
    tracing::warn!("{missing}; until then they get INTERNAL_SERVER_ERROR");
}

/// Long enough for somebody to find the code. Whoever reaches the listener makes such keys, so that they do not stay for long.
const LIFE_WITHOUT_LOGIN: Duration = Duration::from_hours(1);

fn key_path(settings: &Telegram, directory: &Path) -> PathBuf {
    let given = settings.rsa_key_file.clone();
    given.unwrap_or_else(|| directory.join("telegram.pem"))
}

fn absent(path: &Path, what: &str) -> Failure {
    Failure::new(format!("there is no RSA key in {}; {what}", path.display()))
}

/// Reads the key in `path`, which nobody but its owner may be able to read. `None` if there is no such file.
fn read(path: &Path) -> Result<Option<RsaKey>, Failure> {
    let shown = path.display();
    let failure = |error: io::Error| Failure::new(format!("cannot read the RSA key in {shown}: {error}"));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure(error)),
    };
    if file.metadata().map_err(failure)?.permissions().mode() & 0o077 != 0 {
        return Err(Failure::new(format!(
            "the RSA key in {shown} can be read by others than its owner; change that with: chmod 600 {shown}"
        )));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(failure)?;
    let key = RsaKey::from_pem(&text);
    key.map(Some)
        .map_err(|why| Failure::new(format!("telegram_rsa_key_file: {shown} {why}")))
}

fn generate(path: &Path) -> Result<RsaKey, Failure> {
    let (key, text) =
        RsaKey::generate().map_err(|error| Failure::new(format!("cannot make an RSA key: {error}")))?;
    write_secret(path, &text)
        .map_err(|error| Failure::new(format!("cannot write the RSA key to {}: {error}", path.display())))?;
    Ok(key)
}

/// Many times as long as any key, and short enough for a file that is none.
const MOST_BYTES: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_generated_key_is_read_back_and_for_its_owner_only() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("telegram.pem");
        assert!(read(&path).unwrap().is_none());
        let made = generate(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap().unwrap().fingerprint(), made.fingerprint());
        assert!(generate(&path).is_err(), "an existing key is never replaced");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path).unwrap_err().line.contains("chmod 600 "));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "hunter2").unwrap();
        let line = read(&path).unwrap_err().line;
        assert!(
            line.contains("is no RSA key") && !line.contains("hunter2"),
            "{line}"
        );
    }
}
