//! Makes sure that a store is one that this program and this master key can read.

use crate::app::App;
use crate::flows::reading::Reading;
use crate::flows::{Fault, retry_on_conflict};
use crate::store::records::{Filling, StoreFormat};
use crate::store::{Batch, StoreError, keys};

/// The version of the key map that this program writes.
pub const FORMAT: u32 = 1;

/// Why a store is not to be used.
#[derive(Debug, thiserror::Error)]
pub enum UnusableStore {
    /// It is of another format, or under another master key, or it cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It was not filled to the end.
    #[error("it is not whole: {0}")]
    HalfFilled(Filling),
}

/// Notes the format and the master key in a new store; checks them in an old one.
///
/// # Errors
/// [`UnusableStore`]: [`StoreError::Corrupt`] when the store was written by a later version or sealed under another master
/// key.
pub async fn check(app: &App) -> Result<(), UnusableStore> {
    match retry_on_conflict(app, || check_once(app)).await? {
        None => Ok(()),
        Some(filling) => Err(UnusableStore::HalfFilled(filling)),
    }
}

/// The mark of a store that is not whole, if there is one.
async fn check_once(app: &App) -> Result<Option<Filling>, Fault> {
    let mut reading = Reading::new(app);
    let (key, mark) = (keys::store_format(), keys::filling());
    reading.prefetch([key.bytes(), mark.bytes()]).await?;
    // First, for half a store may have no format yet. A new store's format rests on there being no mark, and the first
    // entries of one that is filled on there being no format.
    if let Some(filling) = reading.get(&mark).await? {
        return Ok(Some(filling));
    }
    let ours = app.vault.key_id();
    match reading.get(&key).await? {
        None => {
            let format = StoreFormat { version: FORMAT, master_key_id: ours.as_bytes().to_vec() };
            reading.commit(Batch::new().put_record(key, &format)?).await?;
            Ok(None)
        }
        Some(found) if found.version != FORMAT => Err(StoreError::Corrupt(format!(
            "it has format {}, this program reads format {FORMAT}; use the program that wrote it to export it",
            found.version
        ))
        .into()),
        Some(found) if found.master_key_id != ours.as_bytes() => Err(StoreError::Corrupt(
            "its secrets are sealed under another master key; start with the key file that belongs to it".to_owned(),
        )
        .into()),
        Some(_) => Ok(None),
    }
}
