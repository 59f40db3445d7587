//! The state file: what a phone keeps in its key store, as JSON that only its owner may read.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::error::DeviceError;

/// An enrolled device. It has no `Debug`: it holds the private key.
#[derive(Serialize, Deserialize)]
pub(super) struct DeviceState {
    /// The server, without the `/v2`.
    pub(super) url: String,
    /// The certificate to trust, in PEM, when the system's roots are not meant.
    pub(super) ca_certificate: Option<String>,
    pub(super) account_sid: String,
    pub(super) service_sid: String,
    pub(super) identity: String,
    pub(super) factor_sid: String,
    pub(super) credential_sid: String,
    /// How far the server's clock is ahead of this machine's.
    pub(super) clock_offset_seconds: i64,
    pub(super) private_key: HeldSecret,
}

/// Text that is wiped from memory when it is dropped.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub(super) struct HeldSecret(pub(super) String);

/// Where a state is kept. Made by [`StateFile::reserve`] it is empty until the first [`StateFile::save`].
pub(super) struct StateFile(PathBuf);

impl StateFile {
    /// Takes the path for a new device, so that two enrolments cannot write one file.
    pub(super) fn reserve(path: &Path) -> Result<Self, DeviceError> {
        create_private(path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => DeviceError::Input(format!(
                "{} exists and is not overwritten: remove that device first or name another file",
                path.display()
            )),
            _ => cannot("create", path, &error),
        })?;
        Ok(Self(path.to_owned()))
    }

    /// Opens an enrolled device.
    pub(super) fn load(path: &Path) -> Result<(Self, DeviceState), DeviceError> {
        let text = Zeroizing::new(fs::read(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => DeviceError::Input(format!(
                "{} does not exist: `countersign device enroll` makes it",
                path.display()
            )),
            _ => cannot("read", path, &error),
        })?);
        let state = serde_json::from_slice(&text)
            .map_err(|_| DeviceError::Input(format!("{} is no device state file", path.display())))?;
        Ok((Self(path.to_owned()), state))
    }

    /// Writes the state beside the file and moves it into place, so that no crash leaves half a key.
    pub(super) fn save(&self, state: &DeviceState) -> Result<(), DeviceError> {
        let mut beside = self.0.clone().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let text = Zeroizing::new(
            serde_json::to_vec_pretty(state).map_err(|error| DeviceError::Input(error.to_string()))?,
        );
        let _ = fs::remove_file(&beside);
        create_private(&beside)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&beside, &self.0))
            .map_err(|error| cannot("write", &self.0, &error))
    }

    pub(super) fn remove(self) -> Result<(), DeviceError> {
        fs::remove_file(&self.0).map_err(|error| cannot("delete", &self.0, &error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

fn create_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> DeviceError {
    DeviceError::Input(format!("cannot {verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("phone.json");
        let file = StateFile::reserve(&path).unwrap();
        file.save(&state()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            matches!(StateFile::reserve(&path), Err(DeviceError::Input(text)) if text.contains("not overwritten"))
        );
        let (file, loaded) = StateFile::load(&path).unwrap();
        assert_eq!(loaded.factor_sid, "YF01");
        file.remove().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_foreign_file_is_refused_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        fs::write(&path, "my diary").unwrap();
        let Err(DeviceError::Input(text)) = StateFile::load(&path) else {
            panic!("a diary is no device");
        };
        assert!(!text.contains("diary"), "{text}");
    }

    fn state() -> DeviceState {
        DeviceState {
            url: "http://127.0.0.1:8080".to_owned(),
            ca_certificate: None,
            account_sid: "AC01".to_owned(),
            service_sid: "VA01".to_owned(),
            identity: "user-0001".to_owned(),
            factor_sid: "YF01".to_owned(),
            credential_sid: "CR01".to_owned(),
            clock_offset_seconds: 0,
            private_key: HeldSecret("secret".to_owned()),
        }
    }
}
