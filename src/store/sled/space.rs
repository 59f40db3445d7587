//! Whether the disk has space for changes.
//!
//! What sled leaves when a write fails in the middle of it can be opened again, but not gone on with: the process has to
//! end. So changes are refused while there is still space for those that are under way, and are taken again when there is
//! more. A disk that others fill within one group of commits is still found out by the write that fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::store_condition::LowSpace;

/// The space beside a data directory.
///
/// Only a [look](Self::look) asks the system, which may take for ever where a volume hangs. What was [found](Self::found) last is
/// there for everybody else.
#[derive(Debug)]
pub(super) struct DiskSpace {
    directory: PathBuf,
    found: Mutex<Option<LowSpace>>,
}

impl DiskSpace {
    /// Of the disk that holds `directory`. Nothing has been found yet.
    pub(super) fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
            found: Mutex::default(),
        }
    }

    /// How little was left at the last look, if that was too little for changes. Waits for nothing.
    pub(super) fn found(&self) -> Option<LowSpace> {
        *self.lock()
    }

    /// How little is left, if that is too little for changes; says in the log when it has changed. Takes microseconds, or as long
    /// as the volume hangs: for threads that may wait.
    pub(super) fn look(&self) -> Option<LowSpace> {
        self.look_with(|| free_bytes(&self.directory))
    }

    pub(super) fn look_with(&self, free: impl FnOnce() -> io::Result<u64>) -> Option<LowSpace> {
        // Not with the lock: whoever asks what was found must not wait for the volume.
        let Ok(free) = free() else {
            // Whatever is wrong there, the next write says it.
            return self.found();
        };
        let mut found = self.lock();
        let (was_full, shortage) = (found.is_some(), judge(found.is_some(), free));
        *found = shortage;
        drop(found);
        if shortage.is_some() != was_full {
            tell(shortage);
        }
        shortage
    }

    fn lock(&self) -> MutexGuard<'_, Option<LowSpace>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes that this user can still write beside `directory`.
///
/// # Errors
/// When the system does not tell.
pub(super) fn free_bytes(directory: &Path) -> io::Result<u64> {
    let told = rustix::fs::statvfs(directory)?;
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

/// What is too little to begin with, or to take changes with.
pub(super) fn too_little(free: u64) -> Option<LowSpace> {
    judge(false, free)
}

/// A disk that was full has to have more, or it would be full again at once.
fn judge(was_full: bool, free: u64) -> Option<LowSpace> {
    let enough = if was_full { ENOUGH_AGAIN } else { ENOUGH };
    (free < enough).then_some(LowSpace {
        free,
        needed: ENOUGH_AGAIN,
    })
}

fn tell(shortage: Option<LowSpace>) {
    if let Some(low) = shortage {
        tracing::error!(
            "the disk is full: {low}; changes are refused until then, and nothing that was acknowledged is lost"
        );
    } else {
        tracing::info!("the disk has space again; changes are taken");
    }
}

/// Below this changes are refused, in bytes: sled takes half a MiB at a time, and a group of commits rarely writes more than
/// one.
const ENOUGH: u64 = 16 * 1024 * 1024;

/// From this on they are taken again, in bytes.
const ENOUGH_AGAIN: u64 = 2 * ENOUGH;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_disk_that_was_full_has_to_have_more_than_the_least() {
        for (was_full, free, is_full) in [
            (false, ENOUGH, false),
            (false, ENOUGH - 1, true),
            (true, ENOUGH, true),
            (true, ENOUGH_AGAIN - 1, true),
            (true, ENOUGH_AGAIN, false),
            (false, 0, true),
        ] {
            assert_eq!(judge(was_full, free).is_some(), is_full, "{was_full} {free}");
        }
    }

    #[test]
    fn a_directory_that_is_gone_is_as_full_as_it_was() {
        let space = DiskSpace::of(Path::new("/nowhere/at/all"));
        assert_eq!(space.look(), None);
        let full = space.look_with(|| Ok(0));
        assert!(full.is_some());
        assert_eq!(space.look(), full);
        assert_eq!(space.look_with(|| Ok(ENOUGH_AGAIN)), None);
        assert_eq!(space.look(), None);
    }

    #[test]
    fn a_volume_that_hangs_holds_up_nobody_who_asks_what_was_found() {
        let space = Arc::new(DiskSpace::of(Path::new("/")));
        let (hangs, hung) = mpsc::channel();
        let (goes_on, going_on) = mpsc::channel();
        let looking = Arc::clone(&space);
        let look = thread::spawn(move || {
            looking.look_with(|| {
                hangs.send(()).unwrap();
                going_on.recv().unwrap();
                Ok(0)
            })
        });
        hung.recv().unwrap();
        let (answers, answered) = mpsc::channel();
        let asking = Arc::clone(&space);
        thread::spawn(move || answers.send(asking.found()));
        assert_eq!(answered.recv_timeout(Duration::from_secs(10)), Ok(None));
        goes_on.send(()).unwrap();
        assert_eq!(look.join().unwrap(), space.found());
        assert!(space.found().is_some());
    }
}
