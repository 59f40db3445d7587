//! The store's data keys as they change: no entry is written with keys that the store does not have any more, and none is refused
//! for a key that it has by now.
//!
//! Whoever has the store to itself lets what is under way come to its end before the keys change. Where others share it, each
//! commit rests on the key ring as it is known, so one of a server that has not heard of other keys does not apply: it looks, and
//! decides again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::RwLock;
use tokio::time::Instant;

use super::{AuthenticStore, Forgery, LASTING, key_of, vouched_with};
use crate::crypto::vault::{DataKeys, RingPlace, Vault};
use crate::domain::key_ring::SealedKeyRing;
use crate::store::keys;
use crate::store::records::{self, Record as _};
use crate::store::{Batch, CommitError, Entry, StoreError, Version};

/// What one process remembers to follow its store's keys.
#[derive(Default)]
pub(super) struct RingWatch {
    /// Held by every commit, and by one that changes the keys alone, where nobody else shares the store.
    commits: RwLock<()>,
    /// Who looks which keys the store has, or has just changed them: what one read before the other changed it is not known after that.
    looking: tokio::sync::Mutex<()>,
    /// When was last looked because another change came first.
    looked: Mutex<Option<Instant>>,
    /// How often the store may have forgotten keys that are known here, and so have older ones; and up to which of these times it
    /// was looked since which ones it has. What was read before such a time says nothing of what the store has after it.
    forgotten: AtomicU64,
    looked_after: AtomicU64,
}

impl AuthenticStore {
    /// Commits with the keys that the store has.
    pub(super) async fn commit_with_keys(&self, batch: Batch) -> Result<(), CommitError> {
        let ring = keys::key_ring();
        let changed = batch.puts.iter().find(|put| put.key == ring.bytes());
        if let Some(put) = changed {
            let changed = records::decode(&put.value)?;
            return self.commit_ring(batch, changed).await;
        }
        let shared = !self.engine.is_exclusive();
        let _under_way = if shared {
            None
        } else {
            Some(self.ring.commits.read().await)
        };
        let keys = self.keys_to_commit().await?;
        if !shared {
            return self.engine.commit(self.made_with(&keys, batch)?).await;
        }
        let committed = self.engine.commit(self.made_with(&keys, batch.clone())?).await;
        if !matches!(committed, Err(CommitError::Conflict)) {
            return committed;
        }
        let is_news = |known: &Arc<DataKeys>| !Arc::ptr_eq(known, &self.vault.data_keys());
        if !is_news(&keys) && self.ring.is_to_be_looked_for() {
            match self.look(&keys).await {
                Ok(()) => {}
                // With an older ring nothing is ever committed, however often it is decided again.
                Err(error @ StoreError::Forged(_)) => return Err(error.into()),
                // That nothing was written is known all the same, and whoever decides again looks again.
                Err(error) => {
                    tracing::debug!("which keys the store has could not be read: {error}");
                    return committed;
                }
            }
        }
        if !is_news(&keys) {
            return committed;
        }
        // Whoever decided need not hear of it.
        let keys = self.keys_to_commit().await?;
        self.engine.commit(self.made_with(&keys, batch)?).await
    }

    /// The batch as the engine gets it: it applies only while the store has these keys.
    fn made_with(&self, keys: &DataKeys, batch: Batch) -> Result<Batch, CommitError> {
        if !batch.sealed_with.iter().all(|number| keys.takes(*number)) {
            // It was sealed before the keys changed, or read before it was sealed anew.
            return Err(CommitError::Conflict);
        }
        let batch = vouched_with(&self.vault, keys, batch);
        if self.engine.is_exclusive() {
            return Ok(batch);
        }
        let ring = keys::key_ring().into_bytes();
        Ok(match keys.place() {
            RingPlace::At(version) => batch.assert_at(ring, Version(version)),
            RingPlace::Absent | RingPlace::Unknown => batch.assert_absent(ring),
        })
    }

    /// Commits a batch that writes the ring, which are the keys from then on.
    ///
    /// Once begun it is carried to its end: whoever gives it up must not leave the store with other keys than are known here.
    async fn commit_ring(&self, batch: Batch, changed: SealedKeyRing) -> Result<(), CommitError> {
        let ring = self.vault.open_ring(changed);
        let ring = ring.map_err(|error| StoreError::Corrupt(format!("key ring: {error}")))?;
        let (engine, vault) = (Arc::clone(&self.engine), Arc::clone(&self.vault));
        let watch = Arc::clone(&self.ring);
        let carried = tokio::spawn(async move {
            let _alone = watch.commits.write().await;
            // With what the store has then: this process may be far behind what it had before.
            let batch = vouched_with(&vault, &Vault::keys_of(&ring), batch);
            // Should nobody learn what becomes of it, the next commit looks.
            vault.place_keys(RingPlace::Unknown);
            let forgotten = watch.forgotten();
            engine.commit(batch).await?;
            let _turn = watch.looking.lock().await;
            let same = vault.renew(&ring, RingPlace::Unknown);
            debug_assert!(same, "a store keeps its identity");
            watch.note_looked_after(forgotten);
            Ok(())
        });
        let stopped = |error| StoreError::Unavailable(format!("the change of the keys was stopped: {error}"));
        carried.await.unwrap_or_else(|error| Err(stopped(error).into()))
    }

    async fn keys_to_commit(&self) -> Result<Arc<DataKeys>, StoreError> {
        let keys = self.vault.data_keys();
        if keys.place() != RingPlace::Unknown {
            return Ok(keys);
        }
        self.look(&keys).await?;
        Ok(self.vault.data_keys())
    }

    /// The keys that are known, if one of these entries is of another one, so that it is worth a [look](Self::look). An entry that
    /// somebody else wrote costs no more than that.
    pub(super) fn lacks_key_of<'e>(
        &self,
        entries: impl IntoIterator<Item = &'e Entry>,
    ) -> Option<Arc<DataKeys>> {
        if self.engine.is_exclusive() {
            return None;
        }
        let keys = self.vault.data_keys();
        let is_unknown =
            |entry: &Entry| key_of(&entry.value).is_some_and(|number| number != LASTING && !keys.has(number));
        let lacks = entries.into_iter().any(is_unknown);
        lacks.then_some(keys)
    }

    /// Knows all keys that the store has by now.
    pub(super) async fn look_for_keys(&self) -> Result<(), StoreError> {
        if self.engine.is_exclusive() {
            return Ok(());
        }
        let keys = self.vault.data_keys();
        self.look_if_it_can_be_read(&keys).await
    }

    /// Looks if [something was lacking](Self::lacks_key_of).
    pub(super) async fn look_if_lacking(&self, known: Option<Arc<DataKeys>>) -> Result<(), StoreError> {
        match known {
            Some(known) => self.look_if_it_can_be_read(&known).await,
            None => Ok(()),
        }
    }

    /// The same as [`look`](Self::look) for whoever only reads: if somebody else wrote the ring, entries that are not of the keys
    /// that are known fail by themselves.
    async fn look_if_it_can_be_read(&self, known: &Arc<DataKeys>) -> Result<(), StoreError> {
        match self.look(known).await {
            Err(StoreError::Forged(_)) => Ok(()),
            looked => looked,
        }
    }

    /// # Errors
    /// [`Forgery::OlderRing`] if it is the ring, and one of before the keys that are known.
    pub(super) fn require_current_ring(&self, key: &[u8], opened: &Entry) -> Result<(), Forgery> {
        if key != [SealedKeyRing::KIND] || self.ring.may_be_older() {
            return Ok(());
        }
        let known = self.vault.data_keys().sealed().generation;
        match records::decode::<SealedKeyRing>(&opened.value) {
            Ok(ring) if ring.generation < known => Err(Forgery::OlderRing),
            _ => Ok(()),
        }
    }

    /// From now on the store may have older keys than are known.
    pub(super) fn forget_keys(&self) {
        self.ring.forgotten.fetch_add(1, Ordering::SeqCst);
        self.vault.place_keys(RingPlace::Unknown);
    }

    /// Reads which keys the store has, unless somebody did since these were `known`.
    async fn look(&self, known: &Arc<DataKeys>) -> Result<(), StoreError> {
        let _turn = self.ring.looking.lock().await;
        if !Arc::ptr_eq(known, &self.vault.data_keys()) {
            return Ok(());
        }
        let key = keys::key_ring();
        let forgotten = self.ring.forgotten();
        let Some(entry) = self.engine.get(key.bytes()).await? else {
            if known.place() != RingPlace::Absent {
                self.vault.place_keys(RingPlace::Absent);
            }
            return Ok(());
        };
        let place = RingPlace::At(entry.version.0);
        if known.place() == place {
            self.ring.note_looked_after(forgotten);
            return Ok(());
        }
        let opened = super::verified(&self.vault, key.bytes(), entry);
        let opened = opened.map_err(|forgery| self.refuse(key.bytes(), forgery))?;
        let sealed: SealedKeyRing = records::decode(&opened.value)?;
        if sealed.generation < known.sealed().generation && !self.ring.may_be_older() {
            return Err(self.refuse(key.bytes(), Forgery::OlderRing));
        }
        if sealed == *known.sealed() {
            self.vault.place_keys(place);
            self.ring.note_looked_after(forgotten);
            return Ok(());
        }
        let ring = self.vault.open_ring(sealed);
        let ring = ring.map_err(|error| StoreError::Corrupt(format!("key ring: {error}")))?;
        if !self.vault.renew(&ring, place) {
            return Err(self.refuse(key.bytes(), Forgery::WrongMac));
        }
        // Not before they are known: a look that failed is none at what the store has now.
        self.ring.note_looked_after(forgotten);
        tracing::info!(
            "the store has other keys: number {} is the active one",
            ring.active()
        );
        Ok(())
    }
}

impl RingWatch {
    fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::SeqCst)
    }

    /// Whether the store may have older keys than are known.
    fn may_be_older(&self) -> bool {
        self.looked_after.load(Ordering::SeqCst) < self.forgotten()
    }

    /// The keys that are known were read or written after it had been forgotten so often.
    fn note_looked_after(&self, forgotten: u64) {
        self.looked_after.fetch_max(forgotten, Ordering::SeqCst);
    }

    /// Whether it is worth a look that another change came first: many lose to each other for every change of the keys.
    fn is_to_be_looked_for(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked.is_none_or(|looked| looked.elapsed() >= LOOK_PAUSE);
        if is_due {
            *looked = Some(Instant::now());
        }
        is_due
    }
}

const LOOK_PAUSE: Duration = Duration::from_millis(10);
