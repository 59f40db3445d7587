//! The command's side: ask the running server, or do it oneself when none runs.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
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
use crate::cli::open::{self, Opened};
use crate::cli::{Failure, logging, output};
use crate::config::Config;
use crate::store::transfer::{ExportSummary, LeftOut};

/// What every such command takes.
#[derive(Args, Debug, Default)]
pub(crate) struct ClientFlags {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreFlags,
}

impl ClientFlags {
    /// Reads the settings. What is only worth knowing of a server is not said from then on.
    pub(in crate::cli) fn load(
        self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Config, Failure> {
        let config = Config::load(self.store.into_settings(), environment)?;
        logging::start(&config.log.at_most(LevelFilter::WARN));
        Ok(config)
    }

    /// Whether the answer is to be in JSON.
    pub(in crate::cli) fn json(&self) -> bool {
        self.json
    }
}

/// Has `request` done and shows the reply.
pub(in crate::cli) async fn run(
    request: AdminRequest,
    flags: ClientFlags,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    let config = Config::load(flags.store.into_settings(), environment)?;
    // What is only worth knowing of a server would get between the lines of an answer.
    logging::start(&config.log.at_most(LevelFilter::WARN));
    let directory = &config.storage.directory;
    let reply = match ask_server(directory, &request).await? {
        Some(reply) => reply,
        None => Box::pin(do_oneself(config, request)).await?,
    };
    output::say(&render(&reply.done()?, flags.json)?);
    Ok(())
}

/// Several requests one after the other, all to the running server, or all done by oneself.
pub(in crate::cli) enum AdminSession {
    Server { directory: PathBuf },
    Own(Box<Opened>),
}

impl AdminSession {
    /// Finds out whether a server runs, and opens the store if none does.
    pub(in crate::cli) async fn open(
        flags: ClientFlags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Failure> {
        Self::of(flags.load(environment)?).await
    }

    /// The same with settings that were read.
    pub(in crate::cli) async fn of(config: Config) -> Result<Self, Failure> {
        let directory = config.storage.directory.clone();
        if ask_server(&directory, &AdminRequest::ListNodes).await?.is_some() {
            return Ok(Self::Server { directory });
        }
        require_store(&config.storage)?;
        let opened = open::open_for_command(config).await?;
        Ok(Self::Own(Box::new(opened)))
    }

    /// Whether a server answers.
    pub(in crate::cli) fn is_server(&self) -> bool {
        matches!(self, Self::Server { .. })
    }

    /// Has `request` done. A refusal is an error.
    pub(in crate::cli) async fn ask(&mut self, request: AdminRequest) -> Result<Reply, Failure> {
        let reply = match self {
            Self::Server { directory } => ask_server(directory, &request)
                .await?
                .ok_or_else(|| Failure::new("the server stopped"))?,
            Self::Own(opened) => execute(&opened.app, request, own_user()).await,
        };
        reply.done()
    }

    /// Closes the store, if it was opened.
    pub(in crate::cli) async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Server { .. } => Ok(()),
            Self::Own(opened) => opened.close().await,
        }
    }
}

/// The running server's reply; `None` if no server runs.
async fn ask_server(directory: &Path, request: &AdminRequest) -> Result<Option<Reply>, Failure> {
    let asked = tokio::time::timeout(PATIENCE, ask(directory, request)).await;
    let asked = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    asked.map_err(|error| {
        Failure::new(format!(
            "the server of the data directory {} does not answer: {error}",
            directory.display()
        ))
    })
}

/// The number of the user that this process runs as; 0 where the system does not say.
pub(in crate::cli) fn own_user() -> u32 {
    fs::metadata("/proc/self").map_or(0, |process| process.uid())
}

/// Writes what a running server has stored to `output`, and says what that is; `None` if no server runs.
pub(in crate::cli) async fn export(
    directory: &Path,
    output: &mut (dyn Write + Send),
) -> Result<Option<ExportSummary>, Failure> {
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
        Ok(LastLine { entries, left_out }) => Ok(Some(ExportSummary { entries, left_out })),
        Err(_) => Err(Failure::new(
            "the server stopped in the middle of the export; its log says why",
        )),
    }
}

/// What says that an export is complete.
#[derive(Deserialize)]
struct LastLine {
    entries: u64,
    #[serde(default)]
    left_out: LeftOut,
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
    let mut line = zeroize::Zeroizing::new(serde_json::to_vec(request)?);
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
    let reply = execute(&opened.app, request, own_user()).await;
    opened.close().await?;
    Ok(reply)
}

const PATIENCE: Duration = Duration::from_secs(30);
