//! The command's side: ask the running server, or do it oneself when none runs.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tracing::level_filters::LevelFilter;

use super::render::render;
use super::{AdminRequest, Reply, execute, socket};
use crate::cli::data_directory::require_store;
use crate::cli::flags::StoreFlags;
use crate::cli::open;
use crate::cli::{Failure, logging, output};
use crate::config::Config;

/// What every such command takes.
#[derive(Args, Debug, Default)]
pub(crate) struct ClientFlags {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreFlags,
}

/// Has `request` done and shows the reply.
pub(in crate::cli) async fn run(
    request: AdminRequest,
    flags: ClientFlags,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    let config = Config::load(flags.store.into_settings(), environment)?;
    // What is only worth knowing of a server would get between the lines of an answer.
    logging::start(config.log.min(LevelFilter::WARN));
    let directory = &config.storage.directory;
    let asked = tokio::time::timeout(PATIENCE, ask(directory, &request)).await;
    let asked = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let reply = match asked {
        Ok(Some(reply)) => reply,
        Ok(None) => do_oneself(config, request).await?,
        Err(error) => {
            return Err(Failure::new(format!(
                "the server of the data directory {} does not answer: {error}",
                directory.display()
            )));
        }
    };
    output::say(&render(&reply, flags.json).map_err(Failure::new)?);
    Ok(())
}

/// Writes what a running server has stored to `output`, and says how many entries that is; `None` if no server runs.
pub(in crate::cli) async fn export(
    directory: &Path,
    output: &mut (dyn Write + Send),
) -> Result<Option<u64>, Failure> {
    let failure = |error: io::Error| Failure::new(format!("the export failed: {error}"));
    let Some(stream) = send(directory, &AdminRequest::ExportStore)
        .await
        .map_err(failure)?
    else {
        return Ok(None);
    };
    let mut lines = BufReader::new(stream);
    let mut last = Vec::new();
    loop {
        let mut line = Vec::new();
        let read = tokio::time::timeout(PATIENCE, lines.read_until(b'\n', &mut line)).await;
        if read
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(failure)?
            == 0
        {
            break;
        }
        output.write_all(&line).map_err(failure)?;
        last = line;
    }
    output.flush().map_err(failure)?;
    match serde_json::from_slice(&last) {
        Ok(LastLine { entries }) => Ok(Some(entries)),
        Err(_) => Err(Failure::new(
            "the server stopped in the middle of the export; its log says why",
        )),
    }
}

/// What says that an export is complete.
#[derive(Deserialize)]
struct LastLine {
    entries: u64,
}

/// The running server's reply; `None` if no server runs.
async fn ask(directory: &Path, request: &AdminRequest) -> io::Result<Option<Reply>> {
    let Some(mut stream) = send(directory, request).await? else {
        return Ok(None);
    };
    let mut reply = zeroize::Zeroizing::new(Vec::new());
    stream.read_to_end(&mut reply).await?;
    Ok(Some(serde_json::from_slice(&reply)?))
}

/// The connection on which the running server replies; `None` if no server runs.
async fn send(directory: &Path, request: &AdminRequest) -> io::Result<Option<UnixStream>> {
    let mut stream = match UnixStream::connect(socket::path_in(directory)).await {
        Ok(stream) => stream,
        Err(error) => {
            use io::ErrorKind::{ConnectionRefused, InvalidInput, NotFound};
            // A path that is too long for a socket is one where no server has made one.
            let absent = matches!(error.kind(), ConnectionRefused | InvalidInput | NotFound);
            return if absent { Ok(None) } else { Err(error) };
        }
    };
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    Ok(Some(stream))
}

async fn do_oneself(config: Config, request: AdminRequest) -> Result<Reply, Failure> {
    // Only what begins with a new account may begin with a new store; otherwise the directory was mistyped.
    if !matches!(request, AdminRequest::CreateAccount { .. }) {
        require_store(&config.storage)?;
    }
    let opened = open::open_for_command(config).await?;
    let reply = execute(&opened.app, request).await;
    opened.close().await?;
    Ok(reply)
}

const PATIENCE: Duration = Duration::from_secs(30);
