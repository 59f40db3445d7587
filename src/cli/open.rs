//! Wires the parts together around the store in the data directory.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Failure;
use super::data_directory::{DataDirectory, has_store};
use super::witness::{Witness, WitnessPlace};
use super::{key_command, key_file};
use crate::app::{App, Policy};
use crate::config::{Config, KeySource, Storage};
use crate::crypto::age::{AgeIdentity, AgeRecipient};
use crate::crypto::master_key::MasterKey;
use crate::crypto::vault::Vault;
use crate::delivery::Senders;
use crate::domain::entropy::SystemEntropy;
use crate::domain::time::{Clock as _, SystemClock};
use crate::flows::Fault;
use crate::flows::store_format::{self, StoreKeys, UnusableStore};
use crate::memory::sids::RisingSids;
use crate::store::authentic::AuthenticStore;
use crate::store::postgres::{PostgresAddress, PostgresBounds, PostgresOptions, PostgresStore};
use crate::store::sled::{OpenError, Options, SledStore};
use crate::store::{Store, StoreError};

/// The wired parts, and the directory that they hold on to.
pub(super) struct Opened {
    pub(super) app: Arc<App>,
    pub(super) directory: DataDirectory,
    /// Whom backups are sealed for if nobody else is named.
    pub(super) own_recipient: Option<AgeRecipient>,
    /// What knows outside of the directory how far the store has come.
    pub(super) witness: Option<Witness>,
}

/// An engine whose store is to be filled with an export, with which its master key must come.
pub(super) struct StoreToFill {
    pub(super) engine: Arc<dyn Store>,
    pub(super) master_key: MasterKey,
    _directory: DataDirectory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenPurpose {
    Fill,
    Read,
    Use,
}

/// Asks the command for the master key, if one is to be asked: once, however often the key is needed after that.
pub(super) fn ask_for_key(storage: &mut Storage, give_up: &AtomicBool) -> Result<(), Failure> {
    if let KeySource::Command(line) = &storage.master_key {
        storage.master_key = KeySource::Given(key_command::ask(line, give_up)?);
    }
    Ok(())
}

/// Makes something of the master key of a store that a server may have open. None is made.
pub(super) fn with_master_key<T>(
    storage: &mut Storage,
    make: impl FnOnce(&MasterKey) -> T,
) -> Result<T, Failure> {
    let path = match &storage.master_key {
        KeySource::Command(line) => {
            let key = key_command::ask(line, &AtomicBool::new(false))?;
            let value = make(&key);
            // Whoever needs it again does not ask again.
            storage.master_key = KeySource::Given(key);
            return Ok(value);
        }
        KeySource::Given(key) => return Ok(make(key)),
        KeySource::File(path) => path.clone(),
        KeySource::InDirectory => storage.directory.join("master.key"),
    };
    let key = key_file::read(&path)?.ok_or_else(|| {
        Failure::new(format!(
            "there is no master key in {}; say where it is with --master-key-file, --master-key-command or COUNTERSIGN_MASTER_KEY",
            path.display()
        ))
    })?;
    Ok(make(&key))
}

/// Opens the store for a command that sends nothing.
pub(super) async fn open_for_command(config: Config) -> Result<Opened, Failure> {
    open(config.storage, config.policy, Senders::default()).await
}

/// Opens the store for a command that looks at all of it, whatever is in it: only its keys have to be sound. What the epoch makes
/// void is not known then.
pub(super) async fn open_to_read(config: Config) -> Result<Opened, Failure> {
    let Config { storage, policy, .. } = config;
    open_for(OpenPurpose::Read, storage, policy, Senders::default()).await
}

/// Opens the store, which is created if there is none; so is the master key, unless it is kept elsewhere.
pub(super) async fn open(storage: Storage, policy: Policy, senders: Senders) -> Result<Opened, Failure> {
    open_for(OpenPurpose::Use, storage, policy, senders).await
}

async fn open_for(
    purpose: OpenPurpose,
    mut storage: Storage,
    policy: Policy,
    senders: Senders,
) -> Result<Opened, Failure> {
    let directory = DataDirectory::take(&storage.directory)?;
    let source = std::mem::replace(&mut storage.master_key, KeySource::InDirectory);
    let master_key = master_key(source, &storage, &directory, purpose)?;
    let place = StoreLocation::of(&storage, &directory)?;
    let engine = place.open(&storage).await?;
    let parts = Parts {
        engine: &engine,
        master_key: &master_key,
        policy,
        senders: Arc::new(senders),
    };
    let wired = match purpose {
        OpenPurpose::Read => parts.wire_to_read().await,
        OpenPurpose::Fill | OpenPurpose::Use => Box::pin(parts.wire()).await,
    };
    match wired {
        Ok(app) => {
            let witness = if purpose == OpenPurpose::Use {
                match Box::pin(begin_witness(&app, &storage, directory.path())).await {
                    Ok(witness) => witness,
                    Err(failure) => {
                        close(engine.as_ref()).await?;
                        return Err(failure);
                    }
                }
            } else {
                None
            };
            Ok(Opened {
                app,
                directory,
                own_recipient: AgeIdentity::of_master_key(&master_key).map(|own| own.recipient()),
                witness,
            })
        }
        Err(error) => {
            let begin_anew = match error {
                UnusableStore::Fault(_) => String::new(),
                UnusableStore::HalfFilled(_) => format!(", or {} to begin anew", place.how_to_empty()),
            };
            close(engine.as_ref()).await?;
            Err(Failure::new(format!(
                "cannot use the store in {place}: {error}{begin_anew}"
            )))
        }
    }
}

/// Asks the witness that the settings name, if they do.
async fn begin_witness(app: &App, storage: &Storage, data: &Path) -> Result<Option<Witness>, Failure> {
    match WitnessPlace::take(storage, data, app.vault.store_identity()).await? {
        Some(place) => Ok(Some(Witness::begin(app, place).await?)),
        None => Ok(None),
    }
}

/// Opens the store to fill it.
pub(super) async fn open_to_fill(mut storage: Storage) -> Result<StoreToFill, Failure> {
    let directory = DataDirectory::take(&storage.directory)?;
    let source = std::mem::replace(&mut storage.master_key, KeySource::InDirectory);
    let master_key = master_key(source, &storage, &directory, OpenPurpose::Fill)?;
    let engine = StoreLocation::of(&storage, &directory)?.open(&storage).await?;
    Ok(StoreToFill {
        engine,
        master_key,
        _directory: directory,
    })
}

/// What is put around a store.
struct Parts<'p> {
    engine: &'p Arc<dyn Store>,
    master_key: &'p MasterKey,
    policy: Policy,
    senders: Arc<Senders>,
}

impl Parts<'_> {
    async fn keys(&self) -> Result<StoreKeys, UnusableStore> {
        let (engine, now) = (self.engine.as_ref(), SystemClock.now());
        store_format::open_keys(engine, self.master_key, &SystemEntropy, now).await
    }

    fn around(&self, vault: Vault) -> App {
        let engine = Arc::clone(self.engine);
        around(
            engine,
            Arc::new(vault),
            self.policy.clone(),
            Arc::clone(&self.senders),
        )
    }

    /// The parts around a store that has keys.
    async fn wire_to_read(&self) -> Result<Arc<App>, UnusableStore> {
        let StoreKeys { vault, are_new } = self.keys().await?;
        if are_new {
            return Err(Fault::Corrupt("there is no store".into()).into());
        }
        Ok(Arc::new(self.around(vault)))
    }

    /// The parts around a store that was opened with its keys, and is of this release.
    async fn wire(&self) -> Result<Arc<App>, UnusableStore> {
        let mut first = true;
        loop {
            let StoreKeys { vault, are_new } = self.keys().await?;
            let app = self.around(vault);
            match store_format::check(&app).await {
                Ok(()) => return Ok(Arc::new(app)),
                // Another server began with the store at the same moment, and its keys are there now.
                Err(_) if are_new && first => first = false,
                Err(error) => return Err(error),
            }
        }
    }
}

/// The parts around a store with these keys.
pub(super) fn around(
    engine: Arc<dyn Store>,
    vault: Arc<Vault>,
    policy: Policy,
    senders: Arc<Senders>,
) -> App {
    App {
        store: Arc::new(AuthenticStore::new(Arc::clone(&engine), Arc::clone(&vault))),
        engine,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        sids: Arc::new(RisingSids::new(Arc::new(SystemEntropy))),
        vault,
        senders,
        memory: Arc::default(),
        policy,
    }
}

/// Opens the store in a directory, which is created if there is none.
pub(super) async fn open_store(options: Options) -> Result<SledStore, Failure> {
    let directory = options.directory.clone();
    tokio::task::spawn_blocking(move || SledStore::open(&options))
        .await
        .map_err(|_| Failure::new(format!("opening the store in {} failed", directory.display())))?
        .map_err(|error| match error {
            OpenError::Full { .. } => Failure::unwritable(error.to_string()),
            _ => Failure::new(error.to_string()),
        })
}

/// Where a store is.
pub(super) enum StoreLocation {
    /// In this directory.
    Directory(PathBuf),
    /// In this database.
    Database(Box<PostgresAddress>),
}

impl StoreLocation {
    fn of(storage: &Storage, directory: &DataDirectory) -> Result<Self, Failure> {
        match &storage.database {
            None => Ok(Self::Directory(directory.store())),
            Some(url) => Ok(Self::Database(Box::new(database(url, storage)?))),
        }
    }

    async fn open(&self, storage: &Storage) -> Result<Arc<dyn Store>, Failure> {
        let failure = |error: StoreError| Failure::new(format!("cannot use the store in {self}: {error}"));
        match self {
            Self::Directory(directory) => {
                let options = Options {
                    directory: directory.clone(),
                    cache_bytes: storage.cache_bytes,
                };
                Ok(Arc::new(open_store(options).await?))
            }
            Self::Database(address) => {
                let writers = (storage.connections / 5).max(1);
                let options = PostgresOptions {
                    address: PostgresAddress::clone(address),
                    writers,
                    readers: storage.connections - writers,
                    bounds: PostgresBounds::default(),
                };
                let opened = PostgresStore::open(&options, Arc::new(SystemClock)).await;
                Ok(Arc::new(opened.map_err(failure)?))
            }
        }
    }

    /// What leaves nothing of the store. Not the whole data directory: the master key may be in it.
    fn how_to_empty(&self) -> String {
        match self {
            Self::Directory(directory) => format!("remove {}", directory.display()),
            Self::Database(_) => "drop its tables and migrate it".to_owned(),
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            Self::Database(address) => address.fmt(f),
        }
    }
}

/// The database at `url`.
pub(super) fn database(url: &str, storage: &Storage) -> Result<PostgresAddress, Failure> {
    PostgresAddress::parse(url, storage.password_file.clone())
        .map_err(|error| Failure::new(format!("store (--store, COUNTERSIGN_STORE): {error}")))
}

impl Opened {
    /// Makes everything durable and lets go of the files.
    pub(super) async fn close(self) -> Result<(), Failure> {
        if let Some(witness) = self.witness {
            witness.end(&self.app).await;
        }
        close(self.app.store.as_ref()).await
    }
}

impl StoreToFill {
    /// The parts around the store, once it was filled.
    pub(super) async fn use_with(&self, policy: Policy) -> Result<Arc<App>, UnusableStore> {
        let parts = Parts {
            engine: &self.engine,
            master_key: &self.master_key,
            policy,
            senders: Arc::new(Senders::default()),
        };
        parts.wire().await
    }

    /// Makes everything durable and lets go of the files.
    pub(super) async fn close(self) -> Result<(), Failure> {
        close(self.engine.as_ref()).await
    }
}

async fn close(store: &dyn Store) -> Result<(), Failure> {
    let closed = store.close().await;
    closed.map_err(|error| Failure::new(format!("closing the store failed: {error}")))
}

fn master_key(
    source: KeySource,
    storage: &Storage,
    directory: &DataDirectory,
    purpose: OpenPurpose,
) -> Result<MasterKey, Failure> {
    match source {
        KeySource::Command(line) => key_command::ask(&line, &AtomicBool::new(false)),
        KeySource::Given(key) => Ok(key),
        KeySource::File(path) => key_file::read(&path)?.ok_or_else(|| {
            let path = path.display();
            Failure::new(format!(
                "there is no master key in {path} (master_key_file); restore it, or for a new store make one with: \
                 (umask 077; head -c 32 /dev/urandom | base64 > {path})"
            ))
        }),
        KeySource::InDirectory if storage.database.is_some() => {
            let path = directory.master_key();
            key_file::read(&path)?.ok_or_else(|| {
                let path = path.display();
                Failure::new(format!(
                    "there is no master key in {path}, and none is made there, because all servers of one database have the \
                     same: copy that of another server to it, say where it is with --master-key-file or \
                     COUNTERSIGN_MASTER_KEY, or for the first server make one with: \
                     (umask 077; head -c 32 /dev/urandom | base64 > {path})"
                ))
            })
        }
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
             key is with --master-key-file, --master-key-command or COUNTERSIGN_MASTER_KEY",
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
