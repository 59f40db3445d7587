//! The backups that a server makes by itself: one server of all that share a store, again and again.
//!
//! Each is written beside its name, read back to its end, and then given its name; only then do the oldest ones go. A failure
//! is logged and counted, and tried again soon. If a command is to take them elsewhere, each waits for that under another name. All
//! of it is done beside the requests, in constant memory.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::backup_command;
use crate::app::App;
use crate::cli::backup_shelf::{BackupShelf, UnusableShelf, until_due};
use crate::cli::whole_file::WholeFile;
use crate::cli::write_beside::sync_directory_of;
use crate::config::BackupSchedule;
use crate::crypto::age::{AgeIdentity, AgeRecipient};
use crate::domain::audit::AuditAct;
use crate::domain::node::Duty;
use crate::domain::time::Timestamp;
use crate::flows::audit;
use crate::flows::backup::{BackupFile, BackupWriter};
use crate::store::StoreError;
use crate::store::transfer::{self, ExportError, ExportSummary, ImportError, Sieve};

/// The schedule with the recipient of the server's own master key, if no other one is named.
pub(super) fn with_recipients(
    mut schedule: BackupSchedule,
    own: Option<AgeRecipient>,
) -> Option<BackupSchedule> {
    if schedule.recipients.is_empty() {
        schedule.recipients.extend(own);
    }
    if schedule.recipients.is_empty() {
        tracing::error!(
            "no backups are made: nothing can be sealed for this master key; set backup.recipients"
        );
        return None;
    }
    Some(schedule)
}

/// Makes backups for as long as it is polled.
pub(super) async fn keep_up(app: Arc<App>, schedule: BackupSchedule) {
    let stop = StopsWriting::default();
    let shelf = Arc::new(BackupShelf::new(&schedule.directory, app.vault.store_identity()));
    let (mut own, mut next, mut retry) = (None::<Instant>, Instant::now(), FIRST_RETRY);
    let (mut is_first, mut refused) = (true, None);
    loop {
        sleep(next.saturating_duration_since(Instant::now()).max(LOOK_PERIOD)).await;
        if !app.memory.nodes.has_duty(Duty::Backup, app.clock.now()) {
            next = Instant::now();
            continue;
        }
        let job = Arc::new(BackupJob {
            app: Arc::clone(&app),
            shelf: Arc::clone(&shelf),
            schedule: schedule.clone(),
            since_own: own.map(|own| own.elapsed()),
            is_first: std::mem::take(&mut is_first),
            stop: Arc::clone(&stop.0),
        });
        let (runtime, handing) = (Handle::current(), Arc::clone(&job));
        let done = tokio::task::spawn_blocking(move || job.run(&runtime)).await;
        let done = done.unwrap_or(Err(NotMade::Broken));
        let failure = match done {
            Ok(round) => {
                if let Some((path, summary)) = &round.made {
                    own = Some(Instant::now());
                    tell(&app, path, summary).await;
                }
                tracing::debug!("the next backup is due in {} s", round.rest.as_secs());
                next = Instant::now() + round.rest.min(LONGEST_REST);
                let failure = Box::pin(handing.hand_over_all(next, &mut refused)).await.err();
                failure.map(|why| format!("a backup was not taken elsewhere: {why}"))
            }
            Err(error) => Some(format!("no backup was made: {error}")),
        };
        if let Some(failure) = failure {
            app.memory.backups.note_failure();
            let rest = retry.min(schedule.every);
            retry = (retry * 2).min(LONGEST_RETRY);
            tracing::error!("{failure}; the next try is in {} s", rest.as_secs());
            // The clock and the directory may change meanwhile.
            next = Instant::now() + rest.min(LONGEST_REST);
        } else {
            retry = FIRST_RETRY;
        }
    }
}

/// Says that a backup was made.
async fn tell(app: &App, path: &Path, summary: &ExportSummary) {
    let ExportSummary { entries, left_out } = summary;
    tracing::info!("{entries} entries backed up to {}", path.display());
    if !left_out.is_nothing() {
        app.memory.backups.note_failure();
        let count = left_out.count;
        tracing::error!(
            "a backup leaves out {count} entries that no server of this store wrote, so it does not count as one; see what they \
             are with `countersign store check`"
        );
    }
    audit::record_act(app, AuditAct::Export).await;
}

/// One look at the directory, and the backup that is due.
struct BackupJob {
    app: Arc<App>,
    shelf: Arc<BackupShelf>,
    schedule: BackupSchedule,
    since_own: Option<Duration>,
    /// Whether this process has not looked before.
    is_first: bool,
    stop: Arc<AtomicBool>,
}

/// What came of a look.
struct BackupRound {
    made: Option<(PathBuf, ExportSummary)>,
    /// How long it is until the next one is due.
    rest: Duration,
}

#[derive(Debug, thiserror::Error)]
enum NotMade {
    #[error("making it failed in an unforeseen way")]
    Broken,
    #[error(transparent)]
    Directory(#[from] UnusableShelf),
    #[error("{0}")]
    Export(#[from] ExportError),
    #[error("cannot write it: {0}; see whether the disk is full, and to whom the directory belongs")]
    Io(#[from] io::Error),
    #[error("what was written could not be read back: {0}; see to the disk")]
    Unreadable(#[from] ImportError),
    #[error("of {0} entries {1} were read back; see to the disk")]
    Incomplete(u64, u64),
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl BackupJob {
    fn run(&self, runtime: &Handle) -> Result<BackupRound, NotMade> {
        let now = self.app.clock.now();
        if self.is_first {
            self.shelf.remove_half_done(!self.app.shares_store());
        }
        let newest = self.shelf.moments(now)?.last().copied();
        if let Some(newest) = newest {
            self.app.memory.backups.note_good(newest);
        }
        let unsent = self.shelf.unsent().moments(now)?.last().copied();
        let mut rest = until_due(self.schedule.every, self.since_own, newest.max(unsent), now);
        let mut made = None;
        if rest.is_zero() {
            self.shelf.remove_half_done(!self.app.shares_store());
            let summary = self.write(now, runtime)?;
            rest = self.schedule.every;
            let goes_to = self.shelf_of(&summary);
            let removed = goes_to.remove_beyond(self.schedule.keep, now, now);
            if removed > 0 && self.schedule.command.is_some() && summary.left_out.is_nothing() {
                self.app.memory.backups.note_failure();
                tracing::error!(
                    "{removed} of the backups that backup.command has never taken are gone from the directory, which keeps {} of them \
                     (backup.keep)",
                    self.schedule.keep
                );
            }
            if summary.left_out.is_nothing() && self.schedule.command.is_none() {
                self.app.memory.backups.note_good(now);
            }
            made = Some((goes_to.path(now), summary));
        }
        Ok(BackupRound { made, rest })
    }

    /// Where what was made goes.
    fn shelf_of(&self, summary: &ExportSummary) -> BackupShelf {
        if !summary.left_out.is_nothing() {
            self.shelf.incomplete()
        } else if self.schedule.command.is_some() {
            self.shelf.unsent()
        } else {
            BackupShelf::clone(&self.shelf)
        }
    }

    /// Hands what was not sent yet to the command, the oldest one first, until the next backup is `due`. One that is not taken does
    /// not keep the others from being: it comes last in the next round, as the one that was `refused`. The first failure is told.
    /// Without a command nothing has to be sent.
    async fn hand_over_all(
        self: Arc<Self>,
        due: Instant,
        refused: &mut Option<Timestamp>,
    ) -> Result<(), String> {
        let unsent = self.shelf.unsent();
        let listing = unsent.clone();
        let now = self.app.clock.now();
        let mut moments = aside(move || listing.moments(now).map_err(|error| error.to_string())).await?;
        moments.sort_by_key(|moment| (*refused == Some(*moment), *moment));
        let mut handed = Ok(());
        for moment in moments {
            let another_has_it = !self.app.memory.nodes.has_duty(Duty::Backup, self.app.clock.now());
            if another_has_it || Instant::now() >= due {
                break;
            }
            let (from, to) = (unsent.path(moment), self.shelf.path(moment));
            let taken = Arc::clone(&self).hand_over(moment, from, to).await;
            if taken.is_err() {
                *refused = Some(moment);
            }
            handed = handed.and(taken);
        }
        handed
    }

    async fn hand_over(self: Arc<Self>, moment: Timestamp, from: PathBuf, to: PathBuf) -> Result<(), String> {
        if let Some(command) = &self.schedule.command {
            let taken = backup_command::hand_over(command, self.schedule.command_limit, &from, &to).await;
            taken.map_err(|why| format!("backup.command ({:?}) {why}", command.program))?;
            tracing::info!("{} was taken by backup.command", to.display());
        }
        aside(move || {
            let renamed = fs::rename(&from, &to).and_then(|()| sync_directory_of(&to));
            renamed.map_err(|error| format!("cannot rename {}: {error}", from.display()))?;
            self.app.memory.backups.note_good(moment);
            self.shelf
                .remove_beyond(self.schedule.keep, moment, self.app.clock.now());
            Ok(())
        })
        .await
    }

    fn write(&self, now: Timestamp, runtime: &Handle) -> Result<ExportSummary, NotMade> {
        let App {
            store,
            entropy,
            vault,
            ..
        } = self.app.as_ref();
        // For reading back: whoever may open the backup later need not be known here. Nobody has this one once it is made.
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(secret.as_mut_slice());
        let reader = AgeIdentity::from_secret(secret).ok_or(NotMade::Broken)?;
        let recipients = [&self.schedule.recipients[..], &[reader.recipient()]].concat();

        let file = WholeFile::begin(&self.shelf.path(now))?;
        file.lock()?;
        let target = StoppableFile {
            file,
            stop: &self.stop,
        };
        let mut backup = BackupWriter::begin(target, &recipients, entropy.as_ref())?;
        let sieve = Sieve::new(Arc::clone(vault), now)?;
        let exported = transfer::export(store.as_ref(), Some(&sieve), &mut backup);
        let summary = runtime.block_on(Box::pin(exported))?;
        let file = backup.finish()?.file;
        let read = transfer::read_through(&mut BackupFile::new(file.written()?, reader))?;
        if read != summary.entries {
            return Err(NotMade::Incomplete(summary.entries, read));
        }
        file.keep_as(self.shelf_of(&summary).path(now))?;
        Ok(summary)
    }
}

/// Does what a directory that hangs must not hold up.
async fn aside<T: Send + 'static>(
    done: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(done).await;
    done.unwrap_or_else(|_| Err(NotMade::Broken.to_string()))
}

/// A file that is written until somebody has it stopped.
struct StoppableFile<'s> {
    file: WholeFile,
    stop: &'s AtomicBool,
}

impl Write for StoppableFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the server stops"));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Has whatever is being written end, and nothing left of it, when nobody polls for it any more.
#[derive(Default)]
struct StopsWriting(Arc<AtomicBool>);

impl Drop for StopsWriting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How often is looked whether there is something to do.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// How long at the most nobody looks at the clock and the directory.
const LONGEST_REST: Duration = Duration::from_mins(1);

/// How soon what failed is tried again; each further time it takes twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests;
