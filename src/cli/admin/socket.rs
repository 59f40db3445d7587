//! The socket on which a running server takes commands: one line of JSON in, one out (or an export), one request per
//! connection.
//!
//! Invariant: the socket never exists in a place where anybody but the owner of the data directory could connect to it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{AdminRequest, Reply, execute};
use crate::app::App;
use crate::domain::audit::AuditAct;
use crate::domain::events::EventType;
use crate::flows::audit::{self, AuditScope};
use crate::store::transfer::{self, ExportSummary, Sieve};

/// The socket; its file is removed with it.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Makes the socket in the data directory, in place of one that an earlier process left. The caller has the directory
    /// to itself.
    ///
    /// # Errors
    /// When the operating system refuses it, as for a path of more than about 100 bytes.
    pub(crate) fn bind(directory: &Path) -> io::Result<Self> {
        let path = path_in(directory);
        // A socket is born with the modes that the process's umask leaves, so it is born behind a closed door.
        let private = directory.join("admin.new");
        let _none = fs::remove_dir_all(&private);
        DirBuilder::new().mode(0o700).create(&private)?;
        let born = private.join("sock");
        let bound = UnixListener::bind(&born).and_then(|listener| {
            fs::set_permissions(&born, Permissions::from_mode(0o600))?;
            fs::rename(&born, &path)?;
            Ok(listener)
        });
        let _none = fs::remove_dir_all(&private);
        Ok(Self {
            listener: bound?,
            path,
        })
    }

    /// Answers requests until `stopping` changes; then takes no more, and returns when those under way are answered, at
    /// the latest after `drain`.
    pub(crate) async fn serve(self, app: Arc<App>, mut stopping: watch::Receiver<()>, drain: Duration) {
        let mut conversations = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = conversations.join_next() => continue,
                _ = stopping.changed() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    conversations.spawn(conversation(stream, Arc::clone(&app), stopping.clone()));
                }
                Err(error) => {
                    tracing::error!("cannot accept commands: {error}; trying again in {PAUSE:?}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        // A command that comes now finds no socket, and says that another process has the data directory.
        drop(self);
        let rest = async { while conversations.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, rest).await.is_err() {
            tracing::warn!("commands were still unanswered after {drain:?}; stopping all the same");
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.path);
    }
}

/// Where the socket of a data directory is.
#[must_use]
pub(crate) fn path_in(directory: &Path) -> PathBuf {
    directory.join("admin.sock")
}

async fn conversation(stream: UnixStream, app: Arc<App>, stopping: watch::Receiver<()>) {
    if let Err(error) = converse(stream, &app, stopping).await {
        tracing::debug!("a command was not answered: {error}");
    }
}

async fn converse(
    mut stream: UnixStream,
    app: &Arc<App>,
    mut stopping: watch::Receiver<()>,
) -> io::Result<()> {
    let user = stream.peer_cred()?.uid();
    let mut line = zeroize::Zeroizing::new(Vec::new());
    let mut lines = BufReader::new((&mut stream).take(MOST_BYTES));
    tokio::select! {
        biased;
        read = tokio::time::timeout(PATIENCE, lines.read_until(b'\n', &mut line)) => read??,
        // What was not asked yet is not waited for.
        _ = stopping.changed() => return Ok(()),
    };
    let reply = match serde_json::from_slice(&line) {
        Ok(AdminRequest::ExportStore) => {
            let noted = audit::record_act(app, AuditAct::Export);
            Box::pin(audit::within(AuditScope::of_operator(user), noted)).await;
            // Of many accounts this takes a while, for which nobody waits.
            let told = Box::pin(audit::tell_accounts(app, EventType::StoreExported));
            return tokio::join!(send_export(stream, Arc::clone(app)), told).0;
        }
        Ok(request) => execute(app, request, user).await,
        Err(error) => Reply::Refused(format!("the server does not know this request: {error}")),
    };
    let mut text = zeroize::Zeroizing::new(serde_json::to_vec(&reply)?);
    text.push(b'\n');
    tokio::time::timeout(PATIENCE, stream.write_all(&text)).await??;
    stream.shutdown().await
}

/// An export is written by blocking calls, so it gets a thread. The client finds out by its last line whether it is
/// complete.
async fn send_export(stream: UnixStream, app: Arc<App>) -> io::Result<()> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let runtime = tokio::runtime::Handle::current();
    let sent = tokio::task::spawn_blocking(move || {
        let mut output = io::BufWriter::new(stream);
        let sieve = Sieve::new(Arc::clone(&app.vault), app.clock.now())?;
        let exported = transfer::export(app.store.as_ref(), Some(&sieve), &mut output);
        runtime.block_on(exported)
    });
    match sent.await.map_err(io::Error::other)? {
        Ok(ExportSummary { left_out, .. }) => {
            if !left_out.is_nothing() {
                let count = left_out.count;
                tracing::error!("an export leaves out {count} entries that no server of this store wrote");
            }
            Ok(())
        }
        Err(error) => {
            tracing::error!("an export was not completed: {error}");
            Ok(())
        }
    }
}

const MOST_BYTES: u64 = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);
