//! Files that hold single oversized pages.
//!
//! sled writes a page beyond an eighth of a MiB (some 16 to 20 neighbouring entries make one) to a file of its own in
//! `blobs`, and never syncs those files. So they are synced here, before the data file that refers to them. With values
//! of at most 6 KiB no page grows that large, and the directory stays empty.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The directory, and how much of it is on disk.
pub(super) struct Blobs {
    directory: PathBuf,
    /// The files' names are positions in the log, which only grows.
    newest_synced: Option<u64>,
}

impl Blobs {
    /// The oversized pages of the database in `directory`.
    pub(super) fn of(directory: &Path) -> Self {
        Self {
            directory: directory.join("blobs"),
            newest_synced: None,
        }
    }

    /// Syncs the files that are new since the last call.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let mut newest = self.newest_synced;
        for file in fs::read_dir(&self.directory)? {
            let file = file?;
            let position = file
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u64>().ok());
            if position <= self.newest_synced {
                continue;
            }
            newest = newest.max(position);
            match File::open(file.path()) {
                Ok(file) => file.sync_data()?,
                // Its page was rewritten in the meantime, and what replaced it is newer.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if newest != self.newest_synced {
            File::open(&self.directory)?.sync_all()?;
            self.newest_synced = newest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_synced_once_and_the_newest_is_a_number() {
        let directory = tempfile::TempDir::new().unwrap();
        let mut blobs = Blobs::of(directory.path());
        assert!(blobs.sync().is_err(), "a missing directory is not an empty one");
        fs::create_dir(&blobs.directory).unwrap();
        blobs.sync().unwrap();
        assert_eq!(blobs.newest_synced, None);
        for (name, newest) in [("9", 9), ("5", 9), ("not a position", 9), ("10", 10)] {
            fs::write(blobs.directory.join(name), name).unwrap();
            blobs.sync().unwrap();
            assert_eq!(blobs.newest_synced, Some(newest), "{name}");
        }
    }
}
