//! Entries that were read or written lately, kept beside the tree.
//!
//! While sled applies a batch, every read of the tree waits. Most reads are of entries that everybody needs (the account,
//! the service) or that were written a moment ago; they are answered from here.
//!
//! Invariant: what is kept is never older than what the last finished group left in the tree. The committer puts each
//! entry here after it applied it. A reader that finds nothing holds a place for the entry while it reads the tree, and
//! the committer's entry takes that place away from it, so that a reader never puts back what it read too early.

use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::{Cache, GuardResult};
use sled::IVec;

use crate::store::KeptVerdict;

/// The kept entries: the tree's keys and what is there.
pub(super) struct Recent(Cache<Vec<u8>, KeptEntry, Bytes>);

/// An entry that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptEntry {
    /// In its stored form.
    pub(super) stored: IVec,
    /// What is known of it, for as long as it is kept.
    pub(super) verdict: KeptVerdict,
}

impl KeptEntry {
    /// One that this process has `vouched` for when it wrote it, or that may be anybody's.
    pub(super) fn new(stored: IVec, vouched: bool) -> Self {
        let verdict = KeptVerdict::of_kept(vouched);
        Self { stored, verdict }
    }
}

impl Recent {
    /// Keeps about `bytes` bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / TYPICAL_ENTRY).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(items.max(16), bytes, Bytes))
    }

    /// The entry at `data_key`: the kept one, or what `read` finds in the tree.
    pub(super) fn get(
        &self,
        data_key: &[u8],
        read: impl FnOnce() -> sled::Result<Option<IVec>>,
    ) -> sled::Result<Option<KeptEntry>> {
        let read = || Ok(read()?.map(|stored| KeptEntry::new(stored, false)));
        match self.0.get_value_or_guard(data_key, Some(Duration::ZERO)) {
            GuardResult::Value(kept) => Ok(Some(kept)),
            GuardResult::Guard(place) => {
                let entry = read()?;
                if let Some(entry) = &entry {
                    // Refused when the committer put a newer one here in the meantime: that one stays.
                    let _newer = place.insert(entry.clone());
                }
                Ok(entry)
            }
            // Somebody else is reading it; waiting for that would not be quicker.
            GuardResult::Timeout => read(),
        }
    }

    /// The kept entry, for the committer, which must not keep what it only looks at.
    pub(super) fn peek(&self, data_key: &[u8]) -> Option<IVec> {
        self.0.peek(data_key).map(|kept| kept.stored)
    }

    /// Takes in what the committer has applied.
    pub(super) fn applied(&self, written: Vec<(IVec, Option<KeptEntry>)>) {
        for (data_key, entry) in written {
            match entry {
                Some(entry) => self.0.insert(data_key.to_vec(), entry),
                None => {
                    self.0.remove(&*data_key);
                }
            }
        }
    }
}

/// What an entry costs: its bytes and about as many again for keeping it.
#[derive(Clone)]
struct Bytes;

impl Weighter<Vec<u8>, KeptEntry> for Bytes {
    fn weight(&self, key: &Vec<u8>, entry: &KeptEntry) -> u64 {
        (key.len() + entry.stored.len()) as u64 + OVERHEAD
    }
}

/// The bytes of keeping one entry, about.
const OVERHEAD: u64 = 128;
/// The bytes of a typical entry, kept.
const TYPICAL_ENTRY: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(text: &str) -> IVec {
        IVec::from(text.as_bytes())
    }

    fn kept(text: &str) -> KeptEntry {
        KeptEntry::new(stored(text), false)
    }

    #[test]
    fn what_is_kept_is_not_read_again() {
        let recent = Recent::new(1 << 20);
        assert_eq!(
            recent.get(b"key", || Ok(Some(stored("one")))),
            Ok(Some(kept("one")))
        );
        assert_eq!(
            recent.get(b"key", || unreachable!("it is kept")),
            Ok(Some(kept("one")))
        );
    }

    #[test]
    fn absence_is_not_kept() {
        let recent = Recent::new(1 << 20);
        assert_eq!(recent.get(b"key", || Ok(None)), Ok(None));
        assert_eq!(
            recent.get(b"key", || Ok(Some(stored("one")))),
            Ok(Some(kept("one")))
        );
    }

    #[test]
    fn a_reader_that_was_overtaken_does_not_put_back_what_it_read() {
        let recent = Recent::new(1 << 20);
        for newer in [Some(kept("new")), None] {
            let read = recent.get(b"key", || {
                recent.applied(vec![(IVec::from(b"key"), newer.clone())]);
                Ok(Some(stored("old")))
            });
            assert_eq!(read, Ok(Some(kept("old"))));
            assert_eq!(
                recent.get(b"key", || Ok(newer.clone().map(|new| new.stored))),
                Ok(newer.clone())
            );
            recent.applied(vec![(IVec::from(b"key"), None)]);
        }
    }

    #[test]
    fn an_error_keeps_nothing() {
        let recent = Recent::new(1 << 20);
        let failed = recent.get(b"key", || Err(sled::Error::Unsupported("test".into())));
        assert!(failed.is_err());
        assert_eq!(
            recent.get(b"key", || Ok(Some(stored("one")))),
            Ok(Some(kept("one")))
        );
    }
}
