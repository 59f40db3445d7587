//! Connections that read.
//!
//! A read changes nothing, so one whose connection is lost is tried again on another one, within bounds.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Connect, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, Row};

use super::acknowledgements::Acknowledgements;
use super::connection::{CONNECT_BOUND, Connector, ErrorKind, SessionPurpose, describe, unavailable};
use super::layout::number;
use super::queue::closed;
use super::writer::STATEMENT_BOUND;
use crate::store::StoreError;

/// Connections that read, made when they are needed.
pub(super) struct ReadPool {
    pool: Pool,
    acknowledgements: Arc<Acknowledgements>,
}

/// Makes the pool's connections.
struct ReadConnector {
    connector: Arc<Connector>,
    acknowledgements: Arc<Acknowledgements>,
}

impl ReadPool {
    /// A pool of up to `size` connections.
    pub(super) fn new(
        connector: Arc<Connector>,
        acknowledgements: Arc<Acknowledgements>,
        size: usize,
    ) -> Self {
        let config = connector.address().config.clone();
        let connect = ReadConnector {
            connector,
            acknowledgements: Arc::clone(&acknowledgements),
        };
        // A connection that is broken is noticed by the read that uses it, which is tried again.
        let manager = Manager::from_connect(
            config,
            connect,
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let timeouts = Timeouts {
            wait: Some(READ_BOUND),
            create: Some(CONNECT_BOUND),
            recycle: Some(STATEMENT_BOUND),
        };
        let builder = Pool::builder(manager)
            .max_size(size)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1);
        let pool = builder.build();
        Self {
            pool: pool.unwrap_or_else(|_| unreachable!("it has a runtime for its timeouts")),
            acknowledgements,
        }
    }

    /// # Errors
    /// [`StoreError::Unavailable`] when nothing can be read any more.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.acknowledgements.check()?;
        if self.pool.is_closed() {
            Err(closed())
        } else {
            Ok(())
        }
    }

    /// The rows that `statement` finds.
    pub(super) async fn query(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let deadline = Instant::now() + READ_BOUND;
        loop {
            self.check()?;
            let why = match self.connection().await {
                Ok(connection) => {
                    // Making it may have shown that commits are lost.
                    self.acknowledgements.check()?;
                    match timeout(STATEMENT_BOUND, run(&connection, statement, parameters)).await {
                        Ok(Ok(rows)) => return Ok(rows),
                        Ok(Err(error)) => {
                            match ErrorKind::of(&error) {
                                ErrorKind::Refused => return Err(unavailable(&error)),
                                ErrorKind::Serialization => {}
                                ErrorKind::Lost | ErrorKind::WrongServer => drop(Object::take(connection)),
                            }
                            describe(&error)
                        }
                        Err(_elapsed) => {
                            drop(Object::take(connection));
                            format!("no answer within {} s", STATEMENT_BOUND.as_secs())
                        }
                    }
                }
                Err(PoolError::Closed) => return Err(closed()),
                Err(PoolError::Backend(error)) => describe(&error),
                Err(other) => other.to_string(),
            };
            if Instant::now() + RETRY_PAUSE >= deadline {
                return Err(StoreError::Unavailable(format!(
                    "the database cannot be read: {why}"
                )));
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Nothing is read any more.
    pub(super) fn close(&self) {
        self.pool.close();
    }

    async fn connection(&self) -> Result<Object, PoolError> {
        self.pool.get().await
    }
}

async fn run(
    connection: &Object,
    statement: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Error> {
    let statement = connection.prepare_cached(statement).await?;
    connection.query(&statement, parameters).await
}

impl ReadConnector {
    /// Connects, and looks whether the database still has what it last acknowledged to this process.
    async fn connect_and_check(&self) -> Result<(Client, JoinHandle<()>), Error> {
        let (client, driver) = self.connector.connect_in_parts(SessionPurpose::Read).await?;
        // Taken after the session was there: what is acknowledged from here on, this session sees as well.
        if let Some(mark) = self.acknowledgements.newest_mark() {
            let row = client.query_opt(READ_MARK, &[&mark.slot]).await?;
            let found = row.map(|row| row.try_get(0)).transpose()?.map(number);
            let holds = found.is_some_and(|found| found.is_ok_and(|found| found >= mark.version.0));
            // A mark that was forgotten meanwhile is gone for a good reason.
            if !holds
                && self
                    .acknowledgements
                    .newest_mark()
                    .is_some_and(|newest| newest.slot == mark.slot)
            {
                self.acknowledgements.lost_commits();
            }
        }
        Ok((client, driver))
    }
}

impl Connect for ReadConnector {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(self.connect_and_check())
    }
}

const READ_MARK: &str = "SELECT version FROM countersign_entries WHERE key = $1";

/// Within what time a read is answered, or given up.
const READ_BOUND: Duration = Duration::from_secs(8);

/// The pause between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
