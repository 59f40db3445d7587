//! The thread that decides and applies.
//!
//! It takes whatever waits in the queue as one [`CommitGroup`], applies it, and hands it to the syncer, which makes it durable
//! and answers everybody, while this thread decides and applies what has come in meanwhile. That is what makes durable
//! commits cheap: a sync costs the same for one batch as for hundreds.
//!
//! Once a write has failed, nobody knows what is on disk (the kernel reports a failed write-back once and forgets it),
//! so the store stops answering until it is opened anew. A disk that is nearly full is found out before that, and only refuses
//! changes.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::thread;

use sled::{Db, IVec};
use tokio::sync::{mpsc, oneshot};

use super::durability::Durability;
use super::export::Snapshot;
use super::group::{AddError, Changes, CommitGroup, GroupDecision, TreeView};
use super::group_wait::GroupWait;
use super::layout;
use super::recent::Recent;
use super::space::DiskSpace;
use super::syncer::{self, AppliedGroup, Failed, Pages, Sentinel, WriteError};
use crate::domain::store_condition::LowSpace;
use crate::store::{Batch, CommitError, Entry, StoreError};

/// Entries of an export, each behind its key.
pub(super) type ExportPiece = Vec<(Vec<u8>, Entry)>;

/// What the committer can be asked.
pub(super) enum CommitterCommand {
    /// Decide and apply a batch.
    Commit {
        batch: Batch,
        answer: oneshot::Sender<Result<(), CommitError>>,
    },
    /// Drop rows of the index of expiries that are of no use.
    DropRows(Vec<IVec>),
    Export {
        reader: Weak<()>,
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Read on in the export.
    Piece {
        answer: oneshot::Sender<Result<ExportPiece, StoreError>>,
    },
    /// Finish what came before, let go of the database, stop.
    Close { answer: oneshot::Sender<()> },
}

/// The state of the committer thread.
pub(super) struct Committer {
    pub(super) db: Db,
    pub(super) queue: mpsc::Receiver<CommitterCommand>,
    pub(super) durability: Arc<Durability>,
    pub(super) space: Arc<DiskSpace>,
    pub(super) recent: Arc<Recent>,
    pub(super) pages: Pages,
    pub(super) syncer: syncer::Handle,
    /// The version of the next batch.
    pub(super) next_version: u64,
    /// Versions below this are reserved in the tree, see [`Committer::apply`].
    pub(super) reserved: u64,
    pub(super) snapshot: Option<Snapshot>,
}

impl Committer {
    pub(super) fn spawn(self) -> io::Result<thread::JoinHandle<()>> {
        thread::Builder::new()
            .name("store-committer".into())
            .spawn(move || self.run())
    }

    fn run(mut self) {
        let _sentinel = Sentinel::new("committer", Arc::clone(&self.durability));
        let mut inbox = Vec::with_capacity(GROUP_LIMIT);
        let mut group_wait = GroupWait::default();
        while self.queue.blocking_recv_many(&mut inbox, GROUP_LIMIT) > 0 {
            if group_wait.pays(inbox.len()) {
                self.gather(&mut inbox);
            }
            group_wait.met(inbox.len());
            if self.work(&mut inbox).is_err() || self.queue.is_closed() {
                break;
            }
        }
        self.syncer.finish();
    }

    /// Waits a moment for more commits, and longer while they come in.
    fn gather(&mut self, inbox: &mut Vec<CommitterCommand>) {
        for _ in 0..GroupWait::STEPS {
            let before = inbox.len();
            thread::sleep(GroupWait::STEP);
            while inbox.len() < GROUP_LIMIT
                && let Ok(command) = self.queue.try_recv()
            {
                inbox.push(command);
            }
            if !GroupWait::grows(before, inbox.len()) {
                break;
            }
        }
    }

    /// Handles what was in the queue: first all commits as one group, then what comes between groups.
    fn work(&mut self, inbox: &mut Vec<CommitterCommand>) -> Result<(), Failed> {
        // The syncer may have failed since; then nothing is decided any more.
        self.durability.usable().map_err(|_| Failed)?;
        if self
            .snapshot
            .as_ref()
            .is_some_and(|snapshot| !snapshot.is_wanted())
        {
            self.snapshot = None;
        }
        // Asked once for all of them: what they write is far less than what has to be free.
        let shortage = self.space.look();
        let mut group = CommitGroup::default();
        let mut accepted = Vec::with_capacity(inbox.len());
        let mut refused = Vec::new();
        let mut others = Vec::new();
        for command in inbox.drain(..) {
            let view = TreeView {
                tree: &self.db,
                recent: &self.recent,
            };
            let decided = match (command, shortage) {
                (CommitterCommand::Commit { batch, answer }, Some(low)) if !batch.is_empty() => {
                    refused.push((answer, disk_is_full(low).into()));
                    Ok(())
                }
                // They take up little, and are found again.
                (CommitterCommand::DropRows(_), Some(_)) => Ok(()),
                (CommitterCommand::Commit { batch, answer }, _) => {
                    match group.add(view, &mut self.snapshot, batch, self.next_version) {
                        Ok(GroupDecision::Accepted) => {
                            accepted.push(answer);
                            Ok(())
                        }
                        Ok(GroupDecision::Conflict) => {
                            self.durability.conflicts.fetch_add(1, Ordering::Relaxed);
                            refused.push((answer, CommitError::Conflict));
                            Ok(())
                        }
                        Err(AddError::Entry(error)) => {
                            refused.push((answer, error.into()));
                            Ok(())
                        }
                        Err(AddError::Database(error)) => Err(error),
                    }
                }
                (CommitterCommand::DropRows(rows), None) => group.drop_rows(view, rows, self.next_version),
                (other, _) => {
                    others.push(other);
                    Ok(())
                }
            };
            decided.map_err(|error| syncer::stop(&self.durability, &error.into()))?;
            if group.last_version() == Some(self.next_version) {
                self.next_version += 1;
            }
        }
        let changes = group.into_changes();
        let last_version = changes.as_ref().map(|changes| changes.last_version);
        if let Some(changes) = changes {
            self.apply(changes)
                .map_err(|error| syncer::stop(&self.durability, &error))?;
        }
        // A conflict promises nothing, so it need not wait for the disk; but it must not be answered before the change
        // that caused it can be read, or the next attempt would decide on the same old version.
        for (answer, error) in refused {
            let _gone = answer.send(Err(error));
        }
        if !accepted.is_empty() {
            self.syncer.hand_over(AppliedGroup {
                last_version,
                answers: accepted,
            })?;
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
        self.durability.announce(changes.deleted, changes.last_version);
        let turn = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        self.db.apply_batch(changes.batch)?;
        drop(turn);
        self.recent.applied(changes.written);
        Ok(())
    }

    fn between_groups(&mut self, command: CommitterCommand) -> Result<(), Failed> {
        match command {
            // `work` takes these itself.
            CommitterCommand::Commit { .. } | CommitterCommand::DropRows(_) => {}
            CommitterCommand::Export { reader, answer } => {
                // What an export shows is durable, like everything that is read.
                self.syncer.drain()?;
                let busy = self.snapshot.as_ref().is_some_and(Snapshot::is_wanted);
                let _gone = answer.send(if busy {
                    Err(StoreError::Unavailable("another export is running".into()))
                } else {
                    self.snapshot = Some(Snapshot::begin(reader));
                    Ok(())
                });
            }
            CommitterCommand::Piece { answer } => {
                let piece = match &mut self.snapshot {
                    Some(snapshot) => snapshot.piece(&self.db),
                    None => Ok(ExportPiece::new()),
                };
                let _gone = answer.send(piece);
            }
            CommitterCommand::Close { answer } => {
                self.queue.close();
                self.syncer.drain()?;
                let _gone = answer.send(());
            }
        }
        Ok(())
    }
}

/// What a change is refused with, without an effect.
fn disk_is_full(low: LowSpace) -> StoreError {
    StoreError::Unavailable(format!("its disk is full: {low}"))
}

/// How many commands one group takes up: enough for every request in flight, few enough that readers, who wait while
/// sled applies a batch, wait for milliseconds only.
const GROUP_LIMIT: usize = 1024;

/// How many versions one reservation in the tree covers.
const RESERVATION: u64 = 1 << 20;
