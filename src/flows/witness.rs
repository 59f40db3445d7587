//! How far a store has come, for a witness outside of it, and what happens to one that is behind its witness.
//!
//! The count rises in the store first: a server that is killed in between leaves a witness that is behind, never one that is
//! ahead of a store which nobody put back.

use subtle::ConstantTimeEq as _;

use super::reading::Reading;
use super::{Fault, epoch, retry_on_conflict};
use crate::app::App;
use crate::crypto::vault::{EntryTag, Vault};
use crate::domain::store_epoch::StoreEpoch;
use crate::domain::witness::{StoreProgress, Testimony, WitnessCount};
use crate::store::{Batch, keys};

/// Whether the store was put back, as far as `witness` knows, which is `None` where there is none. A store that never had one
/// begins with it.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn was_put_back(app: &App, witness: Option<&Testimony>) -> Result<bool, Fault> {
    let count = match Reading::new(app).get(&keys::witness_count()).await {
        // Somebody hides how far it has come.
        Err(Fault::Forged(_)) => return Ok(true),
        count => count?.map_or(0, |WitnessCount { count }| count),
    };
    let epoch = epoch_of(app).number;
    let store = StoreProgress { epoch, count };
    Ok(witness.map_or(count > 0, |witness| store < witness.progress))
}

/// How far a store has come that has never counted.
#[must_use]
pub fn uncounted(app: &App) -> StoreProgress {
    StoreProgress {
        epoch: epoch_of(app).number,
        count: 0,
    }
}

/// Has the store count on.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn advance(app: &App) -> Result<StoreProgress, Fault> {
    let count = retry_on_conflict(app, async || {
        let mut reading = Reading::new(app);
        let key = keys::witness_count();
        let known: Option<WitnessCount> = reading.get(&key).await?;
        let count = known.map_or(0, |known| known.count).saturating_add(1);
        let batch = Batch::new().put_record(key, &WitnessCount { count })?;
        reading.commit_unaudited(batch).await?;
        Ok::<_, Fault>(count)
    });
    Ok(StoreProgress {
        count: count.await?,
        epoch: epoch_of(app).number,
    })
}

/// Begins an epoch in a store that is behind its witness, or whose witness is gone (`None`). It is one that no state of the store
/// had which the witness saw, and begins no earlier than the witness last spoke, whatever the clock of a machine shows that was
/// rolled back.
///
/// # Errors
/// [`Fault::Unavailable`]: nothing of the store may be used.
pub async fn begin_epoch(app: &App, witness: Option<Testimony>) -> Result<StoreEpoch, Fault> {
    let now = app.clock.now();
    let (seen, began) = witness.map_or((0, now), |witness| (witness.progress.epoch, now.max(witness.at)));
    let known = epoch_of(app);
    let next = StoreEpoch {
        number: known.number.max(seen),
        ..known
    }
    .next(began, app.policy.totp_drift);
    let count = witness
        .map_or(0, |witness| witness.progress.count)
        .saturating_add(1);
    // No server runs on it yet, and no other process can, so there is nobody who could come first.
    let batch = Batch::new()
        .put_record(keys::store_epoch(), &next)?
        .put_record(keys::witness_count(), &WitnessCount { count })?;
    Reading::new(app).commit_unaudited(batch).await?;
    epoch::learn(app).await?;
    Ok(next)
}

fn epoch_of(app: &App) -> StoreEpoch {
    app.memory
        .epoch
        .get()
        .map_or(StoreEpoch::FIRST, |(epoch, _)| epoch)
}

/// The testimony as it stands outside of the store: with a MAC under the key that stays for the store's life, so that nobody raises it who
/// could not write the store, and a damaged one is told from an old one.
#[must_use]
pub fn signed(vault: &Vault, testimony: &Testimony) -> String {
    use std::fmt::Write as _;
    let mut text = testimony.to_string();
    let tag = tag(vault, &text);
    text.push_str(MAC);
    for byte in tag {
        let _infallible = write!(text, "{byte:02x}");
    }
    text.push('\n');
    text
}

/// What became of a testimony that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WitnessWord {
    /// A server of this store wrote it.
    Said(Testimony),
    /// Of another store.
    OfAnotherStore,
    /// Nobody wrote it as it is.
    Damaged,
}

/// Reads what [`signed`] made.
#[must_use]
pub fn heard(vault: &Vault, text: &str) -> WitnessWord {
    let parts = text.split_once(MAC);
    let read = parts.and_then(|(said, mac)| Some((said, Testimony::parse(said)?, mac)));
    let Some((said, testimony, mac)) = read else {
        return WitnessWord::Damaged;
    };
    if testimony.identity != vault.store_identity() {
        return WitnessWord::OfAnotherStore;
    }
    // Both are made of the same tag, so comparing texts compares tags.
    let expected = signed(vault, &testimony);
    let expected = expected
        .strip_prefix(said)
        .and_then(|rest| rest.strip_prefix(MAC));
    let is_ours = expected.is_some_and(|expected| bool::from(expected.as_bytes().ct_eq(mac.as_bytes())));
    if is_ours {
        WitnessWord::Said(testimony)
    } else {
        WitnessWord::Damaged
    }
}

fn tag(vault: &Vault, text: &str) -> EntryTag {
    // The tags of key rings begin with the length of their key, which is no text.
    vault.lasting_tag(&[text.as_bytes()])
}

const MAC: &str = "mac ";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::crypto::key_ring::KeyRing;
    use crate::crypto::master_key::MasterKey;
    use crate::domain::time::Timestamp;
    use crate::doubles::{ManualClock, SeededEntropy, TestParts};
    use crate::flows::store_format;

    const NOW: u64 = 1_800_000_000;

    async fn app() -> App {
        let parts = TestParts {
            clock: Arc::new(ManualClock::new(Timestamp::from_seconds(NOW))),
            ..TestParts::default()
        };
        let app = parts.wire();
        store_format::check(&app).await.unwrap();
        app
    }

    fn testimony(app: &App, epoch: u32, count: u64, at: u64) -> Testimony {
        Testimony {
            identity: app.vault.store_identity(),
            progress: StoreProgress { epoch, count },
            at: Timestamp::from_seconds(at),
        }
    }

    #[tokio::test]
    async fn a_store_counts_on_within_its_epoch() {
        let app = app().await;
        assert_eq!(uncounted(&app), StoreProgress { epoch: 0, count: 0 });
        let first = testimony(&app, 0, 0, NOW);
        assert_eq!(
            was_put_back(&app, Some(&first)).await,
            Ok(false),
            "not counted yet"
        );
        for count in 1..4 {
            let counted = StoreProgress { epoch: 0, count };
            assert_eq!(advance(&app).await, Ok(counted));
        }
    }

    #[tokio::test]
    async fn a_store_that_is_behind_its_witness_or_has_lost_it_was_put_back() {
        let app = app().await;
        assert_eq!(was_put_back(&app, None).await, Ok(false), "it never had one");
        let said = testimony(&app, 0, 2, NOW);
        assert_eq!(
            was_put_back(&app, Some(&said)).await,
            Ok(true),
            "nor had the copy"
        );
        for (count, expected) in [(1, true), (2, false), (3, false)] {
            advance(&app).await.unwrap();
            assert_eq!(was_put_back(&app, Some(&said)).await, Ok(expected), "{count}");
        }
        assert_eq!(was_put_back(&app, None).await, Ok(true), "it is gone");
        let later = testimony(&app, 1, 1, NOW);
        assert_eq!(
            was_put_back(&app, Some(&later)).await,
            Ok(true),
            "an epoch is forgotten"
        );
        let key = keys::witness_count().into_bytes();
        let forged = app.engine.get(&key).await.unwrap().unwrap().value;
        let forged = [&forged[..forged.len() - 1], &[9]].concat();
        app.engine.commit(Batch::new().put(key, forged)).await.unwrap();
        assert_eq!(was_put_back(&app, Some(&said)).await, Ok(true), "it was changed");
        begin_epoch(&app, Some(later)).await.unwrap();
        assert_eq!(was_put_back(&app, Some(&later)).await, Ok(false));
    }

    /// Whatever the clock shows: that of a machine that was rolled back is behind for a while.
    #[tokio::test]
    async fn an_epoch_behind_a_witness_is_above_all_that_it_saw_and_begins_no_earlier() {
        let app = app().await;
        advance(&app).await.unwrap();
        let ahead = testimony(&app, 4, 17, NOW + 3600);
        let begun = begin_epoch(&app, Some(ahead)).await.unwrap();
        assert_eq!(begun.number, 5);
        let (epoch, _) = app.memory.epoch.get().unwrap();
        assert_eq!(
            (epoch.number, epoch.began),
            (5, Timestamp::from_seconds(NOW + 3600))
        );
        assert!(advance(&app).await.unwrap() > StoreProgress { epoch: 5, count: 18 });
        begin_epoch(&app, None).await.unwrap();
        let (epoch, _) = app.memory.epoch.get().unwrap();
        assert_eq!(
            (epoch.number, epoch.began),
            (6, Timestamp::from_seconds(NOW + 3600))
        );
        let behind = testimony(&app, 0, 1, NOW - 3600);
        begin_epoch(&app, Some(behind)).await.unwrap();
        let (epoch, _) = app.memory.epoch.get().unwrap();
        assert_eq!(
            (epoch.number, epoch.began),
            (7, Timestamp::from_seconds(NOW + 3600))
        );
    }

    #[tokio::test]
    async fn only_this_stores_servers_can_have_written_a_testimony() {
        let app = app().await;
        let said = testimony(&app, 1, 2, NOW);
        let text = signed(&app.vault, &said);
        assert_eq!(heard(&app.vault, &text), WitnessWord::Said(said));
        let entropy = SeededEntropy::new(9);
        let ring = KeyRing::generate(&MasterKey::generate(&entropy), &entropy, app.clock.now());
        assert_eq!(heard(&Vault::new(&ring), &text), WitnessWord::OfAnotherStore);
        for position in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[position] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert!(
                !matches!(heard(&app.vault, &changed), WitnessWord::Said(_)),
                "{changed}"
            );
        }
        assert_eq!(
            heard(&app.vault, &text.replace("count 2", "count 3")),
            WitnessWord::Damaged
        );
        assert_eq!(heard(&app.vault, ""), WitnessWord::Damaged);
        assert_eq!(heard(&app.vault, &said.to_string()), WitnessWord::Damaged);
    }
}
