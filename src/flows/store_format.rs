//! Makes sure that a store is one that this program and this master key can read.

use crate::app::App;
use crate::crypto::key_ring::{KeyRing, KeyRingError};
use crate::crypto::master_key::MasterKey;
use crate::crypto::vault::Vault;
use crate::domain::entropy::Entropy;
use crate::domain::key_ring::SealedKeyRing;
use crate::domain::store_epoch::StoreEpoch;
use crate::domain::time::Timestamp;
use crate::flows::reading::Reading;
use crate::flows::{Fault, epoch, retry_on_conflict};
use crate::store::authentic::{self, read_unverified};
use crate::store::records::{Filling, StoreFormat};
use crate::store::{Batch, Store, is_empty, keys};

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

/// The keys of a store.
#[derive(Debug)]
pub struct StoreKeys {
    /// What they are good for.
    pub vault: Vault,
    /// Whether they were made just now: they are not in the store yet, and those of another server may come first.
    pub are_new: bool,
}

/// Opens the keys of the store on `engine`, or makes those of a new one.
///
/// # Errors
/// [`UnusableStore`]: [`Fault::Corrupt`] when the store was written by a later version or is under another master key.
pub async fn open_keys(
    engine: &dyn Store,
    master: &MasterKey,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<StoreKeys, UnusableStore> {
    // First, for half a store may have no keys yet.
    let mark = read_unverified(engine, &keys::filling())
        .await
        .map_err(Fault::from)?;
    if let Some(filling) = mark {
        return Err(UnusableStore::HalfFilled(filling));
    }
    let format = read_unverified(engine, &keys::store_format())
        .await
        .map_err(Fault::from)?;
    if let Some(format) = &format {
        require_readable(format)?;
    }
    let key = keys::key_ring();
    let mut found = engine.get(key.bytes()).await.map_err(Fault::from)?;
    let is_used = format.is_some() || !is_empty(engine).await.map_err(Fault::from)?;
    if found.is_none() && is_used {
        // Another server may have begun with it meanwhile.
        found = engine.get(key.bytes()).await.map_err(Fault::from)?;
    }
    let Some(entry) = found else {
        if is_used {
            return Err(unusable(GONE_RING).into());
        }
        let ring = KeyRing::generate(master, entropy, now);
        let (vault, are_new) = (Vault::new(&ring), true);
        return Ok(StoreKeys { vault, are_new });
    };
    let sealed = authentic::record_of(&entry.value).map_err(Fault::from)?;
    let ring = KeyRing::open(sealed, master).map_err(|error| match error {
        KeyRingError::OtherMasterKey { .. } => unusable(format!("{error}; {OTHER_KEY}")),
        KeyRingError::Damaged => unusable(CHANGED_RING),
    })?;
    let vault = Vault::new(&ring);
    authentic::verified(&vault, key.bytes(), entry).map_err(|_| unusable(CHANGED_RING))?;
    let are_new = false;
    Ok(StoreKeys { vault, are_new })
}

/// Notes the format and the keys in a new store; checks them in an old one.
///
/// # Errors
/// [`UnusableStore`]: [`Fault::Corrupt`] when the store was written by a later version, or has other keys.
pub async fn check(app: &App) -> Result<(), UnusableStore> {
    match retry_on_conflict(app, || check_once(app)).await? {
        None => Ok(()),
        Some(filling) => Err(UnusableStore::HalfFilled(filling)),
    }
}

/// Writes the format that the store has once more: a change that says nothing, to see whether the store takes any.
///
/// # Errors
/// [`Fault`].
pub async fn write_anew(app: &App) -> Result<(), Fault> {
    let mut reading = Reading::new(app);
    let key = keys::store_format();
    let Some(format) = reading.get(&key).await? else {
        return Ok(());
    };
    reading
        .commit_unaudited(Batch::new().put_record(key, &format)?)
        .await
}

/// What was found in a store.
enum Condition<'a> {
    HalfFilled(Filling),
    /// Nothing speaks against it; what is missing is to be added.
    Usable(Box<Reading<'a>>, Batch),
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
    // Looked at before it is verified: that another first server has written it is no forgery.
    let written = read_unverified(app.engine.as_ref(), &keys::key_ring()).await?;
    if written.is_some_and(|SealedKeyRing { store, .. }| store != app.vault.store_identity()) {
        return Err(unusable(OTHER_RING));
    }
    let mut reading = Reading::new(app);
    let (key, ring, mark) = (keys::store_format(), keys::key_ring(), keys::filling());
    reading
        .prefetch([key.bytes(), ring.bytes(), mark.bytes()])
        .await?;
    // A new store's format rests on there being no mark, and the first entries of one that is filled on there being no format.
    if let Some(filling) = reading.get(&mark).await? {
        return Ok(Condition::HalfFilled(filling));
    }
    let mut missing = Batch::new();
    match reading.get(&ring).await {
        Ok(None) => missing = missing.put_record(ring, &app.vault.sealed_ring())?,
        Ok(Some(SealedKeyRing { store, .. })) if store == app.vault.store_identity() => {}
        Ok(Some(_)) | Err(Fault::Forged(_)) => return Err(unusable(OTHER_RING)),
        Err(fault) => return Err(fault),
    }
    match reading.get(&key).await? {
        None => {
            let format = StoreFormat { version: FORMAT };
            missing = missing.put_record(key, &format)?;
        }
        Some(found) => require_readable(&found)?,
    }
    epoch::learn(app).await?;
    if app.memory.epoch.get().is_none() {
        // Where others share the store every commit rests on it, so it is there from the beginning.
        missing = missing.put_record(keys::store_epoch(), &StoreEpoch::FIRST)?;
    }
    Ok(Condition::Usable(Box::new(reading), missing))
}

fn require_readable(format: &StoreFormat) -> Result<(), Fault> {
    if format.version == FORMAT {
        return Ok(());
    }
    Err(unusable(format!(
        "it has format {}, this program reads format {FORMAT}; use the program that wrote it to export it",
        format.version
    )))
}

fn unusable(why: impl Into<String>) -> Fault {
    Fault::Corrupt(why.into())
}

const OTHER_KEY: &str = "start with the key file that belongs to it";
const GONE_RING: &str = "its key ring is gone, and what is in it is of no use without; restore the last export into an empty place";
const CHANGED_RING: &str = "its key ring was changed by somebody else, or is another store's; restore the last export into an empty place";
const OTHER_RING: &str = "it has the keys of another store, or is under another master key; start with the key file that belongs to it";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::doubles::{SeededEntropy, TestParts};
    use crate::store::memory::MemoryStore;
    use crate::store::records;

    fn master(seed: u64) -> MasterKey {
        MasterKey::generate(&SeededEntropy::new(seed))
    }

    /// A server of the store on `engine` with this master key, and whether it would make new keys.
    async fn server(engine: &Arc<dyn Store>, seed: u64) -> Result<(App, bool), UnusableStore> {
        let parts = TestParts::default();
        let (master, entropy) = (master(seed), SeededEntropy::new(seed + 100));
        let now = parts.clock.now();
        let keys = open_keys(engine.as_ref(), &master, &entropy, now).await?;
        let parts = TestParts {
            store: Arc::clone(engine),
            vault: Arc::new(keys.vault),
            ..parts
        };
        Ok((parts.wire(), keys.are_new))
    }

    fn engine() -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }

    fn refusal<T>(opened: Result<T, UnusableStore>) -> String {
        match opened {
            Err(UnusableStore::Fault(Fault::Corrupt(why))) => why,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was opened"),
        }
    }

    #[tokio::test]
    async fn a_store_keeps_its_keys_and_opens_with_its_master_key_only() {
        let engine = engine();
        let (app, new) = server(&engine, 1).await.unwrap();
        check(&app).await.unwrap();
        assert!(new);
        let (again, new) = server(&engine, 1).await.unwrap();
        check(&again).await.unwrap();
        assert!(!new && again.vault.store_identity() == app.vault.store_identity());
        let why = refusal(server(&engine, 2).await);
        assert!(
            why.contains("start with the key file") && why.contains(&master(1).id().to_string()),
            "{why}"
        );
    }

    #[tokio::test]
    async fn another_stores_key_ring_is_refused_though_the_master_key_is_the_same() {
        let (one, two) = (engine(), engine());
        for engine in [&one, &two] {
            let entropy = SeededEntropy::new(if Arc::ptr_eq(engine, &one) { 7 } else { 8 });
            let parts = TestParts::default();
            let (master, now) = (master(1), parts.clock.now());
            let keys = open_keys(engine.as_ref(), &master, &entropy, now).await;
            let vault = Arc::new(keys.unwrap().vault);
            let store = Arc::clone(engine);
            let app = TestParts {
                store,
                vault,
                ..parts
            };
            check(&app.wire()).await.unwrap();
        }
        let (app, _) = server(&one, 1).await.unwrap();
        let ring = keys::key_ring().into_bytes();
        let theirs = two.get(&ring).await.unwrap().unwrap().value;
        one.commit(Batch::new().put(ring, theirs)).await.unwrap();
        let running = check(&app).await;
        assert!(refusal(running).contains("the keys of another store"));
        // It opens, but vouches for nothing that is there.
        let (swapped, _) = server(&one, 1).await.unwrap();
        assert!(matches!(
            check(&swapped).await,
            Err(UnusableStore::Fault(Fault::Forged(_)))
        ));
    }

    #[tokio::test]
    async fn a_key_ring_that_was_changed_or_is_gone_is_refused() {
        let engine = engine();
        let (app, _) = server(&engine, 1).await.unwrap();
        check(&app).await.unwrap();
        let ring = keys::key_ring().into_bytes();
        let mut changed = app.vault.sealed_ring();
        changed.data[0].since = Timestamp::from_seconds(1);
        let vouched = engine.get(&ring).await.unwrap().unwrap().value;
        let value = [
            &vouched[..authentic::MAC_BYTES],
            &records::encode(&changed).unwrap()[..],
        ];
        let batch = Batch::new().put(ring.clone(), value.concat());
        engine.commit(batch).await.unwrap();
        assert!(refusal(server(&engine, 1).await).contains("was changed by somebody else"));
        engine.commit(Batch::new().delete(ring)).await.unwrap();
        assert!(refusal(server(&engine, 1).await).contains("its key ring is gone"));
        // No new one is made over what is there, whatever else is gone.
        let format = keys::store_format().into_bytes();
        engine.commit(Batch::new().delete(format)).await.unwrap();
        assert!(refusal(server(&engine, 1).await).contains("its key ring is gone"));
        let epoch = keys::store_epoch().into_bytes();
        engine.commit(Batch::new().delete(epoch)).await.unwrap();
        assert!(server(&engine, 1).await.unwrap().1, "nothing is left");
    }

    #[tokio::test]
    async fn of_two_first_servers_exactly_one_begins() {
        let engine = engine();
        let (first, _) = server(&engine, 1).await.unwrap();
        let (second, new) = server(&engine, 2).await.unwrap();
        assert!(new);
        let (of_first, of_second) = (look(&first).await.unwrap(), look(&second).await.unwrap());
        let (Condition::Usable(reading, missing), Condition::Usable(others, theirs)) = (of_first, of_second)
        else {
            panic!("nobody fills it");
        };
        others.commit(theirs).await.unwrap();
        let late = reading.commit(missing).await;
        assert!(matches!(late, Err(Fault::Conflict(_))), "{late:?}");
        let forged = first.store.statistics().forged;
        assert!(refusal(check(&first).await).contains("the keys of another store"));
        assert_eq!(
            first.store.statistics().forged,
            forged,
            "nobody did anything wrong"
        );
        check(&second).await.unwrap();
    }
}
