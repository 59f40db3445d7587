//! How much of a processor a server takes (Linux).

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::load::count;

/// The process of a server, if it is known.
#[derive(Clone, Copy)]
pub(super) struct ServerProcess(pub(super) Option<u32>);

impl ServerProcess {
    /// The seconds of a processor that it took so far, by itself and by the kernel for it.
    ///
    /// # Errors
    /// There is no such process.
    pub(super) fn seconds(self) -> Result<Option<f64>, String> {
        self.0.map(seconds_of).transpose()
    }

    /// Waits until it has done what follows from the requests, such as the messages that they asked for.
    ///
    /// # Errors
    /// There is no such process, or it does not come to rest.
    pub(super) fn rest(self) -> Result<(), String> {
        let Some(pid) = self.0 else { return Ok(()) };
        let began = Instant::now();
        let mut before = seconds_of(pid)?;
        while began.elapsed() < PATIENCE {
            thread::sleep(LOOK);
            let now = seconds_of(pid)?;
            if now - before <= IDLE {
                return Ok(());
            }
            before = now;
        }
        Err("the server does not come to rest: does somebody else use it?".to_owned())
    }
}

fn seconds_of(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    ticks(&text)
        .map(|ticks| count(ticks) / TICKS_A_SECOND)
        .ok_or_else(|| format!("{path} is not as proc(5) has it"))
}

/// The fields `utime` and `stime` (proc(5)), which stand behind the name in parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let (own, kernel): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(own + kernel)
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
        assert_eq!(ticks(stat), Some(730));
        assert_eq!(ticks("42 S 1 2 3"), None);
    }
}
