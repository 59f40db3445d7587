//! How much of a processor a server takes (Linux).

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::load::count;

/// The process of a server, if it is known.
#[derive(Clone, Copy)]
pub(super) struct ServerProcess(pub(super) Option<u32>);

/// The seconds of a processor that a process took since it began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ProcessTimes {
    /// By itself.
    pub(super) user: f64,
    /// By the kernel for it.
    pub(super) system: f64,
}

/// How often each thread of a process gave up its processor by itself: to wait for another thread, a connection or a disk.
pub(super) struct ProcessSwitches(BTreeMap<u32, u64>);

impl ServerProcess {
    /// What it took so far.
    ///
    /// # Errors
    /// There is no such process.
    pub(super) fn times(self) -> Result<Option<ProcessTimes>, String> {
        self.0.map(ProcessTimes::of).transpose()
    }

    /// The same of both together.
    ///
    /// # Errors
    /// There is no such process.
    pub(super) fn seconds(self) -> Result<Option<f64>, String> {
        Ok(self.times()?.map(ProcessTimes::sum))
    }

    /// Waits until it has done what follows from the requests, such as the messages that they asked for.
    ///
    /// # Errors
    /// There is no such process, or it does not come to rest.
    pub(super) fn rest(self) -> Result<(), String> {
        let Some(pid) = self.0 else { return Ok(()) };
        let began = Instant::now();
        let mut before = ProcessTimes::of(pid)?.sum();
        while began.elapsed() < PATIENCE {
            thread::sleep(LOOK);
            let now = ProcessTimes::of(pid)?.sum();
            if now - before <= IDLE {
                return Ok(());
            }
            before = now;
        }
        Err("the server does not come to rest: does somebody else use it?".to_owned())
    }
}

impl ProcessTimes {
    /// What the process took so far.
    ///
    /// # Errors
    /// There is no such process.
    pub(super) fn of(pid: u32) -> Result<Self, String> {
        let path = format!("/proc/{pid}/stat");
        let (user, system) = ticks(&read(&path)?).ok_or_else(|| unknown(&path))?;
        let seconds = |ticks| count(ticks) / TICKS_A_SECOND;
        Ok(Self {
            user: seconds(user),
            system: seconds(system),
        })
    }

    fn sum(self) -> f64 {
        self.user + self.system
    }

    /// What it took since it had taken `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            user: self.user - before.user,
            system: self.system - before.system,
        }
    }
}

impl ProcessSwitches {
    /// Those of all threads that there are.
    ///
    /// # Errors
    /// There is no such process.
    pub(super) fn of(pid: u32) -> Result<Self, String> {
        let path = format!("/proc/{pid}/task");
        let threads = fs::read_dir(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
        let mut all = BTreeMap::new();
        for thread in threads {
            let name = thread
                .map_err(|error| format!("cannot read {path}: {error}"))?
                .file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that has ended meanwhile is not there any more.
            if let Ok(status) = read(&format!("{path}/{id}/status")) {
                all.insert(id, switches(&status).ok_or_else(|| unknown(&path))?);
            }
        }
        Ok(Self(all))
    }

    /// How often that was since `before`. Of threads that have ended nothing is known.
    pub(super) fn since(&self, before: &Self) -> u64 {
        let of = |(id, now): (&u32, &u64)| now.saturating_sub(before.0.get(id).copied().unwrap_or(0));
        self.0.iter().map(of).sum()
    }
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))
}

fn unknown(path: &str) -> String {
    format!("{path} is not as proc(5) has it")
}

/// The fields `utime` and `stime` (proc(5)), which stand behind the name in parentheses.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn switches(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

/// `USER_HZ`, which is the same on every Linux of today.
const TICKS_A_SECOND: f64 = 100.0;

/// How often it is looked at, and what a server at rest takes in that time at the most: one tick.
const LOOK: Duration = Duration::from_millis(300);
const IDLE: f64 = 1.5 / TICKS_A_SECOND;

/// How long a server may work on after the last answer.
const PATIENCE: Duration = Duration::from_mins(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_is_its_own_and_the_kernels() {
        let stat = "42 (a) name (x) S 1 2 3 4 5 6 7 8 9 10 700 30 0 0 20 0 1 0 5";
        assert_eq!(ticks(stat), Some((700, 30)));
        assert_eq!(ticks("42 S 1 2 3"), None);
    }

    #[test]
    fn threads_that_began_meanwhile_count_and_those_that_ended_do_not() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t17\nnonvoluntary_ctxt_switches:\t4\n";
        assert_eq!(switches(status), Some(17));
        assert_eq!(switches("Name:\tx\n"), None);
        let before = ProcessSwitches([(1, 10), (2, 5)].into());
        let after = ProcessSwitches([(1, 17), (3, 2)].into());
        assert_eq!(after.since(&before), 9);
    }
}
