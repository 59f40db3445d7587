//! Backups: what is refused, and what they are worth once they are restored.

mod damaged;
mod restored;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use countersign::crypto::age::{AgeIdentity, AgeRecipient};
use countersign::crypto::master_key::MasterKey;
use countersign::domain::factor::DriftLimit;
use countersign::domain::time::Timestamp;
use countersign::flows::backup::{BackupFile, BackupWriter};
use countersign::store::Store;
use countersign::store::transfer::{self, EpochAfterImport, NotVerified, Sieve};

use crate::doubles::SeededEntropy;

/// The key that every server in a test has, and another one.
fn master_key(seed: u64) -> MasterKey {
    MasterKey::generate(&SeededEntropy::new(seed))
}

fn identity(seed: u64) -> AgeIdentity {
    AgeIdentity::of_master_key(&master_key(seed)).unwrap()
}

/// Writes a backup of `store` to `path`.
async fn back_up(store: &dyn Store, path: &Path, recipients: &[AgeRecipient]) {
    let file = File::create_new(path).unwrap();
    let mut backup = BackupWriter::begin(file, recipients, &SeededEntropy::new(99)).unwrap();
    transfer::export(store, None, &mut backup).await.unwrap();
    backup.finish().unwrap();
}

/// Restores the backup at `path` as whoever has this identity and this master key: as the command does it.
async fn restore(
    store: &dyn Store,
    path: &Path,
    identity: AgeIdentity,
    master: &MasterKey,
    now: Timestamp,
) -> Result<u64, NotVerified> {
    let mut backup = BackupFile::new(File::open(path).unwrap(), identity);
    let vault = Arc::new(transfer::keys_of_export(&mut backup, master)?);
    let sieve = Sieve::new(Arc::clone(&vault), now)?;
    transfer::verify_export(&mut backup, &sieve)?.refuse()?;
    let epoch = EpochAfterImport {
        vault: &vault,
        at: now,
        drift: DriftLimit::OFF,
    };
    Ok(transfer::import(store, &mut backup, Some(&sieve), Some(epoch)).await?)
}
