//! Receivers of the outbox that do as a test says.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use countersign::app::App;
use countersign::delivery::DeliveryOutcome;
use countersign::domain::circuit::FailureScope;
use countersign::domain::events::OutboxRow;
use countersign::flows::Fault;
use countersign::flows::deliveries::Deliveries;
use countersign::flows::outbox::worker::{Limits, Worker};
use countersign::flows::outbox::{Parcel, Settled, Unpack};

/// What a receiver does with a row; `None` is to never answer.
type Reaction = Box<dyn Fn(&OutboxRow) -> Option<DeliveryOutcome> + Send + Sync>;

/// All receivers, which remember what they were sent.
pub(crate) struct Receivers {
    react: Mutex<Reaction>,
    tried: Mutex<Vec<OutboxRow>>,
    delivered: Mutex<Vec<OutboxRow>>,
}

impl Receivers {
    /// Receivers that do as `react` says.
    pub(crate) fn that(
        react: impl Fn(&OutboxRow) -> Option<DeliveryOutcome> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            react: Mutex::new(Box::new(react)),
            tried: Mutex::default(),
            delivered: Mutex::default(),
        })
    }

    /// Receivers that take everything.
    pub(crate) fn good() -> Arc<Self> {
        Self::that(|_| Some(DeliveryOutcome::Delivered))
    }

    /// From now on they do as `react` says.
    pub(crate) fn now(&self, react: impl Fn(&OutboxRow) -> Option<DeliveryOutcome> + Send + Sync + 'static) {
        *self.react.lock().unwrap() = Box::new(react);
    }

    /// Whatever was tried to be delivered, in order.
    pub(crate) fn tried(&self) -> Vec<OutboxRow> {
        self.tried.lock().unwrap().clone()
    }

    /// Whatever was delivered, in order.
    pub(crate) fn delivered(&self) -> Vec<OutboxRow> {
        self.delivered.lock().unwrap().clone()
    }

    /// A worker that delivers to them.
    pub(crate) fn worker(self: &Arc<Self>, app: &Arc<App>) -> Worker {
        self.worker_with(app, Limits::default())
    }

    pub(crate) fn worker_with(self: &Arc<Self>, app: &Arc<App>, limits: Limits) -> Worker {
        Worker::new(Arc::clone(app), Arc::new(Diverted(self.clone())), limits)
    }
}

/// It may work later.
pub(crate) fn retry(why: &str) -> DeliveryOutcome {
    DeliveryOutcome::Retry {
        why: why.to_owned(),
        after: None,
        about: FailureScope::Sender,
    }
}

/// It may work later, but not before `after`.
pub(crate) fn retry_after(after: Duration) -> DeliveryOutcome {
    DeliveryOutcome::Retry {
        why: "busy".to_owned(),
        after: Some(after),
        about: FailureScope::Sender,
    }
}

/// What is in the rows goes to them instead.
#[derive(Debug)]
struct Diverted(Arc<Receivers>);

impl Unpack for Diverted {
    fn unpack(&self, row: &OutboxRow) -> Box<dyn Parcel> {
        Box::new(DivertedParcel {
            receivers: Arc::clone(&self.0),
            real: Deliveries.unpack(row),
        })
    }
}

#[derive(Debug)]
struct DivertedParcel {
    receivers: Arc<Receivers>,
    real: Box<dyn Parcel>,
}

#[async_trait]
impl Parcel for DivertedParcel {
    async fn deliver(&mut self, _app: &App, row: &OutboxRow) -> DeliveryOutcome {
        let receivers = &self.receivers;
        receivers.tried.lock().unwrap().push(row.clone());
        let reaction = (receivers.react.lock().unwrap())(row);
        match reaction {
            Some(outcome) => {
                if outcome == DeliveryOutcome::Delivered {
                    receivers.delivered.lock().unwrap().push(row.clone());
                }
                outcome
            }
            None => std::future::pending().await,
        }
    }

    async fn settle(
        &self,
        app: &App,
        leased: &OutboxRow,
        outcome: &DeliveryOutcome,
    ) -> Result<Settled, Fault> {
        self.real.settle(app, leased, outcome).await
    }
}

impl fmt::Debug for Receivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receivers").finish_non_exhaustive()
    }
}
