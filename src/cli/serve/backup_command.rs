//! The command that takes backups elsewhere: each is piped to it.
//!
//! It has taken one if it has read it to its end and says so with its exit status; what it keeps, and for how long, is its business.

use std::fs::File;
use std::io::{self, PipeReader};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::cli::child_group::ChildGroup;
use crate::config::CommandLine;

/// Pipes the backup at `path` to the command, which is told the name that it is going to have. Whoever ceases to wait for it ends it.
///
/// # Errors
/// What goes behind the name of the setting.
pub(super) async fn hand_over(
    line: &CommandLine,
    limit: Duration,
    path: &Path,
    name: &Path,
) -> Result<(), String> {
    let (begun, from, name) = (line.clone(), path.to_owned(), name.to_owned());
    // The directory, and that of the program, may hang.
    let begun = tokio::task::spawn_blocking(move || Feeding::begin(&begun, &from, &name)).await;
    let Feeding { group, unread, fed } = begun.unwrap_or_else(|_| Err("was not started".to_owned()))?;
    let deadline = Instant::now() + limit;
    while !group.has_ended() && Instant::now() < deadline {
        sleep(LOOK_PERIOD).await;
    }
    let has_ended = group.has_ended();
    let over = tokio::task::spawn_blocking(move || {
        if has_ended {
            return group.outcome();
        }
        Err(group.end(format!(
            "did not end within {} s (backup.command_minutes) and was ended",
            limit.as_secs()
        )))
    });
    over.await
        .unwrap_or_else(|_| Err("was not waited for".to_owned()))?;
    let fed = timeout(LAST_BYTES, fed).await;
    // What is in the pipe was written, and not read: this end of it is kept open until here so that it can be asked.
    let is_read = matches!(rustix::io::ioctl_fionread(&unread), Ok(0));
    match fed {
        Ok(Ok(Ok(_))) if is_read => Ok(()),
        Ok(Ok(Err(error))) if error.kind() != io::ErrorKind::BrokenPipe => Err(cannot_be_read(path, &error)),
        _ => Err(
            "ended well, but has not read all of the backup: have it read its standard input to the end"
                .to_owned(),
        ),
    }
}

/// A command that is given a backup.
struct Feeding {
    group: ChildGroup,
    /// Where it reads.
    unread: PipeReader,
    /// What came of writing there.
    fed: oneshot::Receiver<io::Result<u64>>,
}

impl Feeding {
    fn begin(line: &CommandLine, path: &Path, name: &Path) -> Result<Self, String> {
        let mut backup = File::open(path).map_err(|error| cannot_be_read(path, &error))?;
        let name = name.file_name().unwrap_or_default();
        let no_pipe = |error: io::Error| format!("cannot be given anything: {error}");
        let (unread, mut input) = io::pipe().map_err(no_pipe)?;
        let its_end = unread.try_clone().map_err(no_pipe)?;
        let group = ChildGroup::start(line, |command| {
            command.stdin(its_end).stdout(Stdio::null()).env(NAME, name)
        })?;
        let (done, fed) = oneshot::channel();
        thread::spawn(move || {
            let copied = io::copy(&mut backup, &mut input);
            drop(input);
            let _nobody_waits = done.send(copied);
        });
        Ok(Self { group, unread, fed })
    }
}

fn cannot_be_read(path: &Path, error: &io::Error) -> String {
    format!("cannot be given {}: {error}", path.display())
}

/// The variable that names the backup.
const NAME: &str = "COUNTERSIGN_BACKUP";

/// How often is looked whether it has ended.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// How long what was read last may take to be heard of.
const LAST_BYTES: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn hand_over_to(script: &str, limit: Duration) -> Result<(), String> {
        hand_over_so_much(1 << 20, script, limit).await
    }

    async fn hand_over_so_much(bytes: usize, script: &str, limit: Duration) -> Result<(), String> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("unsent");
        fs::write(&path, vec![7; bytes]).unwrap();
        let directory = place.path().to_str().unwrap();
        let line = CommandLine {
            program: "sh".to_owned(),
            arguments: ["-c", script, directory].map(str::to_owned).to_vec(),
        };
        let sent = place.path().join("sent");
        hand_over(&line, limit, &path, &sent).await?;
        assert_eq!(fs::read(sent).unwrap(), fs::read(&path).unwrap());
        Ok(())
    }

    const ALL: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn it_has_the_whole_backup_and_its_name() {
        let done = hand_over_to("cat >\"$0/$COUNTERSIGN_BACKUP\"", ALL).await;
        assert_eq!(done, Ok(()));
    }

    /// All of it is in the pipe, which takes 64 KiB, when the command ends.
    #[tokio::test]
    async fn what_is_only_in_the_pipe_was_not_read() {
        for script in ["true", "sleep 0.3", "head -c 100 >/dev/null; sleep 0.3"] {
            let why = hand_over_so_much(1000, script, ALL).await.unwrap_err();
            assert!(
                why.starts_with("ended well, but has not read all"),
                "{script}: {why}"
            );
        }
        let done = hand_over_so_much(1000, "sleep 0.1; cat >\"$0/$COUNTERSIGN_BACKUP\"", ALL).await;
        assert_eq!(done, Ok(()));
    }

    #[tokio::test]
    async fn it_has_taken_nothing_unless_it_says_so_and_has_read_it_all_in_time() {
        for (script, limit, wanted) in [
            (
                "cat >/dev/null; echo no room >&2; exit 7",
                ALL,
                "failed (exit status: 7); it said: no room",
            ),
            (
                "head -c 1000 >/dev/null",
                ALL,
                "ended well, but has not read all of the backup",
            ),
            ("true", ALL, "ended well, but has not read all of the backup"),
            (
                "cat >/dev/null; sleep 600",
                Duration::from_millis(300),
                "did not end within 0 s",
            ),
        ] {
            let why = hand_over_to(script, limit).await.unwrap_err();
            assert!(why.starts_with(wanted), "{script}: {why}");
        }
    }
}
