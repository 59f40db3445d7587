//! The embedded engine: one directory, one process, on the `sled` database.
//!
//! # What it adds to sled
//! - Conditional batches with versions, and an index of expiries (`layout`, `index`).
//! - Group commit: one thread decides and applies (`committer`, `group_wait`), another one makes what was applied
//!   durable and answers (`syncer`). Reads wait for what they saw to be durable, so that nobody is ever told of a state
//!   that a crash takes back (`durability`).
//! - A cache of entries, because reads of the tree wait while a batch is applied (`recent`).
//! - Care before and after an opening (`open`), refusal of changes before the disk is full (`space`), and exports while the server runs (`export`).
//!
//! # What to know
//! - Reads run on the caller's thread: they mostly hit the cache, and a cold page costs one small read.
//! - Keep values below 6 KiB: 16 to 20 neighbours share a page, and a page beyond an eighth of a MiB becomes a file of
//!   its own, which costs a second sync (`blobs`).
//! - Call [`Store::close`] before the process ends. A store that was only dropped finishes in the background.

mod blobs;
mod committer;
mod durability;
mod export;
mod group;
mod group_wait;
mod index;
mod layout;
mod open;
mod recent;
mod space;
mod syncer;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use sled::{Db, IVec};
use tokio::sync::{Mutex, mpsc, oneshot};

pub use self::open::OpenError;

use self::committer::{Committer, CommitterCommand};
use self::durability::Durability;
use self::index::RowPosition;
use self::open::OpenedDatabase;
use self::recent::Recent;
use self::space::DiskSpace;
use self::syncer::{Pages, Sync, Syncer};
use super::{
    Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, KeptVerdict, Order, Scan, Statistics,
    Store, StoreError,
};
use crate::domain::store_condition::StoreCondition;
use crate::domain::time::Timestamp;

/// Where the data is and how much memory it may take.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory; created if it does not exist.
    pub directory: PathBuf,
    /// How many bytes are kept in memory: pages, and a quarter of it single entries.
    pub cache_bytes: u64,
}

impl Options {
    /// The data in `directory`, with a cache of 256 MiB.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            cache_bytes: 256 * 1024 * 1024,
        }
    }
}

/// A store in a directory.
pub struct SledStore {
    directory: PathBuf,
    /// Empty once the store is closed.
    db: ArcSwapOption<Db>,
    queue: mpsc::Sender<CommitterCommand>,
    durability: Arc<Durability>,
    space: Arc<DiskSpace>,
    /// How large the files were at the last look.
    disk_bytes: AtomicU64,
    recent: Arc<Recent>,
    resources: Mutex<Option<Resources>>,
}

/// What closing releases.
struct Resources {
    committer: JoinHandle<()>,
    lock: File,
}

impl SledStore {
    /// Opens the store. This reads from disk; call it before the server starts, or on a blocking thread.
    ///
    /// # Errors
    /// [`OpenError`], whose message says what to do.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Self::open_with(options, syncer::file_sync)
    }

    fn open_with(options: &Options, sync: impl FnOnce(File, &Path) -> Sync) -> Result<Self, OpenError> {
        let OpenedDatabase {
            db,
            lock,
            next_version,
        } = open::open(options)?;
        let io_error = |source| OpenError::Io {
            path: options.directory.clone(),
            source,
        };
        let data = data_file(&options.directory).map_err(io_error)?;
        let (queue, commands) = mpsc::channel(QUEUE_LIMIT);
        let durability = Arc::new(Durability::from_version(next_version));
        let recent = Arc::new(Recent::new(options.cache_bytes / RECENT_SHARE));
        let space = Arc::new(DiskSpace::of(&options.directory));
        let pages = Pages::default();
        let syncer = Syncer::spawn(
            db.clone(),
            Arc::clone(&durability),
            Arc::clone(&pages),
            sync(data, &options.directory),
        );
        let committer = Committer {
            db: db.clone(),
            recent: Arc::clone(&recent),
            queue: commands,
            durability: Arc::clone(&durability),
            space: Arc::clone(&space),
            pages,
            syncer: syncer.map_err(io_error)?,
            next_version,
            reserved: next_version,
            snapshot: None,
        };
        let committer = committer.spawn().map_err(io_error)?;
        let store = Self {
            directory: options.directory.clone(),
            db: ArcSwapOption::from_pointee(db),
            queue,
            durability,
            space,
            disk_bytes: AtomicU64::new(0),
            recent,
            resources: Mutex::new(Some(Resources { committer, lock })),
        };
        store.look_at_disk();
        Ok(store)
    }

    /// The entry in its stored form. Nothing waits for a version that no batch was given: what has one is an entry that nobody
    /// can read.
    fn entry(&self, stored: &IVec, verdict: KeptVerdict) -> Entry {
        let entry = layout::entry(stored, verdict);
        if self.durability.was_given(entry.version.0) {
            entry
        } else {
            Entry::unreadable()
        }
    }

    /// Runs `read` on the database, unless the store failed or is closed.
    fn read<T>(&self, read: impl FnOnce(&Db) -> Result<T, ReadError>) -> Result<T, StoreError> {
        self.durability.usable()?;
        let db = self.db.load();
        let db = db.as_ref().ok_or_else(|| self.durability.absence())?;
        read(db).map_err(|error| match error {
            ReadError::Database(error) => StoreError::Unavailable(error.to_string()),
        })
    }
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        let mut data_key = Vec::with_capacity(key.len() + 1);
        layout::data_key(&mut data_key, key);
        let entry = self.read(|db| match self.recent.get(&data_key, || db.get(&data_key))? {
            Some(kept) => Ok(Some(self.entry(&kept.stored, kept.verdict))),
            None => Ok(None),
        })?;
        match &entry {
            Some(entry) => self.durability.reached(entry.version.0).await?,
            None => self.durability.deleted(&data_key).await?,
        }
        Ok(entry)
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        let mut data_key = Vec::new();
        let entries = self.read(|db| {
            let mut entries = Vec::with_capacity(keys.len());
            for key in keys {
                let data_key = layout::data_key(&mut data_key, key);
                let kept = self.recent.get(data_key, || db.get(data_key))?;
                entries.push(kept.map(|kept| self.entry(&kept.stored, kept.verdict)));
            }
            Ok(entries)
        })?;
        if let Some(newest) = entries.iter().flatten().map(|entry| entry.version).max() {
            self.durability.reached(newest.0).await?;
        }
        for (key, entry) in keys.iter().zip(&entries) {
            if entry.is_none() {
                self.durability
                    .deleted(layout::data_key(&mut data_key, key))
                    .await?;
            }
        }
        Ok(entries)
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        let Some(range) = scan.range() else {
            self.read(|_| Ok(()))?;
            return Ok(Vec::new());
        };
        let entries = self.read(|db| {
            let mut rows = db.range(layout::data_range(range));
            let mut entries = Vec::new();
            while entries.len() < scan.limit {
                let row = match scan.order {
                    Order::Ascending => rows.next(),
                    Order::Descending => rows.next_back(),
                };
                let Some(row) = row else { break };
                let (data_key, stored) = row?;
                entries.push((
                    layout::key_of(&data_key).to_vec(),
                    self.entry(&stored, KeptVerdict::default()),
                ));
            }
            Ok(entries)
        })?;
        if let Some(newest) = entries.iter().map(|(_, entry)| entry.version).max() {
            self.durability.reached(newest.0).await?;
        }
        let mut prefix = Vec::with_capacity(scan.prefix.len() + 1);
        layout::data_key(&mut prefix, &scan.prefix);
        self.durability.deleted_within(&prefix).await?;
        Ok(entries)
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        batch.check_sizes()?;
        let (answer, answered) = oneshot::channel();
        let sent = self.queue.send(CommitterCommand::Commit { batch, answer }).await;
        sent.map_err(|_| self.durability.absence())?;
        answered
            .await
            .unwrap_or_else(|_| Err(self.durability.absence().into()))
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        let mut found = Vec::new();
        let mut position = after.and_then(|ExpiryPosition(bytes)| RowPosition::from_bytes(bytes));
        loop {
            let left = limit - found.len();
            let due = self.read(|db| index::due(db, now, left, position.as_ref()))?;
            if !due.dead.is_empty() {
                // Nothing depends on it but space, and a store that is being closed has other worries.
                let _closed = self.queue.send(CommitterCommand::DropRows(due.dead)).await;
            }
            found.extend(due.entries);
            position = due.position;
            if position.is_none() || found.len() >= limit {
                break;
            }
            tokio::task::yield_now().await;
        }
        // A name may stand in two rows.
        found.sort_unstable();
        found.dedup_by(|one, other| (one.0, &one.1) == (other.0, &other.1));
        let entries: Vec<_> = found
            .into_iter()
            .map(|(_, key, stored)| (key, self.entry(&stored, KeptVerdict::default())))
            .collect();
        // What an unfinished group deletes is merely missed, which a sweeper can bear.
        if let Some(newest) = entries.iter().map(|(_, entry)| entry.version).max() {
            self.durability.reached(newest.0).await?;
        }
        let next = position.map(|position| ExpiryPosition(position.to_bytes()));
        Ok(ExpiredPage { entries, next })
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        let reader = export::Reader::begin(self.queue.clone(), Arc::clone(&self.durability)).await?;
        Ok(Box::new(reader))
    }

    async fn close(&self) -> Result<(), StoreError> {
        // A second caller waits here until the first is done.
        let mut resources = self.resources.lock().await;
        let Some(Resources { committer, lock }) = resources.take() else {
            return Ok(());
        };
        let (answer, answered) = oneshot::channel();
        let finished = match self.queue.send(CommitterCommand::Close { answer }).await {
            Ok(()) => answered.await.is_ok(),
            Err(_) => false,
        };
        let db = self.db.swap(None);
        let directory = self.directory.clone();
        let released = tokio::task::spawn_blocking(move || {
            // A committer that panicked has failed the store already.
            let _panicked = committer.join();
            drop(db);
            let waited = wait_until_released(&directory);
            drop(lock);
            waited
        });
        let released = released.await.map_err(io::Error::other).flatten();
        if !finished {
            return Err(self.durability.absence());
        }
        released.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    fn statistics(&self) -> Statistics {
        self.durability
            .statistics(self.disk_bytes.load(Ordering::Relaxed))
    }

    fn condition(&self) -> StoreCondition {
        match (self.durability.failure(), self.space.found()) {
            (Some(reason), _) => StoreCondition::Failed(reason),
            (None, Some(low)) => StoreCondition::Full(low),
            (None, None) => StoreCondition::Working,
        }
    }

    fn look_at_disk(&self) {
        self.space.look();
        let db = self.db.load();
        if let Some(Ok(bytes)) = db.as_ref().map(|db| db.size_on_disk()) {
            self.disk_bytes.store(bytes, Ordering::Relaxed);
        }
    }

    /// The files are locked.
    fn is_exclusive(&self) -> bool {
        true
    }

    fn keeps_verdicts(&self) -> bool {
        true
    }
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Database(#[from] sled::Error),
}

/// A handle of our own to sled's data file, to sync it.
fn data_file(directory: &Path) -> io::Result<File> {
    File::options().read(true).write(true).open(directory.join("db"))
}

/// Waits until sled has let go of the data file. Its worker threads hold on to it for a moment after the database was
/// dropped, and opening it again in that moment would be refused.
fn wait_until_released(directory: &Path) -> io::Result<()> {
    let data = data_file(directory)?;
    data.lock()?;
    data.unlock()
}

/// Which part of the cache is for single entries; the rest is for pages.
const RECENT_SHARE: u64 = 4;

/// How many commands wait before callers have to.
const QUEUE_LIMIT: usize = 4096;
