//! A writer's row in the table: what it says is what the writer's last group left there.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::{Client, Error};

use super::layout::{bigint, number, slot_key};
use crate::domain::time::Timestamp;
use crate::store::Version;

/// A slot, and which marks it may hold.
pub(super) struct Slot {
    key: Vec<u8>,
    /// The last mark that the database acknowledged.
    acknowledged: Version,
    /// Those that were sent since, and may have been left or not.
    in_doubt: Vec<Version>,
    /// The mark that was last seen: what the next group rests on.
    current: Version,
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
            acknowledged: mark,
            in_doubt: Vec::new(),
            current: mark,
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

    /// The mark that the next group rests on.
    pub(super) fn current(&self) -> Version {
        self.current
    }

    /// Notes that a group which leaves this mark is about to be sent.
    pub(super) fn send(&mut self, mark: Version) {
        self.in_doubt.push(mark);
    }

    /// Notes that the group which would have left this mark came to nothing, for certain.
    pub(super) fn withdraw(&mut self, mark: Version) {
        self.in_doubt.retain(|sent| *sent != mark);
    }

    /// Notes that the database has acknowledged this mark. What was sent before it and is still on its way comes to nothing:
    /// it rests on another one.
    pub(super) fn acknowledge(&mut self, mark: Version) {
        self.acknowledged = mark;
        self.current = mark;
        self.in_doubt.clear();
        self.marked_at = Instant::now();
    }

    /// Notes which mark was seen; whether it can be there, if nothing was lost that had been acknowledged.
    ///
    /// One that was seen and not acknowledged may be gone again: a primary shows after a crash what its standby has not.
    pub(super) fn see(&mut self, mark: Version) -> bool {
        let possible = mark == self.acknowledged || self.in_doubt.contains(&mark);
        if possible {
            self.current = mark;
        }
        possible
    }

    /// Whether it needs a new mark, so that nobody takes it for one that nobody has.
    pub(super) fn is_old(&self) -> bool {
        self.marked_at.elapsed() >= REFRESH
    }

    /// When a slot is taken for one that nobody has, if it is marked `now`. The same all day: a row is overwritten at far less cost
    /// if nothing changes that an index is made of.
    pub(super) fn end(now: Timestamp) -> Timestamp {
        let day = u64::try_from(DAY.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis((now + LIFE).millis().next_multiple_of(day))
    }
}

const MAKE: &str =
    "INSERT INTO countersign_entries (key, value, version, expires_at) VALUES ($1, '', $2, $3)";
const READ: &str = "SELECT version, value FROM countersign_entries WHERE key = $1";
const REMOVE: &str = "DELETE FROM countersign_entries WHERE key = $1";

const REFRESH: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const LIFE: Duration = Duration::from_hours(7 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_ends_at_one_moment_all_day_and_not_too_soon() {
        let midnight = 20_000 * 86_400;
        let end = |seconds| Slot::end(Timestamp::from_seconds(seconds));
        assert_eq!(end(midnight + 1), end(midnight + 86_400));
        assert_ne!(end(midnight), end(midnight + 1));
        for seconds in [midnight, midnight + 1, midnight + 86_399] {
            let now = Timestamp::from_seconds(seconds);
            assert!(now + LIFE <= Slot::end(now) && Slot::end(now) < now + LIFE + DAY);
        }
    }
}
