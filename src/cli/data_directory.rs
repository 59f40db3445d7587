//! The data directory: what is where in it, and that one process has it.
//!
//! | name | what |
//! | --- | --- |
//! | `store/` | the store |
//! | `master.key` | the master key, unless it is kept elsewhere |
//! | `telegram.pem` | the RSA key that Telegram's clients know the server by, unless it is kept elsewhere |
//! | `tls/` | the self-signed certificate, if there is one |
//! | `admin.sock` | where a running server takes commands |
//! | `lock` | locked by the process that has the directory |

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::config::Storage;

/// A data directory, and that no other process uses it.
#[derive(Debug)]
pub(super) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Takes the directory at `path` for this process; makes it, for this user only, if it does not exist.
    pub(super) fn take(path: &Path) -> Result<Self, Failure> {
        let failure = |error: io::Error| {
            Failure::new(format!(
                "cannot use the data directory {} (see --data): {error}",
                path.display()
            ))
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failure)?;
        // Absolute, so that what is derived from it is found by others as well.
        let path = path.canonicalize().map_err(failure)?;
        let options = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"));
        let lock = options.map_err(failure)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Failure::new(format!(
                "another countersign uses the data directory {}; stop it, or give another with --data",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(failure(error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn store(&self) -> PathBuf {
        store_in(&self.path)
    }

    pub(super) fn master_key(&self) -> PathBuf {
        self.path.join("master.key")
    }

    pub(super) fn tls(&self) -> PathBuf {
        self.path.join("tls")
    }
}

/// Whether anything is where the store of the data directory at `path` would be.
pub(super) fn has_store(path: &Path) -> bool {
    fs::read_dir(store_in(path)).is_ok_and(|mut entries| entries.next().is_some())
}

/// Refuses to create a store where there is none: the directory was mistyped. A database tells itself that it has no tables.
pub(super) fn require_store(storage: &Storage) -> Result<(), Failure> {
    match storage.database {
        Some(_) => Ok(()),
        None => require_store_in(&storage.directory),
    }
}

/// As [`require_store`], for the directory at `path`.
pub(super) fn require_store_in(path: &Path) -> Result<(), Failure> {
    if has_store(path) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "there is no store in {}; say where it is with --data",
        path.display()
    )))
}

fn store_in(path: &Path) -> PathBuf {
    path.join("store")
}
