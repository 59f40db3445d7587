//! A terminal with somebody at it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// What was shown at a terminal, and how the command ended.
pub(crate) struct Shown {
    pub(crate) text: String,
    /// Its standard error is empty: that is `text`.
    pub(crate) output: Output,
}

/// Runs a command whose standard input and error are a terminal, and its standard output a pipe. Once `prompt` is shown, `answer` is
/// typed.
pub(crate) fn at_terminal(mut command: Command, prompt: &str, answer: &str) -> Shown {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let open = || {
        let path = OsStr::from_bytes(name.to_bytes());
        File::from(rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap())
    };
    let child = command
        .stdin(open())
        .stderr(open())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Its ends of the terminal are only the child's from here on: when that is gone, there is nothing more to read.
    drop(command);
    let mut master = File::from(master);
    let (mut seen, mut is_answered) = (Vec::new(), answer.is_empty());
    let waited = std::thread::spawn(|| child.wait_with_output().unwrap());
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = master.read(&mut piece) {
        seen.extend_from_slice(&piece[..length]);
        if !is_answered && String::from_utf8_lossy(&seen).contains(prompt) {
            is_answered = true;
            writeln!(master, "{answer}").unwrap();
        }
    }
    Shown {
        text: String::from_utf8(seen).unwrap(),
        output: waited.join().unwrap(),
    }
}
