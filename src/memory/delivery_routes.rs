//! What became of deliveries by the way that they took, and how long that was, since the start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::domain::histogram::{DeliveryTimes, HistogramCounts};
use crate::domain::sender_name::SenderName;

/// Which way a delivery takes. All parts are names that this program or its operator gives, so there are no more than those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryRoute {
    /// What is delivered: `code`, `event` or `push`.
    pub what: &'static str,
    /// Whose protocol is spoken, such as `smtp` or `apns`; `unknown` if that was not found out.
    pub provider: &'static str,
    /// By which of the operator's senders, if by one.
    pub sender: Option<SenderName>,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names say what they are; `RouteEnd::name` is what is shown"
)]
pub enum RouteEnd {
    Delivered,
    GivenUp,
    HandedOn,
    Obsolete,
    Refused,
    Retried,
    TooLate,
}

impl RouteEnd {
    const ALL: [Self; 7] = [
        Self::Delivered,
        Self::GivenUp,
        Self::HandedOn,
        Self::Obsolete,
        Self::Refused,
        Self::Retried,
        Self::TooLate,
    ];

    /// The name on the page of metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
            Self::HandedOn => "handed_on",
            Self::Obsolete => "obsolete",
            Self::Refused => "refused",
            Self::Retried => "retried",
            Self::TooLate => "too_late",
        }
    }
}

/// What became of deliveries by each way.
#[derive(Debug, Default)]
pub struct RouteTally {
    routes: RwLock<BTreeMap<DeliveryRoute, Arc<RouteFigures>>>,
    answers: RwLock<BTreeMap<SenderName, Arc<TimesTaken>>>,
}

#[derive(Debug, Default)]
struct RouteFigures {
    ends: [AtomicU64; RouteEnd::ALL.len()],
    times: TimesTaken,
}

/// How long something took, each time. Far less often than requests, so a lock is no burden.
#[derive(Debug)]
struct TimesTaken(Mutex<HistogramCounts>);

impl Default for TimesTaken {
    fn default() -> Self {
        Self(Mutex::new(HistogramCounts::of::<DeliveryTimes>()))
    }
}

impl TimesTaken {
    fn count_time(&self, time: Duration) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count_time(time);
    }

    fn counts(&self) -> HistogramCounts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was counted of one way.
#[derive(Clone, Debug)]
pub struct RouteCounts {
    /// Which way.
    pub route: DeliveryRoute,
    /// How often tries ended in each way.
    pub ends: Vec<(RouteEnd, u64)>,
    /// How long it took until the receiver had what was delivered.
    pub times: HistogramCounts,
}

impl RouteTally {
    /// A try ended.
    pub fn ended(&self, route: DeliveryRoute, end: RouteEnd) {
        self.figures(route).ends[end as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The receiver has what was asked for so long ago.
    pub fn delivered(&self, route: DeliveryRoute, after: Duration) {
        let figures = self.figures(route);
        figures.ends[RouteEnd::Delivered as usize].fetch_add(1, Ordering::Relaxed);
        figures.times.count_time(after);
    }

    /// The right code was given, so long after `sender` had taken it.
    pub fn answered(&self, sender: SenderName, after: Duration) {
        found_or_new(&self.answers, sender).count_time(after);
    }

    /// What was counted so far, of those ways that were taken.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteCounts> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let counts = |(route, figures): (&DeliveryRoute, &Arc<RouteFigures>)| RouteCounts {
            route: *route,
            ends: RouteEnd::ALL
                .into_iter()
                .zip(figures.ends.iter().map(|count| count.load(Ordering::Relaxed)))
                .collect(),
            times: figures.times.counts(),
        };
        routes.iter().map(counts).collect()
    }

    /// How long it took until right codes were given, by sender.
    #[must_use]
    pub fn answers(&self) -> Vec<(SenderName, HistogramCounts)> {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        answers
            .iter()
            .map(|(sender, times)| (*sender, times.counts()))
            .collect()
    }

    fn figures(&self, route: DeliveryRoute) -> Arc<RouteFigures> {
        found_or_new(&self.routes, route)
    }
}

/// What is kept for `key`. Whoever comes later than the first waits for nobody.
fn found_or_new<K: Copy + Ord, F: Default>(map: &RwLock<BTreeMap<K, Arc<F>>>, key: K) -> Arc<F> {
    if let Some(found) = map.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Arc::clone(found);
    }
    let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(map.entry(key).or_default())
}
