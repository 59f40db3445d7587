//! What `/metrics` tells: counts of requests, and what the parts of the server know of themselves.
//!
//! Each label's values are names that this program or its operator gives, so there are no more series than those.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric as _, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::connection_tally::ConnectionTally;
use super::delivery_metrics::deliveries;
use super::process::ProcessFigures;
use crate::app::App;
use crate::domain::histogram::HistogramCounts;
use crate::domain::node::ClockOffset;
use crate::domain::store_condition::StoreCondition;

/// What there is to be told.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Arc<Requests>,
    connections: Arc<ConnectionTally>,
}

impl Metrics {
    /// Of this app, built as `version` from `commit`.
    #[must_use]
    pub fn of(app: &Arc<App>, version: &'static str, commit: &'static str) -> Self {
        let requests = Arc::new(Requests::default());
        let connections = Arc::new(ConnectionTally::default());
        let mut registry = Registry::with_prefix("countersign");
        registry.register_collector(Box::new(Build { version, commit }));
        registry.register(
            "http_request_seconds",
            "How long answers of the APIs took, waits included, by what was asked",
            requests.durations.clone(),
        );
        registry.register(
            "decisions",
            "What was decided, by the protocol it was asked in, what it was, how it ended and why",
            app.memory.decisions.counts(),
        );
        registry.register(
            "verifications",
            "Verifications that began and how they ended, by the protocol that was asked in and the channel of the last code",
            app.memory.verifications.counts(),
        );
        registry.register_collector(Box::new(Arc::clone(&requests)));
        registry.register_collector(Box::new(Arc::clone(&connections)));
        registry.register_collector(Box::new(Arc::clone(app)));
        registry.register_collector(Box::new(ProcessFigures));
        Self {
            registry,
            requests,
            connections,
        }
    }

    /// The requests of the APIs, for whoever answers them.
    #[must_use]
    pub fn requests(&self) -> Arc<Requests> {
        Arc::clone(&self.requests)
    }

    /// The connections of the APIs, for whoever accepts them.
    #[must_use]
    pub fn connections(&self) -> Arc<ConnectionTally> {
        Arc::clone(&self.connections)
    }

    /// All of it, in the format of `OpenMetrics` 1.0.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(8 * 1024);
        // Writing into memory does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Answered requests.
#[derive(Debug)]
pub struct Requests {
    by_class: [AtomicU64; 5],
    durations: Family<TimedOperation, Histogram>,
}

/// What was asked, as the route says it that answers: not the path, which names people and things.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TimedOperation {
    pub(super) method: &'static str,
    pub(super) route: String,
    pub(super) status: &'static str,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            by_class: Default::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BOUNDS)),
        }
    }
}

impl Requests {
    pub(super) fn count(&self, status: StatusCode) {
        self.by_class[class(status)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts how long an answer of a route took.
    pub(super) fn time(&self, method: &'static str, route: &str, status: StatusCode, took: Duration) {
        let operation = TimedOperation {
            method,
            route: route.to_owned(),
            status: CLASSES[class(status)],
        };
        self.durations
            .get_or_create(&operation)
            .observe(took.as_secs_f64());
    }

    /// How many were answered with each class, `1xx` first.
    pub fn by_class(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.by_class.iter();
        CLASSES
            .into_iter()
            .zip(counts.map(|count| count.load(Ordering::Relaxed)))
    }
}

fn class(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100).clamp(1, 5) - 1
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What durations are told apart by, in seconds: from a read out of memory to what a client waits for at the most.
const BOUNDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0,
];

/// Puts single figures on the page.
pub(super) struct MetricsPage<'e>(pub(super) DescriptorEncoder<'e>);

impl MetricsPage<'_> {
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = ConstCounter::new(value);
        metric.encode(self.0.encode_descriptor(name, help, None, metric.metric_type())?)
    }

    pub(super) fn float_counter(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let metric = ConstCounter::new(value);
        metric.encode(self.0.encode_descriptor(name, help, None, metric.metric_type())?)
    }

    pub(super) fn gauge<N: EncodeGaugeValue>(&mut self, name: &str, help: &str, value: N) -> fmt::Result {
        let metric = ConstGauge::new(value);
        metric.encode(self.0.encode_descriptor(name, help, None, metric.metric_type())?)
    }

    /// One that is named, and has no value while that is not known.
    fn gauge_if_known<N: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: Option<N>,
    ) -> fmt::Result {
        let described = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        value.map_or(Ok(()), |value| ConstGauge::new(value).encode(described))
    }

    pub(super) fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, counts: &HistogramCounts) -> fmt::Result {
        put_histogram(
            self.0
                .encode_descriptor(name, help, None, MetricType::Histogram)?,
            counts,
        )
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, i64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Collector for ConnectionTally {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let listeners = self.listeners();
        let mut page = MetricsPage(encoder);
        page.gauges(
            "connections_open",
            "Connections that are open, by the address of the listener",
            listeners
                .iter()
                .map(|of| ([("listener", of.address())], whole(of.open()))),
        )?;
        page.counters(
            "connections_accepted",
            "Connections that got a place, by the address of the listener",
            listeners
                .iter()
                .map(|of| ([("listener", of.address())], of.accepted())),
        )?;
        let refused = listeners.iter().flat_map(|of| {
            let labels = |reason: &str| [("listener", of.address()), ("reason", reason.to_owned())];
            of.refusals().map(move |(reason, count)| (labels(reason), count))
        });
        page.counters(
            "connections_refused",
            "Connections that were not served, by the address of the listener and the reason",
            refused,
        )
    }
}

/// A gauge, as other readers of metrics than Prometheus know of no `info`.
#[derive(Debug)]
struct Build {
    version: &'static str,
    commit: &'static str,
}

impl Collector for Build {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let labels = [("version", self.version), ("commit", self.commit)];
        MetricsPage(encoder).gauges("build_info", "This program's release and commit", [(labels, 1)])
    }
}

impl Collector for Requests {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        MetricsPage(encoder).counters(
            "http_requests",
            "Answered requests of the APIs by the class of their status",
            self.by_class().map(|(class, count)| ([("status", class)], count)),
        )
    }
}

impl Collector for App {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = MetricsPage(encoder);
        store(self, &mut page)?;
        nodes(self, &mut page)?;
        machine(self, &mut page)?;
        backups(self, &mut page)?;
        outbox(self, &mut page)?;
        deliveries(self, &mut page)?;
        senders(self, &mut page)?;
        totp(self, &mut page)?;
        let waiting = whole(self.memory.waiters.waiting());
        page.gauge("waiters", "Requests and streams that wait for a change", waiting)
    }
}

fn store(app: &App, page: &mut MetricsPage<'_>) -> fmt::Result {
    let store = app.store.statistics();
    page.counter("store_commits", "Batches that were applied", store.commits)?;
    page.counter(
        "store_conflicts",
        "Batches that came second and were decided anew",
        store.conflicts,
    )?;
    page.counter(
        "store_groups",
        "How often batches were made durable together",
        store.groups,
    )?;
    page.counter(
        "store_reads",
        "How often the engine was asked for entries",
        store.reads,
    )?;
    page.counter(
        "store_committed_bytes",
        "Bytes of the keys and values that batches wrote",
        store.committed_bytes,
    )?;
    page.histogram(
        "store_group_size",
        "How many batches were made durable together",
        &store.group_sizes,
    )?;
    page.histogram(
        "store_commit_seconds",
        "How long it took until a batch was durable",
        &store.commit_times,
    )?;
    page.counter(
        "store_forged_reads",
        "Reads that were refused because somebody else changed the entry",
        store.forged,
    )?;
    page.gauge(
        "store_takes_changes",
        "1 unless the disk of the store is full or a write has failed",
        i64::from(app.engine.condition() == StoreCondition::Working),
    )?;
    page.gauge(
        "store_disk_bytes",
        "Bytes on disk; 0 if the engine cannot tell",
        whole(store.disk_bytes),
    )
}

/// What is not known, or not there, has no value.
fn machine(app: &App, page: &mut MetricsPage<'_>) -> fmt::Result {
    let seen = &app.memory.machine;
    page.gauge_if_known(
        "disk_free_bytes",
        "Bytes that can still be written on the disk of the data directory",
        seen.disk().map(|level| whole(level.free)),
    )?;
    page.gauge_if_known(
        "disk_size_bytes",
        "The size of that disk",
        seen.disk().map(|level| whole(level.size)),
    )?;
    page.gauge_if_known(
        "tls_certificate_end_seconds",
        "Until when the TLS certificate is valid",
        seen.certificate().map(|life| whole(life.ends.seconds())),
    )?;
    page.counter(
        "clock_jumps",
        "How often the clock of this machine was moved by five seconds or more",
        seen.jumps(),
    )
}

/// A server that has its store to itself is alone, and has no clock to compare its own with.
fn nodes(app: &App, page: &mut MetricsPage<'_>) -> fmt::Result {
    page.gauge(
        "nodes",
        "Servers that run on the same store, this one included",
        whole(app.memory.nodes.live().unwrap_or(1)),
    )?;
    let offset = app.memory.nodes.clock();
    page.gauge_if_known(
        "clock_offset_seconds",
        "How far the database's clock is ahead of this machine's",
        offset.map(ClockOffset::seconds),
    )
}

fn backups(app: &App, page: &mut MetricsPage<'_>) -> fmt::Result {
    page.gauge(
        "backup_last_success_seconds",
        "When the last backup that a server made by itself was made; 0 if this one knows of none",
        whole(app.memory.backups.last_good()),
    )?;
    page.counter(
        "backup_failures",
        "How often none was made when one was due",
        app.memory.backups.failures(),
    )
}

fn outbox(app: &App, page: &mut MetricsPage<'_>) -> fmt::Result {
    let counts = app.memory.deliveries.counts();
    page.counter(
        "outbox_delivered",
        "Events, pushes and codes that their receivers took",
        counts.delivered,
    )?;
    page.counter("outbox_failed", "Tries to deliver that failed", counts.failed)?;
    page.counter(
        "outbox_dead_letters",
        "Events, pushes and codes that were given up",
        counts.given_up,
    )?;
    page.counter(
        "outbox_obsolete",
        "Events, pushes and codes that nobody wanted any more",
        counts.obsolete,
    )?;
    page.gauge(
        "outbox_waiting_receivers",
        "Receivers for whom something waits or is on its way",
        whole(counts.waiting_lanes),
    )
}

/// How the senders of codes do; they are named as the operator named them.
fn senders(app: &App, page: &mut MetricsPage<'_>) -> fmt::Result {
    let counts = app.memory.senders.counts();
    page.counters(
        "codes_sent",
        "Codes that the sender took",
        counts
            .iter()
            .map(|(sender, counts)| ([("sender", sender.to_string())], counts.sent)),
    )?;
    page.counters(
        "codes_failed",
        "Codes that the sender did not take",
        counts
            .iter()
            .map(|(sender, counts)| ([("sender", sender.to_string())], counts.failed)),
    )?;
    let open = app.memory.sender_breakers.open(app.clock.now());
    let senders = app.senders.codes.iter().map(|sender| sender.name);
    page.gauges(
        "code_sender_circuit_open",
        "1 while a sender gets no codes because it failed several times in a row",
        senders.map(|sender| {
            (
                [("sender", sender.to_string())],
                i64::from(open.contains(&sender)),
            )
        }),
    )?;
    page.counters(
        "codes_blocked",
        "Codes by message that guards against toll fraud refused, by the reason",
        app.memory
            .fraud
            .refused
            .by_reason()
            .map(|(reason, count)| ([("reason", reason.name())], count)),
    )
}

/// How far the codes of authenticator apps were off that were accepted.
fn totp(app: &App, page: &mut MetricsPage<'_>) -> fmt::Result {
    let offsets = &app.memory.code_offsets;
    page.counters(
        "totp_accepted_codes",
        "Accepted codes of authenticator apps by how many time steps they were ahead of this server's clock",
        offsets
            .counts()
            .into_iter()
            .map(|(ahead, count)| ([("ahead", ahead)], count)),
    )?;
    page.counter(
        "totp_clock_hints",
        "How often the codes of many apps said that this server's clock is off",
        offsets.hints(),
    )
}

pub(super) fn put_histogram(mut at: MetricEncoder<'_>, counts: &HistogramCounts) -> fmt::Result {
    let buckets: Vec<_> = counts.shown().collect();
    at.encode_histogram::<NoLabelSet>(counts.shown_sum(), counts.total(), &buckets, None)
}

fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
