//! Connections: how they are made, and what every session on them is told first.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{AsyncMessage, Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::PostgresAddress;
use super::tls;
use crate::store::StoreError;

/// Makes connections to one database.
pub(super) struct Connector {
    address: PostgresAddress,
    tls: MakeRustlsConnect,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionPurpose {
    /// Reads what is committed, each statement for itself.
    Read,
    /// Decides and writes: what it reads must not change meanwhile.
    Write,
    /// Makes the table, which may take as long as it takes.
    Migrate,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{}", describe(.0))]
    Database(#[from] Error),
    #[error("no answer within {} s", CONNECT_BOUND.as_secs())]
    Timeout,
}

/// A connection that is closed when this is dropped.
pub(super) struct DatabaseSession {
    pub(super) client: Client,
    driver: JoinHandle<()>,
}

impl Connector {
    /// # Errors
    /// [`StoreError::Unavailable`] when the address names files that cannot be used.
    pub(super) fn new(address: PostgresAddress) -> Result<Arc<Self>, StoreError> {
        let unusable = |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{address}: {error}"));
        let tls = tls::connector(&address).map_err(|error| unusable(&error))?;
        address.with_password().map_err(|error| unusable(&error))?;
        Ok(Arc::new(Self { address, tls }))
    }

    pub(super) fn address(&self) -> &PostgresAddress {
        &self.address
    }

    /// Connects to the first host that takes writes, within a bound.
    pub(super) async fn connect(&self, purpose: SessionPurpose) -> Result<DatabaseSession, ConnectError> {
        let connected = timeout(CONNECT_BOUND, self.connect_in_parts(purpose)).await;
        let (client, driver) = connected.map_err(|_| ConnectError::Timeout)??;
        Ok(DatabaseSession { client, driver })
    }

    /// With the password as it stands in its file now.
    fn config(&self) -> Config {
        self.address.with_password().unwrap_or_else(|error| {
            tracing::warn!("{error}");
            self.address.config.clone()
        })
    }

    /// Connects, and leaves it to the caller when to give up: to the client, and to the task that moves its bytes.
    pub(super) async fn connect_in_parts(
        &self,
        purpose: SessionPurpose,
    ) -> Result<(Client, JoinHandle<()>), Error> {
        let (client, both_ways) = self.config().connect(self.tls.clone()).await?;
        let driver = tokio::spawn(async move {
            // Whoever waits for an answer is told the same.
            let _reported = both_ways.await;
        });
        client.batch_execute(purpose.session()).await?;
        Ok((client, driver))
    }
}

/// A session that hears what others notify.
pub(super) struct ListeningSession {
    session: DatabaseSession,
    heard: mpsc::Receiver<String>,
}

impl Connector {
    /// Connects, and listens on `channel`.
    pub(super) async fn listen(&self, channel: &str) -> Result<ListeningSession, ConnectError> {
        let connected = timeout(CONNECT_BOUND, self.listen_unbounded(channel)).await;
        connected
            .map_err(|_| ConnectError::Timeout)?
            .map_err(ConnectError::Database)
    }

    async fn listen_unbounded(&self, channel: &str) -> Result<ListeningSession, Error> {
        let config = self.config();
        let (client, mut both_ways) = config.connect(self.tls.clone()).await?;
        let (hear, heard) = mpsc::channel(256);
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| both_ways.poll_message(context)).await {
                if let AsyncMessage::Notification(notification) = message
                    && hear.send(notification.payload().to_owned()).await.is_err()
                {
                    break;
                }
            }
        });
        let session = DatabaseSession { client, driver };
        session.client.batch_execute(&format!("LISTEN {channel}")).await?;
        Ok(ListeningSession { session, heard })
    }
}

impl ListeningSession {
    /// The next notification; `None` when the connection is lost.
    pub(super) async fn next(&mut self) -> Option<String> {
        self.heard.recv().await
    }

    /// Whether the database answers on this connection.
    pub(super) async fn is_alive(&self) -> bool {
        self.session.client.simple_query("SELECT 1").await.is_ok()
    }
}

impl SessionPurpose {
    /// What a session is told first.
    ///
    /// A statement that finds rows by their keys must not read the whole table for it, however small that is: everything
    /// that a serializable transaction has read counts when it is decided whether it came in another one's way. The settings
    /// that say so are PostgreSQL's own; a database that does not have them is not told.
    ///
    /// With `synchronous_commit` off, what was acknowledged could be lost.
    fn session(self) -> &'static str {
        match self {
            Self::Read => concat!(
                "SET statement_timeout = '4s'; ",
                "SELECT set_config(name, 'off', false) FROM pg_catalog.pg_settings WHERE name IN ('enable_seqscan', 'jit')",
            ),
            Self::Write => concat!(
                "SET statement_timeout = '4s'; ",
                "SET idle_in_transaction_session_timeout = '4s'; ",
                "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE; ",
                "SELECT set_config(name, 'off', false) FROM pg_catalog.pg_settings WHERE name IN ",
                "('enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_bitmapscan', 'jit'); ",
                "SELECT set_config(name, 'force_generic_plan', false) FROM pg_catalog.pg_settings ",
                "WHERE name = 'plan_cache_mode'; ",
                "SELECT set_config(name, 'on', false) FROM pg_catalog.pg_settings ",
                "WHERE name = 'synchronous_commit' AND setting = 'off'",
            ),
            Self::Migrate => "SET lock_timeout = '60s'",
        }
    }
}

/// What an error says, with what the database said.
pub(super) fn describe(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// An error as those who use the store hear of it.
pub(super) fn unavailable(error: &Error) -> StoreError {
    StoreError::Unavailable(format!("the database said: {}", describe(error)))
}

/// What an error says of the statement that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorKind {
    /// Nothing was done, and the same statement may do better: another transaction came in its way.
    Serialization,
    /// Nothing was done, and this server will not do it: it takes no writes (any more), or is about to go.
    WrongServer,
    /// Nobody knows what was done: the connection broke.
    Lost,
    /// Nothing was done, and it would be the same again.
    Refused,
}

impl ErrorKind {
    pub(super) fn of(error: &Error) -> Self {
        let Some(said) = error.as_db_error() else {
            return Self::Lost;
        };
        let code = said.code();
        if matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
            // The connection ends with it. It also answers a transaction that was committed and whose standby had not
            // confirmed it.
            return Self::Lost;
        }
        if [
            &SqlState::T_R_SERIALIZATION_FAILURE,
            &SqlState::T_R_DEADLOCK_DETECTED,
            &SqlState::QUERY_CANCELED,
            &SqlState::LOCK_NOT_AVAILABLE,
        ]
        .contains(&code)
        {
            Self::Serialization
        } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
            Self::WrongServer
        } else if ["57P", "08", "40"]
            .iter()
            .any(|class| code.code().starts_with(class))
        {
            // The server goes, or the connection does; 40003 says in words that the outcome is not known.
            Self::Lost
        } else {
            Self::Refused
        }
    }
}

impl Drop for DatabaseSession {
    fn drop(&mut self) {
        // Not left to the client's half: the other one may wait for a server that does not answer.
        self.driver.abort();
    }
}

/// How long all hosts together may take to be connected to.
pub(super) const CONNECT_BOUND: Duration = Duration::from_secs(10);
