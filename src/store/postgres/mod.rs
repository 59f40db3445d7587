//! The engine for those who outgrow one machine: one table of a database that speaks PostgreSQL's protocol, shared by any
//! number of processes.
//!
//! Reads are single statements on a pool of connections, each seeing what is committed; those of single keys that come
//! together are one statement. A commit goes through a queue to one of a few writers, which takes whatever waits as one group
//! and has the database decide and write it in one round trip, in a serializable transaction. That all decisive keys are
//! asserted, absent ones too, and that all writers are serializable, is what makes assertions hold between processes.
//!
//! * `address`: where the database is; `password_file`, `tls`, `connection`: how it is reached
//! * `pool`, `read_groups`: how it is read
//! * `schema`, `layout`: the tables, and what stands in them
//! * `queue`, `statement`, `writer`: how batches are decided and written; `slot_writer`, `slot`: what a lost connection means
//! * `bounds`: within what time
//! * `versions`: where versions come from; `acknowledgements`: how lost commits are noticed; `renewal`: how it goes on then
//! * `witness_row`: a row in the database of another store, or of none
//!
//! Only SQL is used that PostgreSQL 13 and later, CockroachDB and YugabyteDB all have; a table that Citus distributes is not
//! read and written in serializable transactions, so it will not do.

mod acknowledgements;
mod address;
mod announcements;
mod bounds;
mod connection;
mod export;
mod layout;
mod password_file;
mod pool;
mod queue;
mod read_groups;
mod renewal;
mod schema;
mod slot;
mod slot_writer;
mod statement;
mod tls;
mod versions;
mod witness_row;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

pub use self::address::{AddressError, PostgresAddress};
pub use self::bounds::PostgresBounds;
pub use self::password_file::PasswordFileError;
pub use self::schema::Migrated;
pub use self::tls::TlsError;
pub use self::witness_row::{RowFailure, WitnessRow};

use self::acknowledgements::Acknowledgements;
use self::announcements::Notifications;
use self::connection::{Connector, ErrorKind, SessionPurpose, StatementFailure, within};
use self::layout::{
    ENTRIES, EPOCH_KEY, SLOTS, behind, bigint, entry, entry_key, key_of, number, position, rows_of,
};
use self::pool::ReadPool;
use self::read_groups::ReadGroups;
use self::versions::VersionSource;
use self::writer::{CommitCounts, Writer, WriterContext};
use super::{
    Announcements, Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, Order, Scan, Statistics,
    Store, StoreError, ValueAfterLoss, Version,
};
use crate::domain::time::{Clock, Timestamp};

/// What it takes to use a database as a store.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Where it is.
    pub address: PostgresAddress,
    /// How many connections read at the most. Each is made when it is needed.
    pub readers: usize,
    /// How many connections write at the most. Commits that come in while one is at it are written together; only if it takes
    /// long, another one goes beside it.
    pub writers: usize,
    /// Within what time things are done, or given up.
    pub bounds: PostgresBounds,
}

/// A store in a database that speaks PostgreSQL's protocol.
pub struct PostgresStore {
    pool: Arc<ReadPool>,
    reads: ReadGroups,
    /// The epoch that it began with, which tells processes apart.
    node: u32,
    context: Arc<WriterContext>,
    writers: Mutex<Vec<JoinHandle<()>>>,
}

impl PostgresOptions {
    /// What suits a node of a few cores.
    #[must_use]
    pub fn new(address: PostgresAddress) -> Self {
        Self {
            address,
            readers: 16,
            writers: 4,
            bounds: PostgresBounds::default(),
        }
    }
}

impl PostgresStore {
    /// Connects to the database.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be reached, or its tables are not of this release.
    pub async fn open(options: &PostgresOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let connector = Connector::new(options.address.clone(), options.bounds)?;
        let (versions, surely) = begin(&connector, clock.now()).await?;
        let node = versions.epoch();
        let acknowledgements = Arc::new(Acknowledgements::default());
        if surely {
            // Whoever has lost this draw has lost commits, too.
            acknowledgements.acknowledge(0, EPOCH_KEY, Version(node.into()));
        }
        let context = Arc::new(WriterContext {
            connector: Arc::clone(&connector),
            queue: Arc::default(),
            versions,
            acknowledgements: Arc::clone(&acknowledgements),
            clock,
            counts: CommitCounts::default(),
            slots: 0.into(),
        });
        let spawn = |_| tokio::spawn(Writer::new(Arc::clone(&context)).run());
        let writers = (0..options.writers.max(1)).map(spawn).collect();
        let readers = options.readers.max(1);
        let pool = Arc::new(ReadPool::new(connector, acknowledgements, readers));
        Ok(Self {
            reads: ReadGroups::new(Arc::clone(&pool), readers),
            pool,
            node,
            writers: Mutex::new(writers),
            context,
        })
    }

    /// Makes the tables, or brings them to the version of this release. Others may use the store meanwhile, or do the same.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database cannot be reached or refuses.
    pub async fn migrate(address: &PostgresAddress) -> Result<Migrated, StoreError> {
        let connector = Connector::new(address.clone(), PostgresBounds::default())?;
        schema::migrate(&connector).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        let found = self.reads.get_many(&[key.to_vec()]).await?;
        Ok(found.into_iter().next().flatten())
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        if keys.is_empty() {
            return self.pool.check().map(|()| Vec::new());
        }
        self.reads.get_many(keys).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        let Some((low, high)) = rows_of(&scan) else {
            return self.pool.check().map(|()| Vec::new());
        };
        let statement = match scan.order {
            Order::Ascending => SCAN_UP,
            Order::Descending => SCAN_DOWN,
        };
        let rows = self
            .pool
            .query(statement, &[&low, &high, &limit(scan.limit)])
            .await?;
        rows.iter().map(keyed_entry_in).collect()
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        batch.check_sizes()?;
        self.context.acknowledgements.check()?;
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + self.context.connector.bounds().commit;
        self.context.queue.push(batch, answer, deadline)?;
        // A writer answers whatever it has taken, unless it panics.
        let fallen =
            || StoreError::Unavailable("a writer stopped: whether it was committed is not known".into());
        answered.await.unwrap_or_else(|_| Err(fallen().into()))
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        count: usize,
    ) -> Result<ExpiredPage, StoreError> {
        let (end, row_key) = behind(after);
        let parameters: [&(dyn ToSql + Sync); 6] = [
            &bigint(now.millis()),
            &ENTRIES.0,
            &ENTRIES.1,
            &limit(count),
            &end,
            &row_key,
        ];
        let rows = self.pool.query(EXPIRED, &parameters).await?;
        let next = match rows.last().filter(|_| rows.len() == count) {
            Some(last) => Some(position(column(last, 0)?, column(last, 3)?)),
            None => None,
        };
        let entries = rows.iter().map(keyed_entry_in).collect::<Result<_, _>>()?;
        Ok(ExpiredPage { entries, next })
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        self.pool.check()?;
        let begun = export::begin(&self.context.connector, &self.context.acknowledgements).await?;
        Ok(Box::new(begun))
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.context.queue.close();
        let writers = std::mem::take(&mut *self.writers.lock().await);
        join_all(writers).await;
        self.pool.close();
        Ok(())
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.pool.query(CLOCK, &[]).await?;
        let millis = |row: &Row| number(column(row, 0)?).map(Timestamp::from_millis);
        rows.first().map(millis).transpose()
    }

    fn has_lost_commits(&self) -> bool {
        self.context.acknowledgements.are_lost()
    }

    fn report_loss(&self) {
        self.context.acknowledgements.lost_commits();
    }

    async fn go_on_after_loss(&self, key: Vec<u8>, value: &ValueAfterLoss<'_>) -> Result<(), StoreError> {
        let acknowledgements = &self.context.acknowledgements;
        if !acknowledgements.are_lost() {
            return Err(StoreError::Unavailable("it has lost nothing".into()));
        }
        renewal::overwrite(&self.context, &entry_key(&key), value).await?;
        self.pool.begin_anew();
        acknowledgements.begin_anew();
        Ok(())
    }

    async fn raise_versions(&self) -> Result<(), StoreError> {
        renewal::raise_versions(&self.context).await
    }

    fn announcements(&self) -> Option<Box<dyn Announcements>> {
        let connector = Arc::clone(&self.context.connector);
        let notifications = Notifications::begin(connector, Arc::clone(&self.pool), self.node);
        Some(Box::new(notifications))
    }

    fn statistics(&self) -> Statistics {
        let counts = &self.context.counts;
        Statistics {
            commits: counts.commits.load(Ordering::Relaxed),
            conflicts: counts.conflicts.load(Ordering::Relaxed),
            groups: counts.groups.load(Ordering::Relaxed),
            group_sizes: counts.group_sizes.counts(),
            ..Statistics::default()
        }
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // The writers finish what they have and end.
        self.context.queue.close();
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("address", self.context.connector.address())
            .finish_non_exhaustive()
    }
}

/// What a process does first: looks at the tables, draws its versions, and removes what other processes have left. Whether that is as
/// durable as what is acknowledged.
async fn begin(connector: &Connector, now: Timestamp) -> Result<(VersionSource, bool), StoreError> {
    let at_address =
        |failure: StatementFailure| StoreError::Unavailable(format!("{}: {failure}", connector.address()));
    let session = connector
        .connect(SessionPurpose::Write)
        .await
        .map_err(at_address)?;
    let client = &session.client;
    let bound = connector.bounds().statement;
    let slots: [&(dyn ToSql + Sync); 3] = [&SLOTS.0, &SLOTS.1, &bigint(now.millis())];
    let deadline = Instant::now() + connector.bounds().commit;
    let mut pause = Duration::from_millis(1);
    loop {
        let begun = within(bound, async {
            // What it finds there is no failure of a statement.
            if let Err(unusable) = schema::check(client).await? {
                return Ok(Err(unusable));
            }
            let warnings = session.warnings();
            let versions = VersionSource::draw(client).await?;
            let surely = session.warnings() == warnings;
            client.execute(DROP_OLD_SLOTS, &slots).await?;
            Ok::<_, StatementFailure>(Ok((versions, surely)))
        });
        match begun.await {
            Ok(begun) => return begun,
            // Others begin at the same moment.
            Err(failure) if failure.kind == ErrorKind::Serialization && Instant::now() < deadline => {}
            Err(failure) => return Err(at_address(failure)),
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// The key and the entry in a row of a key, a value, a version and an expiry.
fn keyed_entry_in(row: &Row) -> Result<(Vec<u8>, Entry), StoreError> {
    Ok((key_of(column(row, 0)?), entry_in(row, 1)?))
}

/// The entry in a row whose value, version and expiry begin at the column `first`.
fn entry_in(row: &Row, first: usize) -> Result<Entry, StoreError> {
    Ok(entry(
        column(row, first)?,
        column(row, first + 1)?,
        column(row, first + 2)?,
    ))
}

fn column<'r, T: tokio_postgres::types::FromSql<'r>>(row: &'r Row, number: usize) -> Result<T, StoreError> {
    row.try_get(number)
        .map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

const SCAN_UP: &str = "SELECT key, value, version, expires_at FROM countersign_entries
WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3";
const SCAN_DOWN: &str = "SELECT key, value, version, expires_at FROM countersign_entries
WHERE key >= $1 AND key < $2 ORDER BY key DESC LIMIT $3";
const EXPIRED: &str = "SELECT key, value, version, expires_at FROM countersign_entries
WHERE expires_at <= $1 AND key >= $2 AND key < $3 AND expires_at >= $5 AND (expires_at > $5 OR key > $6)
ORDER BY expires_at, key LIMIT $4";
const CLOCK: &str = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::int8";
/// A slot goes if it is old by the clock of this process and by that of the database: one of them can be wrong, and whoever
/// misses its slot takes the database for one that has lost commits.
const DROP_OLD_SLOTS: &str = "DELETE FROM countersign_entries
WHERE key >= $1 AND key < $2 AND expires_at < $3 AND expires_at < (extract(epoch FROM now()) * 1000)::int8";
