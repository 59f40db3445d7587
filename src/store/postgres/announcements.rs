//! Announcements by `LISTEN` and `NOTIFY`.
//!
//! Never in the transaction that decides: PostgreSQL takes a lock of the whole database when such a transaction commits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;

use super::connection::{Connector, ListeningSession};
use super::pool::ReadPool;
use crate::store::{Announcements, Heard, StoreError};

/// What this process tells and hears.
pub(super) struct Notifications {
    pool: Arc<ReadPool>,
    /// Which process this is: its epoch.
    node: u32,
    heard: Mutex<mpsc::Receiver<Heard>>,
    listener: JoinHandle<()>,
}

impl Notifications {
    pub(super) fn begin(connector: Arc<Connector>, pool: Arc<ReadPool>, node: u32) -> Self {
        let (heard, hearing) = mpsc::channel(QUEUE);
        let listener = tokio::spawn(async move { listen(&connector, node, &heard).await });
        Self {
            pool,
            node,
            heard: Mutex::new(hearing),
            listener,
        }
    }
}

#[async_trait]
impl Announcements for Notifications {
    async fn tell(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let text = format!("{}:{}", self.node, STANDARD_NO_PAD.encode(bytes));
        self.pool.query(TELL, &[&CHANNEL, &text]).await.map(|_| ())
    }

    async fn heard(&self) -> Heard {
        match self.heard.lock().await.recv().await {
            Some(heard) => heard,
            // Nobody listens any more: the database has no announcements, or the store is closed.
            None => std::future::pending().await,
        }
    }
}

impl std::fmt::Debug for Notifications {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifications")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Listens, on one connection after the other.
async fn listen(connector: &Connector, node: u32, heard: &mpsc::Sender<Heard>) {
    while !heard.is_closed() {
        match connector.listen(CHANNEL).await {
            Ok(session) => {
                // Whatever was told before is not heard.
                if heard.send(Heard::Missed).await.is_err() {
                    return;
                }
                pass_on(session, node, heard).await;
            }
            Err(failure) if failure.code().is_some_and(|code| UNKNOWN.contains(&code)) => {
                tracing::warn!(
                    "this database has no LISTEN: who waits at another server hears of a change up to 10 s later ({failure})"
                );
                return;
            }
            Err(failure) => tracing::debug!("cannot listen to the other servers: {failure}"),
        }
        sleep(PAUSE).await;
    }
}

async fn pass_on(mut session: ListeningSession, node: u32, heard: &mpsc::Sender<Heard>) {
    loop {
        let payload = match timeout(QUIET, session.next()).await {
            Ok(Some(payload)) => payload,
            Ok(None) => return,
            // A connection that is half open is as quiet as one with nothing to say.
            Err(_quiet) => match timeout(QUIET, session.is_alive()).await {
                Ok(true) => continue,
                Ok(false) | Err(_) => return,
            },
        };
        let Some((from, text)) = payload.split_once(':') else {
            continue;
        };
        if from == node.to_string() {
            continue;
        }
        let told = STANDARD_NO_PAD.decode(text).map_or(Heard::Missed, Heard::Told);
        if heard.try_send(told).is_err() && heard.send(Heard::Missed).await.is_err() {
            return;
        }
    }
}

const CHANNEL: &str = "countersign";
const TELL: &str = "SELECT pg_notify($1, $2)";

/// What databases without announcements say.
const UNKNOWN: [&SqlState; 3] = [
    &SqlState::FEATURE_NOT_SUPPORTED,
    &SqlState::SYNTAX_ERROR,
    &SqlState::UNDEFINED_FUNCTION,
];

/// How much is kept that was heard and not looked at.
const QUEUE: usize = 256;

/// After how long without a word the connection is tried, and how long that may take.
const QUIET: Duration = Duration::from_secs(5);

/// The pause between two tries to listen.
const PAUSE: Duration = Duration::from_millis(500);
