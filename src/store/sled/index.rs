//! The index of expiries: which entries a sweeper may look at, by the second.
//!
//! A group of batches adds a few rows that name all its entries, rather than a row for each, which would cost as much to
//! insert as the entry itself. Rows are never changed. What they say may be outdated, so the entry itself decides; and a
//! row goes when a reader found, and the committer confirmed, that none of its names is valid. Until it is due, a row of
//! entries that were deleted early just stays.
//!
//! Invariant: whatever entry has an expiry is named with it by a row.

use std::collections::BTreeMap;
use std::ops::Bound;

use sled::{IVec, Tree};

use super::ReadError;
use super::layout;
use crate::domain::time::Timestamp;
use crate::store::Version;

/// The rows of one group, in the making.
#[derive(Default)]
pub(super) struct NewRows(BTreeMap<u64, Vec<Vec<u8>>>);

impl NewRows {
    /// Takes up that the entry at `key` expires at `moment`.
    pub(super) fn note(&mut self, moment: u64, key: &[u8]) {
        let rows = self.0.entry(layout::second_of(moment)).or_default();
        match rows.last_mut() {
            Some(row) if row.len() < ROW_BYTES => layout::push_name(row, moment, key),
            _ => {
                let mut row = Vec::with_capacity(ROW_BYTES + ROW_BYTES / 8);
                layout::push_name(&mut row, moment, key);
                rows.push(row);
            }
        }
    }

    /// The tree's keys and values of the rows, for a group whose last version is `version`.
    pub(super) fn rows(self, version: u64) -> impl Iterator<Item = (IVec, IVec)> {
        self.0.into_iter().flat_map(move |(second, rows)| {
            let numbered = (0_u32..).zip(rows);
            numbered.map(move |(number, row)| (layout::row_key(second, version, number), IVec::from(row)))
        })
    }
}

/// What a stretch of the index says.
#[derive(Default)]
pub(super) struct Due {
    /// Moments, keys and versions of entries that have expired, in the order of the rows.
    pub(super) entries: Vec<(u64, Vec<u8>, Version)>,
    /// Rows that seem to have no valid name.
    pub(super) dead: Vec<IVec>,
    /// The last row that was read, if there may be more behind it.
    pub(super) position: Option<IVec>,
}

/// Reads the rows behind `position` until `limit` expired entries are found or a stretch is over.
pub(super) fn due(
    tree: &Tree,
    now: Timestamp,
    limit: usize,
    position: Option<&IVec>,
) -> Result<Due, ReadError> {
    let (start, end) = layout::row_range(now);
    let low = match position {
        None => Bound::Included(start.as_slice()),
        Some(row_key) => Bound::Excluded(&**row_key),
    };
    let mut due = Due::default();
    let mut data_key = Vec::new();
    for (number, row) in tree
        .range::<&[u8], _>((low, Bound::Excluded(end.as_slice())))
        .enumerate()
    {
        let (row_key, row) = row?;
        let mut valid = false;
        for name in layout::names(&row_key, &row) {
            let (moment, key) = name?;
            let Some(stored) = tree.get(layout::data_key(&mut data_key, key))? else {
                continue;
            };
            let (head, _) = layout::decode(&stored)?;
            if head.expires_at == Some(moment) {
                valid = true;
                if moment <= now.millis() {
                    due.entries.push((moment, key.to_vec(), Version(head.version)));
                }
            }
        }
        if !valid {
            due.dead.push(row_key.clone());
        }
        if due.entries.len() >= limit {
            break;
        }
        if number + 1 == STRETCH_ROWS {
            due.position = Some(row_key);
            break;
        }
    }
    Ok(due)
}

/// When a row is full. Some 16 to 20 rows share a page, which is written again after every few rows.
const ROW_BYTES: usize = 2048;

/// How many rows are read without letting other tasks run.
const STRETCH_ROWS: usize = 64;
