//! Opens what the engine has found.
//!
//! A data key may go between the engine's read and the check of the MAC. What it vouched for was written anew before that, so
//! whatever lacks a key is read again if the keys have changed meanwhile, and is only refused if they have not. So is a key ring
//! that is older than the one that is known by then.

use std::hash::BuildHasher as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::{
    AuthenticStore, Entry, ForgedEntry, Forgery, MAC_BYTES, Special, StoreError, verified, without_front,
};
use crate::crypto::vault::DataKeys;
use crate::store::keys::KeyParts;

/// What is known just before the engine is read.
pub(super) struct BegunRead {
    /// Of versions: when that was.
    pub(super) began: u64,
    keys: Arc<DataKeys>,
}

/// What was found at a key, as it was written, if it was.
pub(super) type OpenedEntry = (Vec<u8>, Result<Entry, Forgery>);

impl AuthenticStore {
    /// Notes, and counts, that the engine is about to be read.
    pub(super) fn begin_read(&self) -> BegunRead {
        self.reads.fetch_add(1, Ordering::Relaxed);
        BegunRead {
            began: self.versions.now(),
            keys: self.vault.data_keys(),
        }
    }

    /// The entry as it was written, if it was.
    pub(super) fn open(&self, key: &[u8], entry: Entry, began: u64) -> Result<Entry, Forgery> {
        // Who kept it since knows it for the one that is there.
        if entry.verdict.is_sound() && entry.value.len() >= MAC_BYTES && Special::of(key).is_none() {
            return Ok(without_front(entry, MAC_BYTES));
        }
        let opened = verified(&self.vault, key, entry)?;
        self.require_current_ring(key, &opened)?;
        // Whoever puts one back must not gain more by it than that this one is refused: it is no sign of lost commits, after
        // which all is forgotten that is known here. Those are found by what was acknowledged.
        if self.versions.is_superseded(key, opened.version, began) {
            return Err(Forgery::Older);
        }
        opened.verdict.note_sound();
        Ok(opened)
    }

    /// The same of many; none if they are to be read again.
    pub(super) fn open_page(
        &self,
        begun: &BegunRead,
        page: Vec<(Vec<u8>, Entry)>,
    ) -> Option<Vec<OpenedEntry>> {
        let mut all = Vec::with_capacity(page.len());
        for (key, entry) in page {
            let opened = self.open(&key, entry, begun.began);
            if let Err(forgery) = opened
                && self.is_to_be_read_again(begun, forgery)
            {
                return None;
            }
            all.push((key, opened));
        }
        Some(all)
    }

    /// Whether the entry may only lack a key that went since, or is a ring that was replaced since. It does not come to that again
    /// before the keys change again.
    pub(super) fn is_to_be_read_again(&self, begun: &BegunRead, forgery: Forgery) -> bool {
        matches!(forgery, Forgery::OlderRing | Forgery::UnknownKey(_))
            && begun.keys.sealed() != self.vault.data_keys().sealed()
    }

    /// Counts a forged entry, and says so once.
    pub(super) fn refuse(&self, key: &[u8], forgery: Forgery) -> StoreError {
        self.forged.fetch_add(1, Ordering::Relaxed);
        let kind = KeyParts::parse(key).map_or("of no known kind", |parts| parts.kind().name);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MOST_TOLD && told.insert(self.digests.hash_one(key)) {
            let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
            untold.push(ForgedEntry {
                key: key.to_vec(),
                why: forgery.to_string(),
            });
            tracing::error!(
                "an entry ({kind}) is not as a server of this store wrote it: {forgery}; it is refused. Somebody else writes to \
                 the store, or its disk is failing: `countersign store check` names all such entries"
            );
        }
        StoreError::Forged(format!("{kind}: {forgery}"))
    }
}

/// For how many keys is said that their entry is forged.
const MOST_TOLD: usize = 1000;
