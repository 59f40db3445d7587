//! The command that prints the master key: the client of a key service or of a hardware module.
//!
//! It is a child with nothing to read, in a process group of its own, so that it can be ended with all that it has started. What
//! it prints stays in memory that is wiped; nothing of it is ever shown.

use std::io::Read;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::Failure;
use super::child_group::{ChildGroup, LOOK_PERIOD};
use crate::config::CommandLine;
use crate::crypto::master_key::MasterKey;

/// Runs the command and reads the key that it prints. Whoever sets `give_up` ends it before its time.
///
/// # Errors
/// One line that says what to do, with what the command said on its standard error.
pub(super) fn ask(line: &CommandLine, give_up: &AtomicBool) -> Result<MasterKey, Failure> {
    ask_within(line, LIMIT, give_up)
        .map_err(|why| Failure::new(format!("master_key_command ({:?}) {why}", line.program)))
}

fn ask_within(line: &CommandLine, limit: Duration, give_up: &AtomicBool) -> Result<MasterKey, String> {
    let mut group = ChildGroup::start(line, |command| {
        command.stdin(Stdio::null()).stdout(Stdio::piped())
    })?;
    let printed = group.take_output().map(read_key);
    let waited = KeyWait {
        deadline: Instant::now() + limit,
        limit,
        give_up,
        printed: printed.as_ref(),
    }
    .until_the_end(&group);
    let printed = match waited {
        Ok(printed) => printed,
        Err(why) => return Err(group.end(why)),
    };
    group.outcome()?;
    key_in(&printed)
}

/// What the wait for a command goes by.
struct KeyWait<'w> {
    deadline: Instant,
    limit: Duration,
    give_up: &'w AtomicBool,
    printed: Option<&'w mpsc::Receiver<Printed>>,
}

impl KeyWait<'_> {
    /// What the command printed, once it and all that write for it have ended. It is not reaped then: until that its number, and
    /// that of its group, is nobody else's.
    fn until_the_end(&self, group: &ChildGroup) -> Result<Printed, String> {
        let (mut printed, mut has_ended) = (None, false);
        loop {
            if let Some(Ok(all)) = self.printed.map(mpsc::Receiver::try_recv) {
                if all.len() > MOST_BYTES {
                    return Err(format!(
                        "prints more than {MOST_BYTES} bytes, which is no key: have it print the key and nothing else"
                    ));
                }
                printed = Some(all);
            }
            has_ended = has_ended || group.has_ended();
            if let (true, Some(_)) = (has_ended, &printed) {
                return printed.ok_or_else(String::new);
            }
            if self.give_up.load(Ordering::Relaxed) {
                return Err("was ended, because the server was told to stop".to_owned());
            }
            if Instant::now() >= self.deadline {
                return Err(format!(
                    "did not end within {} s and was ended; see whether it waits for a network or for somebody's answer: it \
                     has no input and must not need any",
                    self.limit.as_secs()
                ));
            }
            thread::sleep(LOOK_PERIOD);
        }
    }
}

/// What was printed; wiped when it is dropped.
type Printed = Zeroizing<Vec<u8>>;

/// Reads to the end, or a byte more than a key can have.
fn read_key(output: impl Read + Send + 'static) -> mpsc::Receiver<Printed> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // With room for all: what grows leaves copies behind.
        let mut all = Zeroizing::new(Vec::with_capacity(2 * MOST_BYTES));
        let mut piece = Zeroizing::new([0; 512]);
        let mut output = output;
        while all.len() <= MOST_BYTES
            && let Ok(read @ 1..) = output.read(&mut *piece)
        {
            all.extend_from_slice(&piece[..read]);
        }
        let _nobody_waits = sender.send(all);
    });
    receiver
}

fn key_in(printed: &[u8]) -> Result<MasterKey, String> {
    if printed.trim_ascii().is_empty() {
        return Err("printed nothing: have it print the key to standard output".to_owned());
    }
    let text = std::str::from_utf8(printed);
    text.ok()
        .and_then(|text| MasterKey::parse(text).ok())
        .ok_or_else(|| {
            if printed.len() == 32 {
                return "printed 32 bytes as they are, and the key must be base64 or hexadecimal digits: leave out the last \
                        step that decodes it, or add: | base64"
                    .to_owned();
            }
            format!(
                "printed {} bytes that are no master key, which is base64 of 32 bytes or 64 hexadecimal digits: have it \
                 print the key and nothing else",
                printed.len()
            )
        })
}

/// How long it may take. A key service that needs longer is down.
const LIMIT: Duration = Duration::from_secs(30);

/// Many times as long as any key.
const MOST_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, Signal};

    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn ask_shell(script: &str, limit: Duration, give_up: bool) -> Result<MasterKey, String> {
        let line = CommandLine {
            program: "sh".to_owned(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
        };
        ask_within(&line, limit, &AtomicBool::new(give_up))
    }

    fn refused(script: &str) -> String {
        ask_shell(script, Duration::from_secs(20), false).unwrap_err()
    }

    #[test]
    fn what_it_prints_is_the_key_whatever_it_says_and_whatever_its_group_leaves_behind() {
        for script in [
            format!("echo {KEY}"),
            format!("printf %s {KEY}"),
            format!("echo warning >&2; echo; echo {KEY}"),
            // An agent that stays, as that of gpg, with its standard error.
            format!("sleep 60 >/dev/null & echo {KEY}"),
        ] {
            let key = ask_shell(&script, Duration::from_secs(20), false).unwrap();
            assert_eq!(*key.to_text(), KEY, "{script}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        for (script, wanted) in [
            ("true", "printed nothing"),
            ("echo", "printed nothing"),
            ("echo hunter2", "printed 8 bytes that are no master key"),
            ("printf '\\377%031d' 7", "printed 32 bytes as they are"),
            ("yes hunter2", "prints more than 4096 bytes"),
            ("head -c 4097 /dev/zero", "prints more than 4096 bytes"),
            (
                "exit 3",
                "failed (exit status: 3); it said nothing on standard error",
            ),
            ("kill -KILL $$", "failed (signal: 9"),
        ] {
            let why = refused(script);
            assert!(
                why.starts_with(wanted) && !why.contains("hunter2"),
                "{script}: {why}"
            );
        }
    }

    #[test]
    fn what_it_complains_of_is_shown_on_one_line_its_end_and_no_key() {
        let why = refused("printf 'a\\033[2J\\nb \\302\\233 c' >&2; exit 1");
        assert!(why.ends_with("it said: a\\u{1b}[2J b \\u{9b} c"), "{why}");
        let why = refused("yes | head -c 1000000 >&2; echo 'access denied' >&2; exit 1");
        assert!(why.len() < 1200 && why.ends_with("access denied"), "{why}");
        let why = refused(&format!("set -x; echo {KEY} key={KEY} '\"{KEY}\"'; exit 1"));
        assert!(
            why.contains("+ echo [...]= key=[...]=") && !why.contains(&KEY[..20]),
            "{why}"
        );
        let digits = "0123456789abcdef".repeat(3) + "0123456789";
        let why = refused(&format!("echo {digits} 012345 >&2; exit 1"));
        assert!(why.ends_with("it said: [...] 012345"), "{why}");
        let line = CommandLine {
            program: "/nowhere/kms".to_owned(),
            arguments: Vec::new(),
        };
        let why = ask(&line, &AtomicBool::new(false)).unwrap_err().line;
        assert!(
            why.starts_with("master_key_command (\"/nowhere/kms\") cannot be started: "),
            "{why}"
        );
    }

    /// It leaves its group, so that no signal to that reaches it: as one that belongs to somebody else would.
    #[test]
    fn what_cannot_be_ended_is_named_and_left() {
        let began = Instant::now();
        let line = CommandLine {
            program: "perl".to_owned(),
            arguments: ["-e", "setpgrp(0, getpgrp(getppid())); sleep 600"]
                .map(str::to_owned)
                .to_vec(),
        };
        let why = ask_within(&line, Duration::from_secs(1), &AtomicBool::new(false)).unwrap_err();
        assert!(began.elapsed() < Duration::from_mins(1));
        let (limit, left) = why.split_once("; process ").unwrap();
        assert!(limit.starts_with("did not end within 1 s"), "{why}");
        let (pid, advice) = left.split_once(" has not ended all the same: ").unwrap();
        assert!(advice.starts_with("end it yourself"), "{why}");
        let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    }

    /// Ends within the limit, with the children that ignore what they are asked.
    #[test]
    fn what_hangs_is_ended_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let pids = directory.path().join("pids");
        let script = format!(
            "trap '' TERM INT HUP; (trap '' TERM; echo $$ >{0}; sleep 600) & echo {KEY}; sleep 600",
            pids.display()
        );
        let began = Instant::now();
        let why = ask_shell(&script, Duration::from_millis(500), false).unwrap_err();
        assert!(why.starts_with("did not end within 0 s and was ended"), "{why}");
        assert!(began.elapsed() < Duration::from_secs(20));
        let leader: i32 = std::fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
        let group = Pid::from_raw(leader).unwrap();
        // Those of the group that init has not reaped yet are dead all the same.
        let is_gone = || rustix::process::test_kill_process_group(group).is_err() || all_are_zombies(leader);
        let patience = Instant::now() + Duration::from_secs(10);
        while !is_gone() {
            assert!(Instant::now() < patience, "somebody of the group is left");
            thread::yield_now();
        }
        let why = ask_shell("sleep 600", Duration::from_mins(10), true).unwrap_err();
        assert!(why.contains("told to stop"), "{why}");
    }

    fn all_are_zombies(group: i32) -> bool {
        let processes = std::fs::read_dir("/proc").unwrap();
        let stats =
            processes.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
        let groups = stats.filter_map(|stat| {
            let (_, rest) = stat.rsplit_once(") ")?;
            let fields: Vec<_> = rest.split(' ').collect();
            (fields[2] == group.to_string()).then(|| fields[0].to_owned())
        });
        groups.into_iter().all(|state| state == "Z")
    }
}
