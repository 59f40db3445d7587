//! A store to which many small commits go as one.
//!
//! Each commit of a flow is a round trip and a sync of the disk, which millions of enrolments need not wait for: nobody is
//! told of one before all are stored. So their batches are gathered here, each decided against the stored state and what is
//! gathered already, and whoever gathers commits the whole, with everything asserted that any of them rested on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::domain::time::Timestamp;
use crate::store::{
    Assertion, Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, KeptVerdict, Order, Put, Scan,
    Statistics, Store, StoreError, Version,
};

/// What is gathered, before a store that is not written to meanwhile.
#[derive(Debug)]
pub(super) struct GatheringStore {
    stored: Arc<dyn Store>,
    /// What the keys begin with of which none is stored that is read here: they are not looked for, but asserted to be
    /// absent, so that the commit of the whole conflicts if one is there after all.
    unused: Vec<Vec<u8>>,
    gathered: Mutex<GatheredChanges>,
}

#[derive(Debug, Default)]
struct GatheredChanges {
    /// What becomes of keys: what is put, or nothing for one that is deleted.
    changes: BTreeMap<Vec<u8>, Option<GatheredPut>>,
    /// What the stored state has to be.
    assertions: HashMap<Vec<u8>, Option<Version>>,
    /// What was read of the stored state.
    read: HashMap<Vec<u8>, Option<Entry>>,
    commits: u64,
}

/// What is known of a key without looking at the store.
enum KnownEntry<'g> {
    Absent,
    Entry(&'g Entry),
    Nothing,
}

#[derive(Debug)]
struct GatheredPut {
    entry: Entry,
    /// As in [`Put`].
    new: bool,
}

impl GatheringStore {
    /// Nothing is gathered yet.
    pub(super) fn new(stored: Arc<dyn Store>, unused: Vec<Vec<u8>>) -> Self {
        Self {
            stored,
            unused,
            gathered: Mutex::default(),
        }
    }

    /// What was gathered, to be committed to the store; from now on nothing is.
    pub(super) fn take(&self) -> Batch {
        let GatheredChanges {
            changes, assertions, ..
        } = std::mem::take(&mut *self.lock());
        let mut batch = Batch::new();
        batch.assertions = assertions
            .into_iter()
            .map(|(key, version)| match version {
                Some(version) => Assertion::At(key, version),
                None => Assertion::Absent(key),
            })
            .collect();
        for (key, change) in changes {
            match change {
                Some(GatheredPut { entry, new }) => batch.puts.push(Put {
                    key,
                    value: entry.value,
                    expires_at: entry.expires_at,
                    new,
                    appended: false,
                }),
                None => batch.deletes.push(key),
            }
        }
        batch
    }

    fn lock(&self) -> MutexGuard<'_, GatheredChanges> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_unused(&self, key: &[u8]) -> bool {
        self.unused.iter().any(|prefix| key.starts_with(prefix))
    }
}

impl GatheredChanges {
    fn known(&self, key: &[u8]) -> KnownEntry<'_> {
        let entry = match self.changes.get(key) {
            Some(change) => change.as_ref().map(|put| &put.entry),
            None => match self.read.get(key) {
                Some(read) => read.as_ref(),
                None => return KnownEntry::Nothing,
            },
        };
        entry.map_or(KnownEntry::Absent, KnownEntry::Entry)
    }

    /// Takes up that a decision rests on this state of `key`; whether it is so, as far as that is known here.
    fn assert(&mut self, key: &[u8], version: Option<Version>) -> bool {
        if let Some(change) = self.changes.get(key) {
            return change.as_ref().map(|put| put.entry.version) == version;
        }
        if let Some(read) = self.read.get(key)
            && read.as_ref().map(|entry| entry.version) != version
        {
            return false;
        }
        *self.assertions.entry(key.to_vec()).or_insert(version) == version
    }
}

#[async_trait]
impl Store for GatheringStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        let mut found = self.get_many(&[key.to_vec()]).await?;
        Ok(found.pop().flatten())
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        let unknown: Vec<Vec<u8>> = {
            let gathered = self.lock();
            let is_unknown =
                |key: &&Vec<u8>| matches!(gathered.known(key), KnownEntry::Nothing) && !self.is_unused(key);
            keys.iter().filter(is_unknown).cloned().collect()
        };
        if !unknown.is_empty() {
            let entries = self.stored.get_many(&unknown).await?;
            self.lock().read.extend(unknown.into_iter().zip(entries));
        }
        let gathered = self.lock();
        let known = keys.iter().map(|key| match gathered.known(key) {
            KnownEntry::Entry(entry) => Some(entry.clone()),
            KnownEntry::Absent | KnownEntry::Nothing => None,
        });
        Ok(known.collect())
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        let stored = if self.is_unused(&scan.prefix) {
            Vec::new()
        } else {
            // What is deleted here takes up room in the answer.
            let gone = self
                .lock()
                .changes
                .values()
                .filter(|change| change.is_none())
                .count();
            let limit = scan.limit.saturating_add(gone);
            self.stored
                .scan(Scan {
                    limit,
                    ..scan.clone()
                })
                .await?
        };
        let mut found: BTreeMap<Vec<u8>, Entry> = stored.into_iter().collect();
        let gathered = self.lock();
        let is_behind = |key: &Vec<u8>| match (&scan.after, scan.order) {
            (None, _) => true,
            (Some(after), Order::Ascending) => key > after,
            (Some(after), Order::Descending) => key < after,
        };
        let within = gathered
            .changes
            .range(scan.prefix.clone()..)
            .take_while(|(key, _)| key.starts_with(&scan.prefix))
            .filter(|(key, _)| is_behind(key));
        for (key, change) in within {
            match change {
                Some(put) => _ = found.insert(key.clone(), put.entry.clone()),
                None => _ = found.remove(key),
            }
        }
        let found = found.into_iter();
        Ok(match scan.order {
            Order::Ascending => found.take(scan.limit).collect(),
            Order::Descending => found.rev().take(scan.limit).collect(),
        })
    }

    /// Gathers the batch. It is not durable before what [`GatheringStore::take`] gives is.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        batch.check_sizes()?;
        let mut gathered = self.lock();
        for assertion in &batch.assertions {
            let holds = match assertion {
                Assertion::Absent(key) => gathered.assert(key, None),
                Assertion::At(key, version) => gathered.assert(key, Some(*version)),
            };
            if !holds {
                return Err(CommitError::Conflict);
            }
        }
        // Above all that an engine gives, so that nothing takes it for older than what is stored.
        gathered.commits += 1;
        let version = Version(GATHERED_VERSIONS + gathered.commits);
        for key in batch.deletes {
            gathered.changes.insert(key, None);
        }
        for put in batch.puts {
            let Put {
                key,
                value,
                expires_at,
                new,
                // As much is written that few are still at hand.
                appended: _,
            } = put;
            let entry = Entry {
                value,
                version,
                expires_at,
                verdict: KeptVerdict::default(),
            };
            // What was vouched for when it was put first still holds when it is put again.
            let vouched = matches!(gathered.changes.get(&key), Some(Some(put)) if put.new);
            let new = new || vouched;
            gathered.changes.insert(key, Some(GatheredPut { entry, new }));
        }
        Ok(())
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        self.stored.expired(now, after, limit).await
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        self.stored.export().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.stored.close().await
    }

    fn statistics(&self) -> Statistics {
        self.stored.statistics()
    }

    fn is_exclusive(&self) -> bool {
        self.stored.is_exclusive()
    }
}

/// Where the versions of what is gathered begin.
const GATHERED_VERSIONS: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    fn keys(entries: &[(Vec<u8>, Entry)]) -> Vec<&str> {
        let text = |key| std::str::from_utf8(key).unwrap();
        entries.iter().map(|(key, _)| text(key)).collect()
    }

    fn put(key: &str, value: &str) -> Batch {
        Batch::new().put(key.into(), value.into())
    }

    async fn stored() -> Arc<dyn Store> {
        let stored = MemoryStore::new();
        let batch = put("a1", "old").put("a3".into(), "old".into());
        stored.commit(batch).await.unwrap();
        Arc::new(stored)
    }

    #[tokio::test]
    async fn what_is_gathered_is_read_as_if_it_were_stored_and_stored_as_a_whole() {
        let stored = stored().await;
        let gathering = GatheringStore::new(Arc::clone(&stored), vec![b"n".to_vec()]);
        gathering.commit(put("a2", "new")).await.unwrap();
        let batch = put("a1", "new")
            .delete("a3".into())
            .put("n1".into(), "new".into());
        gathering.commit(batch).await.unwrap();
        let scan = |limit, order| Scan {
            prefix: b"a".to_vec(),
            after: None,
            order,
            limit,
        };
        let all = gathering.scan(scan(9, Order::Ascending)).await.unwrap();
        assert_eq!(keys(&all), ["a1", "a2"]);
        let last = gathering.scan(scan(1, Order::Descending)).await.unwrap();
        assert_eq!(keys(&last), ["a2"]);
        let read = gathering.get(b"a1").await.unwrap().unwrap();
        assert_eq!(read.value, b"new");
        assert_eq!(gathering.get(b"a3").await.unwrap(), None);
        assert_eq!(stored.get(b"a2").await.unwrap(), None, "nothing is stored yet");
        stored.commit(gathering.take()).await.unwrap();
        let all = stored
            .scan(Scan {
                prefix: Vec::new(),
                ..scan(9, Order::Ascending)
            })
            .await
            .unwrap();
        assert_eq!(keys(&all), ["a1", "a2", "n1"]);
        assert!(all.iter().all(|(_, entry)| entry.value == b"new"));
        assert!(gathering.take().is_empty());
    }

    #[tokio::test]
    async fn a_batch_that_rests_on_what_is_no_longer_so_is_refused_and_leaves_nothing() {
        let stored = stored().await;
        let gathering = GatheringStore::new(Arc::clone(&stored), Vec::new());
        let before = gathering.get(b"a1").await.unwrap().unwrap().version;
        let change = || put("a1", "new").assert_at("a1".into(), before);
        gathering.commit(change()).await.unwrap();
        let refused = gathering.commit(change().put("a2".into(), Vec::new())).await;
        assert!(matches!(refused, Err(CommitError::Conflict)));
        let refused = gathering.commit(put("a2", "").assert_absent("a1".into())).await;
        assert!(matches!(refused, Err(CommitError::Conflict)));
        assert_eq!(gathering.get(b"a2").await.unwrap(), None);
        let now = gathering.get(b"a1").await.unwrap().unwrap().version;
        gathering
            .commit(put("a1", "newer").assert_at("a1".into(), now))
            .await
            .unwrap();
        stored.commit(gathering.take()).await.unwrap();
        assert_eq!(stored.get(b"a1").await.unwrap().unwrap().value, b"newer");
    }

    #[tokio::test]
    async fn the_whole_conflicts_if_the_store_has_changed_or_has_what_was_not_looked_for() {
        let stored = stored().await;
        let gathering = GatheringStore::new(Arc::clone(&stored), vec![b"a3".to_vec()]);
        assert_eq!(gathering.get(b"a3").await.unwrap(), None);
        gathering
            .commit(put("a3", "new").assert_absent("a3".into()))
            .await
            .unwrap();
        let refused = stored.commit(gathering.take()).await;
        assert!(matches!(refused, Err(CommitError::Conflict)));
        let before = gathering.get(b"a1").await.unwrap().unwrap().version;
        gathering
            .commit(put("a2", "new").assert_at("a1".into(), before))
            .await
            .unwrap();
        stored.commit(put("a1", "changed")).await.unwrap();
        let refused = stored.commit(gathering.take()).await;
        assert!(matches!(refused, Err(CommitError::Conflict)));
        assert_eq!(stored.get(b"a2").await.unwrap(), None);
    }
}
