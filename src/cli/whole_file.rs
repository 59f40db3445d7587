//! A new file that is there whole or not at all, and for its owner alone.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::write_beside::sync_directory_of;

/// A file under way. Unless it is [kept](WholeFile::keep) nothing is left of it; after a kill, what was written is beside it
/// under a name of its own.
pub(super) struct WholeFile {
    path: PathBuf,
    unfinished: PathBuf,
    file: File,
}

impl WholeFile {
    /// Begins the file at `path`, where there must be none.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(format!(".{}.partial", std::process::id()));
        let unfinished = PathBuf::from(unfinished);
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        Ok(Self {
            path: path.to_owned(),
            unfinished,
            file,
        })
    }

    /// Marks it as being written, for whoever removes what was left half done.
    pub(super) fn lock(&self) -> io::Result<()> {
        match self.file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::ResourceBusy.into()),
            // Not every file system has locks; what is left half done stays longer there.
            Err(TryLockError::Error(error)) => {
                tracing::warn!(
                    "cannot lock {}: {error}; what a server that is killed leaves half done stays there for an hour, or until the \
                     next start",
                    self.unfinished.display()
                );
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// What was written so far, from the disk's point of view.
    pub(super) fn written(&self) -> io::Result<File> {
        self.file.sync_all()?;
        File::open(&self.unfinished)
    }

    /// As [`keep`](Self::keep), under another name in the same directory.
    pub(super) fn keep_as(mut self, path: PathBuf) -> io::Result<()> {
        self.path = path;
        self.keep()
    }

    /// Gives it its name, once it is on disk; never in the place of another file.
    pub(super) fn keep(self) -> io::Result<()> {
        self.file.sync_all()?;
        // Unlike a rename this takes no name that somebody else took meanwhile.
        fs::hard_link(&self.unfinished, &self.path)?;
        sync_directory_of(&self.path)
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.unfinished);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn it_is_there_whole_or_not_at_all_and_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backup");
        let mut given_up = WholeFile::begin(&path).unwrap();
        given_up.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(given_up);
        assert!(names(directory.path()).is_empty());

        let mut kept = WholeFile::begin(&path).unwrap();
        kept.write_all(b"whole").unwrap();
        kept.keep().unwrap();
        assert_eq!(names(directory.path()), ["backup"]);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let refused = WholeFile::begin(&path).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);

        fs::remove_file(&path).unwrap();
        let mut late = WholeFile::begin(&path).unwrap();
        late.write_all(b"late").unwrap();
        fs::write(&path, "theirs").unwrap();
        assert_eq!(late.keep().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(names(directory.path()), ["backup"]);
    }
}
