//! Opening a data directory: what must be true before sled sees it, and what is wrong when sled refuses it.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use sled::{Config, Db, Mode};

use super::layout;
use super::space;
use super::{Options, data_file};
use crate::domain::store_condition::LowSpace;

/// A data directory that is ready for use.
#[derive(Debug)]
pub(super) struct OpenedDatabase {
    pub(super) db: Db,
    /// Keeps other processes out for as long as it is open.
    pub(super) lock: File,
    /// The first version that no batch was ever given.
    pub(super) next_version: u64,
}

/// Why a data directory cannot be opened. Each message is one line and says what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum OpenError {
    /// The contents cannot be read. Nothing was removed.
    #[error(
        "the data directory {path} is damaged and was kept as it is ({detail}): put it aside, and restore the last \
         export into an empty one with `countersign store import`"
    )]
    Damaged { path: PathBuf, detail: String },
    /// The directory holds something else.
    #[error("{path} holds a database that is not Countersign's: choose another data directory")]
    Foreign { path: PathBuf },
    /// The directory was written by a release with another format.
    #[error(
        "the data directory {path} has format {found}, this release reads format {expected}: export it with the release \
         that wrote it, and import that into an empty directory"
    )]
    Format { path: PathBuf, found: u8, expected: u8 },
    /// Another process has it open.
    #[error("another countersign has this data directory open: {path}")]
    InUse { path: PathBuf },
    /// There is no space to write what an opening writes; nothing was touched.
    #[error(
        "the disk of the data directory {path} is full ({low}): nothing was changed; make space, or copy the whole data \
         directory to a larger disk while nothing uses it, and start it again"
    )]
    Full { path: PathBuf, low: LowSpace },
    /// The operating system refused.
    #[error("cannot open the data directory {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// Opens, and creates if need be, the database that `options` describe.
pub(super) fn open(options: &Options) -> Result<OpenedDatabase, OpenError> {
    let path = options.directory.as_path();
    let io_error = |source| OpenError::Io {
        path: path.to_path_buf(),
        source,
    };
    create(path).map_err(io_error)?;
    let lock = lock(path)?;
    check_space(path).map_err(io_error)??;
    remove_unfinished_snapshots(path).map_err(io_error)?;
    let db = open_database(options)?;
    let next_version = read_marks(&db, path)?;
    sync_directory(path).map_err(io_error)?;
    Ok(OpenedDatabase {
        db,
        lock,
        next_version,
    })
}

/// Makes the directory, for the eyes of this user only: secrets in it are sealed, names and times are not.
fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Takes the directory for this process. sled locks its own file too, but only after it has begun to look around, and
/// what follows here must not touch a directory in use.
fn lock(path: &Path) -> Result<File, OpenError> {
    let in_use = || OpenError::InUse {
        path: path.to_path_buf(),
    };
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join("lock"));
    let refused = match opened {
        Ok(file) => match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            Err(TryLockError::Error(source)) => source,
        },
        Err(source) => source,
    };
    Err(OpenError::Io {
        path: path.to_path_buf(),
        source: refused,
    })
}

/// Refuses a disk on which sled could not write its snapshot, which is as large as the last one or a little larger.
fn check_space(path: &Path) -> io::Result<Result<(), OpenError>> {
    let mut snapshots = 0;
    for file in fs::read_dir(path)? {
        let file = file?;
        if file.file_name().to_string_lossy().starts_with("snap.") {
            snapshots += file.metadata()?.len();
        }
    }
    let free = space::free_bytes(path)?;
    Ok(match space::too_little(free.saturating_sub(snapshots)) {
        Some(low) => Err(OpenError::Full {
            path: path.to_path_buf(),
            low: LowSpace {
                free,
                needed: low.needed + snapshots,
            },
        }),
        None => Ok(()),
    })
}

/// Removes what an opening left that was killed while it wrote its snapshot.
///
/// A snapshot is a summary of the log that makes opening fast. sled writes it as `snap.<position>.generating` and then
/// renames it; but when it looks for the newest snapshot it takes names with that ending too. A half-written one sorts
/// last, is picked, fails its checksum, and every later opening reports corruption although nothing is lost. Without
/// it sled goes on from the older snapshot, or reads the whole log. Orchestrators kill at startup (failed probes, lack
/// of memory), so this is no rare accident.
fn remove_unfinished_snapshots(path: &Path) -> io::Result<()> {
    for file in fs::read_dir(path)? {
        let file = file?;
        let name = file.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!("the last start was killed; removing its unfinished snapshot {name}");
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

fn open_database(options: &Options) -> Result<Db, OpenError> {
    let path = || options.directory.clone();
    let damaged = |detail: String| OpenError::Damaged { path: path(), detail };
    let config = Config::new()
        .path(&options.directory)
        .cache_capacity(options.cache_bytes - options.cache_bytes / super::RECENT_SHARE)
        // The other mode rewrites pages to save space, and pays for it with the time of the one thread that writes.
        .mode(Mode::HighThroughput)
        // The committer flushes. sled's own flusher would only add a second one, which logs its errors and goes on.
        .flush_every_ms(None);
    // On some damage sled panics instead of returning an error.
    let opened = panic::catch_unwind(AssertUnwindSafe(|| config.open()));
    opened
        .map_err(|_| damaged("the database gave up reading it".into()))?
        .map_err(|error| match error {
            sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock") => {
                OpenError::InUse { path: path() }
            }
            sled::Error::Io(source)
                if !matches!(
                    source.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData
                ) =>
            {
                OpenError::Io { path: path(), source }
            }
            other => damaged(other.to_string()),
        })
}

/// Checks the format, or marks a new database with it; returns the first unused version.
fn read_marks(db: &Db, path: &Path) -> Result<u64, OpenError> {
    let damaged = |error: &dyn std::fmt::Display| OpenError::Damaged {
        path: path.to_path_buf(),
        detail: error.to_string(),
    };
    let read = |key: &[u8]| db.get(key).map_err(|error| damaged(&error));
    match read(layout::FORMAT_KEY)?.as_deref() {
        Some(&[layout::FORMAT]) => {}
        Some(&[found]) => {
            return Err(OpenError::Format {
                path: path.to_path_buf(),
                found,
                expected: layout::FORMAT,
            });
        }
        Some(_) => return Err(damaged(&"its format mark is unreadable")),
        None if db.is_empty() && db.tree_names().len() == 1 => mark(db, path)?,
        None => {
            return Err(OpenError::Foreign {
                path: path.to_path_buf(),
            });
        }
    }
    match read(layout::VERSIONS_KEY)?.as_deref().map(<[u8; 8]>::try_from) {
        None => Ok(1),
        Some(Ok(version)) => Ok(u64::from_be_bytes(version)),
        Some(Err(_)) => Err(damaged(&"its version mark is unreadable")),
    }
}

fn mark(db: &Db, path: &Path) -> Result<(), OpenError> {
    let io_error = |source| OpenError::Io {
        path: path.to_path_buf(),
        source,
    };
    let written = db
        .insert(layout::FORMAT_KEY, &[layout::FORMAT])
        .and_then(|_| db.flush());
    written.map_err(|error| io_error(io::Error::other(error)))?;
    data_file(path).and_then(|file| file.sync_all()).map_err(io_error)
}

/// Makes the files and their names durable: sled syncs neither its settings file nor the directory after it has
/// replaced a snapshot.
fn sync_directory(path: &Path) -> io::Result<()> {
    for file in fs::read_dir(path)? {
        let file = file?;
        if file.file_type()?.is_file() {
            File::open(file.path())?.sync_all()?;
        }
    }
    File::open(path.join("blobs"))?.sync_all()?;
    File::open(path)?.sync_all()
}
