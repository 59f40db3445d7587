//! Makes sure that a store is one that this program and this master key can read.

use crate::app::App;
use crate::crypto::vault::Vault;
use crate::domain::store_epoch::StoreEpoch;
use crate::flows::reading::Reading;
use crate::flows::{Fault, epoch, retry_on_conflict};
use crate::store::records::{Filling, StoreFormat, StoreSeal};
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

/// Notes the format and the master key in a new store; checks them in an old one. What an earlier release did not note is added.
///
/// # Errors
/// [`UnusableStore`]: [`StoreError::Corrupt`] when the store was written by a later version or sealed under another master
/// key.
pub async fn check(app: &App) -> Result<(), UnusableStore> {
    epoch::learn(app).await?;
    match retry_on_conflict(app, || check_once(app)).await? {
        None => Ok(()),
        Some(filling) => Err(UnusableStore::HalfFilled(filling)),
    }
}

/// What was found in a store.
enum Condition<'a> {
    HalfFilled(Filling),
    /// Nothing speaks against it; what is missing is to be added.
    Usable(Reading<'a>, Batch),
}

/// The mark of a store that is not whole, if there is one.
async fn check_once(app: &App) -> Result<Option<Filling>, Fault> {
    match look(app).await? {
        Condition::HalfFilled(filling) => Ok(Some(filling)),
        // Of two that are the first, with different keys, one finds here that the other was.
        Condition::Usable(reading, missing) => {
            let is_new = !missing.is_empty();
            reading.commit(missing).await?;
            if is_new {
                epoch::learn(app).await?;
            }
            Ok(None)
        }
    }
}

async fn look(app: &App) -> Result<Condition<'_>, Fault> {
    let mut reading = Reading::new(app);
    let (key, seal, mark) = (keys::store_format(), keys::store_seal(), keys::filling());
    reading
        .prefetch([key.bytes(), seal.bytes(), mark.bytes()])
        .await?;
    // First, for half a store may have no format yet. A new store's format rests on there being no mark, and the first
    // entries of one that is filled on there being no format.
    if let Some(filling) = reading.get(&mark).await? {
        return Ok(Condition::HalfFilled(filling));
    }
    let ours = app.vault.key_id();
    let mut missing = Batch::new();
    match reading.get(&key).await? {
        None => {
            let format = StoreFormat {
                version: FORMAT,
                master_key_id: ours.as_bytes().to_vec(),
            };
            missing = missing.put_record(key, &format)?;
        }
        Some(found) if found.version != FORMAT => {
            return Err(StoreError::Corrupt(format!(
                "it has format {}, this program reads format {FORMAT}; use the program that wrote it to export it",
                found.version
            ))
            .into());
        }
        Some(found) if found.master_key_id != ours.as_bytes() => return Err(other_key()),
        Some(_) => {}
    }
    // Four bytes can agree by chance, and whoever writes the store can write them. Earlier releases wrote them alone.
    match reading.get(&seal).await? {
        None => missing = missing.put_record(seal, &new_seal(app))?,
        Some(found) if !opens(&app.vault, &found) => return Err(other_key()),
        Some(_) => {}
    }
    if app.memory.epoch.get().is_none() {
        // Where others share the store every commit rests on it, so it is there from the beginning.
        missing = missing.put_record(keys::store_epoch(), &StoreEpoch::FIRST)?;
    }
    Ok(Condition::Usable(reading, missing))
}

/// Whether the seal is of this master key.
pub(crate) fn opens(vault: &Vault, seal: &StoreSeal) -> bool {
    vault.open(keys::store_seal().bytes(), &seal.identity).is_ok()
}

fn new_seal(app: &App) -> StoreSeal {
    let mut identity = [0; 16];
    app.entropy.fill(&mut identity);
    let key = keys::store_seal();
    StoreSeal {
        identity: app.vault.seal(app.entropy.as_ref(), key.bytes(), &identity),
    }
}

fn other_key() -> Fault {
    StoreError::Corrupt(
        "its secrets are sealed under another master key; start with the key file that belongs to it"
            .to_owned(),
    )
    .into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::crypto::master_key::MasterKey;
    use crate::doubles::{SeededEntropy, TestParts};
    use crate::store::records;

    /// Another server of the same store, with a master key of its own.
    fn with_other_key(app: &App) -> App {
        let key = MasterKey::generate(&SeededEntropy::new(77));
        TestParts {
            vault: Arc::new(Vault::new(&key)),
            ..TestParts::of(app)
        }
        .wire()
    }

    fn is_refused(checked: &Result<(), UnusableStore>) -> bool {
        matches!(checked, Err(UnusableStore::Fault(Fault::Corrupt(why))) if why.contains("another master key"))
    }

    async fn stored<T: records::Record>(app: &App, key: &keys::Key<T>) -> Option<T> {
        let found = records::read(app.store.as_ref(), key).await.unwrap();
        found.map(|found| found.record)
    }

    #[tokio::test]
    async fn another_master_key_is_refused_though_the_store_names_it() {
        let app = TestParts::default().wire();
        let other = with_other_key(&app);
        check(&app).await.unwrap();
        assert!(is_refused(&check(&other).await));
        // As it would be with keys that begin alike, or if somebody wrote it there.
        let format = StoreFormat {
            version: FORMAT,
            master_key_id: other.vault.key_id().as_bytes().to_vec(),
        };
        let batch = Batch::new().put_record(keys::store_format(), &format).unwrap();
        app.store.commit(batch).await.unwrap();
        assert!(is_refused(&check(&other).await));
    }

    #[tokio::test]
    async fn a_store_of_an_earlier_release_gets_its_seal_and_keeps_it() {
        let app = TestParts::default().wire();
        check(&app).await.unwrap();
        let unsealed = Batch::new().delete(keys::store_seal().into_bytes());
        app.store.commit(unsealed).await.unwrap();
        assert!(is_refused(&check(&with_other_key(&app)).await));
        assert!(
            stored(&app, &keys::store_seal()).await.is_none(),
            "none is made with a wrong key"
        );
        check(&app).await.unwrap();
        let seal = stored(&app, &keys::store_seal()).await.unwrap();
        check(&app).await.unwrap();
        assert_eq!(
            stored(&app, &keys::store_seal()).await.unwrap().identity,
            seal.identity
        );
        assert!(opens(&app.vault, &seal));
    }

    #[tokio::test]
    async fn of_two_first_servers_with_different_keys_exactly_one_begins() {
        let app = TestParts::default().wire();
        let other = with_other_key(&app);
        let (first, second) = (look(&app).await.unwrap(), look(&other).await.unwrap());
        let (Condition::Usable(first, of_first), Condition::Usable(second, of_second)) = (first, second)
        else {
            panic!("nobody fills it");
        };
        second.commit(of_second).await.unwrap();
        let late = first.commit(of_first).await;
        assert!(matches!(late, Err(Fault::Conflict(_))), "{late:?}");
        assert!(is_refused(&check(&app).await));
        check(&other).await.unwrap();
    }
}
