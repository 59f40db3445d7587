//! The engine of the tests: ordered maps in memory, gone with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::atomic_histogram::AtomicHistogram;
use super::range::KeyRange;
use super::{
    Assertion, Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, KeptVerdict, Order, Scan,
    Statistics, Store, StoreError, Version,
};
use crate::domain::histogram::GroupSizes;
use crate::domain::time::Timestamp;

/// A store that keeps everything in memory.
#[derive(Default)]
pub struct MemoryStore(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    entries: BTreeMap<Vec<u8>, Entry>,
    expiries: BTreeSet<(Timestamp, Vec<u8>)>,
    last_version: u64,
    statistics: Statistics,
    group_sizes: AtomicHistogram<GroupSizes>,
    closed: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything, as a standby has it that gets no more from now on.
    #[cfg(test)]
    pub(crate) fn copy(&self) -> BTreeMap<Vec<u8>, Entry> {
        self.tables().unwrap().entries.clone()
    }

    /// That standby takes over: everything is as it was, in the versions of then. So it is for whoever writes past the engine.
    #[cfg(test)]
    pub(crate) fn put_back(&self, copy: BTreeMap<Vec<u8>, Entry>) {
        let mut tables = self.tables().unwrap();
        let ends = copy
            .iter()
            .filter_map(|(key, entry)| Some((entry.expires_at?, key.clone())));
        tables.expiries = ends.collect();
        tables.entries = copy;
    }

    fn tables(&self) -> Result<MutexGuard<'_, Tables>, StoreError> {
        // No panic can leave the tables half changed: `commit` decides first and then only inserts and removes.
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.closed {
            return Err(StoreError::Unavailable("it is closed".into()));
        }
        Ok(tables)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        Ok(self.tables()?.entries.get(key).cloned())
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        let tables = self.tables()?;
        Ok(keys.iter().map(|key| tables.entries.get(key).cloned()).collect())
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        let tables = self.tables()?;
        let Some(range) = scan.range() else {
            return Ok(Vec::new());
        };
        let found = tables.entries.range::<Vec<u8>, KeyRange>(range);
        let owned = |(key, entry): (&Vec<u8>, &Entry)| (key.clone(), entry.clone());
        Ok(match scan.order {
            Order::Ascending => found.take(scan.limit).map(owned).collect(),
            Order::Descending => found.rev().take(scan.limit).map(owned).collect(),
        })
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        batch.check_sizes()?;
        let mut tables = self.tables()?;
        if !batch.assertions.iter().all(|assertion| tables.holds(assertion)) {
            tables.statistics.conflicts += 1;
            return Err(CommitError::Conflict);
        }
        tables.apply(batch);
        Ok(())
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        let tables = self.tables()?;
        let behind = match after.and_then(|ExpiryPosition(bytes)| bytes.split_first_chunk()) {
            Some((moment, key)) => {
                let moment = Timestamp::from_millis(u64::from_be_bytes(*moment));
                Bound::Excluded((moment, key.to_vec()))
            }
            None => Bound::Unbounded,
        };
        let due = tables.expiries.range((behind, Bound::Unbounded));
        let due = due.take_while(|(moment, _)| *moment <= now).take(limit);
        let mut page = ExpiredPage::default();
        for (moment, key) in due {
            if let Some(entry) = tables.entries.get(key) {
                page.entries.push((key.clone(), entry.clone()));
            }
            if page.entries.len() == limit {
                let position = [&moment.millis().to_be_bytes()[..], key].concat();
                page.next = Some(ExpiryPosition(position));
            }
        }
        Ok(page)
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        Ok(Box::new(Copy(Some(self.tables()?.entries.clone()))))
    }

    async fn close(&self) -> Result<(), StoreError> {
        if let Ok(mut tables) = self.tables() {
            tables.closed = true;
        }
        Ok(())
    }

    fn statistics(&self) -> Statistics {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Statistics {
            group_sizes: tables.group_sizes.counts(),
            ..tables.statistics
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Tables {
    fn holds(&self, assertion: &Assertion) -> bool {
        match assertion {
            Assertion::Absent(key) => !self.entries.contains_key(key),
            Assertion::At(key, version) => self
                .entries
                .get(key)
                .is_some_and(|entry| entry.version == *version),
        }
    }

    fn apply(&mut self, batch: Batch) {
        self.statistics.commits += 1;
        self.statistics.groups += 1;
        self.group_sizes.count(1);
        self.last_version += 1;
        let version = Version(self.last_version);
        for key in batch.deletes {
            self.remove(&key);
        }
        for put in batch.puts {
            self.remove(&put.key);
            if let Some(moment) = put.expires_at {
                self.expiries.insert((moment, put.key.clone()));
            }
            let entry = Entry {
                value: put.value,
                version,
                expires_at: put.expires_at,
                verdict: KeptVerdict::default(),
            };
            self.entries.insert(put.key, entry);
        }
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(Entry {
            expires_at: Some(moment),
            ..
        }) = self.entries.remove(key)
        {
            self.expiries.remove(&(moment, key.to_vec()));
        }
    }
}

/// The copy that was taken when the export began.
struct Copy(Option<BTreeMap<Vec<u8>, Entry>>);

#[async_trait]
impl Export for Copy {
    async fn next(&mut self) -> Result<Option<Vec<(Vec<u8>, Entry)>>, StoreError> {
        Ok(self.0.take().map(|entries| entries.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::store::contract::contract_tests!(MemoryFixture::new());

    struct MemoryFixture(MemoryStore);

    impl MemoryFixture {
        fn new() -> Self {
            Self(MemoryStore::new())
        }

        fn store(&self) -> &dyn Store {
            &self.0
        }
    }
}
