//! Where the data is, and the key that seals it.

use std::path::PathBuf;

use super::sources::Sources;
use super::{ConfigError, Key, Settings};
use crate::crypto::master_key::MasterKey;

/// The data directory; created for this user alone if it does not exist. Default `countersign-data`.
pub const DATA: Key = Key::new("data", Sources::All);

/// How many bytes of the store are kept in memory. Default 268435456 (256 MiB).
pub const CACHE_BYTES: Key = Key::new("cache_bytes", Sources::All);

/// The file with the master key: base64 of 32 bytes, or 64 hexadecimal digits; readable for its owner only. By default
/// `master.key` in the data directory, created on the first start.
pub const MASTER_KEY_FILE: Key = Key::new("master_key_file", Sources::All);

/// The master key itself, instead of a file. Environment only: `COUNTERSIGN_MASTER_KEY`.
pub(super) const MASTER_KEY: Key = Key::new("master_key", Sources::Environment);

/// Where the data is.
#[derive(Debug)]
pub struct Storage {
    /// The data directory.
    pub directory: PathBuf,
    /// How much of it is kept in memory.
    pub cache_bytes: u64,
    /// Where the master key is.
    pub master_key: KeySource,
}

/// Where the master key is.
#[derive(Debug)]
pub enum KeySource {
    /// In this file, which must exist.
    File(PathBuf),
    /// It was given as text.
    Given(MasterKey),
    /// In the data directory, where it is generated on the first start.
    InDirectory,
}

pub(super) fn read(settings: &mut Settings) -> Result<Storage, ConfigError> {
    let directory = settings.take(&DATA, "the path of a directory", |text| Some(PathBuf::from(text)))?;
    let cache_bytes = settings.take(
        &CACHE_BYTES,
        "a number of bytes from 1048576 to 1099511627776",
        |text| {
            text.parse()
                .ok()
                .filter(|bytes| (1 << 20..=1 << 40).contains(bytes))
        },
    )?;
    let file = settings.take(&MASTER_KEY_FILE, "the path of a file", |text| {
        Some(PathBuf::from(text))
    })?;
    let given = settings.take(
        &MASTER_KEY,
        "base64 of 32 bytes, or 64 hexadecimal digits",
        |text| MasterKey::parse(text).ok(),
    )?;
    let master_key = match (file, given) {
        (Some(_), Some(_)) => {
            return Err(ConfigError::new(
                "master_key_file must not be given together with COUNTERSIGN_MASTER_KEY; leave one of them out",
            ));
        }
        (Some(path), None) => KeySource::File(path),
        (None, Some(key)) => KeySource::Given(key),
        (None, None) => KeySource::InDirectory,
    };
    Ok(Storage {
        directory: directory.unwrap_or_else(|| PathBuf::from("countersign-data")),
        cache_bytes: cache_bytes.unwrap_or(256 << 20),
        master_key,
    })
}
