//! The store's data keys and the master keys that open them: made, taken into use, and taken away, while the store is served.
//!
//! A new data key seals and vouches for whatever is written from the moment on at which it is in the key ring. What was written
//! before is written anew by the walk, and when nothing is left of it, the old key can go.

mod walk;

pub use self::walk::{go_on, keep_up};

use super::reading::{self, Reading};
use super::{Fault, retry_on_conflict};
use crate::app::App;
use crate::crypto::key_ring::{KeyRing, RingChangeError};
use crate::crypto::master_key::MasterKey;
use crate::domain::audit::AuditOutcome;
use crate::domain::key_ring::{DataKeyState, KeyId, KeyNumber, KeyWalk, SealedKeyRing};
use crate::domain::refusal::RefusalReason;
use crate::flows::retry::FlowError;
use crate::store::{Batch, keys};

/// Why the keys are not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyChangeError {
    /// The store failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The ring does not allow it.
    #[error(transparent)]
    Ring(#[from] RingChangeError),
    /// Nobody would have a key in the end.
    #[error(
        "the server has the master key {ours}, and {kept} is to be kept: start every server with the one that is to be kept first"
    )]
    OtherMaster {
        /// Which one is to be kept.
        kept: KeyId,
        /// Which one this process has.
        ours: KeyId,
    },
    /// Something may still be sealed with the key.
    #[error("what the key seals is still being written anew: `countersign keys list` says how far that is")]
    StillInUse,
}

impl FlowError for KeyChangeError {
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            Self::OtherMaster { .. } | Self::Ring(_) | Self::StillInUse => None,
        }
    }

    fn refusal(&self) -> Option<RefusalReason> {
        let code = match self {
            Self::Fault(fault) => return fault.refusal(),
            Self::OtherMaster { .. } => "other_master_key",
            Self::Ring(_) => "key_ring",
            Self::StillInUse => "key_in_use",
        };
        let words = self.to_string();
        Some(RefusalReason { code, words })
    }
}

/// The keys of a store, without what is secret.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct KeyState {
    pub ring: SealedKeyRing,
    /// Which master key this process has.
    pub master: KeyId,
    /// How far entries were written anew, if they have to be.
    pub walk: Option<KeyWalk>,
}

impl KeyState {
    /// Whether entries are being written anew.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.ring.has_leaving()
            || (self.ring.data.len() > 1 && !self.walk.as_ref().is_some_and(|walk| walk.is_done))
    }
}

/// What keys there are.
///
/// # Errors
/// [`Fault`].
pub async fn list(app: &App) -> Result<KeyState, Fault> {
    let mut reading = Reading::new(app);
    let ring = read_ring(&mut reading).await?;
    Ok(KeyState {
        walk: read_walk(&mut reading, &ring).await?,
        ring,
        master: app.vault.master_key(),
    })
}

/// Makes a data key, which seals and vouches for what is written from now on. Its number.
///
/// # Errors
/// [`KeyChangeError`].
pub async fn rotate(app: &App) -> Result<KeyNumber, KeyChangeError> {
    retry_on_conflict(app, || async {
        let mut reading = Reading::new(app);
        let ring = open_ring(app, &mut reading).await?;
        let (changed, number) = ring.rotated(app.entropy.as_ref(), app.clock.now())?;
        let walk = KeyWalk::new(changed.generation);
        let told = format!("data key {number} was made and is the active one");
        commit(reading, &changed, Some(walk), told).await?;
        Ok(number)
    })
    .await
}

/// Has the key of this number go, as soon as it was made sure that nothing is left of it.
///
/// # Errors
/// [`KeyChangeError`].
pub async fn retire(app: &App, number: KeyNumber) -> Result<(), KeyChangeError> {
    retry_on_conflict(app, || async {
        let mut reading = Reading::new(app);
        let ring = open_ring(app, &mut reading).await?;
        let changed = ring.leaving(number, app.clock.now())?;
        let walk = read_walk(&mut reading, ring.sealed()).await?;
        if !walk.is_some_and(|walk| walk.is_done) {
            return Err(KeyChangeError::StillInUse);
        }
        // What was sealed with it before and is written at this moment is found by one more.
        let walk = KeyWalk::new(changed.generation);
        let told = format!("data key {number} is to go");
        Ok(commit(reading, &changed, Some(walk), told).await?)
    })
    .await
}

/// Has another master key open the store beside the one that does.
///
/// # Errors
/// [`KeyChangeError`].
pub async fn add_master(app: &App, other: &MasterKey) -> Result<(), KeyChangeError> {
    retry_on_conflict(app, || async {
        let mut reading = Reading::new(app);
        let ring = open_ring(app, &mut reading).await?;
        let changed = ring.wrapped_for(other, app.entropy.as_ref())?;
        let told = format!("master key {} opens the store, too", other.id());
        commit_for_masters(reading, ring.sealed(), &changed, told).await
    })
    .await
}

/// Has only the master key `kept` open the store, which has to be the one that this process has.
///
/// # Errors
/// [`KeyChangeError`].
pub async fn retire_other_masters(app: &App, kept: KeyId) -> Result<(), KeyChangeError> {
    let ours = app.vault.master_key();
    if kept != ours {
        return Err(KeyChangeError::OtherMaster { kept, ours });
    }
    retry_on_conflict(app, || async {
        let mut reading = Reading::new(app);
        let ring = open_ring(app, &mut reading).await?;
        let changed = ring.for_this_master_only()?;
        let told = format!("only master key {ours} opens the store");
        commit_for_masters(reading, ring.sealed(), &changed, told).await
    })
    .await
}

/// The data keys stay as they are, and so does what is known of entries that have to be written anew.
async fn commit_for_masters(
    mut reading: Reading<'_>,
    before: &SealedKeyRing,
    changed: &SealedKeyRing,
    told: String,
) -> Result<(), KeyChangeError> {
    let walk = read_walk(&mut reading, before).await?;
    let walk = walk.map(|walk| KeyWalk {
        generation: changed.generation,
        ..walk
    });
    Ok(commit(reading, changed, walk, told).await?)
}

async fn commit(
    reading: Reading<'_>,
    changed: &SealedKeyRing,
    walk: Option<KeyWalk>,
    told: String,
) -> Result<(), Fault> {
    let mut batch = Batch::new().put_record(keys::key_ring(), changed)?;
    if let Some(walk) = walk {
        batch = batch.put_record(keys::key_walk(), &walk)?;
    }
    reading::decide(AuditOutcome::Done, || ("data_keys_changed", Some(told)));
    reading.commit(batch).await
}

async fn open_ring(app: &App, reading: &mut Reading<'_>) -> Result<KeyRing, Fault> {
    let sealed = read_ring(reading).await?;
    let opened = app.vault.open_ring(sealed);
    opened.map_err(|error| Fault::Corrupt(format!("key ring: {error}")))
}

async fn read_ring(reading: &mut Reading<'_>) -> Result<SealedKeyRing, Fault> {
    let ring = reading.get(&keys::key_ring()).await?;
    ring.ok_or_else(|| Fault::Corrupt("the store's key ring is gone".to_owned()))
}

/// How far entries were written anew for these keys; none if they never had to be.
async fn read_walk(reading: &mut Reading<'_>, ring: &SealedKeyRing) -> Result<Option<KeyWalk>, Fault> {
    let walk = reading.get(&keys::key_walk()).await?;
    Ok(walk.filter(|walk| walk.generation == ring.generation))
}

/// Whether entries of this key have to be written anew.
fn is_older(ring: &SealedKeyRing, number: KeyNumber) -> bool {
    let mut keys = ring.data.iter();
    keys.any(|key| key.number == number && key.state != DataKeyState::Active)
}

#[cfg(test)]
pub(in crate::flows) mod tests;
