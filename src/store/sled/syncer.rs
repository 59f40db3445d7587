//! The thread that makes applied groups durable and answers those who wait for them.
//!
//! sled's flush writes the file and asks for write-back of the written range; it leaves the file's metadata and the
//! disk's cache to a timer. So a group is durable only after the sync of the data file that follows here. One flush and
//! one sync cover all groups that were applied so far. This is also the only safe way to flush: sled's asynchronous
//! flush deadlocks under a handful of concurrent callers, and its blocking flush crawls.
//!
//! # Why a group may be applied while another one is made durable
//! sled never flushes in the middle of a batch: a flush takes the lock for reading that applying a batch takes for
//! writing. So the two alternate, and what overlaps is the deciding of one group with the flush, and the applying with
//! the sync. A sync may well find half a batch in the file, because sled writes a buffer out as soon as it is full. That is
//! what a crash in the middle of applying leaves, too: the batch's first message names its last position in the log, and
//! an opening that does not find the log whole up to there discards the batch.
//!
//! Invariant: only this thread flushes, and nobody is told of a version before [`Durability::advance`] covered it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use sled::Db;
use tokio::sync::oneshot;

use super::blobs::Blobs;
use super::durability::Durability;
use crate::store::CommitError;

/// What the committer hands over.
pub(super) enum Applied {
    /// Batches that are in the tree.
    Group(AppliedGroup),
    /// A question whether everything before it is durable.
    Barrier(mpsc::SyncSender<()>),
}

/// Batches that are in the tree, and who waits for them.
pub(super) struct AppliedGroup {
    /// The version of the last one; `None` if they changed nothing.
    pub(super) last_version: Option<u64>,
    pub(super) answers: Vec<oneshot::Sender<Result<(), CommitError>>>,
}

/// Makes what was flushed survive a power cut.
pub(super) type Sync = Box<dyn FnMut() -> io::Result<()> + Send>;

/// Held while a group is applied and while a flush runs. sled would let one wait for the other just as well, but all
/// readers of the tree along with it.
pub(super) type Pages = Arc<Mutex<()>>;

/// The sync of a real store: the data file, and the files that hold oversized pages.
pub(super) fn file_sync(data: File, directory: &Path) -> Sync {
    let mut blobs = Blobs::of(directory);
    Box::new(move || {
        blobs.sync()?;
        data.sync_data()
    })
}

/// The committer's end.
pub(super) struct Handle {
    work: mpsc::SyncSender<Applied>,
    thread: thread::JoinHandle<()>,
}

impl Handle {
    /// Hands over a group. Waits while enough groups are on their way.
    pub(super) fn hand_over(&self, group: AppliedGroup) -> Result<(), Failed> {
        self.work.send(Applied::Group(group)).map_err(|_| Failed)
    }

    /// Waits until everything that was handed over is durable and answered.
    pub(super) fn drain(&self) -> Result<(), Failed> {
        let (drained, wait) = mpsc::sync_channel(1);
        self.work.send(Applied::Barrier(drained)).map_err(|_| Failed)?;
        wait.recv().map_err(|_| Failed)
    }

    /// Lets the thread finish, and waits until it has let go of the database.
    pub(super) fn finish(self) {
        drop(self.work);
        // A thread that panicked has failed the store already.
        let _panicked = self.thread.join();
    }
}

/// The state of the syncer thread.
pub(super) struct Syncer {
    db: Db,
    work: mpsc::Receiver<Applied>,
    durability: Arc<Durability>,
    pages: Pages,
    sync: Sync,
}

impl Syncer {
    /// Starts the thread.
    pub(super) fn spawn(db: Db, durability: Arc<Durability>, pages: Pages, sync: Sync) -> io::Result<Handle> {
        let (sender, work) = mpsc::sync_channel(GROUPS_AHEAD);
        let syncer = Self {
            db,
            work,
            durability,
            pages,
            sync,
        };
        let thread = thread::Builder::new()
            .name("store-syncer".into())
            .spawn(move || syncer.run())?;
        Ok(Handle { work: sender, thread })
    }

    fn run(mut self) {
        let _sentinel = Sentinel::new("syncer", Arc::clone(&self.durability));
        while let Ok(first) = self.work.recv() {
            let (mut last_version, mut answers, mut barriers) = (None, Vec::new(), Vec::new());
            for applied in std::iter::once(first).chain(self.work.try_iter()) {
                match applied {
                    Applied::Group(group) => {
                        last_version = last_version.max(group.last_version);
                        answers.push(group.answers);
                    }
                    Applied::Barrier(drained) => barriers.push(drained),
                }
            }
            if let Some(last_version) = last_version {
                if let Err(error) = self.make_durable() {
                    stop(&self.durability, &error);
                }
                // The committer may have failed meanwhile. From then on nothing is acknowledged, durable or not.
                if self.durability.usable().is_err() {
                    return;
                }
                self.durability.groups.fetch_add(1, Ordering::Relaxed);
                self.durability.advance(last_version);
            }
            if last_version.is_some() {
                let together = answers.iter().map(Vec::len).sum::<usize>();
                self.durability.group_sizes.count(together as u64);
            }
            // A caller that no longer waits has dropped its end; the commit stands.
            for answers in answers {
                self.durability
                    .commits
                    .fetch_add(answers.len() as u64, Ordering::Relaxed);
                for answer in answers {
                    let _gone = answer.send(Ok(()));
                }
            }
            for drained in barriers {
                let _gone = drained.send(());
            }
        }
    }

    fn make_durable(&mut self) -> Result<(), WriteError> {
        let turn = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        self.db.flush()?;
        drop(turn);
        Ok((self.sync)()?)
    }
}

/// Stops the store. Called before any unanswered sender is dropped, so that all who wait learn the reason.
pub(super) fn stop(durability: &Durability, error: &WriteError) -> Failed {
    tracing::error!(store.error = %error, "a write failed, the store stops: {error}");
    let reason = format!("a write failed ({error}); restart Countersign, which keeps all it acknowledged");
    durability.fail(reason);
    Failed
}

/// Fails the store if its thread panics, so that nobody waits for it forever.
pub(super) struct Sentinel {
    thread: &'static str,
    durability: Arc<Durability>,
}

impl Sentinel {
    /// Watches over the running thread, which is the store's `thread`.
    pub(super) fn new(thread: &'static str, durability: Arc<Durability>) -> Self {
        Self { thread, durability }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        if thread::panicking() {
            self.durability.fail(format!(
                "its {} stopped unexpectedly; restart Countersign",
                self.thread
            ));
        }
    }
}

/// The store stopped, and says why to all who ask.
pub(super) struct Failed;

/// Why a group did not become durable.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Database(#[from] sled::Error),
    #[error("cannot sync the data file: {0}")]
    Sync(#[from] io::Error),
}

/// How many applied groups wait while one is made durable. More would make the groups smaller, and each costs sled a
/// marker and two short writes.
const GROUPS_AHEAD: usize = 1;
