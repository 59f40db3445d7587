//! The backups that a server makes by itself: one server of all that share a store, again and again.
//!
//! Each is written beside its name, read back to its end, and then given its name; only then do the oldest ones go. A failure
//! is logged and counted, and tried again soon. All of it is done on a thread of its own, in constant memory.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::app::App;
use crate::cli::backup_shelf::{BackupShelf, UnusableShelf, until_due};
use crate::cli::whole_file::WholeFile;
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
    loop {
        sleep(next.saturating_duration_since(Instant::now()).max(LOOK_PERIOD)).await;
        if !app.memory.nodes.has_duty(Duty::Backup, app.clock.now()) {
            next = Instant::now();
            continue;
        }
        let job = BackupJob {
            app: Arc::clone(&app),
            shelf: Arc::clone(&shelf),
            schedule: schedule.clone(),
            since_own: own.map(|own| own.elapsed()),
            stop: Arc::clone(&stop.0),
        };
        let runtime = Handle::current();
        let done = tokio::task::spawn_blocking(move || job.run(&runtime)).await;
        let rest = match done.unwrap_or(Err(NotMade::Broken)) {
            Ok(BackupOutcome::NotDue(rest)) => {
                retry = FIRST_RETRY;
                rest
            }
            Ok(BackupOutcome::Made(path, ExportSummary { entries, left_out })) => {
                own = Some(Instant::now());
                retry = FIRST_RETRY;
                tracing::info!("{entries} entries backed up to {}", path.display());
                if !left_out.is_nothing() {
                    app.memory.backups.note_failure();
                    let count = left_out.count;
                    tracing::error!(
                        "a backup leaves out {count} entries that no server of this store wrote, so it does not count as one; see \
                         what they are with `countersign store check`"
                    );
                }
                audit::record_act(&app, AuditAct::Export).await;
                schedule.every
            }
            Err(error) => {
                app.memory.backups.note_failure();
                let rest = retry.min(schedule.every);
                retry = (retry * 2).min(LONGEST_RETRY);
                tracing::error!(
                    "no backup was made: {error}; the next try is in {} s",
                    rest.as_secs()
                );
                rest
            }
        };
        tracing::debug!("the next backup is due in {} s", rest.as_secs());
        // The clock and the directory may change meanwhile.
        next = Instant::now() + rest.min(LONGEST_REST);
    }
}

/// One look at the directory, and the backup that is due.
struct BackupJob {
    app: Arc<App>,
    shelf: Arc<BackupShelf>,
    schedule: BackupSchedule,
    since_own: Option<Duration>,
    stop: Arc<AtomicBool>,
}

enum BackupOutcome {
    Made(PathBuf, ExportSummary),
    NotDue(Duration),
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
    fn run(self, runtime: &Handle) -> Result<BackupOutcome, NotMade> {
        let now = self.app.clock.now();
        let newest = self.shelf.moments(now)?.last().copied();
        if let Some(newest) = newest {
            self.app.memory.backups.note_good(newest);
        }
        let rest = until_due(self.schedule.every, self.since_own, newest, now);
        if !rest.is_zero() {
            return Ok(BackupOutcome::NotDue(rest));
        }
        self.shelf.remove_half_done();
        let summary = self.write(now, runtime)?;
        let keep = self.schedule.keep;
        if summary.left_out.is_nothing() {
            self.app.memory.backups.note_good(now);
            self.shelf.remove_beyond(keep, now, now);
            return Ok(BackupOutcome::Made(self.shelf.path(now), summary));
        }
        let incomplete = self.shelf.incomplete();
        incomplete.remove_beyond(keep, now, now);
        Ok(BackupOutcome::Made(incomplete.path(now), summary))
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
        if summary.left_out.is_nothing() {
            file.keep()?;
        } else {
            file.keep_as(self.shelf.incomplete().path(now))?;
        }
        Ok(summary)
    }
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
