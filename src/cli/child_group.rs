//! Commands of the operator's: children in process groups of their own.
//!
//! Such a child has no secrets of this process in its environment, and can be ended with all that it has started. What it says on its
//! standard error is shown if it fails, but for what could be a key.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, waitid};

use crate::config::CommandLine;

/// A child that runs, and whoever it has started. They are ended when this is dropped, unless the child has ended by itself.
pub(super) struct ChildGroup {
    child: Child,
    /// Whether it has ended, or was left: its number may be somebody else's by now.
    is_over: bool,
    complaints: Option<mpsc::Receiver<Vec<u8>>>,
}

impl ChildGroup {
    /// Starts the command. What it reads and writes is set by `set_up`.
    ///
    /// # Errors
    /// What goes behind the name of the setting and says what to do.
    pub(super) fn start(
        line: &CommandLine,
        set_up: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Self, String> {
        let mut command = Command::new(&line.program);
        command
            .args(&line.arguments)
            .stderr(Stdio::piped())
            .process_group(0);
        // Secrets of senders and accounts are among them, and it needs none.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"COUNTERSIGN_") {
                command.env_remove(name);
            }
        }
        let mut child = set_up(&mut command).spawn().map_err(|error| {
            format!("cannot be started: {error}; name a program that this user can run, by its whole path or as found in PATH")
        })?;
        let complaints = child.stderr.take().map(read_complaints);
        Ok(Self {
            child,
            is_over: false,
            complaints,
        })
    }

    /// What it writes to its standard output, if that is a pipe.
    pub(super) fn take_output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Whether the command has ended. It is not reaped by that: until that its number, and that of its group, is nobody else's.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.look(), Ok(Some(_)) | Err(Errno::CHILD))
    }

    /// How it ended, if it did. There is no such child any more where ended children are reaped at once, as this process was started
    /// to do: then nobody can tell how.
    fn look(&self) -> Result<Option<WaitIdStatus>, Errno> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let pid = self.pid().ok_or(Errno::CHILD)?;
        waitid(WaitId::Pid(pid), options)
    }

    /// Ends the command with all that it has started in its group, whatever they make of softer signals. Whoever cannot be ended is
    /// named and left. Returns why it had to be.
    pub(super) fn end(mut self, why: String) -> String {
        self.kill();
        let deadline = Instant::now() + LAST_BREATH;
        while !self.has_ended() {
            if Instant::now() >= deadline {
                return format!(
                    "{why}; process {} has not ended all the same: end it yourself, and see whether this user may end it",
                    self.child.id()
                );
            }
            thread::sleep(LOOK_PERIOD);
        }
        let _reaped = self.child.wait();
        why
    }

    /// Whether it did what it was asked for, once it has ended.
    ///
    /// # Errors
    /// How it failed, with the end of what it said.
    pub(super) fn outcome(mut self) -> Result<(), String> {
        let status = self.child.wait();
        self.is_over = true;
        let status = status.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::CHILD) => REAPED.to_owned(),
            _ => format!("cannot be waited for: {error}"),
        })?;
        if status.success() {
            return Ok(());
        }
        let said = self
            .complaints
            .take()
            .and_then(|said| said.recv_timeout(LAST_WORDS).ok());
        Err(failed(status, &said.unwrap_or_default()))
    }

    fn kill(&mut self) {
        // The number of one that was reaped may be somebody else's.
        let is_ours = !self.is_over && !matches!(self.look(), Err(Errno::CHILD));
        if let (true, Some(pid)) = (is_ours, self.pid()) {
            let _gone_already = kill_process_group(pid, Signal::KILL);
        }
        self.is_over = true;
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }
}

impl Drop for ChildGroup {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads to the end, and keeps the last bytes, from the beginning of a word on: of one that is cut nobody can tell whether it was a
/// key.
fn read_complaints(mut output: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (mut last, mut piece, mut is_cut) = (Vec::new(), [0; 512], false);
        while let Ok(read @ 1..) = output.read(&mut piece) {
            last.extend_from_slice(&piece[..read]);
            let above = last.len().saturating_sub(MOST_COMPLAINTS);
            is_cut |= above > 0;
            last.drain(..above);
        }
        if is_cut {
            let word = last.iter().take_while(|byte| is_key_digit(char::from(**byte)));
            let word = word.count();
            last.drain(..word);
        }
        let _nobody_waits = sender.send(last);
    });
    receiver
}

/// What keys are written with.
fn is_key_digit(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-' | ':')
}

fn failed(status: ExitStatus, said: &[u8]) -> String {
    let said = quoted(said);
    let said = if said.is_empty() {
        "it said nothing on standard error".to_owned()
    } else {
        format!("it said: {said}")
    };
    format!("failed ({status}); {said}")
}

/// On one line, without what a terminal would act on, and without anything that could be a key: a command that says what it does
/// may say too much.
fn quoted(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut quoted, mut rest) = (String::new(), said.as_str());
    while !rest.is_empty() {
        let (word, behind) = rest.split_at(rest.find(|c| !is_key_digit(c)).unwrap_or(rest.len()));
        quoted.push_str(if could_be_key(word) { "[...]" } else { word });
        let (between, next) = behind.split_at(behind.find(is_key_digit).unwrap_or(behind.len()));
        quoted.extend(between.escape_debug());
        rest = next;
    }
    quoted
}

/// Whether a word may be a key, or most of one that was written on two lines. A long path or name goes as well: somebody can look it
/// up.
fn could_be_key(word: &str) -> bool {
    word.len() >= 32
}

const REAPED: &str = "has ended, and how is not known: this process was started with the signal CHLD ignored, so that nobody learns what \
                      becomes of its children; start it with that signal as it is by default";

/// How often is looked whether a command has ended.
pub(super) const LOOK_PERIOD: Duration = Duration::from_millis(10);

/// How long something that was killed is waited for.
const LAST_BREATH: Duration = Duration::from_secs(3);

/// For how long what it said is waited for, if something that it left behind may go on saying more.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How much of what it says is shown: the last of it.
const MOST_COMPLAINTS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    /// Wherever the limit cuts what it said: of a key nothing is left.
    #[test]
    fn a_key_that_the_limit_cuts_is_not_shown_either() {
        for behind in MOST_COMPLAINTS - KEY.len() - 4..MOST_COMPLAINTS {
            let said = format!("said {KEY}{}", ".".repeat(behind));
            let complaints = read_complaints(std::io::Cursor::new(said.into_bytes()));
            let quoted = quoted(&complaints.recv().unwrap());
            let shown = quoted.trim_end_matches('.');
            assert!(
                [
                    "said [...]=",
                    "aid [...]=",
                    "id [...]=",
                    "d [...]=",
                    " [...]=",
                    "[...]=",
                    "=",
                    ""
                ]
                .iter()
                .any(|whole| shown == whole.trim_start() || shown == *whole),
                "{behind}: {shown}"
            );
        }
    }
}
