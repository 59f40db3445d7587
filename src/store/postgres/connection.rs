//! Connections: how they are made, and what every session on them is told first.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::select_ok;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::LoadBalanceHosts;
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::{AsyncMessage, Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{PostgresAddress, for_each_host};
use super::bounds::PostgresBounds;
use super::tls;
use crate::store::StoreError;

/// Makes connections to one database.
pub(super) struct Connector {
    address: PostgresAddress,
    bounds: PostgresBounds,
    tls: MakeRustlsConnect,
    /// How often it was connected.
    connected: AtomicUsize,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionPurpose {
    /// Reads what is committed, each statement for itself.
    Read,
    /// Decides and writes: what it reads must not change meanwhile.
    Write,
    /// Hears what others notify.
    Listen,
    /// Makes the table, which may take as long as it takes.
    Migrate,
    /// Has a witness for as long as it is there.
    Witness,
}

/// A connection that is closed when this is dropped.
pub(super) struct DatabaseSession {
    pub(super) client: Client,
    driver: Driver,
    warnings: Arc<AtomicUsize>,
}

/// The task that moves a connection's bytes.
struct Driver(JoinHandle<()>);

impl Connector {
    /// # Errors
    /// [`StoreError::Unavailable`] when the address names files that cannot be used.
    pub(super) fn new(address: PostgresAddress, bounds: PostgresBounds) -> Result<Arc<Self>, StoreError> {
        let unusable = |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{address}: {error}"));
        let tls = tls::connector(&address).map_err(|error| unusable(&error))?;
        address.with_password().map_err(|error| unusable(&error))?;
        Ok(Arc::new(Self {
            address,
            bounds,
            tls,
            connected: AtomicUsize::new(0),
        }))
    }

    pub(super) fn address(&self) -> &PostgresAddress {
        &self.address
    }

    pub(super) fn bounds(&self) -> &PostgresBounds {
        &self.bounds
    }

    /// Connects to a host that takes writes, within a bound.
    pub(super) async fn connect(&self, purpose: SessionPurpose) -> Result<DatabaseSession, StatementFailure> {
        within(self.bounds.connect, self.connect_unbounded(purpose)).await
    }

    /// Connects, and leaves it to the caller when to give up.
    ///
    /// Each host is tried a moment after the one before it, whatever becomes of that: one that is connected to and does not
    /// answer must not keep from the others.
    pub(super) async fn connect_unbounded(&self, purpose: SessionPurpose) -> Result<DatabaseSession, Error> {
        self.connect_hearing(purpose, None).await
    }

    /// As [`Self::connect_unbounded`]. What is notified on the connection goes to `payloads`.
    async fn connect_hearing(
        &self,
        purpose: SessionPurpose,
        payloads: Option<mpsc::Sender<String>>,
    ) -> Result<DatabaseSession, Error> {
        let config = self.address.with_password().unwrap_or_else(|error| {
            tracing::warn!("{error}");
            self.address.config.clone()
        });
        let mut hosts = for_each_host(&config);
        let connected = self.connected.fetch_add(1, Ordering::Relaxed);
        if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            let first = connected % hosts.len().max(1);
            hosts.rotate_left(first);
        }
        let attempts = (0..).zip(hosts).map(|(number, host)| {
            let payloads = payloads.clone();
            Box::pin(async move {
                sleep(HOST_PAUSE * number).await;
                self.connect_to(&host, purpose, payloads).await
            })
        });

        let (session, _others) = select_ok(attempts).await?;
        Ok(session)
    }

    async fn connect_to(
        &self,
        host: &Config,
        purpose: SessionPurpose,
        payloads: Option<mpsc::Sender<String>>,
    ) -> Result<DatabaseSession, Error> {
        let (client, mut both_ways) = host.connect(self.tls.clone()).await?;
        let warnings = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&warnings);
        let driver = tokio::spawn(async move {
            // Whoever waits for an answer is told of an error.
            while let Some(Ok(message)) = poll_fn(|context| both_ways.poll_message(context)).await {
                match message {
                    AsyncMessage::Notice(notice) if is_warning(&notice) => {
                        tracing::warn!("the database warned: {}", notice.message());
                        counted.fetch_add(1, Ordering::Release);
                    }
                    AsyncMessage::Notification(notification) => {
                        if let Some(payloads) = &payloads
                            && payloads.send(notification.payload().to_owned()).await.is_err()
                        {
                            break;
                        }
                    }
                    _ => {}
                }
            }
        });
        let session = DatabaseSession {
            client,
            driver: Driver(driver),
            warnings,
        };
        session
            .client
            .batch_execute(&purpose.session(&self.bounds))
            .await?;
        Ok(session)
    }
}

impl DatabaseSession {
    /// How often the database warned on this connection, those before the answers that have come included.
    ///
    /// That is how it says that a commit is not on the standby that it should have waited for: because somebody has cancelled
    /// the wait. The answer itself is that of success.
    pub(super) fn warnings(&self) -> usize {
        self.warnings.load(Ordering::Acquire)
    }

    /// The connection for somebody else, who closes it with the task.
    pub(super) fn into_parts(self) -> (Client, JoinHandle<()>) {
        let mut driver = self.driver;
        // What is dropped then is a task that has ended.
        let task = std::mem::replace(&mut driver.0, tokio::spawn(async {}));
        (self.client, task)
    }
}

/// A session that payloads what others notify.
pub(super) struct ListeningSession {
    session: DatabaseSession,
    heard: mpsc::Receiver<String>,
}

impl Connector {
    /// Connects, and listens on `channel`.
    pub(super) async fn listen(&self, channel: &str) -> Result<ListeningSession, StatementFailure> {
        let (payloads, heard) = mpsc::channel(256);
        let listening = within(self.bounds.connect, async {
            let session = self
                .connect_hearing(SessionPurpose::Listen, Some(payloads))
                .await?;
            session.client.batch_execute(&format!("LISTEN {channel}")).await?;
            Ok::<_, Error>(session)
        });
        let session = listening.await?;
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
    /// With `synchronous_commit` off, what was acknowledged could be lost; where it is `local`, it is not on the standby.
    fn session(self, bounds: &PostgresBounds) -> String {
        let millis = bounds.statement_timeout_millis();
        match self {
            Self::Read => format!("SET statement_timeout = {millis}; {READ_SETTINGS}"),
            Self::Write => format!(
                "SET statement_timeout = {millis}; SET idle_in_transaction_session_timeout = {millis}; {WRITE_SETTINGS}"
            ),
            Self::Listen => format!("SET statement_timeout = {millis}"),
            Self::Migrate => "SET lock_timeout = '60s'".to_owned(),
            Self::Witness => format!("SET statement_timeout = {millis}; {WITNESS_SETTINGS}"),
        }
    }
}

const READ_SETTINGS: &str = "SELECT set_config(name, 'off', false) FROM pg_catalog.pg_settings WHERE name IN ('enable_seqscan', 'jit')";

const WRITE_SETTINGS: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SELECT set_config(name, 'off', false) FROM pg_catalog.pg_settings
WHERE name IN ('enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_bitmapscan', 'jit');
SELECT set_config(name, 'force_generic_plan', false) FROM pg_catalog.pg_settings WHERE name = 'plan_cache_mode';
SELECT set_config(name, 'on', false) FROM pg_catalog.pg_settings
WHERE name = 'synchronous_commit' AND setting IN ('off', 'local')";

/// So that a database notices soon that a machine is gone, and lets others have its locks.
const WITNESS_SETTINGS: &str =
    "SELECT set_config(known.name, wanted.value, false) FROM pg_catalog.pg_settings known
JOIN (VALUES ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3'),
 ('tcp_user_timeout', '10000')) wanted (name, value)
ON wanted.name = known.name;
SELECT set_config(name, 'on', false) FROM pg_catalog.pg_settings
WHERE name = 'synchronous_commit' AND setting IN ('off', 'local')";

/// Why something that the database was asked for was not done.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub(super) struct StatementFailure {
    pub(super) kind: ErrorKind,
    code: Option<SqlState>,
    /// What the database said, or what was heard instead.
    said: String,
}

impl StatementFailure {
    pub(super) fn new(kind: ErrorKind, said: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            said: said.into(),
        }
    }

    /// The database's own word for it.
    pub(super) fn code(&self) -> Option<&SqlState> {
        self.code.as_ref()
    }

    /// As those who use the store hear of it.
    pub(super) fn unavailable(&self) -> StoreError {
        StoreError::Unavailable(format!("the database said: {}", self.said))
    }
}

impl From<Error> for StatementFailure {
    fn from(error: Error) -> Self {
        Self {
            kind: ErrorKind::of(&error),
            code: error.code().cloned(),
            said: describe(&error),
        }
    }
}

/// What is answered within `bound`.
pub(super) async fn within<T, E: Into<StatementFailure>>(
    bound: Duration,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, StatementFailure> {
    match timeout(bound, asked).await {
        Ok(answered) => answered.map_err(Into::into),
        Err(_elapsed) => {
            let said = format!("no answer within {} s", bound.as_secs_f32());
            Err(StatementFailure::new(ErrorKind::Lost, said))
        }
    }
}

fn is_warning(notice: &DbError) -> bool {
    !matches!(
        notice.parsed_severity(),
        Some(Severity::Debug | Severity::Info | Severity::Log | Severity::Notice)
    )
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
    /// Nothing was done within the time that it had.
    TooSlow,
    /// Nothing was done, and this connection will not do it: its server takes no writes (any more), or what was prepared on
    /// it is of no use any more.
    WrongSession,
    /// Nobody knows what was done: the connection broke.
    Lost,
    /// Something was done, or nothing, but not as it was meant.
    OutOfStep,
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
        ]
        .contains(&code)
        {
            Self::Serialization
        } else if [&SqlState::QUERY_CANCELED, &SqlState::LOCK_NOT_AVAILABLE].contains(&code) {
            Self::TooSlow
        } else if [
            &SqlState::READ_ONLY_SQL_TRANSACTION,
            &SqlState::INVALID_SQL_STATEMENT_NAME,
        ]
        .contains(&code)
            || said.routine() == Some("RevalidateCachedQuery")
        {
            Self::WrongSession
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

impl Drop for Driver {
    fn drop(&mut self) {
        // Not left to the client's half: the other one may wait for a server that does not answer.
        self.0.abort();
    }
}

/// How much later than the one before it a host is tried.
const HOST_PAUSE: Duration = Duration::from_millis(250);
