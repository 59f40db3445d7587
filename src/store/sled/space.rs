//! Whether the disk has space for changes.
//!
//! What sled leaves when a write fails in the middle of it can be opened again, but not gone on with: the process has to
//! end. So changes are refused while there is still space for those that are under way, and are taken again when there is
//! more. A disk that others fill within one group of commits is still found out by the write that fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::store_condition::LowSpace;

/// The space beside a data directory.
#[derive(Debug)]
pub(super) struct DiskSpace {
    directory: PathBuf,
    full: AtomicBool,
}

impl DiskSpace {
    /// Of the disk that holds `directory`.
    pub(super) fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
            full: AtomicBool::new(false),
        }
    }

    /// How little is left, if that is too little for changes. Looks anew each time, which takes microseconds, and says in the log
    /// when it has changed.
    pub(super) fn shortage(&self) -> Option<LowSpace> {
        let Ok(free) = free_bytes(&self.directory) else {
            // Whatever is wrong there, the next write says it.
            return None;
        };
        let was_full = self.full.load(Ordering::Relaxed);
        let shortage = judge(was_full, free);
        if shortage.is_some() != was_full && self.full.swap(!was_full, Ordering::Relaxed) == was_full {
            tell(shortage);
        }
        shortage
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
    fn a_directory_that_is_gone_is_not_full() {
        assert_eq!(DiskSpace::of(Path::new("/nowhere/at/all")).shortage(), None);
    }
}
