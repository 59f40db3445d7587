//! The directory that a server puts its backups into: what in it is whose, what is due, and what goes.
//!
//! A backup is called `countersign-STORE-MOMENT.age`, with the identity of its store in hexadecimal and the moment in UTC. Nothing else
//! that is there is looked at or touched, and nothing of another store.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::key_ring::StoreIdentity;
use crate::domain::time::Timestamp;

/// The backups of one store in one directory.
#[derive(Clone, Debug)]
pub(super) struct BackupShelf {
    directory: PathBuf,
    /// What their names begin and end with.
    prefix: String,
    ending: &'static str,
}

/// Why a directory is no place for backups.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnusableShelf {
    #[error("cannot use {}: {}; make or mount the directory, for the server's user to write to", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    #[error(
        "others than its owner may write to {}, who could take backups away or put old ones in their place; change that with: \
         chmod go-w {}",
        .0.display(),
        .0.display()
    )]
    OthersWrite(PathBuf),
}

impl BackupShelf {
    pub(super) fn new(directory: &Path, store: StoreIdentity) -> Self {
        Self {
            directory: directory.to_owned(),
            prefix: format!("countersign-{store}-"),
            ending: ENDING,
        }
    }

    /// Those that leave something out, which take no other one's place: `countersign-STORE-MOMENT.incomplete.age`.
    pub(super) fn incomplete(&self) -> Self {
        Self {
            directory: self.directory.clone(),
            prefix: self.prefix.clone(),
            ending: ENDING_OF_INCOMPLETE,
        }
    }

    /// Those that wait for the command which takes them elsewhere: `countersign-STORE-MOMENT.unsent.age`.
    pub(super) fn unsent(&self) -> Self {
        Self {
            directory: self.directory.clone(),
            prefix: self.prefix.clone(),
            ending: ENDING_OF_UNSENT,
        }
    }

    /// Where the backup of this moment goes.
    pub(super) fn path(&self, made: Timestamp) -> PathBuf {
        let moment = made.to_string().replace(['-', ':'], "");
        self.directory
            .join(format!("{}{moment}{}", self.prefix, self.ending))
    }

    /// The moments of the backups that are there, the oldest one first; without those that a clock which was ahead has made at
    /// `now`: of these nobody knows how old they are.
    ///
    /// # Errors
    /// [`UnusableShelf`].
    pub(super) fn moments(&self, now: Timestamp) -> Result<Vec<Timestamp>, UnusableShelf> {
        let failed = |error| UnusableShelf::Io(self.directory.clone(), error);
        let metadata = self.directory.metadata().map_err(failed)?;
        if metadata.permissions().mode() & 0o022 != 0 {
            return Err(UnusableShelf::OthersWrite(self.directory.clone()));
        }
        let mut moments = Vec::new();
        for entry in self.directory.read_dir().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let moment = entry.file_name().to_str().and_then(|name| self.moment(name));
            let is_whole = |entry: &fs::DirEntry| {
                entry
                    .metadata()
                    .is_ok_and(|file| file.is_file() && file.len() > 0)
            };
            if let Some(moment) = moment
                && moment <= now + AHEAD
                && is_whole(&entry)
            {
                moments.push(moment);
            }
        }
        moments.sort_unstable();
        Ok(moments)
    }

    /// Removes what processes that were killed have left half done. What is under way is locked by whoever writes it. Where files
    /// have no locks it goes if nobody else makes backups of this store (`is_alone`), or after an hour in which nobody wrote to it.
    pub(super) fn remove_half_done(&self, is_alone: bool) {
        let entries = self.directory.read_dir().into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let whole = name.to_str().and_then(|name| name.strip_suffix(".partial"));
            let of = whole.and_then(|name| name.rsplit_once('.')).map(|(of, _)| of);
            if of.and_then(|of| self.moment(of)).is_none() {
                continue;
            }
            let path = entry.path();
            // Over NFS a lock needs a file that is open for writing.
            let file = File::options().read(true).write(true).open(&path);
            let is_under_way = file.is_ok_and(|file| {
                let written = file.metadata().and_then(|file| file.modified());
                let rest = written.ok().and_then(|written| written.elapsed().ok());
                is_under_way(&file.try_lock(), is_alone, rest.unwrap_or_default())
            });
            if !is_under_way && fs::remove_file(&path).is_ok() {
                tracing::info!("removed {}, which was not finished", path.display());
            }
        }
    }

    /// Removes the oldest ones until `keep` are left, of which `made` is one, whatever its clock shows. How many they were.
    pub(super) fn remove_beyond(&self, keep: usize, made: Timestamp, now: Timestamp) -> usize {
        let others = self.moments(now).unwrap_or_default();
        let others: Vec<_> = others
            .into_iter()
            .filter(|moment| moment.seconds() != made.seconds())
            .collect();
        let beyond = (others.len() + 1).saturating_sub(keep.max(1));
        let mut removed = 0;
        for moment in &others[..beyond] {
            let path = self.path(*moment);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(
                    "cannot remove the backup {}, which is beyond backup.keep: {error}",
                    path.display()
                );
            } else {
                removed += 1;
            }
        }
        removed
    }

    /// The moment of a backup of this store, by its whole name.
    fn moment(&self, name: &str) -> Option<Timestamp> {
        let text = name.strip_prefix(&self.prefix)?.strip_suffix(self.ending)?;
        if text.len() != 16 || !text.is_ascii() {
            return None;
        }
        let parts = [
            &text[..4],
            "-",
            &text[4..6],
            "-",
            &text[6..11],
            ":",
            &text[11..13],
            ":",
            &text[13..],
        ];
        let moment = Timestamp::parse_iso8601(&parts.concat())?;
        // One name for one moment.
        self.path(moment).ends_with(name).then_some(moment)
    }
}

/// Whether somebody may be writing what is half done, and was last written to so long ago.
fn is_under_way(locked: &Result<(), TryLockError>, is_alone: bool, rest: Duration) -> bool {
    match locked {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => !is_alone && rest < LONGEST_PAUSE,
    }
}

/// How long it is until the next one is due. Both must say so: how long ago this process made one, by a clock that nobody sets,
/// and how old the newest one is that is there, whoever made it.
pub(super) fn until_due(
    every: Duration,
    since_own: Option<Duration>,
    newest: Option<Timestamp>,
    now: Timestamp,
) -> Duration {
    let own = since_own.map_or(Duration::ZERO, |since| every.saturating_sub(since));
    let there = newest.map_or(Duration::ZERO, |newest| every.saturating_sub(now.since(newest)));
    own.max(there)
}

const ENDING: &str = ".age";
const ENDING_OF_INCOMPLETE: &str = ".incomplete.age";
const ENDING_OF_UNSENT: &str = ".unsent.age";

/// How long nobody writes to a backup that is being made, or read back.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// How far the clock may be ahead of whoever made a backup.
const AHEAD: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn shelf(directory: &Path) -> BackupShelf {
        BackupShelf::new(directory, StoreIdentity::from_bytes([0xab; 16]))
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_backup_is_called_by_its_store_and_its_moment() {
        let place = tempfile::tempdir().unwrap();
        let shelf = shelf(place.path());
        let path = shelf.path(at(NOW));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(
            name,
            "countersign-abababababababababababababababab-20270115T080000Z.age"
        );
        assert_eq!(shelf.moment(name), Some(at(NOW)));
        for other in [
            name.replace("-ab", "-bb"),
            name.replace("20270115T", "2027-115T"),
            name.replace("0115", "1315"),
            format!("{name}.1.partial"),
            format!("x{name}"),
            name.replace("Z.age", "z.age"),
            "countersign-abababababababababababababababab-\u{e9}0270115T080000.age".to_owned(),
        ] {
            assert_eq!(shelf.moment(&other), None, "{other}");
        }
    }

    /// Whatever the clock did: what was just made stays, and what is of another store or of nobody is not touched.
    #[test]
    fn only_the_oldest_of_this_store_go_and_never_the_new_one() {
        let place = tempfile::tempdir().unwrap();
        let shelf = shelf(place.path());
        let other = BackupShelf::new(place.path(), StoreIdentity::from_bytes([1; 16]));
        for ago in [500, 400, 300, 200, 100] {
            fs::write(shelf.path(at(NOW - ago)), "whole").unwrap();
            fs::write(other.path(at(NOW - ago)), "whole").unwrap();
        }
        fs::write(shelf.path(at(NOW + 3600)), "of a clock that was ahead").unwrap();
        fs::write(shelf.path(at(NOW - 50)), "").unwrap();
        fs::write(place.path().join("notes"), "").unwrap();
        // The clock was set back: the new one is the oldest by its name.
        shelf.remove_beyond(3, at(NOW - 500), at(NOW));
        let left: Vec<u64> = shelf
            .moments(at(NOW))
            .unwrap()
            .iter()
            .map(|moment| NOW - moment.seconds())
            .collect();
        assert_eq!(left, [500, 200, 100]);
        assert_eq!(other.moments(at(NOW)).unwrap().len(), 5);
        assert_eq!(names(place.path()).len(), 5 + 3 + 3);
        shelf.remove_beyond(1, at(NOW - 100), at(NOW));
        assert_eq!(shelf.moments(at(NOW)).unwrap(), [at(NOW - 100)]);
    }

    #[test]
    fn what_leaves_something_out_neither_counts_nor_takes_the_place_of_a_whole_one() {
        let place = tempfile::tempdir().unwrap();
        let shelf = shelf(place.path());
        let incomplete = shelf.incomplete();
        for ago in [500, 400] {
            fs::write(shelf.path(at(NOW - ago)), "whole").unwrap();
        }
        for ago in [300, 200, 100] {
            fs::write(incomplete.path(at(NOW - ago)), "not all").unwrap();
            incomplete.remove_beyond(2, at(NOW - ago), at(NOW));
        }
        assert_eq!(shelf.moments(at(NOW)).unwrap(), [at(NOW - 500), at(NOW - 400)]);
        assert_eq!(
            incomplete.moments(at(NOW)).unwrap(),
            [at(NOW - 200), at(NOW - 100)]
        );
        shelf.remove_beyond(2, at(NOW - 400), at(NOW));
        assert_eq!(names(place.path()).len(), 4);
        let name = incomplete.path(at(NOW));
        assert!(
            name.to_str()
                .unwrap()
                .ends_with("-20270115T080000Z.incomplete.age")
        );
    }

    #[test]
    fn what_was_not_sent_is_told_from_what_was() {
        let place = tempfile::tempdir().unwrap();
        let shelf = shelf(place.path());
        fs::write(shelf.unsent().path(at(NOW)), "whole").unwrap();
        assert_eq!(shelf.moments(at(NOW)).unwrap(), []);
        assert_eq!(shelf.incomplete().moments(at(NOW)).unwrap(), []);
        assert_eq!(shelf.unsent().moments(at(NOW)).unwrap(), [at(NOW)]);
        shelf.remove_beyond(1, at(NOW), at(NOW));
        assert_eq!(names(place.path()).len(), 1);
    }

    #[test]
    fn what_was_left_half_done_goes_and_what_is_under_way_stays() {
        let place = tempfile::tempdir().unwrap();
        let shelf = shelf(place.path());
        let partial = |ago: u64| {
            let mut name = shelf.path(at(NOW - ago)).into_os_string();
            name.push(".4711.partial");
            PathBuf::from(name)
        };
        fs::write(partial(1), "half").unwrap();
        fs::write(place.path().join("theirs.4711.partial"), "half").unwrap();
        let under_way = File::create(partial(2)).unwrap();
        under_way.lock().unwrap();
        shelf.remove_half_done(true);
        assert!(!partial(1).exists() && partial(2).exists());
        assert_eq!(names(place.path()).len(), 2);
        drop(under_way);
        shelf.remove_half_done(false);
        assert_eq!(names(place.path()), ["theirs.4711.partial"]);
    }

    /// As over NFS without its lock manager.
    #[test]
    fn where_there_are_no_locks_what_is_half_done_goes_once_nobody_can_be_writing_it() {
        let hour = Duration::from_hours(1);
        let none = || Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        for (locked, is_alone, rest, expected) in [
            (none(), true, Duration::ZERO, false),
            (none(), false, Duration::ZERO, true),
            (none(), false, hour, false),
            (Err(TryLockError::WouldBlock), true, 10 * hour, true),
            (Ok(()), false, Duration::ZERO, false),
        ] {
            assert_eq!(
                is_under_way(&locked, is_alone, rest),
                expected,
                "{locked:?} {is_alone} {rest:?}"
            );
        }
    }

    #[test]
    fn a_directory_that_is_not_there_or_that_others_write_to_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let line = shelf(&place.path().join("unmounted"))
            .moments(at(NOW))
            .unwrap_err()
            .to_string();
        assert!(line.contains("make or mount the directory"), "{line}");
        for mode in [0o720, 0o702] {
            fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
            let line = shelf(place.path()).moments(at(NOW)).unwrap_err().to_string();
            assert!(line.contains("chmod go-w "), "{line}");
        }
    }

    #[test]
    fn the_next_one_is_due_when_both_clocks_say_so() {
        let (day, hour, rest) = (
            Duration::from_hours(24),
            Duration::from_hours(1),
            Duration::from_hours(23),
        );
        let ago = |past: Duration| Some(at(NOW).before(past));
        for (since_own, newest, expected) in [
            (None, None, Duration::ZERO),
            // After a start: there is one, so none is made at once.
            (None, ago(hour), rest),
            (None, ago(2 * day), Duration::ZERO),
            // The clock was set ahead: this process knows better.
            (Some(hour), ago(300 * day), rest),
            // It was set back, and what is there now seems to be of the future.
            (Some(hour), None, rest),
            (Some(day), None, Duration::ZERO),
            // Another server has made one.
            (Some(2 * day), ago(hour), rest),
        ] {
            assert_eq!(
                until_due(day, since_own, newest, at(NOW)),
                expected,
                "{since_own:?} {newest:?}"
            );
        }
    }
}
