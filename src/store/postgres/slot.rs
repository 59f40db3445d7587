//! A writer's row in the table: what it says is what the writer's last group left there.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::{Client, Error};

use super::layout::{bigint, number, slot_key};
use crate::domain::time::Timestamp;
use crate::store::Version;

/// A slot, as it was left.
pub(super) struct Slot {
    key: Vec<u8>,
    mark: Version,
    marked_at: Instant,
}

impl Slot {
    /// Makes a slot with a first mark, whose epoch and the number make the slot's key. If nobody hears that it was made, it is
    /// of no use to anybody, and goes in time.
    pub(super) async fn make(
        client: &Client,
        slot: u32,
        mark: Version,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let key = slot_key(mark, slot);
        let expires_at = bigint(Self::end(now).millis());
        client
            .execute(MAKE, &[&key, &bigint(mark.0), &expires_at])
            .await?;
        Ok(Self {
            key,
            mark,
            marked_at: Instant::now(),
        })
    }

    /// The mark that is there, and which batches of its group were not applied.
    pub(super) async fn read(&self, client: &Client) -> Result<Option<(Version, Vec<u8>)>, Error> {
        let row = client.query_opt(READ, &[&self.key]).await?;
        row.map(|row| Ok((Version(number(row.try_get(0)?).unwrap_or(0)), row.try_get(1)?)))
            .transpose()
    }

    /// Removes the row.
    pub(super) async fn remove(&self, client: &Client) -> Result<u64, Error> {
        client.execute(REMOVE, &[&self.key]).await
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn mark(&self) -> Version {
        self.mark
    }

    /// Notes that the row has another mark now.
    pub(super) fn leave(&mut self, mark: Version) {
        self.mark = mark;
        self.marked_at = Instant::now();
    }

    /// Whether it needs a new mark, so that nobody takes it for one that nobody has.
    pub(super) fn is_old(&self) -> bool {
        self.marked_at.elapsed() >= REFRESH
    }

    /// When a slot is taken for one that nobody has, if it is marked `now`.
    pub(super) fn end(now: Timestamp) -> Timestamp {
        now + LIFE
    }
}

const MAKE: &str =
    "INSERT INTO countersign_entries (key, value, version, expires_at) VALUES ($1, '', $2, $3)";
const READ: &str = "SELECT version, value FROM countersign_entries WHERE key = $1";
const REMOVE: &str = "DELETE FROM countersign_entries WHERE key = $1";

const REFRESH: Duration = Duration::from_hours(1);
const LIFE: Duration = Duration::from_hours(7 * 24);
