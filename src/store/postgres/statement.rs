//! The statements that decide and write a group of batches.
//!
//! One statement asserts and puts for a whole group: the batches are numbered from 1, and each array says of each of its
//! elements which batch it belongs to. What a batch puts is left out if one of its assertions does not hold; its neighbours
//! do not notice. Number 0 is the writer's slot: if that is not as the writer left it, nothing is done at all.
//!
//! Deletes are a second statement in the same transaction, sent together with the first: not every database that speaks
//! PostgreSQL's protocol changes one table twice in one statement.

use std::collections::HashMap;

use futures_util::future::{join, join4};
use tokio_postgres::{Client, Error, Row, Statement};

use super::connection::{DatabaseSession, ErrorKind, StatementFailure, describe};
use super::layout::{bigint, entry_key};
use super::queue::asserted_key;
use crate::domain::time::Timestamp;
use crate::store::{Assertion, Batch, Version};

/// The statements of one connection.
pub(super) struct WriteStatements {
    put: Statement,
    delete: Statement,
}

/// A group as arrays.
pub(super) struct GroupArrays {
    batches: usize,
    asserting: Vec<i32>,
    asserted: Vec<Vec<u8>>,
    /// The version asserted; none where no row may be.
    versions: Vec<Option<i64>>,
    putting: Vec<i32>,
    put_keys: Vec<Vec<u8>>,
    put_values: Vec<Vec<u8>>,
    put_expiries: Vec<Option<i64>>,
    deleting: Vec<i32>,
    deleted: Vec<Vec<u8>>,
}

/// The writer's slot, as it has to be before, and as it is left.
pub(super) struct SlotChange<'s> {
    pub(super) key: &'s [u8],
    /// The version before.
    pub(super) mark: Version,
    /// The version of all that is written.
    pub(super) version: Version,
    /// When nobody needs the slot any more.
    pub(super) expires_at: Timestamp,
}

/// Which batches of a group were not applied, by their numbers in it from 1; with 0, the slot was not as expected, and nothing
/// was applied.
pub(super) type FailedBatches = Vec<i32>;

impl WriteStatements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let (put, delete) = join(client.prepare(PUT), client.prepare(DELETE)).await;
        Ok(Self {
            put: put?,
            delete: delete?,
        })
    }
}

impl GroupArrays {
    pub(super) fn new<'b>(batches: impl IntoIterator<Item = &'b Batch>) -> Self {
        let mut arrays = Self {
            batches: 0,
            asserting: Vec::new(),
            asserted: Vec::new(),
            versions: Vec::new(),
            putting: Vec::new(),
            put_keys: Vec::new(),
            put_values: Vec::new(),
            put_expiries: Vec::new(),
            deleting: Vec::new(),
            deleted: Vec::new(),
        };
        let mut puts = Vec::new();
        for (number, batch) in (1..).zip(batches) {
            arrays.batches += 1;
            for assertion in &batch.assertions {
                arrays.asserting.push(number);
                arrays.asserted.push(entry_key(asserted_key(assertion)));
                arrays.versions.push(match assertion {
                    Assertion::Absent(_) => None,
                    Assertion::At(_, version) => Some(bigint(version.0)),
                });
            }
            // The last put of a key counts, and a put wins over a delete.
            let last: HashMap<&[u8], _> = batch.puts.iter().map(|put| (put.key.as_slice(), put)).collect();
            let mut deleted: Vec<&[u8]> = batch
                .deleted_keys()
                .filter(|key| !last.contains_key(key))
                .collect();
            deleted.sort_unstable();
            deleted.dedup();
            for key in deleted {
                arrays.deleting.push(number);
                arrays.deleted.push(entry_key(key));
            }
            puts.extend(last.into_values().map(|put| (number, put)));
        }
        // All processes lock rows in one order.
        puts.sort_unstable_by(|(_, one), (_, other)| one.key.cmp(&other.key));
        for (number, put) in puts {
            arrays.putting.push(number);
            arrays.put_keys.push(entry_key(&put.key));
            arrays.put_values.push(put.value.clone());
            arrays
                .put_expiries
                .push(put.expires_at.map(|moment| bigint(moment.millis())));
        }
        arrays
    }

    /// A group of nothing, which leaves a mark in the slot and does nothing else.
    pub(super) fn mark_only() -> Self {
        Self {
            batches: 1,
            ..Self::new(&[])
        }
    }

    /// How many batches there are.
    pub(super) fn len(&self) -> usize {
        self.batches
    }

    /// Decides and writes the group, all in one round trip.
    pub(super) async fn execute(
        &self,
        connection: &DatabaseSession,
        statements: &WriteStatements,
        slot: &SlotChange<'_>,
    ) -> Result<FailedBatches, StatementFailure> {
        let client = &connection.client;
        let asserting: Vec<i32> = std::iter::once(0).chain(self.asserting.iter().copied()).collect();
        let asserted: Vec<&[u8]> = std::iter::once(slot.key)
            .chain(self.asserted.iter().map(Vec::as_slice))
            .collect();
        let versions: Vec<Option<i64>> = std::iter::once(Some(bigint(slot.mark.0)))
            .chain(self.versions.iter().copied())
            .collect();
        let version = bigint(slot.version.0);
        let expires_at = bigint(slot.expires_at.millis());
        let batches = i64::try_from(self.batches).unwrap_or(i64::MAX);
        let put_parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 11] = [
            &asserting,
            &asserted,
            &versions,
            &self.putting,
            &self.put_keys,
            &self.put_values,
            &self.put_expiries,
            &version,
            &slot.key,
            &expires_at,
            &batches,
        ];
        let put = client.query(&statements.put, &put_parameters);
        if self.deleted.is_empty() {
            return Ok(failed_batches(&put.await?)?);
        }
        let delete_parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] = [
            &asserting,
            &asserted,
            &versions,
            &self.deleting,
            &self.deleted,
            &version,
        ];
        let delete = client.execute(&statements.delete, &delete_parameters);
        // Each is sent when it is first polled, and they are polled in this order.
        let (begun, put, deleted, committed) = join4(
            client.batch_execute("BEGIN"),
            put,
            delete,
            client.batch_execute("COMMIT"),
        )
        .await;
        if let Err(error) = begun {
            return Err(match ErrorKind::of(&error) {
                ErrorKind::Lost => error.into(),
                // What follows was done all the same, each statement for itself.
                _ => StatementFailure::new(ErrorKind::OutOfStep, describe(&error)),
            });
        }
        let failed = failed_batches(&put?)?;
        deleted?;
        committed?;
        Ok(failed)
    }
}

fn failed_batches(rows: &[Row]) -> Result<FailedBatches, Error> {
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Reads what a slot's row says of the group that wrote it: the batches that were not applied.
pub(super) fn failed_in_slot(value: &[u8]) -> Option<FailedBatches> {
    let text = std::str::from_utf8(value).ok()?;
    text.split_ascii_whitespace()
        .map(|number| number.parse().ok())
        .collect()
}

const PUT: &str = "
WITH failed AS (
    SELECT DISTINCT a.batch
    FROM unnest($1::int4[], $2::bytea[], $3::int8[]) AS a (batch, key, version)
    LEFT JOIN countersign_entries e ON e.key = a.key
    WHERE e.version IS DISTINCT FROM a.version
), written AS (
    INSERT INTO countersign_entries (key, value, version, expires_at)
    SELECT p.key, p.value, $8::int8, p.expires_at
    FROM unnest($4::int4[], $5::bytea[], $6::bytea[], $7::int8[]) AS p (batch, key, value, expires_at)
    WHERE p.batch NOT IN (SELECT batch FROM failed) AND NOT EXISTS (SELECT 1 FROM failed WHERE batch = 0)
    UNION ALL
    SELECT $9::bytea, convert_to(coalesce((SELECT string_agg(batch::text, ' ') FROM failed), ''), 'UTF8'), $8, $10::int8
    WHERE NOT EXISTS (SELECT 1 FROM failed WHERE batch = 0) AND (SELECT count(*) FROM failed) < $11::int8
    ON CONFLICT (key) DO UPDATE
    SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
)
SELECT batch FROM failed";

/// What has the version of this transaction was written by it, so that its batch's assertions held.
const DELETE: &str = "
WITH failed AS (
    SELECT DISTINCT a.batch
    FROM unnest($1::int4[], $2::bytea[], $3::int8[]) AS a (batch, key, version)
    LEFT JOIN countersign_entries e ON e.key = a.key
    WHERE e.version IS DISTINCT FROM a.version AND e.version IS DISTINCT FROM $6::int8
)
DELETE FROM countersign_entries e
USING unnest($4::int4[], $5::bytea[]) AS d (batch, key)
WHERE e.key = d.key
    AND d.batch NOT IN (SELECT batch FROM failed) AND NOT EXISTS (SELECT 1 FROM failed WHERE batch = 0)";
