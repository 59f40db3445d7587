//! How much of a processor a server takes (Linux).

use std::fs;

use super::load::{LoadOutcome, count};

/// A load, and what the server took of processors meanwhile, in seconds.
pub(super) struct MeasuredLoad {
    pub(super) outcome: LoadOutcome,
    cpu: Option<f64>,
}

impl MeasuredLoad {
    /// What each success took, in microseconds, if the process is known.
    pub(super) fn cpu_of_each(&self) -> Option<f64> {
        let successes = count(self.outcome.latencies.count().max(1));
        self.cpu.map(|seconds| 1_000_000.0 * seconds / successes)
    }
}

/// Runs a load, and looks at the server's process before and after it.
pub(super) fn measured(
    pid: Option<u32>,
    load: impl FnOnce() -> Result<LoadOutcome, String>,
) -> Result<MeasuredLoad, String> {
    let seconds = || pid.map(seconds_of).transpose();
    let before = seconds()?;
    let outcome = load()?;
    let cpu = seconds()?.zip(before).map(|(after, before)| after - before);
    Ok(MeasuredLoad { outcome, cpu })
}

/// What the process took so far, by itself and by the kernel for it.
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
