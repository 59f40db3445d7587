//! The walk over all entries that writes anew what older data keys seal or vouch for.
//!
//! It goes in the order of keys, a page at a time, each in one commit with how far it is; so it goes on where it was, whenever it
//! was interrupted. An entry keeps its value and its end. What an epoch makes void is written void, for its new version is behind
//! that epoch.
//!
//! A round that finds nothing is the last one: whatever is written meanwhile is of the active key, but for what was sealed just
//! before that one was, and what was sealed earlier and is only written on.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{KeyState, commit, is_older, list, open_ring, read_ring, read_walk};
use crate::app::App;
use crate::domain::key_ring::{KeyWalk, SealedKeyRing};
use crate::domain::node::Duty;
use crate::domain::opaque::Sealed;
use crate::domain::sealing::SealedField;
use crate::domain::store_epoch::StoreEpoch;
use crate::flows::reading::Reading;
use crate::flows::{Fault, retry_on_conflict};
use crate::store::authentic::{self, MAC_BYTES};
use crate::store::keys::KeyParts;
use crate::store::kinds::Holds;
use crate::store::{Batch, Entry, Order, Scan, Version, keys};

/// Goes on for as long as there is something to write anew, for ever.
pub async fn keep_up(app: Arc<App>) -> Infallible {
    let mut failing = false;
    loop {
        let is_idle = app.vault.data_keys().is_single();
        if is_idle || !app.memory.nodes.has_duty(Duty::KeyWalk, app.clock.now()) {
            sleep(PERIOD).await;
            continue;
        }
        let went = go_on(&app, PERIOD).await;
        if let (Err(error), false) = (&went, failing) {
            tracing::error!("entries are not written anew with the active data key: {error}");
        }
        failing = went.is_err();
        match went {
            // A round has come to its end, and another one finds what this one could not take.
            Ok(state)
                if state.is_under_way() && state.walk.as_ref().is_none_or(|walk| !walk.after.is_empty()) => {}
            Ok(_) | Err(_) => sleep(PERIOD).await,
        }
    }
}

/// How often is looked whether there is something to do.
const PERIOD: Duration = Duration::from_secs(1);

/// Goes on for about so `long`, unless somebody in this process does: then it waits as long. How far it is by then.
///
/// # Errors
/// [`Fault`]: what was done stays.
pub async fn go_on(app: &App, long: Duration) -> Result<KeyState, Fault> {
    let began = Instant::now();
    let Ok(_alone) = app.memory.key_walk.try_lock() else {
        sleep(long).await;
        return list(app).await;
    };
    while began.elapsed() < long {
        let step = Instant::now();
        match Box::pin(page(app)).await {
            Ok(WalkStep::Nothing) => break,
            // After a conflict another server goes on, or the keys have changed.
            Ok(WalkStep::Done) | Err(Fault::Conflict(_)) => {}
            Err(fault) => return Err(fault),
        }
        // Whoever is served has at least as much of the store as this has.
        sleep(step.elapsed()).await;
    }
    list(app).await
}

/// What is left after a step.
enum WalkStep {
    Done,
    Nothing,
}

async fn page(app: &App) -> Result<WalkStep, Fault> {
    let mut reading = Reading::new(app);
    let ring = read_ring(&mut reading).await?;
    let before = read_walk(&mut reading, &ring).await?;
    if ring.data.len() < 2 {
        return Ok(WalkStep::Nothing);
    }
    let mut walk = before.clone().unwrap_or_else(|| KeyWalk::new(ring.generation));
    if walk.is_done {
        if !ring.has_leaving() {
            return Ok(WalkStep::Nothing);
        }
        let_go(app).await?;
        return Ok(WalkStep::Done);
    }
    let scan = Scan {
        prefix: Vec::new(),
        after: (!walk.after.is_empty()).then(|| walk.after.clone()),
        order: Order::Ascending,
        limit: PAGE,
    };
    // As the engine has them: the layer above shows no key of theirs.
    let found = app.engine.scan(scan).await?;
    let is_last = found.len() < PAGE;
    walk.seen += found.len() as u64;
    walk.after = found.last().map(|(key, _)| key.clone()).unwrap_or_default();
    let older = found
        .iter()
        .filter_map(|(key, entry)| Older::of(&ring, key, &entry.value));
    let older: Vec<Older> = older.collect();
    let together = Anew::of(app, &reading, &ring, &older).await?;
    if ring.has_leaving() {
        let raw: BTreeMap<&[u8], &Entry> = found.iter().map(|(key, entry)| (key.as_slice(), entry)).collect();
        let is_held = |key: &&Vec<u8>| {
            let entry = raw.get(key.as_slice());
            entry.is_some_and(|entry| authentic::verify(&app.vault, &[], key, entry).is_ok())
        };
        for key in together.missing.iter().filter(is_held) {
            walk.held.add(key);
        }
    }
    let after = walk_behind(&walk, together.count, is_last);
    match together.commit(reading, Some(&after)).await {
        Err(Fault::Conflict(_)) => {}
        settled => return settled.map(|()| WalkStep::Done),
    }
    let written = write_in_pieces(app, &ring, &older).await?;
    let mut reading = Reading::new(app);
    let same = read_ring(&mut reading).await? == ring;
    let stored = read_walk(&mut reading, &ring).await?;
    if !same || stored != before {
        // Another server goes on.
        return Ok(WalkStep::Done);
    }
    let batch = Batch::new().put_record(keys::key_walk(), &walk_behind(&walk, written, is_last))?;
    reading.commit_unaudited(batch).await.map(|()| WalkStep::Done)
}

/// The walk behind a page of which so many entries were written anew.
fn walk_behind(walk: &KeyWalk, written: u64, is_last: bool) -> KeyWalk {
    let mut behind = walk.clone();
    behind.written += written;
    behind.found |= written > 0;
    if is_last {
        behind.end_round();
    }
    behind
}

/// Something was changed meanwhile: that must not keep the others from being written, nor they it. How many are to be counted as
/// written.
async fn write_in_pieces(app: &App, ring: &SealedKeyRing, older: &[Older]) -> Result<u64, Fault> {
    let mut written = 0;
    for piece in older.chunks(PIECE) {
        match write(app, ring, piece).await {
            Ok(count) => {
                written += count;
                continue;
            }
            Err(Fault::Conflict(_)) => {}
            Err(fault) => return Err(fault),
        }
        for one in piece {
            let one = std::slice::from_ref(one);
            match retry_on_conflict(app, || write(app, ring, one)).await {
                Ok(count) => written += count,
                // The next round finds it.
                Err(Fault::Busy) => written += 1,
                Err(fault) => return Err(fault),
            }
        }
    }
    Ok(written)
}

/// Writes these anew if the keys are still these; how many.
async fn write(app: &App, ring: &SealedKeyRing, older: &[Older]) -> Result<u64, Fault> {
    let mut reading = Reading::new(app);
    if read_ring(&mut reading).await? != *ring {
        return Ok(0);
    }
    let anew = Anew::of(app, &reading, ring, older).await?;
    let count = anew.count;
    anew.commit(reading, None).await?;
    Ok(count)
}

const PIECE: usize = 16;

/// An entry of an older key.
struct Older {
    key: Vec<u8>,
    /// Whether that one vouches for it, rather than only seal what is in it.
    vouches: bool,
}

impl Older {
    /// The entry, if it has to be written anew; its `value` is as the engine has it.
    fn of(ring: &SealedKeyRing, key: &[u8], value: &[u8]) -> Option<Self> {
        if authentic::is_of_no_data_key(key) {
            return None;
        }
        let vouches = authentic::key_of(value).is_some_and(|number| is_older(ring, number));
        let mut seals = false;
        if let Some(Holds::Record {
            sealed: Some(look), ..
        }) = KeyParts::parse(key).map(|parts| parts.kind().holds)
        {
            let record = value.get(MAC_BYTES..).unwrap_or_default();
            let mut note = |sealed: &Sealed| seals |= is_sealed_with_older(ring, sealed);
            // What cannot be read cannot be sealed anew.
            let _unreadable = look(record, &mut note);
        }
        (vouches || seals).then(|| Self {
            key: key.to_vec(),
            vouches,
        })
    }

    /// The value to write, of the entry as a server wrote it; none if that would change nothing.
    fn anew(
        &self,
        app: &App,
        ring: &SealedKeyRing,
        voids: Option<StoreEpoch>,
        value: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let holds = KeyParts::parse(&self.key).map(|parts| parts.kind().holds);
        let Some(Holds::Record {
            write_anew: Some(write),
            ..
        }) = holds
        else {
            return self.vouches.then_some(value);
        };
        let mut sealed_anew = false;
        let mut change = |field: SealedField, sealed: &mut Sealed| {
            if !is_sealed_with_older(ring, sealed) {
                return;
            }
            // What does not open is of no use with any key.
            if let Ok(plain) = app.vault.open(&self.key, field, sealed) {
                *sealed = app.vault.seal(app.entropy.as_ref(), &self.key, field, &plain);
                sealed_anew = true;
            }
        };
        let written = write(&value, voids, &mut change);
        match written {
            Ok(written) => (self.vouches || sealed_anew).then_some(written),
            Err(_) => self.vouches.then_some(value),
        }
    }
}

fn is_sealed_with_older(ring: &SealedKeyRing, sealed: &Sealed) -> bool {
    sealed.key_number().is_some_and(|number| is_older(ring, number))
}

/// Entries as they are to be written, and in which versions they were read.
struct Anew {
    batch: Batch,
    versions: Vec<(Vec<u8>, Version)>,
    count: u64,
    /// Those that are gone, or refused.
    missing: Vec<Vec<u8>>,
}

impl Anew {
    async fn of(
        app: &App,
        reading: &Reading<'_>,
        ring: &SealedKeyRing,
        older: &[Older],
    ) -> Result<Self, Fault> {
        let mut anew = Self {
            batch: Batch::new(),
            versions: Vec::new(),
            count: 0,
            missing: Vec::new(),
        };
        let keys: Vec<Vec<u8>> = older.iter().map(|one| one.key.clone()).collect();
        let mut entries = reading.entries(&keys).await?.into_iter().peekable();
        for one in older {
            // What is gone, or is not as a server of this store wrote it, is missing there.
            let Some((
                key,
                Entry {
                    value,
                    version,
                    expires_at,
                    verdict: _,
                },
            )) = entries.next_if(|(key, _)| *key == one.key)
            else {
                anew.missing.push(one.key.clone());
                continue;
            };
            let Some(value) = one.anew(app, ring, reading.voids(version), value) else {
                continue;
            };
            anew.versions.push((key.clone(), version));
            anew.batch = match expires_at {
                Some(end) => anew.batch.put_until(key, value, end),
                None => anew.batch.put(key, value),
            };
            anew.count += 1;
        }
        Ok(anew)
    }

    /// Commits them, with how far the walk is.
    async fn commit(self, mut reading: Reading<'_>, walk: Option<&KeyWalk>) -> Result<(), Fault> {
        let mut batch = self.batch;
        for (key, version) in self.versions {
            reading.rest_on(key, version);
        }
        if let Some(walk) = walk {
            batch = batch.put_record(keys::key_walk(), walk)?;
        }
        reading.commit_unaudited(batch).await
    }
}

/// Takes away the keys of which nothing is left.
async fn let_go(app: &App) -> Result<(), Fault> {
    let mut reading = Reading::new(app);
    let ring = open_ring(app, &mut reading).await?;
    let walk = read_walk(&mut reading, ring.sealed()).await?;
    if !ring.sealed().has_leaving() || !walk.is_some_and(|walk| walk.is_done) {
        return Ok(());
    }
    let changed = ring.without_leaving();
    let changed = changed.map_err(|error| Fault::Corrupt(format!("key ring: {error}")))?;
    let before = ring.sealed().data.iter().map(|key| key.number);
    let gone = before.filter(|number| changed.data.iter().all(|key| key.number != *number));
    let gone: Vec<String> = gone.map(|number| number.to_string()).collect();
    // Of those that stay everything was written anew, too.
    let walk = KeyWalk {
        is_done: true,
        ..KeyWalk::new(changed.generation)
    };
    let told = format!("data key {} is gone: nothing is left of it", gone.join(", "));
    tracing::info!("{told}");
    commit(reading, &changed, Some(walk), told).await
}

const PAGE: usize = 256;
