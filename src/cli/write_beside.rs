//! Small files that are there whole or not at all, whatever happens, and for their owner alone.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A text that is on the disk, beside the file that it is to become. One process at a time writes to a path.
#[must_use = "it is not the file yet"]
pub(super) struct TextBeside<'p> {
    path: &'p Path,
    unfinished: PathBuf,
}

impl<'p> TextBeside<'p> {
    /// Puts the text there. What an earlier one has left is gone then.
    pub(super) fn write(path: &'p Path, text: &str) -> io::Result<Self> {
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
        Ok(Self { path, unfinished })
    }

    /// Makes it the file, in the place of one that was there.
    pub(super) fn replace(self) -> io::Result<()> {
        fs::rename(&self.unfinished, self.path)?;
        sync_directory_of(self.path)
    }

    /// Makes it the file, unless there is one by now: unlike a renaming this replaces none that came in between.
    pub(super) fn keep(self) -> io::Result<()> {
        fs::hard_link(&self.unfinished, self.path)?;
        fs::remove_file(&self.unfinished)?;
        sync_directory_of(self.path)
    }

    /// Removes it.
    pub(super) fn discard(self) -> io::Result<()> {
        fs::remove_file(self.unfinished)
    }
}

/// Has the names in the directory of `path` be on the disk.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_takes_the_place_of_a_file_only_where_that_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(directory.path().join("file.new"), "left by a kill").unwrap();
        TextBeside::write(&path, "one").unwrap().keep().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let late = TextBeside::write(&path, "late").unwrap().keep().unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        TextBeside::write(&path, "two").unwrap().replace().unwrap();
        TextBeside::write(&path, "three").unwrap().discard().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    /// A path without a directory is one in the working directory, which is that of the crate here.
    #[test]
    fn a_name_alone_lies_in_the_working_directory() {
        for path in ["Cargo.toml", "src/main.rs", "/tmp"] {
            sync_directory_of(Path::new(path)).unwrap();
        }
    }
}
