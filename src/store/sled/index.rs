//! The index of expiries: which entries a sweeper may look at, by the second.
//!
//! A group of batches adds a few rows that name all its entries, rather than a row for each, which would cost as much to
//! insert as the entry itself. Rows are never changed. What they say may be outdated, so the entry itself decides; and a
//! row goes when a reader found, and the committer confirmed, that none of its names is valid. Until it is due, a row of
//! entries that were deleted early just stays.
//!
//! Invariant: whatever entry has an expiry is named with it by a row.

use std::collections::BTreeMap;

use sled::{IVec, Tree};

use super::ReadError;
use super::layout;
use crate::domain::time::Timestamp;

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
    /// Moments, keys and stored forms of entries that have expired, in the order of the rows.
    pub(super) entries: Vec<(u64, Vec<u8>, IVec)>,
    /// Rows that seem to have no valid name.
    pub(super) dead: Vec<IVec>,
    /// How far it was read, if there may be more behind it.
    pub(super) position: Option<RowPosition>,
}

/// How far the index was read.
pub(super) struct RowPosition {
    row_key: IVec,
    /// How many of the row's names were read.
    names: u32,
}

impl RowPosition {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [&self.names.to_be_bytes()[..], &self.row_key].concat()
    }

    /// What [`RowPosition::to_bytes`] was made of.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (names, row_key) = bytes.split_first_chunk()?;
        Some(Self {
            row_key: row_key.into(),
            names: u32::from_be_bytes(*names),
        })
    }
}

/// Reads on from `position` until `limit` expired entries are found or a stretch is over.
pub(super) fn due(
    tree: &Tree,
    now: Timestamp,
    limit: usize,
    position: Option<&RowPosition>,
) -> Result<Due, ReadError> {
    let (start, end) = layout::row_range(now);
    let low = position.map_or(start.as_slice(), |position| &position.row_key);
    let mut due = Due::default();
    let mut data_key = Vec::new();
    if low >= end.as_slice() {
        return Ok(due);
    }
    for (number, row) in tree.range(low..end.as_slice()).enumerate() {
        let (row_key, row) = row?;
        let read = position.filter(|position| position.row_key == row_key);
        let read = read.map_or(0, |position| position.names);
        let mut valid = read > 0;
        for (nth, name) in (0_u32..).zip(layout::names(&row_key, &row)) {
            let Ok((moment, key)) = name else {
                // Nobody knows what it says of others; all that hangs on it is space.
                valid = true;
                break;
            };
            if nth < read {
                continue;
            }
            if due.entries.len() >= limit {
                due.position = Some(RowPosition {
                    row_key: row_key.clone(),
                    names: nth,
                });
                return Ok(due);
            }
            let Some(stored) = tree.get(layout::data_key(&mut data_key, key))? else {
                continue;
            };
            if layout::head(&stored).expires_at == Some(moment) {
                valid = true;
                if moment <= now.millis() {
                    due.entries.push((moment, key.to_vec(), stored));
                }
            }
        }
        if !valid {
            due.dead.push(row_key.clone());
        }
        if number + 1 == STRETCH_ROWS {
            let names = u32::MAX;
            due.position = Some(RowPosition { row_key, names });
            break;
        }
    }
    Ok(due)
}

/// When a row is full. Some 16 to 20 rows share a page, which is written again after every few rows.
const ROW_BYTES: usize = 2048;

/// How many rows are read without letting other tasks run.
const STRETCH_ROWS: usize = 64;
