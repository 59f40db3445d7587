//! Wires the parts together around the store in the data directory.

use std::path::Path;
use std::sync::Arc;

use super::Failure;
use super::data_directory::{DataDirectory, has_store};
use super::key_file;
use crate::app::{App, Policy};
use crate::config::{KeySource, Storage};
use crate::crypto::master_key::MasterKey;
use crate::crypto::vault::Vault;
use crate::delivery::Senders;
use crate::domain::entropy::SystemEntropy;
use crate::domain::time::SystemClock;
use crate::flows::store_format::{self, UnusableStore};
use crate::memory::sids::RisingSids;
use crate::store::sled::{Options, SledStore};

/// The wired parts, and the directory that they hold on to.
pub(super) struct Opened {
    pub(super) app: Arc<App>,
    pub(super) directory: DataDirectory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenPurpose {
    /// To be filled with an export, with which its master key must come.
    Fill,
    Use,
}

/// Opens the store, which is created if there is none; so is the master key, unless it is kept elsewhere.
pub(super) async fn open(
    storage: Storage,
    policy: Policy,
    senders: Senders,
    purpose: OpenPurpose,
) -> Result<Opened, Failure> {
    let directory = DataDirectory::take(&storage.directory)?;
    let master_key = master_key(storage.master_key, &directory, purpose)?;
    let store = open_store(Options {
        directory: directory.store(),
        cache_bytes: storage.cache_bytes,
    })
    .await?;
    let app = Arc::new(App {
        store: Arc::new(store),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        sids: Arc::new(RisingSids::new(Arc::new(SystemEntropy))),
        vault: Arc::new(Vault::new(&master_key)),
        senders: Arc::new(senders),
        memory: Arc::default(),
        policy,
    });
    let opened = Opened { app, directory };
    if purpose == OpenPurpose::Fill {
        return Ok(opened);
    }
    if let Err(error) = store_format::check(&opened.app).await {
        let begin_anew = match error {
            UnusableStore::Fault(_) => String::new(),
            // Not the whole data directory: the master key may be in it.
            UnusableStore::HalfFilled(_) => {
                format!(", or remove {} to begin anew", opened.directory.store().display())
            }
        };
        let failure = Failure::new(format!(
            "cannot use the store in {}: {error}{begin_anew}",
            opened.directory.path().display()
        ));
        opened.close().await?;
        return Err(failure);
    }
    Ok(opened)
}

/// Opens the store in a directory, which is created if there is none.
pub(super) async fn open_store(options: Options) -> Result<SledStore, Failure> {
    let directory = options.directory.clone();
    tokio::task::spawn_blocking(move || SledStore::open(&options))
        .await
        .map_err(|_| Failure::new(format!("opening the store in {} failed", directory.display())))?
        .map_err(|error| Failure::new(error.to_string()))
}

impl Opened {
    /// Makes everything durable and lets go of the files.
    pub(super) async fn close(self) -> Result<(), Failure> {
        let closed = self.app.store.close().await;
        closed.map_err(|error| Failure::new(format!("closing the store failed: {error}")))
    }
}

fn master_key(
    source: KeySource,
    directory: &DataDirectory,
    purpose: OpenPurpose,
) -> Result<MasterKey, Failure> {
    match source {
        KeySource::Given(key) => Ok(key),
        KeySource::File(path) => key_file::read(&path)?.ok_or_else(|| {
            let path = path.display();
            Failure::new(format!(
                "there is no master key in {path} (master_key_file); restore it, or for a new store make one with: \
                 (umask 077; head -c 32 /dev/urandom | base64 > {path})"
            ))
        }),
        KeySource::InDirectory => key_in(directory, &directory.master_key(), purpose),
    }
}

fn key_in(directory: &DataDirectory, path: &Path, purpose: OpenPurpose) -> Result<MasterKey, Failure> {
    if let Some(key) = key_file::read(path)? {
        return Ok(key);
    }
    if has_store(directory.path()) {
        return Err(Failure::new(format!(
            "there is a store in {} but not its master key, which is expected in {}; restore that file, or say where the \
             key is with --master-key-file or COUNTERSIGN_MASTER_KEY",
            directory.store().display(),
            path.display()
        )));
    }
    if purpose == OpenPurpose::Fill {
        return Err(Failure::new(format!(
            "put the master key of the store that was exported into {} first, or say where it is with --master-key-file \
             or COUNTERSIGN_MASTER_KEY",
            path.display()
        )));
    }
    let key = key_file::generate(path, &SystemEntropy)?;
    tracing::info!(
        "a master key was made in {}; back it up: the store is of no use without it",
        path.display()
    );
    Ok(key)
}
