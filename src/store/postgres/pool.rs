//! Connections that read.
//!
//! A read changes nothing, so one whose connection is lost is tried again on another one, within bounds.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::{
    Connect, Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, Row};

use super::acknowledgements::Acknowledgements;
use super::bounds::PostgresBounds;
use super::connection::{Connector, ErrorKind, SessionPurpose, StatementFailure, within};
use super::queue::closed;
use crate::store::StoreError;

/// Connections that read, made when they are needed.
pub(super) struct ReadPool {
    pool: Pool,
    bounds: PostgresBounds,
    acknowledgements: Arc<Acknowledgements>,
    /// Why the last read was not answered at once, until one is.
    last_failure: Mutex<Option<String>>,
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
        let bounds = *connector.bounds();
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
            wait: Some(bounds.read),
            create: Some(bounds.connect),
            recycle: Some(bounds.statement),
        };
        // The one that was used last: what it uses in the database is still in the caches, and those that nobody needs lie idle.
        let builder = Pool::builder(manager)
            .queue_mode(QueueMode::Lifo)
            .max_size(size)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1);
        let pool = builder.build();
        Self {
            pool: pool.unwrap_or_else(|_| unreachable!("it has a runtime for its timeouts")),
            bounds,
            acknowledgements,
            last_failure: Mutex::default(),
        }
    }

    /// Why the last read was not answered at once, if none was answered since.
    pub(super) fn last_failure(&self) -> Option<String> {
        self.failure().clone()
    }

    fn failure(&self) -> MutexGuard<'_, Option<String>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// How long a read may take.
    pub(super) fn bound(&self) -> Duration {
        self.bounds.read
    }

    /// The rows that `statement` finds.
    pub(super) async fn query(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let deadline = Instant::now() + self.bounds.read;
        self.query_until(deadline, statement, parameters).await
    }

    /// The same, given up at `deadline`.
    pub(super) async fn query_until(
        &self,
        deadline: Instant,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            self.check()?;
            let why = match timeout_at(deadline, self.pool.get()).await {
                Ok(Ok(_)) if Instant::now() + MOMENT > deadline => "no connection in time".to_owned(),
                Ok(Ok(connection)) => {
                    // Making it may have shown that commits are lost.
                    self.acknowledgements.check()?;
                    let asked_at = Instant::now();
                    let bound = self
                        .bounds
                        .statement
                        .min(deadline.saturating_duration_since(asked_at));
                    match within(bound, run(&connection, statement, parameters)).await {
                        Ok(rows) => {
                            *self.failure() = None;
                            return Ok(rows);
                        }
                        Err(failure) => {
                            self.put_away(connection, &failure, asked_at);
                            if failure.kind == ErrorKind::Refused {
                                return Err(failure.unavailable());
                            }
                            failure.to_string()
                        }
                    }
                }
                Ok(Err(PoolError::Closed)) => return Err(closed()),
                Ok(Err(PoolError::Backend(error))) => StatementFailure::from(error).to_string(),
                Ok(Err(other)) => other.to_string(),
                Err(_elapsed) => "no connection in time".to_owned(),
            };
            *self.failure() = Some(why.clone());
            if Instant::now() + pause + MOMENT >= deadline {
                return Err(StoreError::Unavailable(format!(
                    "the database cannot be read: {why}"
                )));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Gives a connection back, if it is of use yet.
    fn put_away(&self, connection: Object, failure: &StatementFailure, asked_at: Instant) {
        match failure.kind {
            ErrorKind::Serialization | ErrorKind::TooSlow | ErrorKind::Refused => {}
            ErrorKind::WrongSession => drop(Object::take(connection)),
            ErrorKind::Lost | ErrorKind::OutOfStep => {
                drop(Object::take(connection));
                // Those that lie idle had the same other end: each would have to be found out anew.
                let asked_at = asked_at.into_std();
                self.pool.retain(|_, metrics| metrics.created > asked_at);
            }
        }
    }

    /// Those that lie idle may lead to what is not used any more.
    pub(super) fn begin_anew(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Nothing is read any more.
    pub(super) fn close(&self) {
        self.pool.close();
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
    /// Connects, and looks whether the database still has what it acknowledged to this process. The pool has the bound.
    async fn connect_and_check(&self) -> Result<(Client, JoinHandle<()>), Error> {
        let session = self.connector.connect_unbounded(SessionPurpose::Read).await?;
        self.acknowledgements.verify(&session.client).await?;
        Ok(session.into_parts())
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

/// The pause between the first two tries; each is twice the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What comes to its end within that is not asked for: a statement that is given up costs its connection.
pub(super) const MOMENT: Duration = Duration::from_millis(100);
