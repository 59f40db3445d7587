//! The witness in a file: on another disk, or of another machine.
//!
//! `<witness>.lock` beside it is locked for as long as a process has it.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::cli::write_beside::TextBeside;

/// The file of the witness, for this process.
#[derive(Debug)]
pub(in crate::cli) struct WitnessFile {
    path: PathBuf,
    _lock: File,
}

impl WitnessFile {
    /// Takes the file at `path` for as long as this is there. It must not go wherever the data directory goes.
    pub(super) fn take(path: &Path, data: &Path) -> Result<Self, Failure> {
        let path = outside(path, data)?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// What stands in it; `None` if it is not there.
    pub(super) async fn read(&self) -> io::Result<Option<String>> {
        let path = self.path.clone();
        aside(move || text(&path)).await
    }

    /// The old one or the new one is there, whatever happens, and for its owner alone.
    pub(super) async fn replace(&self, text: String) -> io::Result<()> {
        let path = self.path.clone();
        aside(move || TextBeside::write(&path, &text)?.replace()).await
    }

    /// That something as long as a witness can be put beside it. It stays as it is.
    pub(super) async fn require_writable(&self) -> io::Result<()> {
        let path = self.path.clone();
        aside(move || TextBeside::write(&path, &" ".repeat(LONGEST))?.discard()).await
    }
}

impl fmt::Display for WitnessFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// A volume that hangs holds up nobody but the witness.
async fn aside<T: Send + 'static>(done: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(done).await;
    done.unwrap_or_else(|_| Err(io::Error::other("it failed in an unforeseen way")))
}

/// Takes the witness at `path` for this process, for as long as the file is open.
fn lock(path: &Path) -> Result<File, Failure> {
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
        Err(TryLockError::WouldBlock) => Err(super::taken(&shown.to_string())),
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

/// What stands in the file at `path`, as far as a witness could go; `None` if there is none.
fn text(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text)?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// No witness is longer, in bytes.
const LONGEST: usize = 300;

/// Longer than any witness, and short enough for a file that is none.
const MOST_BYTES: u64 = 4096;
