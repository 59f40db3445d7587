//! A row in a database that is not the store's: what knows how far a store has come that somebody may put back.
//!
//! One process has a store's row, by an advisory lock that lives as long as its connection. A connection that is lost is made again,
//! and the lock with it; whoever finds it taken then still reads, and writes nothing. What is written takes the place of what
//! was read, or of nothing: two processes that both take the lock for theirs cannot lower what one of them has raised.

use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::address::PostgresAddress;
use super::bounds::PostgresBounds;
use super::connection::{Connector, DatabaseSession, ErrorKind, SessionPurpose, StatementFailure, within};
use super::schema::is_made_by_another;
use crate::store::StoreError;

/// The row of one store, for this process.
pub struct WitnessRow {
    connector: Arc<Connector>,
    /// The store's identity in hexadecimal.
    store: String,
    session: Option<RowSession>,
}

/// A connection, and whether the lock is held on it.
struct RowSession {
    session: DatabaseSession,
    is_locked: bool,
}

/// Why a row was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum RowFailure {
    /// The database does not do it.
    #[error("{0}")]
    Database(StoreError),
    /// Another process has it.
    #[error("another process has its lock")]
    Taken,
    /// It is not what was read.
    #[error("somebody else has changed it in this moment")]
    Changed,
    /// There is no table, and it cannot be made.
    #[error(
        "there is no table countersign_witness, and it cannot be made: {0}; have whoever may run: {create}; GRANT SELECT, INSERT, \
         UPDATE ON countersign_witness TO the user of the address",
        create = CREATE
    )]
    NoTable(StoreError),
}

impl WitnessRow {
    /// Takes the row of the store with this identity, once whoever has it is gone: a server whose machine is gone has it until the
    /// database has noticed, and that is waited for. The table is made if there is none.
    ///
    /// # Errors
    /// [`RowFailure`].
    pub async fn take(
        address: PostgresAddress,
        bounds: PostgresBounds,
        store: String,
    ) -> Result<Self, RowFailure> {
        Self::take_within(LOCK_PATIENCE, address, bounds, store).await
    }

    pub(super) async fn take_within(
        patience: Duration,
        address: PostgresAddress,
        bounds: PostgresBounds,
        store: String,
    ) -> Result<Self, RowFailure> {
        let connector = Connector::new(address, bounds).map_err(RowFailure::Database)?;
        let mut row = Self {
            connector,
            store,
            session: None,
        };
        row.make_table().await?;
        let deadline = Instant::now() + patience;
        let mut had_an_owner = false;
        while !row.ready().await?.is_locked {
            had_an_owner = true;
            if Instant::now() >= deadline {
                return Err(RowFailure::Taken);
            }
            sleep(LOCK_PERIOD).await;
        }
        if had_an_owner {
            // It may have lost its connection and nothing else, as when the database starts anew: then it is the first to ask again.
            row.unlock().await?;
            sleep(OWNER_ASKS_AGAIN).await;
            if !row.ready().await?.is_locked {
                return Err(RowFailure::Taken);
            }
        }
        Ok(row)
    }

    /// Lets whoever else wants it have the lock.
    async fn unlock(&mut self) -> Result<(), RowFailure> {
        let lock = lock_of(&self.store);
        self.query(UNLOCK, &[&lock]).await?;
        if let Some(session) = &mut self.session {
            session.is_locked = false;
        }
        Ok(())
    }

    /// What stands in it, cut where it is longer than anything that was written; `None` if it is not there.
    ///
    /// # Errors
    /// [`RowFailure::Database`].
    pub async fn read(&mut self) -> Result<Option<String>, RowFailure> {
        let store = self.store.clone();
        let rows = match self.statement(READ, &[&store]).await {
            Ok(rows) => rows,
            // Somebody has taken it away: so there is no row.
            Err(failure) if failure.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                self.make_table().await?;
                return Ok(None);
            }
            Err(failure) => return Err(RowFailure::Database(failure.unavailable())),
        };
        let said = rows.first().map(|row| row.try_get(0)).transpose();
        said.map_err(|error| RowFailure::Database(StoreError::Corrupt(error.to_string())))
    }

    /// Writes `text` in the place of what was read.
    ///
    /// # Errors
    /// [`RowFailure`]; after [`RowFailure::Database`] it may be written all the same.
    pub async fn replace(&mut self, read: Option<&str>, text: &str) -> Result<(), RowFailure> {
        if !self.ready().await?.is_locked {
            return Err(RowFailure::Taken);
        }
        let store = self.store.clone();
        let written = match read {
            None => self.query(INSERT, &[&store, &text]).await?,
            Some(read) => self.query(UPDATE, &[&store, &text, &read]).await?,
        };
        if written.is_empty() {
            return Err(RowFailure::Changed);
        }
        Ok(())
    }

    /// That it can be written. It stays as it is.
    ///
    /// # Errors
    /// [`RowFailure`].
    pub async fn require_writable(&mut self) -> Result<(), RowFailure> {
        let bound = self.connector.bounds().statement;
        let store = self.store.clone();
        let session = &self.ready().await?.session;
        let tried = within(bound, async {
            session.client.batch_execute("BEGIN").await?;
            let written = session.client.execute(TRY, &[&store]).await;
            session.client.batch_execute("ROLLBACK").await?;
            written
        });
        let tried = tried.await;
        self.noting(tried).map(|_| ())
    }

    async fn make_table(&mut self) -> Result<(), RowFailure> {
        let store = self.store.clone();
        match self.statement(READ, &[&store]).await {
            Ok(_) => return Ok(()),
            Err(failure) if failure.code() == Some(&SqlState::UNDEFINED_TABLE) => {}
            Err(failure) => return Err(RowFailure::Database(failure.unavailable())),
        }
        match self.statement(CREATE, &[]).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code().is_some_and(is_made_by_another) => Ok(()),
            Err(failure) => Err(RowFailure::NoTable(failure.unavailable())),
        }
    }

    async fn query(
        &mut self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, RowFailure> {
        let answered = self.statement(statement, parameters).await;
        answered.map_err(|failure| RowFailure::Database(failure.unavailable()))
    }

    async fn statement(
        &mut self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StatementFailure> {
        let bound = self.connector.bounds().statement;
        let session = &self.connected().await?.session;
        let answered = within(bound, session.client.query(statement, parameters)).await;
        self.keep_or_drop(answered)
    }

    /// The connection, with the lock if nobody else has it.
    async fn ready(&mut self) -> Result<&RowSession, RowFailure> {
        let connected = self.connected().await;
        connected.map_err(|failure| RowFailure::Database(failure.unavailable()))
    }

    async fn connected(&mut self) -> Result<&RowSession, StatementFailure> {
        let known = self
            .session
            .take()
            .filter(|known| !known.session.client.is_closed());
        let mut connected = match known {
            Some(known) => known,
            None => RowSession {
                session: self.connector.connect(SessionPurpose::Witness).await?,
                is_locked: false,
            },
        };
        if !connected.is_locked {
            let lock = lock_of(&self.store);
            let parameters: [&(dyn ToSql + Sync); 1] = [&lock];
            let asked = connected.session.client.query_one(LOCK, &parameters);
            let row = within(self.connector.bounds().statement, asked).await?;
            connected.is_locked = row.try_get(0)?;
        }
        Ok(self.session.insert(connected))
    }

    fn noting<T>(&mut self, answered: Result<T, StatementFailure>) -> Result<T, RowFailure> {
        let kept = self.keep_or_drop(answered);
        kept.map_err(|failure| RowFailure::Database(failure.unavailable()))
    }

    /// A connection on which something was not answered, or refused in a way that it may not recover from, is not used again.
    fn keep_or_drop<T>(&mut self, answered: Result<T, StatementFailure>) -> Result<T, StatementFailure> {
        if let Err(failure) = &answered
            && failure.kind != ErrorKind::Refused
        {
            self.session = None;
        }
        answered
    }
}

impl fmt::Debug for WitnessRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WitnessRow")
            .field("address", self.connector.address())
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for WitnessRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connector.address().fmt(f)
    }
}

/// The number of a store's lock: the beginning of its identity, which is drawn at random.
fn lock_of(store: &str) -> i64 {
    let digits = store.get(..16).unwrap_or_default();
    u64::from_str_radix(digits, 16).map_or(0, u64::cast_signed)
}

const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS countersign_witness (store text PRIMARY KEY, said text NOT NULL)";
const LOCK: &str = "SELECT pg_try_advisory_lock($1)";
const UNLOCK: &str = "SELECT pg_advisory_unlock($1)";
// No testimony is longer, and nobody has memory for what else may stand there.
const READ: &str = "SELECT left(said, 1000) FROM countersign_witness WHERE store = $1";
const INSERT: &str = "INSERT INTO countersign_witness (store, said) VALUES ($1, $2) ON CONFLICT (store) DO NOTHING RETURNING true";
const UPDATE: &str =
    "UPDATE countersign_witness SET said = $2 WHERE store = $1 AND left(said, 1000) = $3 RETURNING true";
const TRY: &str = "INSERT INTO countersign_witness (store, said) VALUES ($1, '')
ON CONFLICT (store) DO UPDATE SET said = countersign_witness.said";

/// For how long a lock that somebody has is waited for: a little longer than a database takes to notice that a machine is gone, as
/// [`SessionPurpose::Witness`] tells it.
const LOCK_PATIENCE: Duration = Duration::from_secs(13);
/// How long whoever has lost its connection takes to ask for the lock again, and a little more: it does so every two seconds.
const OWNER_ASKS_AGAIN: Duration = Duration::from_secs(5);

const LOCK_PERIOD: Duration = Duration::from_millis(250);
