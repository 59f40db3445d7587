//! The file outside of the data directory that knows how far the store has come, and notices when it was put back.
//!
//! A store in a directory that was copied back, or on a machine that was rolled back, has codes in it that were used since. A server
//! raises the witness at its start and its end, and every few seconds if something was committed. What was used between the last
//! time and the moment of the copy cannot be known; nor that the witness was put back along with the store.
//!
//! Whoever finds the witness gone begins an epoch: it may have been taken away to hide how old the store is, and what is void then is
//! asked for again within minutes. One that was damaged or is another store's stops the start: somebody has to look at it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::Failure;
use crate::app::App;
use crate::crypto::vault::Vault;
use crate::domain::witness::{StoreProgress, Testimony};
use crate::flows::Fault;
use crate::flows::witness::{self, WitnessWord};

/// The witness of the store that this process has open.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    file: Arc<Mutex<WitnessFile>>,
}

/// Why the witness was not raised.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRaised {
    /// It is further than this server has ever brought it.
    #[error("the witness in {} knows of more than this server has written", .0.display())]
    IsAhead(PathBuf),
    #[error("{0}")]
    Fault(#[from] Fault),
    #[error("cannot write the witness to {}: {}", .0.display(), .1)]
    File(PathBuf, #[source] io::Error),
}

impl Witness {
    /// Asks the witness in the file at `path` about the store in `data` before anything of it is used, begins an epoch if it was put
    /// back, and raises the witness.
    pub(super) async fn begin(app: &App, path: &Path, data: &Path) -> Result<Self, Failure> {
        let path = outside(path, data)?;
        let shown = path.display();
        let failed =
            |fault: Fault| Failure::new(format!("cannot compare the store with its witness: {fault}"));
        let said = read(&path, &app.vault)?;
        if witness::was_put_back(app, said.as_ref()).await.map_err(failed)? {
            let begun = witness::begin_epoch(app, said).await.map_err(failed)?;
            let why = match said {
                Some(_) => format!("the store is older than its witness in {shown} knows it"),
                None => format!(
                    "the witness of the store is gone from {shown}, and nobody knows how old the store is"
                ),
            };
            tracing::error!(
                "{why}, so epoch {} begins: challenges, codes and access tokens from before are void, and so are the time steps \
                 of TOTP up to {}; what was created, changed or revoked since the store was this old is as it was then, so see \
                 to revocations (`countersign manual backup`)",
                begun.number,
                begun.began
            );
        }
        let written = said.map(|said| said.progress);
        let witness = Self {
            file: Arc::new(Mutex::new(WitnessFile { path, written })),
        };
        witness.raise(app).await.map_err(|error| {
            Failure::new(format!(
                "{error}; a store whose witness cannot be raised must not be used"
            ))
        })?;
        Ok(witness)
    }

    /// Has the store and its witness count on.
    pub(super) async fn raise(&self, app: &App) -> Result<(), NotRaised> {
        let progress = witness::advance(app).await?;
        let testimony = Testimony {
            identity: app.vault.store_identity(),
            progress,
            at: app.clock.now(),
        };
        let (file, vault) = (Arc::clone(&self.file), Arc::clone(&app.vault));
        // A volume that hangs holds up nobody but the witness.
        let written = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.raise(&testimony, &vault)
        });
        written.await.unwrap_or_else(|_| {
            Err(NotRaised::Fault(Fault::Unavailable(
                "the witness was not written".into(),
            )))
        })
    }

    /// Raises it whenever something was committed, for as long as the server runs, which ends if the store was put back under it.
    pub(super) async fn keep_up(self, app: Arc<App>) {
        let (mut failing, mut seen) = (false, app.store.statistics().commits);
        loop {
            sleep(PERIOD).await;
            // Looked at although nothing was committed: a machine that was rolled back with its memory knows nothing of it.
            let is_new = app.store.statistics().commits != seen;
            let raised = if is_new || failing {
                self.raise(&app).await
            } else {
                self.look(&app).await
            };
            match &raised {
                Err(error @ NotRaised::IsAhead(_)) => {
                    tracing::error!(
                        "{error}: this machine was rolled back while it ran, or another server has a copy of the store and the \
                         same witness. This one stops; its next start finds out, and begins an epoch"
                    );
                    std::process::exit(1);
                }
                Err(error) if !failing => {
                    tracing::error!(
                        "{error}; until that is done it is not noticed if the store is put back to this moment or a later one"
                    );
                }
                Ok(()) | Err(_) => {}
            }
            failing = raised.is_err();
            seen = app.store.statistics().commits;
        }
    }

    /// Raises it for the last time, if it can be done soon.
    pub(super) async fn end(self, app: &App) {
        let raised = tokio::time::timeout(LAST_TRY, self.raise(app)).await;
        let raised = raised.map_err(|_| "it took too long".to_owned());
        let raised = raised.and_then(|raised| raised.map_err(|error| error.to_string()));
        if let Err(why) = raised {
            tracing::error!("the witness was not raised at the end: {why}");
        }
    }

    /// Whether it is still as this server left it.
    async fn look(&self, app: &App) -> Result<(), NotRaised> {
        let (file, vault) = (Arc::clone(&self.file), Arc::clone(&app.vault));
        let looked = tokio::task::spawn_blocking(move || {
            let file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.require_not_ahead(&vault)
        });
        looked.await.unwrap_or(Ok(()))
    }
}

/// The file, and what this process last wrote to it.
#[derive(Debug)]
struct WitnessFile {
    path: PathBuf,
    written: Option<StoreProgress>,
}

impl WitnessFile {
    fn raise(&mut self, testimony: &Testimony, vault: &Vault) -> Result<(), NotRaised> {
        self.require_not_ahead(vault)?;
        if self.written.is_some_and(|written| written > testimony.progress) {
            return Ok(());
        }
        replace(&self.path, &witness::signed(vault, testimony))
            .map_err(|error| NotRaised::File(self.path.clone(), error))?;
        self.written = Some(testimony.progress);
        Ok(())
    }

    /// What is there says no more than what was written. Anything else that is there, or nothing, is written over: it has
    /// nothing to tell.
    fn require_not_ahead(&self, vault: &Vault) -> Result<(), NotRaised> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        match witness::heard(vault, &text) {
            WitnessWord::Said(said) if self.written.is_none_or(|written| said.progress > written) => {
                Err(NotRaised::IsAhead(self.path.clone()))
            }
            WitnessWord::Said(_) | WitnessWord::OfAnotherStore | WitnessWord::Damaged => Ok(()),
        }
    }
}

/// The absolute path of a file that does not go wherever the data directory goes.
fn outside(path: &Path, data: &Path) -> Result<PathBuf, Failure> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let absolute = parent.canonicalize().map_err(|error| {
        Failure::new(format!(
            "cannot use the directory {} of the witness: {error}; make it, or mount it, first",
            parent.display()
        ))
    })?;
    if absolute.starts_with(data) {
        return Err(Failure::new(format!(
            "the witness in {} must not lie in the data directory: it would be put back along with the store; name a file on \
             another disk or machine",
            path.display()
        )));
    }
    match path.file_name() {
        Some(name) => Ok(absolute.join(name)),
        None => Err(Failure::new(format!(
            "the witness in {} must be a file",
            path.display()
        ))),
    }
}

fn read(path: &Path, vault: &Vault) -> Result<Option<Testimony>, Failure> {
    let shown = path.display();
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::new(format!(
                "cannot read the witness in {shown}: {error}"
            )));
        }
    };
    match witness::heard(vault, &String::from_utf8_lossy(&text)) {
        WitnessWord::Said(said) => Ok(Some(said)),
        WitnessWord::OfAnotherStore => Err(Failure::new(format!(
            "the witness in {shown} is that of another store; name another file for this one, or remove it if this store takes \
             the place of that one"
        ))),
        WitnessWord::Damaged => Err(Failure::new(format!(
            "the witness in {shown} is not as a server of this store wrote it; find out who changes it, and remove it: the next \
             start then begins an epoch, because nobody knows how old the store is"
        ))),
    }
}

/// The old one or the new one is there, whatever happens, and for its owner alone.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = Path::new(&unfinished);
    match fs::remove_file(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// How much may be used unseen before the store is put back.
const PERIOD: Duration = Duration::from_secs(2);

/// How long the end of a process waits for it.
const LAST_TRY: Duration = Duration::from_secs(5);
