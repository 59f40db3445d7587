//! Whether everything that is to be copied was written by servers of its store: every MAC, before anything is written.

use std::io::{BufRead, Seek, SeekFrom};

use super::import::{ImportError, Line, LinesIn};
use crate::crypto::key_ring::{KeyRing, KeyRingError};
use crate::crypto::master_key::MasterKey;
use crate::crypto::vault::Vault;
use crate::domain::time::Timestamp;
use crate::store::authentic::{self, Forgery};
use crate::store::keys::{self, KeyParts};
use crate::store::{Entry, Store, StoreError, Version};

/// Why something is not to be copied.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// There is an entry that no server of the store wrote.
    #[error(
        "it holds {count} entries that no server of its store wrote, the first of them {first}: somebody else changed it; take \
         an export of before that"
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
    /// The store cannot be read.
    #[error("cannot read it: {0}")]
    Store(#[from] StoreError),
}

/// Verifies every entry of an export, which is read from where `input` stands, and left there.
///
/// # Errors
/// [`NotVerified`].
pub fn verify_export<R: BufRead + Seek>(input: &mut R, master: &MasterKey) -> Result<(), NotVerified> {
    let start = input.stream_position().map_err(ImportError::Read)?;
    let ring = keys::key_ring();
    let mut sealed = None;
    rows(input, |key, entry| {
        if key == ring.bytes() {
            sealed = Some(authentic::record_of(&entry.value)?);
        }
        Ok(())
    })?;
    let vault = Vault::new(&KeyRing::open(sealed.ok_or(NotVerified::NoKeys)?, master)?);
    input.seek(SeekFrom::Start(start)).map_err(ImportError::Read)?;
    let mut found = ForgedEntries::default();
    rows(input, |key, entry| {
        found.look_at(&vault, key, entry);
        Ok(())
    })?;
    input.seek(SeekFrom::Start(start)).map_err(ImportError::Read)?;
    found.verdict()
}

/// Verifies every entry of a store, which is not to change meanwhile.
///
/// # Errors
/// [`NotVerified`].
pub async fn verify_store(engine: &dyn Store, vault: &Vault) -> Result<(), NotVerified> {
    let mut found = ForgedEntries::default();
    let mut entries = engine.export().await?;
    while let Some(piece) = entries.next().await? {
        for (key, entry) in piece {
            found.look_at(vault, &key, entry);
        }
    }
    found.verdict()
}

/// Those that were found so far.
#[derive(Default)]
struct ForgedEntries {
    forged: u64,
    first: Option<String>,
}

impl ForgedEntries {
    fn look_at(&mut self, vault: &Vault, key: &[u8], entry: Entry) {
        if let Err(forgery) = authentic::verified(vault, key, entry) {
            self.forged += 1;
            self.first.get_or_insert_with(|| name(key, forgery));
        }
    }

    fn verdict(self) -> Result<(), NotVerified> {
        match self.first {
            None => Ok(()),
            Some(first) => Err(NotVerified::Forged {
                count: self.forged,
                first,
            }),
        }
    }
}

fn name(key: &[u8], forgery: Forgery) -> String {
    match KeyParts::parse(key) {
        Some(parts) => format!("{parts}: {forgery}"),
        None => format!("key {}: {forgery}", key.escape_ascii()),
    }
}

/// Has all rows of an export looked at.
fn rows<R: BufRead>(
    input: &mut R,
    mut look: impl FnMut(&[u8], Entry) -> Result<(), NotVerified>,
) -> Result<(), NotVerified> {
    let mut lines = LinesIn::new(input);
    lines.header()?;
    while let Line::Row(row) = lines.next()? {
        let entry = Entry {
            value: row.value,
            version: Version(0),
            expires_at: row.expires_at.map(Timestamp::from_millis),
        };
        look(&row.key, entry)?;
    }
    Ok(())
}
