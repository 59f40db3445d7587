//! The files that the settings name: whether a server could use them.
//!
//! Invariant: nothing is made, written or locked, so this may be asked beside a running server.

use std::fs;
use std::path::Path;

use super::backup_shelf::BackupShelf;
use super::open::database;
use super::{Failure, key_file, telegram};
use crate::config::{Certificate, Config, KeySource, Storage, Tls, WitnessSetting};
use crate::domain::key_ring::StoreIdentity;
use crate::domain::time::{Clock as _, SystemClock};
use crate::server::tls::Certificates;
use crate::store::postgres::PostgresAddress;

/// What is wrong with them: all of it.
pub(super) fn unusable(config: &Config) -> Vec<Failure> {
    let storage = &config.storage;
    let all = [
        data_directory(&storage.directory),
        master_key(storage),
        addresses(storage),
        witness(storage),
        config.tls.as_ref().map_or(Ok(()), certificate),
        telegram::check_key(&config.telegram, storage),
        config
            .backup
            .as_ref()
            .map_or(Ok(()), |backup| shelf(&backup.directory)),
    ];
    all.into_iter().filter_map(Result::err).collect()
}

/// What does not exist is made at the start.
fn data_directory(path: &Path) -> Result<(), Failure> {
    match path.metadata() {
        Ok(found) if !found.is_dir() => {
            Err(Failure::new(format!("data: {} is no directory", path.display())))
        }
        _ => Ok(()),
    }
}

fn master_key(storage: &Storage) -> Result<(), Failure> {
    match &storage.master_key {
        // The program may ask for something to be touched or typed, so it is not run.
        KeySource::Command(_) | KeySource::Given(_) => Ok(()),
        KeySource::File(path) => key_file::read(path)?.map(drop).ok_or_else(|| {
            Failure::new(format!(
                "master_key_file: there is no master key in {}",
                path.display()
            ))
        }),
        // It is made at the start.
        KeySource::InDirectory => key_file::read(&storage.directory.join("master.key")).map(drop),
    }
}

fn addresses(storage: &Storage) -> Result<(), Failure> {
    match &storage.database {
        Some(url) => database(url, storage).map(drop),
        None => Ok(()),
    }
}

fn witness(storage: &Storage) -> Result<(), Failure> {
    match &storage.witness {
        None => Ok(()),
        Some(WitnessSetting::Database(url)) => {
            let address = PostgresAddress::parse(url, storage.password_file.clone());
            address
                .map(drop)
                .map_err(|error| Failure::new(format!("witness: {error}")))
        }
        Some(WitnessSetting::File(path)) => {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = directory.unwrap_or_else(|| Path::new("."));
            fs::read_dir(directory).map(drop).map_err(|error| {
                Failure::new(format!(
                    "witness: cannot use the directory {}: {error}",
                    directory.display()
                ))
            })
        }
    }
}

fn certificate(tls: &Tls) -> Result<(), Failure> {
    let Certificate::Files { certificate, key } = &tls.certificate else {
        return Ok(());
    };
    Certificates::load(certificate.clone(), key.clone())
        .map(drop)
        .map_err(|error| Failure::new(format!("tls_cert, tls_key: {error}")))
}

fn shelf(directory: &Path) -> Result<(), Failure> {
    // Whose backups are there does not matter here.
    let shelf = BackupShelf::new(directory, StoreIdentity::from_bytes([0; 16]));
    shelf
        .moments(SystemClock.now())
        .map(drop)
        .map_err(|error| Failure::new(format!("backup.directory: {error}")))
}
