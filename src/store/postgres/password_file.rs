//! Password files as libpq reads them: lines of `host:port:database:user:password`.
//!
//! `*` stands for anything, `\` takes the next character as it is, and a line that begins with `#` is a comment. The first
//! line that fits counts.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;
use zeroize::Zeroizing;

use super::address::port_of;

/// Why a password file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordFileError {
    /// It cannot be read.
    #[error("cannot read the password file {}: {error}", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// Others can read it.
    #[error("others can read the password file {}: run chmod 0600 on it", .0.display())]
    Open(PathBuf),
    /// The hosts of one address have different passwords.
    #[error("the password file {} has different passwords for the hosts of one address: use one password", .0.display())]
    Different(PathBuf),
}

/// The password for `config` in the file at `path`; `None` when no line fits.
pub(super) fn find(path: &Path, config: &Config) -> Result<Option<Zeroizing<String>>, PasswordFileError> {
    let unreadable = |error| PasswordFileError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(PasswordFileError::Open(path.to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    let mut found: Option<Zeroizing<String>> = None;
    for (number, host) in config.get_hosts().iter().enumerate() {
        let name = match host {
            Host::Tcp(name) => name.clone(),
            // As libpq: a socket's host is called so.
            #[cfg(unix)]
            Host::Unix(_) => "localhost".to_owned(),
        };
        let port = port_of(config, number).to_string();
        let Some(password) = text
            .lines()
            .find_map(|line| password_in(line, [&name, &port, database, user]))
        else {
            continue;
        };
        if found.as_ref().is_some_and(|found| *found != password) {
            return Err(PasswordFileError::Different(path.to_owned()));
        }
        found = Some(password);
    }
    Ok(found)
}

/// The password in `line`, if its other fields fit.
fn password_in(line: &str, wanted: [&str; 4]) -> Option<Zeroizing<String>> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for wanted in wanted {
        let (field, behind) = next_field(rest);
        if !(*field == "*" || *field == wanted) {
            return None;
        }
        rest = behind?;
    }
    Some(next_field(rest).0)
}

/// The field that `text` begins with, unescaped, and what is behind its colon, if there is one.
fn next_field(text: &str) -> (Zeroizing<String>, Option<&str>) {
    let mut field = Zeroizing::new(String::with_capacity(text.len()));
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            ':' => return (field, text.get(place + 1..)),
            '\\' => field.extend(characters.next().map(|(_, escaped)| escaped)),
            other => field.push(other),
        }
    }
    (field, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Config {
        url.parse().unwrap()
    }

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgpass");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# one:1:app:me:no\nother:*:*:*:no\none:1:app:me:a\\:b\\\\c\n*:*:*:*:any\n";
        let (_directory, path) = file(text, 0o600);
        let password = |url: &str| find(&path, &config(url)).unwrap().unwrap().to_string();
        assert_eq!(password("postgres://me@one:1/app"), "a:b\\c");
        assert_eq!(password("postgres://me@one:2/app"), "any");
    }

    #[test]
    fn hosts_of_one_address_have_one_password() {
        let (_directory, path) = file("one:*:*:*:a\ntwo:*:*:*:b\n", 0o600);
        assert!(matches!(
            find(&path, &config("postgres://me@one,two/app")),
            Err(PasswordFileError::Different(_))
        ));
        assert_eq!(find(&path, &config("postgres://me@three/app")).unwrap(), None);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_directory, path) = file("*:*:*:*:a\n", 0o640);
        assert!(matches!(
            find(&path, &config("postgres://me@one/app")),
            Err(PasswordFileError::Open(_))
        ));
    }
}
