//! The one thread that writes.
//!
//! It takes whatever waits in the queue as one [`Group`], applies it, makes it durable with one flush and one sync,
//! and then answers everybody. That is what makes durable commits cheap: a sync costs the same for one batch as for
//! hundreds. It is also the only safe way to flush: sled's asynchronous flush deadlocks under a handful of concurrent
//! callers, and its blocking flush crawls.
//!
//! sled's flush writes the file and asks for write-back of the written range; it leaves the file's metadata and the
//! disk's cache to a timer. So the group is durable only after the sync of the data file that follows here. Once any of
//! these steps has failed, nobody knows what is on disk (the kernel reports a failed write-back once and forgets it), so
//! the store stops answering until it is opened anew.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread;

use sled::Db;
use tokio::sync::{mpsc, oneshot};

use super::blobs::Blobs;
use super::export::Snapshot;
use super::group::{AddError, Changes, Group, Verdict};
use super::layout;
use super::progress::Progress;
use super::recent::Recent;
use crate::store::{Batch, CommitError, Entry, StoreError};

/// Entries of an export.
pub(super) type Piece = Vec<(Vec<u8>, Entry)>;

/// What the committer can be asked.
pub(super) enum Command {
    /// Decide and apply a batch.
    Commit {
        batch: Batch,
        answer: oneshot::Sender<Result<(), CommitError>>,
    },
    /// Begin an export.
    Export {
        reader: Weak<()>,
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Read on in the export.
    Piece {
        answer: oneshot::Sender<Result<Piece, StoreError>>,
    },
    /// Finish what came before, let go of the database, stop.
    Close { answer: oneshot::Sender<()> },
}

/// Makes what was flushed survive a power cut.
pub(super) type Sync = Box<dyn FnMut() -> io::Result<()> + Send>;

/// The sync of a real store: the data file, and the files that hold oversized pages.
pub(super) fn file_sync(data: File, directory: &Path) -> Sync {
    let mut blobs = Blobs::of(directory);
    Box::new(move || {
        blobs.sync()?;
        data.sync_data()
    })
}

/// The state of the committer thread.
pub(super) struct Committer {
    pub(super) db: Db,
    pub(super) queue: mpsc::Receiver<Command>,
    pub(super) progress: Arc<Progress>,
    pub(super) recent: Arc<Recent>,
    pub(super) sync: Sync,
    /// The version of the next batch.
    pub(super) next_version: u64,
    /// Versions below this are reserved in the tree, see [`Committer::apply`].
    pub(super) reserved: u64,
    pub(super) snapshot: Option<Snapshot>,
}

impl Committer {
    /// Starts the thread.
    pub(super) fn spawn(self) -> io::Result<thread::JoinHandle<()>> {
        thread::Builder::new()
            .name("store-committer".into())
            .spawn(move || self.run())
    }

    fn run(mut self) {
        let _sentinel = Sentinel(Arc::clone(&self.progress));
        let mut inbox = Vec::with_capacity(GROUP_LIMIT);
        while self.queue.blocking_recv_many(&mut inbox, GROUP_LIMIT) > 0 {
            if self.work(&mut inbox).is_err() || self.queue.is_closed() {
                return;
            }
        }
    }

    /// Handles what was in the queue: first all commits as one group, then what comes between groups.
    fn work(&mut self, inbox: &mut Vec<Command>) -> Result<(), Failed> {
        if self
            .snapshot
            .as_ref()
            .is_some_and(|snapshot| !snapshot.is_wanted())
        {
            self.snapshot = None;
        }
        let mut group = Group::default();
        let mut accepted = Vec::with_capacity(inbox.len());
        let mut refused = Vec::new();
        let mut others = Vec::new();
        for command in inbox.drain(..) {
            let Command::Commit { batch, answer } = command else {
                others.push(command);
                continue;
            };
            match group.add(
                (&self.db, &self.recent),
                &mut self.snapshot,
                batch,
                self.next_version,
            ) {
                Ok(Verdict::Accepted) => accepted.push(answer),
                Ok(Verdict::Conflict) => {
                    self.progress.conflicts.fetch_add(1, Ordering::Relaxed);
                    refused.push((answer, CommitError::Conflict));
                }
                Err(AddError::Entry(error)) => refused.push((answer, error.into())),
                Err(AddError::Database(error)) => return Err(self.fail(&error.into())),
            }
            if group.last_version() == Some(self.next_version) {
                self.next_version += 1;
            }
        }
        let changes = group.into_changes();
        let last_version = changes.as_ref().map(|changes| changes.last_version);
        if let Some(changes) = changes {
            self.apply(changes).map_err(|error| self.fail(&error))?;
        }
        // A conflict promises nothing, so it need not wait for the disk; but it must not be answered before the change
        // that caused it can be read, or the next attempt would decide on the same old version.
        for (answer, error) in refused {
            let _gone = answer.send(Err(error));
        }
        if let Some(last_version) = last_version {
            self.make_durable().map_err(|error| self.fail(&error))?;
            self.progress.groups.fetch_add(1, Ordering::Relaxed);
            self.progress.advance(last_version);
        }
        self.progress
            .commits
            .fetch_add(accepted.len() as u64, Ordering::Relaxed);
        // A caller that no longer waits has dropped its end; the commit stands.
        for answer in accepted {
            let _gone = answer.send(Ok(()));
        }
        others
            .into_iter()
            .try_for_each(|command| self.between_groups(command))
    }

    fn apply(&mut self, mut changes: Changes) -> Result<(), WriteError> {
        if changes.last_version >= self.reserved {
            // In the same atomic batch as the first version beyond the last reservation: whatever survives a crash
            // lies below the reservation that survives with it, and the next opening begins there.
            self.reserved = changes.last_version + RESERVATION;
            changes
                .batch
                .insert(layout::VERSIONS_KEY, &self.reserved.to_be_bytes());
        }
        self.progress.announce(changes.deleted, changes.last_version);
        self.db.apply_batch(changes.batch)?;
        self.recent.applied(changes.written);
        Ok(())
    }

    fn make_durable(&mut self) -> Result<(), WriteError> {
        self.db.flush()?;
        Ok((self.sync)()?)
    }

    /// Stops the store. Called before any unanswered sender is dropped, so that all who wait learn the reason.
    fn fail(&self, error: &WriteError) -> Failed {
        tracing::error!(store.error = %error, "a write failed, the store stops: {error}");
        let reason =
            format!("a write failed ({error}); restart Countersign, which keeps all it acknowledged");
        self.progress.fail(reason);
        Failed
    }

    fn between_groups(&mut self, command: Command) -> Result<(), Failed> {
        match command {
            // `work` takes commits itself.
            Command::Commit { .. } => {}
            Command::Export { reader, answer } => {
                let busy = self.snapshot.as_ref().is_some_and(Snapshot::is_wanted);
                let _gone = answer.send(if busy {
                    Err(StoreError::Unavailable("another export is running".into()))
                } else {
                    self.snapshot = Some(Snapshot::begin(reader));
                    Ok(())
                });
            }
            Command::Piece { answer } => {
                let piece = match &mut self.snapshot {
                    Some(snapshot) => snapshot.piece(&self.db),
                    None => Ok(Piece::new()),
                };
                let _gone = answer.send(piece);
            }
            Command::Close { answer } => {
                self.queue.close();
                self.make_durable().map_err(|error| self.fail(&error))?;
                let _gone = answer.send(());
            }
        }
        Ok(())
    }
}

/// Fails the store if the committer panics, so that nobody waits for it forever.
struct Sentinel(Arc<Progress>);

impl Drop for Sentinel {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0
                .fail("its committer stopped unexpectedly; restart Countersign".into());
        }
    }
}

/// The store stopped, and says why to all who ask.
struct Failed;

/// Why a group did not become durable.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Database(#[from] sled::Error),
    #[error("cannot sync the data file: {0}")]
    Sync(#[from] io::Error),
}

/// How many commands one group takes up: enough for every request in flight, few enough that readers, who wait while
/// sled applies a batch, wait for milliseconds only.
const GROUP_LIMIT: usize = 1024;

/// How many versions one reservation in the tree covers.
const RESERVATION: u64 = 1 << 20;
