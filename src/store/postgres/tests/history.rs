//! Clients that change entries while something goes wrong, what they were told, and whether that is how it is.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Clients that each read a counter, raise it, and note that they did so: in one batch, which asserts what was read.
#[derive(Clone, Copy)]
pub(super) struct Workload {
    pub(super) clients: usize,
    /// How often each tries.
    pub(super) attempts: usize,
    pub(super) counters: usize,
    /// Whether each batch removes a row as well.
    pub(super) deletes: bool,
}

/// What the clients were told.
#[derive(Debug, Default)]
pub(super) struct ClientHistory {
    /// The notes of batches that were applied.
    pub(super) acknowledged: BTreeSet<String>,
    /// Those of batches that were not.
    pub(super) refused: BTreeSet<String>,
    /// Those of batches that may have been applied, and what was said of them.
    pub(super) unknown: BTreeMap<String, String>,
    /// What was said of reads that failed.
    pub(super) unread: Vec<String>,
    /// Rows that may be there, of those of which each client keeps one.
    kept: BTreeSet<String>,
}

impl Workload {
    /// Runs it, with `before` called before each attempt with its number among those of its client.
    pub(super) async fn run(
        self,
        store: &Arc<PostgresStore>,
        before: impl Fn(usize, usize) + Send + Sync + 'static,
    ) -> ClientHistory {
        let before = Arc::new(before);
        let clients = (0..self.clients).map(|client| {
            let (store, before) = (Arc::clone(store), Arc::clone(&before));
            tokio::spawn(async move {
                let mut history = ClientHistory::default();
                for attempt in 0..self.attempts {
                    before(client, attempt);
                    self.attempt(&store, client, attempt, &mut history).await;
                }
                history
            })
        });
        let mut all = ClientHistory::default();
        for history in join_all(clients).await {
            all.add(history.unwrap());
        }
        all
    }

    async fn attempt(
        &self,
        store: &PostgresStore,
        client: usize,
        attempt: usize,
        history: &mut ClientHistory,
    ) {
        let counter = counter_key(client % self.counters);
        let entry = match store.get(counter.as_bytes()).await {
            Ok(entry) => entry,
            Err(error) => {
                history.unread.push(error.to_string());
                return;
            }
        };
        let (asserted, count) = match &entry {
            Some(entry) => (
                Batch::new().assert_at(counter.clone().into(), entry.version),
                String::from_utf8(entry.value.clone())
                    .unwrap()
                    .parse::<u64>()
                    .unwrap(),
            ),
            None => (Batch::new().assert_absent(counter.clone().into()), 0),
        };
        let note = format!("use/{}/{client:03}/{attempt:04}", client % self.counters);
        let mut batch = asserted
            .put(counter.into(), (count + 1).to_string().into_bytes())
            .put_new(note.clone().into(), vec![]);
        let kept = format!("kept/{client:03}/{attempt:04}");
        if self.deletes {
            batch = batch.put_new(kept.clone().into(), vec![]);
            for old in &history.kept {
                batch = batch.delete(old.clone().into());
            }
        }
        match store.commit(batch).await {
            Ok(()) => {
                history.acknowledged.insert(note);
                history.kept = [kept].into();
            }
            Err(CommitError::Conflict) => _ = history.refused.insert(note),
            Err(CommitError::Store(error)) => {
                history.unknown.insert(note, error.to_string());
                history.kept.insert(kept);
            }
        }
    }
}

impl ClientHistory {
    fn add(&mut self, mut other: Self) {
        self.acknowledged.append(&mut other.acknowledged);
        self.refused.append(&mut other.refused);
        self.unknown.append(&mut other.unknown);
        self.unread.append(&mut other.unread);
        self.kept.append(&mut other.kept);
    }

    /// Compares it with what is there: what was acknowledged once, what was refused not at all, and what is not known at the
    /// most once.
    pub(super) async fn check(&self, store: &PostgresStore) {
        let notes: BTreeSet<String> = keys(store, "use/").await.into_iter().collect();
        let lost: Vec<_> = self.acknowledged.difference(&notes).collect();
        assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
        let applied: Vec<_> = self.refused.intersection(&notes).collect();
        assert!(applied.is_empty(), "refused and there: {applied:?}");
        let foreign: Vec<_> = notes
            .iter()
            .filter(|note| !self.acknowledged.contains(*note) && !self.unknown.contains_key(*note))
            .collect();
        assert!(foreign.is_empty(), "nobody asked for {foreign:?}");
        let mut counted = BTreeMap::<&str, u64>::new();
        for note in &notes {
            *counted.entry(note.split('/').nth(1).unwrap()).or_default() += 1;
        }
        for (counter, notes) in counted {
            let count = value(store, &counter_key(counter)).await.unwrap();
            assert_eq!(count, notes.to_string(), "each note raised its counter once");
        }
        let kept: BTreeSet<String> = keys(store, "kept/").await.into_iter().collect();
        let deleted: Vec<_> = kept.difference(&self.kept).collect();
        assert!(deleted.is_empty(), "deleted and there: {deleted:?}");
    }

    /// As [`Self::check`], where nothing may have gone wrong for a client.
    pub(super) async fn check_without_errors(&self, store: &PostgresStore) {
        assert!(self.unknown.is_empty() && self.unread.is_empty(), "{self:?}");
        assert!(!self.acknowledged.is_empty());
        self.check(store).await;
    }
}

fn counter_key(counter: impl fmt::Display) -> String {
    format!("counter/{counter}")
}

async fn keys(store: &PostgresStore, prefix: &str) -> Vec<String> {
    let scan = Scan {
        prefix: prefix.into(),
        after: None,
        order: Order::Ascending,
        limit: 100_000,
    };
    let found = store.scan(scan).await.unwrap();
    found
        .into_iter()
        .map(|(key, _)| String::from_utf8(key).unwrap())
        .collect()
}
