//! What the operating system knows of this process, under the names that Prometheus' own clients give it.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::metrics::MetricsPage;

/// Read anew each time; what a system does not tell is left out.
#[derive(Debug)]
pub(super) struct ProcessFigures;

impl Collector for ProcessFigures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = MetricsPage(encoder);
        if let Some(stat) = Stat::read() {
            page.float_counter(
                "process_cpu_seconds",
                "Time on processors, of the program and of the system for it",
                stat.cpu_seconds,
            )?;
            page.gauge(
                "process_resident_memory_bytes",
                "Memory that is in use",
                stat.resident_bytes,
            )?;
            page.gauge("process_threads", "Threads", stat.threads)?;
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            let open = i64::try_from(files.count()).unwrap_or(i64::MAX);
            page.gauge("process_open_fds", "Open files and connections", open)?;
        }
        Ok(())
    }
}

/// How many seconds of processor time this process has had, if the system says so.
#[must_use]
pub fn cpu_seconds() -> Option<f64> {
    Stat::read().map(|stat| stat.cpu_seconds)
}

/// What `/proc/self/stat` says, as `proc(5)` describes it.
struct Stat {
    cpu_seconds: f64,
    threads: i64,
    resident_bytes: i64,
}

impl Stat {
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        // Behind the name, which may hold anything: the first field there is the third of all.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
        let ticks = number(14)?.checked_add(number(15)?)?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "centuries of processor time are told exactly"
        )]
        let cpu_seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        let page = i64::try_from(rustix::param::page_size()).ok()?;
        Some(Self {
            cpu_seconds,
            threads: number(20)?,
            resident_bytes: number(24)?.checked_mul(page)?,
        })
    }
}
