//! Makes sure that a store is one that this program and this master key can read.

use crate::app::App;
use crate::flows::reading::Reading;
use crate::flows::{Fault, retry_on_conflict};
use crate::store::records::StoreFormat;
use crate::store::{Batch, StoreError, keys};

/// The version of the key map that this program writes.
pub const FORMAT: u32 = 1;

/// Notes the format and the master key in a new store; checks them in an old one.
///
/// # Errors
/// [`StoreError::Corrupt`] when the store was written by a later version or sealed under another master key.
pub async fn check(app: &App) -> Result<(), Fault> {
    retry_on_conflict(|| check_once(app)).await
}

async fn check_once(app: &App) -> Result<(), Fault> {
    let mut reading = Reading::new(app);
    let key = keys::store_format();
    let ours = app.vault.key_id();
    match reading.get(&key).await? {
        None => {
            let format = StoreFormat { version: FORMAT, master_key_id: ours.as_bytes().to_vec() };
            Ok(reading.commit(Batch::new().put_record(key, &format)?).await?)
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
        Some(_) => Ok(()),
    }
}
