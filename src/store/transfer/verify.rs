//! Whether everything that is to be copied was written by servers of its store: every MAC, before anything is written.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::import::{ImportError, Line, LinesIn, Rewind};
use crate::crypto::key_ring::{KeyRing, KeyRingError};
use crate::crypto::master_key::MasterKey;
use crate::crypto::vault::{DataKeys, Vault};
use crate::domain::factor::DriftLimit;
use crate::domain::store_epoch::StoreEpoch;
use crate::domain::time::Timestamp;
use crate::store::authentic::{self, Forgery};
use crate::store::keys::{self, KeyParts};
use crate::store::records;
use crate::store::{Batch, Entry, KeptVerdict, Store, StoreError};

/// Why something is not to be copied.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// There is an entry that no server of the store wrote.
    #[error(
        "it holds {count} entries that no server of its store wrote, the first of them {first}: somebody else changed it; take \
         an export of before that, or go on without those entries with --leave-out-forged"
    )]
    Forged {
        /// How many.
        count: u64,
        /// Which, and why.
        first: String,
    },
    /// The export is none, or is damaged.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The keys do not open.
    #[error("{0}; give the master key that belongs to it, with --master-key-file or COUNTERSIGN_MASTER_KEY")]
    Keys(#[from] KeyRingError),
    /// There are no keys.
    #[error("it holds no store of Countersign's: its key ring is missing")]
    NoKeys,
    /// Its key ring cannot be read.
    #[error("cannot read its key ring: {0}")]
    Store(#[from] StoreError),
}

/// Tells the entries that a server of a store wrote from all others.
pub struct Sieve {
    vault: Arc<Vault>,
    /// The data keys when this was made: what is copied may be of one that is taken away meanwhile.
    began: Arc<DataKeys>,
    /// What stands for an epoch that somebody else wrote.
    epoch: Vec<u8>,
}

/// The epoch that a store is in once it was filled: what was decided before is void.
#[derive(Clone, Copy, Debug)]
pub struct EpochAfterImport<'a> {
    /// The keys of the store.
    pub vault: &'a Vault,
    /// When it begins.
    pub at: Timestamp,
    /// How far clocks of devices are followed by whoever serves the store.
    pub drift: DriftLimit,
}

impl EpochAfterImport<'_> {
    /// The entry of the epoch, behind the one that was `copied`.
    ///
    /// # Errors
    /// [`StoreError::Forged`], [`StoreError::Corrupt`].
    pub(super) fn begin(self, copied: Option<Entry>) -> Result<Batch, StoreError> {
        let key = keys::store_epoch();
        let copied = match copied {
            Some(entry) => {
                let entry = authentic::verified(self.vault, key.bytes(), entry)
                    .map_err(|forgery| StoreError::Forged(format!("epoch: {forgery}")))?;
                records::decode(&entry.value)?
            }
            None => StoreEpoch::FIRST,
        };
        let begins = Batch::new().put_record(key, &copied.next(self.at, self.drift))?;
        Ok(authentic::vouched(self.vault, begins))
    }
}

/// What a sieve makes of an entry.
pub(super) enum Sifted {
    /// A server of the store wrote it.
    Sound,
    /// One that somebody else wrote, of this name; what takes its place, if anything does.
    Forged(String, Option<Entry>),
}

/// Which entries were left out, because no server of their store wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// The first of them, each with the reason.
    pub names: Vec<String>,
}

impl Sieve {
    /// One for the store with these keys. Which codes were void in it is not known if its epoch was changed: then all that waits
    /// is, as in an epoch that begins `now`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn new(vault: Arc<Vault>, now: Timestamp) -> Result<Self, StoreError> {
        let drift = DriftLimit::of_steps(DriftLimit::LARGEST);
        let epoch = StoreEpoch::FIRST.next(now, drift);
        let batch = Batch::new().put_record(keys::store_epoch(), &epoch)?;
        let written = authentic::vouched(&vault, batch).puts.into_iter().next();
        let epoch = written.map(|put| put.value).unwrap_or_default();
        let began = vault.data_keys();
        Ok(Self { vault, began, epoch })
    }

    pub(super) fn sift(&self, key: &[u8], entry: &Entry) -> Sifted {
        self.sift_of(&[&self.began], key, entry)
    }

    /// The data keys that were known at one moment since this was made, or before it.
    pub(super) fn known_keys(&self) -> [Arc<DataKeys>; 2] {
        [Arc::clone(&self.began), self.vault.data_keys()]
    }

    /// What it makes of an entry of a moment at which these were the data keys.
    pub(super) fn sift_of(&self, keys: &[&DataKeys], key: &[u8], entry: &Entry) -> Sifted {
        let Err(forgery) = authentic::verify(&self.vault, keys, key, entry) else {
            return Sifted::Sound;
        };
        let epoch = (key == keys::store_epoch().bytes()).then(|| Entry {
            value: self.epoch.clone(),
            version: entry.version,
            expires_at: None,
            verdict: KeptVerdict::default(),
        });
        Sifted::Forged(name(key, forgery), epoch)
    }

    /// What is to be copied of these entries, which follow each other.
    pub(super) fn pass(sieve: Option<&Self>, entries: Vec<(Vec<u8>, Entry)>) -> Vec<(Vec<u8>, Entry)> {
        let Some(sieve) = sieve else {
            return entries;
        };
        let sifted = entries
            .into_iter()
            .filter_map(|(key, entry)| match sieve.sift(&key, &entry) {
                Sifted::Sound => Some((key, entry)),
                Sifted::Forged(_, instead) => Some((key, instead?)),
            });
        sifted.collect()
    }
}

impl LeftOut {
    /// Whether nothing was.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.count == 0
    }

    pub(super) fn add(&mut self, mut name: String) {
        self.count += 1;
        if self.names.len() < MOST_NAMES {
            while name.len() > LONGEST_NAME {
                name.pop();
            }
            self.names.push(name);
        }
    }

    /// # Errors
    /// [`NotVerified::Forged`] if something would be left out.
    pub fn refuse(&self) -> Result<(), NotVerified> {
        match self.names.first() {
            None => Ok(()),
            Some(first) => Err(NotVerified::Forged {
                count: self.count,
                first: first.clone(),
            }),
        }
    }
}

/// Opens the keys of an export.
///
/// # Errors
/// [`NotVerified`].
pub fn keys_of_export(input: &mut impl Rewind, master: &MasterKey) -> Result<Vault, NotVerified> {
    let ring = keys::key_ring();
    let mut sealed = None;
    rows(input, |key, entry| {
        if key == ring.bytes() {
            sealed = Some(authentic::record_of(&entry.value)?);
        }
        Ok(())
    })?;
    let sealed = sealed.ok_or(NotVerified::NoKeys)?;
    Ok(Vault::new(&KeyRing::open(sealed, master)?))
}

/// Verifies every entry of an export.
///
/// # Errors
/// [`NotVerified`].
pub fn verify_export(input: &mut impl Rewind, sieve: &Sieve) -> Result<LeftOut, NotVerified> {
    let mut found = LeftOut::default();
    rows(input, |key, entry| {
        if let Sifted::Forged(name, _) = sieve.sift(key, &entry) {
            found.add(name);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Verifies every entry of a store, which is not to change meanwhile.
///
/// # Errors
/// [`StoreError`] if the store cannot be read.
pub async fn verify_store(engine: &dyn Store, sieve: &Sieve) -> Result<LeftOut, StoreError> {
    let mut found = LeftOut::default();
    let mut entries = engine.export().await?;
    while let Some(piece) = entries.next().await? {
        for (key, entry) in piece {
            if let Sifted::Forged(name, _) = sieve.sift(&key, &entry) {
                found.add(name);
            }
        }
    }
    Ok(found)
}

fn name(key: &[u8], forgery: Forgery) -> String {
    match KeyParts::parse(key) {
        Some(parts) => format!("{parts}: {forgery}"),
        None => format!("key {}: {forgery}", key.escape_ascii()),
    }
}

/// Has all rows of an export looked at.
fn rows(
    input: &mut impl Rewind,
    mut look: impl FnMut(&[u8], Entry) -> Result<(), NotVerified>,
) -> Result<(), NotVerified> {
    let mut lines = LinesIn::new(input.rewound().map_err(ImportError::Read)?);
    lines.header()?;
    while let Line::Row(row) = lines.next()? {
        let (key, entry) = row.into_entry();
        look(&key, entry)?;
    }
    Ok(())
}

/// How many of those that were left out are named.
const MOST_NAMES: usize = 100;

/// How long a name may be, so that all of them have room in a line of an export.
const LONGEST_NAME: usize = 300;
