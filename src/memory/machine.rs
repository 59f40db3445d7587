//! What this process saw last of the machine that it runs on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::machine::{CertificateLife, DiskLevel, MachineWarning};
use crate::domain::time::Timestamp;

/// What was seen of the machine; nothing as long as nobody has looked.
#[derive(Debug, Default)]
pub struct MachineMemory {
    seen: Mutex<SeenMachine>,
    jumps: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
struct SeenMachine {
    disk: Option<DiskLevel>,
    certificate: Option<CertificateLife>,
    /// The last jump of the clock, and when that was by a clock that nobody sets.
    jump: Option<(i64, Instant)>,
}

impl MachineMemory {
    /// Notes how full the disk of the data directory is; `None` if the system does not tell.
    pub fn note_disk(&self, level: Option<DiskLevel>) {
        self.lock().disk = level;
    }

    /// Notes how long the certificate is valid that clients are shown; `None` if there is none, or it does not say.
    pub fn note_certificate(&self, life: Option<CertificateLife>) {
        self.lock().certificate = life;
    }

    /// Notes that the clock jumped by so many seconds at `moment`.
    pub fn note_jump(&self, seconds: i64, moment: Instant) {
        self.lock().jump = Some((seconds, moment));
        self.jumps.fetch_add(1, Ordering::Relaxed);
    }

    /// How full the disk of the data directory is.
    pub fn disk(&self) -> Option<DiskLevel> {
        self.lock().disk
    }

    /// How long the certificate is valid.
    pub fn certificate(&self) -> Option<CertificateLife> {
        self.lock().certificate
    }

    /// How often the clock jumped.
    pub fn jumps(&self) -> u64 {
        self.jumps.load(Ordering::Relaxed)
    }

    /// What an operator should look at, at `now` by the machine's clock and `moment` by the one that nobody sets. Of a jump it is
    /// said for an hour.
    pub fn warnings(&self, now: Timestamp, moment: Instant) -> Vec<MachineWarning> {
        let SeenMachine {
            disk,
            certificate,
            jump,
        } = *self.lock();
        let certificate = certificate.and_then(|life| life.warning(now));
        let jump = jump.filter(|(_, at)| moment.saturating_duration_since(*at) < OF_A_JUMP);
        let jump = jump.map(|(seconds, _)| MachineWarning::ClockJumped(seconds));
        let disk = disk.filter(|level| level.is_nearly_full());
        let disk = disk.map(MachineWarning::DiskNearlyFull);
        certificate.into_iter().chain(jump).chain(disk).collect()
    }

    fn lock(&self) -> MutexGuard<'_, SeenMachine> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const OF_A_JUMP: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_told_for_an_hour_and_counted_forever() {
        let (memory, begun) = (MachineMemory::default(), Instant::now());
        let now = Timestamp::from_seconds(1_800_000_000);
        assert_eq!(memory.warnings(now, begun), []);
        memory.note_jump(-90, begun);
        assert_eq!(memory.warnings(now, begun), [MachineWarning::ClockJumped(-90)]);
        assert_eq!(memory.warnings(now, begun + OF_A_JUMP), []);
        assert_eq!(memory.jumps(), 1);
    }
}
