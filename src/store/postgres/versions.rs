//! Versions: none is given twice, by whichever process.
//!
//! Each process draws an epoch from the database, which is the upper half of its versions, and counts the lower half itself.
//! So versions rise within a process, and with each start; between processes they only differ.

use std::sync::{Mutex, PoisonError};

use tokio_postgres::Client;

use super::connection::{ErrorKind, StatementFailure};
use super::layout::{EPOCH_KEY, bigint};
use crate::store::Version;

/// The versions of one process.
pub(super) struct VersionSource(Mutex<u64>);

impl VersionSource {
    /// The versions of a new epoch, which is drawn on `client`.
    pub(super) async fn draw(client: &Client) -> Result<Self, StatementFailure> {
        Ok(Self(Mutex::new(first_of(draw_epoch(client, 0, 1).await?))))
    }

    /// The next version; `None` when the epoch is used up, and another one has to be drawn.
    pub(super) fn next(&self) -> Option<Version> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *last & LOWER_HALF == LOWER_HALF {
            return None;
        }
        *last += 1;
        Some(Version(*last))
    }

    /// The epoch of the versions that are given now.
    pub(super) fn epoch(&self) -> u32 {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        u32::try_from(*last >> EPOCH_SHIFT).unwrap_or(u32::MAX)
    }

    /// Goes on with a new epoch, which is above all that were drawn before in this database.
    pub(super) async fn draw_next(&self, client: &Client) -> Result<(), StatementFailure> {
        self.go_on_above(draw_epoch(client, self.epoch(), 1).await?);
        Ok(())
    }

    /// Goes on with a new epoch in a database that has forgotten some which others may have drawn, and have yet: it is above
    /// those as well.
    pub(super) async fn draw_after_loss(&self, client: &Client) -> Result<(), StatementFailure> {
        self.go_on_above(draw_epoch(client, self.epoch(), LEAP).await?);
        Ok(())
    }

    fn go_on_above(&self, epoch: u32) {
        let first = first_of(epoch);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Another writer may have drawn one meanwhile; versions do not go back.
        *last = first.max(*last);
    }
}

async fn draw_epoch(client: &Client, own: u32, leap: i64) -> Result<u32, StatementFailure> {
    let drawn = client
        .query_one(DRAW, &[&EPOCH_KEY, &i64::from(own), &leap])
        .await?;
    let epoch: i64 = drawn.try_get(0)?;
    let usable = u32::try_from(epoch)
        .ok()
        .filter(|epoch| bigint(first_of(*epoch)) < i64::MAX);
    usable.ok_or_else(|| StatementFailure::new(ErrorKind::Refused, format!("its count of epochs is {epoch}")))
}

fn first_of(epoch: u32) -> u64 {
    u64::from(epoch) << EPOCH_SHIFT
}

const DRAW: &str = "UPDATE countersign_entries SET version = GREATEST(version, $2::int8) + $3::int8
WHERE key = $1 RETURNING version";
/// More than processes can have drawn in what a standby lags behind.
const LEAP: i64 = 4096;
const EPOCH_SHIFT: u32 = 32;
const LOWER_HALF: u64 = (1 << EPOCH_SHIFT) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_before_the_next_begins() {
        let versions = VersionSource(Mutex::new(first_of(7) + LOWER_HALF - 1));
        assert_eq!(versions.next(), Some(Version(first_of(8) - 1)));
        assert_eq!(versions.next(), None);
    }
}
