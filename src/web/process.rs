//! What the operating system knows of this process, under the names that Prometheus' own clients give it.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

use super::allocations::allocations;
use super::metrics::MetricsPage;

/// All of it, as `/metrics` of a server tells it, for a process that has nothing else to tell.
pub(crate) fn process_metrics() -> String {
    let mut registry = Registry::with_prefix("countersign");
    registry.register_collector(Box::new(ProcessFigures));
    let mut text = String::new();
    // Writing into memory does not fail.
    let _ = encode(&mut text, &registry);
    text
}

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
        let asked = allocations();
        counter_if_known(
            &mut page,
            "process_allocations",
            "How often memory was asked for, in a build that counts it",
            asked.map(|asked| asked.times),
        )?;
        counter_if_known(
            &mut page,
            "process_allocated_bytes",
            "How much memory was asked for, in a build that counts it",
            asked.map(|asked| asked.bytes),
        )
    }
}

/// How many seconds of processor time this process has had, if the system says so.
#[must_use]
pub fn cpu_seconds() -> Option<f64> {
    Stat::read().map(|stat| stat.cpu_seconds)
}

/// One that is named, and has no value where that is not known.
fn counter_if_known(page: &mut MetricsPage<'_>, name: &str, help: &str, value: Option<u64>) -> fmt::Result {
    let described = page.0.encode_descriptor(name, help, None, MetricType::Counter)?;
    value.map_or(Ok(()), |value| ConstCounter::new(value).encode(described))
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
