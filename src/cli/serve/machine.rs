//! Looks after the machine that the server runs on: its disk, its clock, the certificate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::app::App;
use crate::domain::machine::{DiskLevel, MachineWarning, clock_jump};
use crate::domain::time::Timestamp;
use crate::server::tls::Certificates;

/// What is looked at.
pub(super) struct WatchedMachine {
    pub(super) app: Arc<App>,
    /// Where the data directory is.
    pub(super) data: PathBuf,
    pub(super) certificates: Option<Arc<Certificates>>,
}

impl WatchedMachine {
    /// Looks again and again, and says in the log what has changed, for as long as the future lives.
    pub(super) async fn watch(self) {
        let mut said = SaidWarnings::default();
        let mut last = self.moments();
        loop {
            let memory = &self.app.memory.machine;
            let (data, engine) = (self.data.clone(), Arc::clone(&self.app.engine));
            // A volume that hangs holds up this, and nothing else.
            let look = move || {
                engine.look_at_disk();
                level_of(&data)
            };
            let level = tokio::task::spawn_blocking(look).await;
            memory.note_disk(level.ok().flatten());
            let certificates = self.certificates.as_deref();
            memory.note_certificate(certificates.and_then(Certificates::life));
            let (now, moment) = self.moments();
            said.say(&memory.warnings(now, moment), moment);
            for _ in 0..LOOKS_AT_CLOCK {
                let now = self.moments();
                self.look_at_clock(last, now);
                last = now;
                tokio::time::sleep(PERIOD).await;
            }
        }
    }

    fn moments(&self) -> (Timestamp, Instant) {
        (self.app.clock.now(), Instant::now())
    }

    fn look_at_clock(&self, last: (Timestamp, Instant), now: (Timestamp, Instant)) {
        if let Some(seconds) = clock_jump(last.0, now.0, now.1.saturating_duration_since(last.1)) {
            self.app.memory.machine.note_jump(seconds, now.1);
            tracing::warn!("{}", MachineWarning::ClockJumped(seconds));
        }
    }
}

/// How full the disk is that holds `directory`; `None` if the system does not tell.
fn level_of(directory: &Path) -> Option<DiskLevel> {
    let told = rustix::fs::statvfs(directory).ok()?;
    Some(DiskLevel {
        free: told.f_bavail.saturating_mul(told.f_frsize),
        size: told.f_blocks.saturating_mul(told.f_frsize),
    })
}

/// Which warnings stand in the log, and since when.
#[derive(Default)]
struct SaidWarnings(BTreeMap<&'static str, Instant>);

impl SaidWarnings {
    /// Says what is new, once a day what still holds, and what is over.
    fn say(&mut self, warnings: &[MachineWarning], moment: Instant) {
        // A jump is said when it is seen.
        let warnings = warnings
            .iter()
            .filter(|warning| !matches!(warning, MachineWarning::ClockJumped(_)));
        let warnings: BTreeMap<_, _> = warnings.map(|warning| (warning.code(), warning)).collect();
        self.0.retain(|code, _| {
            let holds = warnings.contains_key(code);
            if !holds {
                tracing::info!("a warning is over: {code}");
            }
            holds
        });
        for (code, warning) in warnings {
            let said = self.0.get(code);
            if said.is_some_and(|said| moment.saturating_duration_since(*said) < AGAIN) {
                continue;
            }
            self.0.insert(code, moment);
            if warning.is_urgent() {
                tracing::error!("{warning}");
            } else {
                tracing::warn!("{warning}");
            }
        }
    }
}

/// How often the clock is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// How often the clock is looked at before the disk and the certificate are.
const LOOKS_AT_CLOCK: usize = 5;

/// When a warning that still holds is said again.
const AGAIN: Duration = Duration::from_hours(24);

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    pub(in super::super) struct WrittenLines(pub(in super::super) Arc<Mutex<Vec<u8>>>);

    impl Write for WrittenLines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_warning_is_said_when_it_is_new_and_once_a_day() {
        let written = WrittenLines::default();
        let to = written.clone();
        let lines = tracing_subscriber::fmt::layer().with_writer(move || to.clone());
        let disk = MachineWarning::DiskNearlyFull(DiskLevel { free: 1, size: 2 });
        let over = MachineWarning::CertificateIsOver(Timestamp::from_seconds(1_800_000_000));
        let begun = Instant::now();
        let hours = |hours| begun + Duration::from_hours(hours);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let mut said = SaidWarnings::default();
            said.say(&[disk], begun);
            said.say(&[disk], hours(23));
            said.say(&[disk, over, MachineWarning::ClockJumped(9)], hours(24));
            said.say(&[over], hours(25));
            said.say(&[disk, over], hours(26));
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let times = |part| text.lines().filter(|line| line.contains(part)).count();
        assert_eq!(times("WARN"), 3, "{text}");
        assert_eq!(times("nearly full: 0 MiB"), 3, "{text}");
        assert_eq!(times("ERROR"), 1, "{text}");
        assert_eq!(times("a warning is over: disk_nearly_full"), 1, "{text}");
        assert_eq!(times("jumped"), 0, "{text}");
    }
}
