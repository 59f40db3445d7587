//! Checks a whole store: every key, every MAC, every record, every index in both directions, every sealed secret.
//!
//! The entries are those of one moment. What they say of each other is looked up as it is then, so that the server may go
//! on meanwhile: an entry is only blamed if it is still the one that was read, so no change that comes in between looks
//! like damage.
//!
//! It takes the memory of one piece of an export, of 32 bytes for each service, and of the problems it lists.

mod credentials;
mod entries;
mod rate_limits;
mod report;
mod verifications;
mod walk;

pub use self::report::StoreReport;

use self::walk::Walk;
use crate::app::App;
use crate::flows::Fault;
use crate::store::authentic;

/// Checks everything in the store. A problem is no error: the report has it.
///
/// # Errors
/// [`Fault`] when the store cannot be read.
pub async fn check_store(app: &App) -> Result<StoreReport, Fault> {
    check_store_shown(app, &mut |_| ()).await
}

/// The same, and tells after each piece how many entries were looked at.
///
/// # Errors
/// As [`check_store`].
pub async fn check_store_shown(app: &App, show: &mut (dyn FnMut(u64) + Send)) -> Result<StoreReport, Fault> {
    let mut seen = 0;
    let mut walk = Walk::begin(app).await?;
    let before = app.vault.data_keys();
    let mut export = app.store.export().await?;
    let then = app.vault.data_keys();
    while let Some(entries) = export.next().await? {
        seen += entries.len() as u64;
        for (key, entry) in entries {
            let number = authentic::key_of(&entry.value).filter(|_| !authentic::is_of_no_data_key(&key));
            let keys = [before.as_ref(), then.as_ref()];
            match authentic::verified_of(&app.vault, &keys, &key, entry) {
                Ok(entry) => {
                    if let Some(number) = number {
                        walk.count_key(number);
                    }
                    walk.visit(&key, &entry).await?;
                }
                Err(forgery) => walk.blame_forged(&key, forgery),
            }
        }
        show(seen);
    }
    walk.finish().await
}
