//! The tables: made, and brought to the form that this release writes.
//!
//! Whoever migrates locks one row, so that two do it one after the other. Each step is repeatable, so that one that was
//! interrupted is done again.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::connection::{Connector, SessionPurpose, StatementFailure, unavailable};
use crate::store::StoreError;

/// What bringing the tables to the version of this release has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version of the tables before; 0 if there were none.
    pub from: i32,
    /// The version now.
    pub to: i32,
}

/// Makes the tables, or brings them to the version of this release.
pub(super) async fn migrate(connector: &Connector) -> Result<Migrated, StoreError> {
    let connection = connector.connect(SessionPurpose::Migrate).await;
    let mut connection = connection.map_err(|failure| failure.unavailable())?;
    // Two that make it at the same moment can meet in the catalogue, where "if not exists" does not help.
    let mut tries = 0;
    while let Err(error) = connection.client.batch_execute(VERSIONS).await {
        tries += 1;
        if tries == 3 || !error.code().is_some_and(is_made_by_another) {
            return Err(unavailable(&error));
        }
    }
    migrate_under_lock(&mut connection.client).await
}

async fn migrate_under_lock(client: &mut Client) -> Result<Migrated, StoreError> {
    let failure = |error: Error| unavailable(&error);
    let locked = client.transaction().await.map_err(failure)?;
    let row = locked.query_one(LOCK_VERSION, &[]).await.map_err(failure)?;
    let from: i32 = row.try_get(0).map_err(failure)?;
    if usize::try_from(from).is_ok_and(|from| from > STEPS.len()) {
        return Err(newer(from));
    }
    let done = usize::try_from(from).unwrap_or(0);
    for step in STEPS.iter().skip(done) {
        locked.batch_execute(step).await.map_err(failure)?;
    }
    let to = current();
    locked.execute(SET_VERSION, &[&to]).await.map_err(failure)?;
    locked.commit().await.map_err(failure)?;
    Ok(Migrated { from, to })
}

/// Whether the tables are of this release's version; if not, what to do.
pub(super) async fn check(client: &Client) -> Result<Result<(), StoreError>, StatementFailure> {
    let found: i32 = match client.query_opt(READ_VERSION, &[]).await {
        Ok(Some(row)) => row.try_get(0)?,
        Ok(None) => 0,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => 0,
        Err(error) => return Err(error.into()),
    };
    Ok(match found.cmp(&current()) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(StoreError::Unavailable(format!(
            "its tables have version {found}, this release needs version {}: run `countersign store migrate`",
            current()
        ))),
        std::cmp::Ordering::Greater => Err(newer(found)),
    })
}

fn newer(found: i32) -> StoreError {
    StoreError::Unavailable(format!(
        "its tables have version {found}, this release knows them up to version {}: use the release that made them",
        current()
    ))
}

/// Whether a table was not made because another process made it at the same moment.
pub(super) fn is_made_by_another(code: &SqlState) -> bool {
    let made = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_OBJECT,
        SqlState::DUPLICATE_TABLE,
    ];
    made.contains(code)
}

fn current() -> i32 {
    i32::try_from(STEPS.len()).unwrap_or(i32::MAX)
}

const VERSIONS: &str = "
CREATE TABLE IF NOT EXISTS countersign_schema (id int4 PRIMARY KEY, version int4 NOT NULL);
INSERT INTO countersign_schema (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING";
const LOCK_VERSION: &str = "SELECT version FROM countersign_schema WHERE id = 1 FOR UPDATE";
const SET_VERSION: &str = "UPDATE countersign_schema SET version = $1 WHERE id = 1";
const READ_VERSION: &str = "SELECT version FROM countersign_schema WHERE id = 1";

/// What leads from each version to the next. A step that was released is never changed.
const STEPS: [&str; 1] = ["
CREATE TABLE IF NOT EXISTS countersign_entries (
    key bytea NOT NULL PRIMARY KEY,
    value bytea NOT NULL,
    version bigint NOT NULL,
    expires_at bigint
);
CREATE INDEX IF NOT EXISTS countersign_entries_expiry ON countersign_entries (expires_at) WHERE expires_at IS NOT NULL;
INSERT INTO countersign_entries (key, value, version) VALUES ('e', '', 0) ON CONFLICT (key) DO NOTHING"];
