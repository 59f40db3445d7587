//! Copying one store into another: of another engine, or another place of the same one.
//!
//! 1. The source is read, to see that it can be and how much there is, before anything is written.
//! 2. Both are read side by side, in the order of their keys, and what differs is written. So a conversion that was
//!    interrupted goes on behind its last entry and makes sure of all before it, whatever became of the source since.
//! 3. Both are read once more. If they are equal, and the source is what it was, the target's mark goes.
//!
//! Versions are each engine's own and are not copied.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::checksum::{Checksum, Summing};
use super::filling::{BATCH_BYTES, FillError, Filler};
use super::verify::Sieve;
use crate::store::authentic::read_unverified;
use crate::store::records::{self, FillSource, Filling, Stored};
use crate::store::{Entry, Order, Scan, Store, StoreError, keys};

/// Why a store was not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The source is not what it was.
    #[error(
        "the source changes while it is converted: stop every server that uses it, and run the same command again"
    )]
    Changing,
    /// The target does not have what was written to it.
    #[error("the target does not hold what was written to it: its disk or its memory is not to be trusted")]
    Differs,
    /// The source holds no store of ours.
    #[error("there is nothing to convert: the source holds no store of Countersign's")]
    NoKeys,
    /// The source is not whole.
    #[error("the source is not whole: {0}")]
    HalfFilled(Filling),
    /// The source cannot be read.
    #[error("cannot read the source: {0}")]
    Source(StoreError),
    /// The target is not to be filled, or failed while it was.
    #[error("cannot fill the target: {0}")]
    Target(#[from] FillError),
}

/// How far a conversion has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it does now.
    pub stage: ConvertStage,
    /// How many entries this stage is through with.
    pub entries: u64,
    /// How long their keys and values are together.
    pub bytes: u64,
    /// How many bytes that will be, if it is known.
    pub of_bytes: Option<u64>,
}

/// What a conversion does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConvertStage {
    /// Reads the source.
    Reading,
    /// Writes to the target what it does not have.
    Copying,
    /// Reads what is in the target, and then the source once more.
    Verifying,
}

/// Makes of the empty store `to` a copy of what `sieve` lets pass of `from`, and returns what that is. In a store that was half filled by another
/// conversion, it goes on.
///
/// Nobody may write to `from` meanwhile; if somebody does, that is noticed as long as this runs.
///
/// # Errors
/// [`ConvertError`]; what was written to `to` by then stays there under its mark, and the next try goes on with it.
pub async fn convert(
    from: &dyn Store,
    to: &dyn Store,
    sieve: Option<&Sieve>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Checksum, ConvertError> {
    convert_in_batches(ConvertSource { from, sieve }, to, progress, BATCH_BYTES).await
}

/// What is copied.
#[derive(Clone, Copy)]
pub(super) struct ConvertSource<'s> {
    pub(super) from: &'s dyn Store,
    pub(super) sieve: Option<&'s Sieve>,
}

pub(super) async fn convert_in_batches(
    source: ConvertSource<'_>,
    to: &dyn Store,
    progress: &mut (dyn FnMut(Progress) + Send),
    batch_bytes: usize,
) -> Result<Checksum, ConvertError> {
    let ConvertSource { from, sieve } = source;
    let mark = source_of(from).await?;
    // Before the source is read, which may take long.
    let mut filler = Filler::begin(to, mark, batch_bytes).await?;
    let mut report = Reporter {
        progress,
        stage: ConvertStage::Reading,
        of_bytes: None,
        before: (0, 0),
    };
    let counted = sum(from, sieve, &mut report)
        .await
        .map_err(ConvertError::Source)?;
    report.of_bytes = Some(counted.bytes);
    report.stage = ConvertStage::Copying;
    if copy(source, to, &mut filler, &mut report).await? != counted {
        return Err(ConvertError::Changing);
    }
    report.of_bytes = Some(counted.bytes.saturating_mul(2));
    report.stage = ConvertStage::Verifying;
    let written = sum(to, None, &mut report).await.map_err(FillError::Stopped)?;
    report.before = (written.entries, written.bytes);
    if sum(from, sieve, &mut report)
        .await
        .map_err(ConvertError::Source)?
        != counted
    {
        return Err(ConvertError::Changing);
    }
    if written != counted {
        return Err(ConvertError::Differs);
    }
    filler.finish().await?;
    Ok(counted)
}

/// What the mark is to say of the source, which has to be whole.
async fn source_of(from: &dyn Store) -> Result<FillSource, ConvertError> {
    let mark = records::read(from, &keys::filling()).await;
    if let Some(Stored { record, .. }) = mark.map_err(ConvertError::Source)? {
        return Err(ConvertError::HalfFilled(record));
    }
    let ring = read_unverified(from, &keys::key_ring()).await;
    match ring.map_err(ConvertError::Source)? {
        None => Err(ConvertError::NoKeys),
        Some(ring) => Ok(FillSource::Conversion { store: ring.store }),
    }
}

/// Reads all entries but the mark.
async fn sum(
    store: &dyn Store,
    sieve: Option<&Sieve>,
    report: &mut Reporter<'_>,
) -> Result<Checksum, StoreError> {
    let mark = keys::filling();
    let mut summing = Summing::new();
    let mut entries = store.export().await?;
    while let Some(piece) = entries.next().await? {
        let piece = Sieve::pass(sieve, piece);
        for (key, entry) in piece.iter().filter(|(key, _)| key != mark.bytes()) {
            summing.add(key, entry);
        }
        report.tell(&summing);
    }
    Ok(summing.finish())
}

/// Makes the target equal to the source as it is at one moment; what that was.
async fn copy(
    source: ConvertSource<'_>,
    to: &dyn Store,
    filler: &mut Filler<'_>,
    report: &mut Reporter<'_>,
) -> Result<Checksum, ConvertError> {
    filler.rewind();
    let mut summing = Summing::new();
    let mut present = Present::of(to);
    let mut entries = source.from.export().await.map_err(ConvertError::Source)?;
    while let Some(piece) = entries.next().await.map_err(ConvertError::Source)? {
        for (key, entry) in Sieve::pass(source.sieve, piece) {
            if key == keys::filling().bytes() {
                return Err(ConvertError::Changing);
            }
            summing.add(&key, &entry);
            while let Some(superfluous) = present.take_before(&key).await? {
                filler.delete(superfluous).await?;
            }
            match present.take(&key).await? {
                Some(there) if there.value == entry.value && there.expires_at == entry.expires_at => {
                    filler.keep(&key);
                }
                _ => filler.put(key, entry.value, entry.expires_at).await?,
            }
        }
        report.tell(&summing);
    }
    while let Some((superfluous, _)) = present.next().await? {
        filler.delete(superfluous).await?;
    }
    filler.flush().await?;
    Ok(summing.finish())
}

/// The entries of the target, in order, without the mark. What is written to it meanwhile lies behind what is read.
struct Present<'s> {
    store: &'s dyn Store,
    page: VecDeque<(Vec<u8>, Entry)>,
    after: Option<Vec<u8>>,
    at_end: bool,
}

impl<'s> Present<'s> {
    const PAGE: usize = 256;

    fn of(store: &'s dyn Store) -> Self {
        Self {
            store,
            page: VecDeque::new(),
            after: None,
            at_end: false,
        }
    }

    /// The next key, if it comes before `key`.
    async fn take_before(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, FillError> {
        match self.compare(key).await? {
            Some(Ordering::Less) => Ok(self.page.pop_front().map(|(key, _)| key)),
            _ => Ok(None),
        }
    }

    /// The next entry, if it is the one at `key`.
    async fn take(&mut self, key: &[u8]) -> Result<Option<Entry>, FillError> {
        match self.compare(key).await? {
            Some(Ordering::Equal) => Ok(self.page.pop_front().map(|(_, entry)| entry)),
            _ => Ok(None),
        }
    }

    async fn next(&mut self) -> Result<Option<(Vec<u8>, Entry)>, FillError> {
        self.fetch().await?;
        Ok(self.page.pop_front())
    }

    /// How the next key compares with `key`.
    async fn compare(&mut self, key: &[u8]) -> Result<Option<Ordering>, FillError> {
        self.fetch().await?;
        Ok(self.page.front().map(|(next, _)| next.as_slice().cmp(key)))
    }

    async fn fetch(&mut self) -> Result<(), FillError> {
        while self.page.is_empty() && !self.at_end {
            let scan = Scan {
                prefix: Vec::new(),
                after: self.after.take(),
                order: Order::Ascending,
                limit: Self::PAGE,
            };
            let page = self.store.scan(scan).await.map_err(FillError::Stopped)?;
            self.at_end = page.len() < Self::PAGE;
            self.after = page.last().map(|(key, _)| key.clone());
            self.page.extend(page);
            self.page.retain(|(key, _)| key != keys::filling().bytes());
        }
        Ok(())
    }
}

/// Where progress is told.
struct Reporter<'p> {
    progress: &'p mut (dyn FnMut(Progress) + Send),
    stage: ConvertStage,
    of_bytes: Option<u64>,
    /// Entries and bytes that the stage was through with before.
    before: (u64, u64),
}

impl Reporter<'_> {
    fn tell(&mut self, summing: &Summing) {
        (self.progress)(Progress {
            stage: self.stage,
            entries: self.before.0 + summing.entries,
            bytes: self.before.1 + summing.bytes,
            of_bytes: self.of_bytes,
        });
    }
}
