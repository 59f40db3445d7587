//! A consistent export while commits go on, without a long pause and without a copy of everything.
//!
//! The committer owns a [`Snapshot`]: a position that moves up through the keys, and the former values of keys beyond it
//! that were changed since the export began. The reader asks for one piece after another through the queue that the
//! commits take, so commits wait for the copying of one piece at the most, and for nothing when the reader is slow.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use sled::{IVec, Tree};
use tokio::sync::{mpsc, oneshot};

use super::committer::{CommitterCommand, ExportPiece};
use super::durability::Durability;
use super::layout;
use crate::store::{Entry, Export, KeptVerdict, StoreError};

/// The committer's half of an export.
pub(super) struct Snapshot {
    /// The first of the tree's keys that was not handed out.
    position: Vec<u8>,
    /// What keys at and beyond the position were when the export began; `None` for those that did not exist.
    former: BTreeMap<IVec, Option<IVec>>,
    former_bytes: usize,
    reader: Weak<()>,
}

impl Snapshot {
    /// The entries of this moment, for as long as `reader` lives.
    pub(super) fn begin(reader: Weak<()>) -> Self {
        Self {
            position: layout::data_key(&mut Vec::new(), b"").to_vec(),
            former: BTreeMap::new(),
            former_bytes: 0,
            reader,
        }
    }

    /// Whether anybody still wants it.
    pub(super) fn is_wanted(&self) -> bool {
        self.reader.strong_count() > 0
    }

    /// Keeps what the entry at `data_key` is now; to be called before each change.
    pub(super) fn preserve(&mut self, tree: &Tree, data_key: &IVec) -> sled::Result<()> {
        if **data_key < *self.position || self.former.contains_key(data_key) || self.is_overrun() {
            return Ok(());
        }
        let former = tree.get(data_key)?;
        self.former_bytes += data_key.len() + former.as_ref().map_or(0, |stored| stored.len());
        self.former.insert(data_key.clone(), former);
        if self.is_overrun() {
            self.former.clear();
        }
        Ok(())
    }

    /// The next entries; empty behind the last one.
    pub(super) fn piece(&mut self, tree: &Tree) -> Result<ExportPiece, StoreError> {
        if self.is_overrun() {
            return Err(StoreError::Unavailable(
                "too much was changed while the export ran: export again when there is less to do".into(),
            ));
        }
        loop {
            let (found, end) = self.read(tree)?;
            let piece: ExportPiece = found
                .iter()
                .map(|(data_key, stored)| {
                    (
                        layout::key_of(data_key).to_vec(),
                        layout::entry(stored, KeptVerdict::default()),
                    )
                })
                .collect();
            if end || !piece.is_empty() {
                return Ok(piece);
            }
        }
    }

    /// Reads on from the position and moves it; says whether it has reached the end.
    fn read(&mut self, tree: &Tree) -> Result<(BTreeMap<IVec, IVec>, bool), StoreError> {
        let mut found = BTreeMap::new();
        let mut bytes = 0;
        let mut next = None;
        let low = Bound::Included(self.position.as_slice());
        for row in tree.range::<&[u8], _>((low, Bound::Excluded(layout::DATA_END))) {
            let (key, stored) = row.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            if found.len() == PIECE_ENTRIES || bytes >= PIECE_BYTES {
                next = Some(key.to_vec());
                break;
            }
            bytes += stored.len();
            found.insert(key, stored);
        }
        let end = next.is_none();
        self.position = next.unwrap_or_else(|| layout::DATA_END.to_vec());
        let beyond = self.former.split_off(self.position.as_slice());
        for (key, former) in std::mem::replace(&mut self.former, beyond) {
            self.former_bytes -= key.len() + former.as_ref().map_or(0, |stored| stored.len());
            match former {
                Some(stored) => found.insert(key, stored),
                None => found.remove(&key),
            };
        }
        Ok((found, end))
    }

    fn is_overrun(&self) -> bool {
        self.former_bytes > FORMER_BYTES
    }
}

/// The reader's half of an export.
pub(super) struct Reader {
    queue: mpsc::Sender<CommitterCommand>,
    durability: Arc<Durability>,
    /// Tells the committer that the export is still wanted.
    alive: Arc<()>,
    finished: bool,
}

impl Reader {
    /// Asks the committer to begin.
    pub(super) async fn begin(
        queue: mpsc::Sender<CommitterCommand>,
        durability: Arc<Durability>,
    ) -> Result<Self, StoreError> {
        let reader = Self {
            queue,
            durability,
            alive: Arc::new(()),
            finished: false,
        };
        let alive = Arc::downgrade(&reader.alive);
        reader
            .ask(|answer| CommitterCommand::Export {
                reader: alive,
                answer,
            })
            .await?;
        Ok(reader)
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> CommitterCommand,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.queue.send(command(answer)).await;
        sent.map_err(|_| self.durability.absence())?;
        answered.await.unwrap_or_else(|_| Err(self.durability.absence()))
    }
}

#[async_trait]
impl Export for Reader {
    async fn next(&mut self) -> Result<Option<Vec<(Vec<u8>, Entry)>>, StoreError> {
        if self.finished {
            return Ok(None);
        }
        let piece = self.ask(|answer| CommitterCommand::Piece { answer }).await?;
        self.finished = piece.is_empty();
        Ok((!self.finished).then_some(piece))
    }
}

const PIECE_ENTRIES: usize = 512;
const PIECE_BYTES: usize = 256 * 1024;
/// How many bytes of former values are kept before the export is given up rather than the memory.
const FORMER_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_that_costs_too_much_memory_is_given_up() {
        let directory = tempfile::TempDir::new().unwrap();
        let tree = sled::Config::new()
            .path(directory.path())
            .flush_every_ms(None)
            .open()
            .unwrap();
        let stored = layout::encode(
            &mut Vec::new(),
            layout::EntryHead {
                version: 1,
                expires_at: None,
            },
            b"v",
        )
        .to_vec();
        for key in [b"\x01a", b"\x01b"] {
            tree.insert(key, stored.as_slice()).unwrap();
        }
        let reader = Arc::new(());
        let mut snapshot = Snapshot::begin(Arc::downgrade(&reader));
        snapshot.former_bytes = FORMER_BYTES;
        assert!(snapshot.piece(&tree).is_ok_and(|piece| piece.len() == 2));
        // What was handed out already costs nothing.
        snapshot.preserve(&tree, &IVec::from(b"\x01a")).unwrap();
        assert!(!snapshot.is_overrun());

        let mut snapshot = Snapshot::begin(Arc::downgrade(&reader));
        snapshot.former_bytes = FORMER_BYTES;
        snapshot.preserve(&tree, &IVec::from(b"\x01a")).unwrap();
        assert!(snapshot.piece(&tree).is_err());
        assert!(snapshot.former.is_empty());
    }
}
