//! The file outside of the data directory that knows how far the store has come, and notices when it was put back.
//!
//! A store in a directory that was copied back, or on a machine that was rolled back, has codes in it that were used since. A server
//! raises the witness at its start and its end, and every few seconds if something was committed. What was used between the last
//! time and the moment of the copy cannot be known; nor that the witness was put back along with the store.
//!
//! Whoever finds the witness gone begins an epoch: it may have been taken away to hide how old the store is, and what is void then is
//! asked for again within minutes. One that was damaged or is another store's stops the start: somebody has to look at it.
//!
//! One process has it: `<witness>.lock` beside it is locked for as long. A copy of the store that is used with the same settings would
//! raise it above the store itself, whose next start would then void everything.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
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
    #[error("cannot read the witness in {}: {}", .0.display(), .1)]
    Unreadable(PathBuf, #[source] io::Error),
}

impl Witness {
    /// Asks the witness in the file at `path` about the store in `data` before anything of it is used, begins an epoch if it was put
    /// back, and raises the witness.
    pub(super) async fn begin(app: &App, path: &Path, data: &Path) -> Result<Self, Failure> {
        let path = outside(path, data)?;
        let shown = path.display().to_string();
        let failed =
            |fault: Fault| Failure::new(format!("cannot compare the store with its witness: {fault}"));
        let lock = take(&path)?;
        let said = read(&path, &app.vault)?;
        // Before anything is committed: a start that is refused must not have counted.
        require_writable(&path).map_err(|error| refused(&NotRaised::File(path.clone(), error)))?;
        let was_put_back = witness::was_put_back(app, said.as_ref()).await.map_err(failed)?;
        if was_put_back {
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
        let file = WitnessFile {
            path,
            written: said.map(|said| said.progress),
            is_told: false,
            _lock: lock,
        };
        let witness = Self {
            file: Arc::new(Mutex::new(file)),
        };
        if said.is_none() && !was_put_back {
            // Written before the store counts for the first time: if that is as far as it gets, the next start finds it.
            witness
                .write(app, witness::uncounted(app))
                .await
                .map_err(|error| refused(&error))?;
        }
        witness.raise(app).await.map_err(|error| refused(&error))?;
        Ok(witness)
    }

    /// Has the store and its witness count on.
    pub(super) async fn raise(&self, app: &App) -> Result<(), NotRaised> {
        let progress = witness::advance(app).await?;
        self.write(app, progress).await
    }

    /// Has the witness say so.
    async fn write(&self, app: &App, progress: StoreProgress) -> Result<(), NotRaised> {
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
            let before = app.store.statistics().commits;
            let is_new = before != seen;
            let raised = self
                .answer(Box::pin(self.raise_or_look(&app, is_new || failing)))
                .await;
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
                Ok(_) | Err(_) => {}
            }
            failing = raised.is_err();
            // What others committed meanwhile is not witnessed yet; its own commit is.
            seen = before + u64::from(raised.is_ok_and(|is_raised| is_raised));
        }
    }

    /// Whether it was raised: because it has to be, or because it is not as this server left it.
    async fn raise_or_look(&self, app: &App, has_to_be_raised: bool) -> Result<bool, NotRaised> {
        // Looked at although nothing was committed: a machine that was rolled back with its memory knows nothing of it.
        if !has_to_be_raised && self.look(app).await? {
            return Ok(false);
        }
        self.raise(app).await?;
        Ok(true)
    }

    /// Waits for the file, however long it takes: nothing else is begun on a volume that hangs. But somebody is told.
    async fn answer<T>(&self, mut answer: Pin<Box<impl Future<Output = T>>>) -> T {
        if let Ok(answer) = tokio::time::timeout(SLOW, answer.as_mut()).await {
            return answer;
        }
        tracing::warn!(
            "the volume of the witness has not answered for {} s; until it does it is not noticed if the store is put back",
            SLOW.as_secs()
        );
        answer.await
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
    async fn look(&self, app: &App) -> Result<bool, NotRaised> {
        let (file, vault) = (Arc::clone(&self.file), Arc::clone(&app.vault));
        let looked = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.is_there(&vault)
        });
        looked.await.unwrap_or(Ok(true))
    }
}

/// The file, and what this process may have written to it last.
#[derive(Debug)]
struct WitnessFile {
    path: PathBuf,
    written: Option<StoreProgress>,
    /// Whether it was told that the file is not as it was left.
    is_told: bool,
    _lock: File,
}

impl WitnessFile {
    fn raise(&mut self, testimony: &Testimony, vault: &Vault) -> Result<(), NotRaised> {
        self.is_there(vault)?;
        if self.written.is_some_and(|written| written > testimony.progress) {
            return Ok(());
        }
        // Noted first: what fails may fail after the file has its name.
        self.written = Some(testimony.progress);
        replace(&self.path, &witness::signed(vault, testimony))
            .map_err(|error| NotRaised::File(self.path.clone(), error))?;
        self.is_told = false;
        Ok(())
    }

    /// Whether it is there, and says no more than what was written. Anything else that is there, or nothing, is written over: it has
    /// nothing to tell. But if something was there, somebody is told.
    fn is_there(&mut self, vault: &Vault) -> Result<bool, NotRaised> {
        let text = text(&self.path).map_err(|error| NotRaised::Unreadable(self.path.clone(), error))?;
        let what = match text.map(|text| witness::heard(vault, &text)) {
            Some(WitnessWord::Said(said)) if self.written.is_none_or(|written| said.progress > written) => {
                return Err(NotRaised::IsAhead(self.path.clone()));
            }
            Some(WitnessWord::Said(_)) => return Ok(true),
            Some(WitnessWord::OfAnotherStore) => "is that of another store",
            Some(WitnessWord::Damaged) => "is not as this server wrote it",
            None => "is gone",
        };
        if self.written.is_some() && !self.is_told {
            tracing::error!(
                "the witness in {} {what}, and is written anew; find out who changes it",
                self.path.display()
            );
            self.is_told = true;
        }
        Ok(false)
    }
}

/// A start that is refused because of it.
fn refused(error: &NotRaised) -> Failure {
    Failure::new(format!(
        "{error}; a store whose witness cannot be raised must not be used"
    ))
}

/// Takes the witness at `path` for this process, for as long as the file is open.
fn take(path: &Path) -> Result<File, Failure> {
    let shown = path.display();
    let failed =
        |error: io::Error| Failure::new(format!("cannot lock the witness with {shown}.lock: {error}"));
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(lock)
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Failure::new(format!(
            "another server uses the witness in {shown}; stop it if it has this store, and if this one is a copy, start it without \
             a witness"
        ))),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            tracing::warn!(
                "the volume of the witness in {shown} has no locks, so see to it that no copy of the store is used with it"
            );
            Ok(lock)
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
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

/// What stands in the file at `path`; `None` if there is none.
fn text(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(path: &Path, vault: &Vault) -> Result<Option<Testimony>, Failure> {
    let shown = path.display();
    let text =
        text(path).map_err(|error| Failure::new(format!("cannot read the witness in {shown}: {error}")))?;
    let Some(text) = text else { return Ok(None) };
    match witness::heard(vault, &text) {
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
    let unfinished = write_beside(path, text)?;
    fs::rename(unfinished, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// That something as long as a witness can be put beside `path`. The witness itself stays as it is.
fn require_writable(path: &Path) -> io::Result<()> {
    fs::remove_file(write_beside(path, &" ".repeat(LONGEST))?)
}

/// Puts a text on the disk beside `path`.
fn write_beside(path: &Path, text: &str) -> io::Result<PathBuf> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(unfinished)
}

/// No witness is longer, in bytes.
const LONGEST: usize = 300;

/// How long its volume may take before somebody is told.
const SLOW: Duration = Duration::from_secs(10);

/// How much may be used unseen before the store is put back.
const PERIOD: Duration = Duration::from_secs(2);

/// How long the end of a process waits for it.
const LAST_TRY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::TestParts;

    fn file(path: &Path, written: Option<StoreProgress>) -> WitnessFile {
        WitnessFile {
            path: path.to_owned(),
            written,
            is_told: false,
            _lock: take(path).unwrap(),
        }
    }

    fn testimony(app: &App, count: u64) -> Testimony {
        Testimony {
            identity: app.vault.store_identity(),
            progress: StoreProgress { epoch: 0, count },
            at: app.clock.now(),
        }
    }

    /// What failed may have taken effect: that is not taken for a machine that was rolled back.
    #[test]
    fn what_may_have_been_written_is_not_ahead_and_anything_further_is() {
        let (place, app) = (tempfile::tempdir().unwrap(), TestParts::default().wire());
        let path = place.path().join("witness");
        let mut file = file(&path, None);
        file.raise(&testimony(&app, 1), &app.vault).unwrap();
        // Nothing can take its name.
        fs::create_dir(place.path().join("witness.new")).unwrap();
        let failed = file.raise(&testimony(&app, 2), &app.vault);
        assert!(matches!(failed, Err(NotRaised::File(..))), "{failed:?}");
        for (count, is_ahead) in [(2, false), (3, true)] {
            fs::write(&path, witness::signed(&app.vault, &testimony(&app, count))).unwrap();
            let found = file.is_there(&app.vault);
            assert_eq!(matches!(found, Err(NotRaised::IsAhead(_))), is_ahead, "{found:?}");
        }
    }

    #[test]
    fn one_that_is_not_as_it_was_left_is_told_of_once_and_one_that_cannot_be_read_is_not_gone() {
        let (place, app) = (tempfile::tempdir().unwrap(), TestParts::default().wire());
        let path = place.path().join("witness");
        let mut file = file(&path, None);
        assert!(
            !file.is_there(&app.vault).unwrap() && !file.is_told,
            "there was none"
        );
        file.raise(&testimony(&app, 1), &app.vault).unwrap();
        assert!(file.is_there(&app.vault).unwrap() && !file.is_told);
        for damaged in [true, false] {
            if damaged {
                fs::write(&path, "damaged").unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            assert!(!file.is_there(&app.vault).unwrap() && file.is_told);
            file.raise(&testimony(&app, 2), &app.vault).unwrap();
            assert!(file.is_there(&app.vault).unwrap() && !file.is_told);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let found = file.is_there(&app.vault);
        assert!(matches!(found, Err(NotRaised::Unreadable(..))), "{found:?}");
        assert!(read(&path, &app.vault).is_err());
    }
}
