//! Refuses a code, and tells so once: not with each refusal, or whoever attacks would flood the webhooks.

use super::admit::Admittance;
use crate::app::App;
use crate::domain::country::Country;
use crate::domain::fraud::budget::{Counter, DeviceNetwork, Taken};
use crate::domain::fraud::ledger::StoreView;
use crate::domain::fraud::prefix::DestinationPrefix;
use crate::domain::fraud::{BlockEvent, BlockReason, Blocked};
use crate::domain::price::Price;
use crate::domain::time::Timestamp;
use crate::flows::event::announce_block;
use crate::flows::reading::Reading;
use crate::flows::{Fault, retry_on_conflict};
use crate::store::{Batch, keys};

/// Whom a budget is for.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// A country, or all numbers of none.
    Country(Option<Country>),
    Device(DeviceNetwork),
    /// The account's money.
    Money(Price),
    /// Nothing that has a name.
    Nothing,
    /// The number or the address that is asked for.
    Number,
    Prefix(DestinationPrefix),
    Service,
}

impl Subject {
    /// For people, with what is personal hidden.
    fn name(&self, asked: &Admittance<'_>) -> String {
        match self {
            Self::Country(Some(country)) => country.to_string(),
            Self::Country(None) => "no country".to_owned(),
            Self::Device(network) => network.to_string(),
            Self::Money(cap) => {
                let currency = cap.currency.as_str().to_uppercase();
                format!(
                    "{}.{:06} {currency}",
                    cap.micros / 1_000_000,
                    cap.micros % 1_000_000
                )
            }
            Self::Nothing => String::new(),
            Self::Number => asked.destination.masked(),
            Self::Prefix(prefix) => prefix.to_string(),
            Self::Service => asked.service.sid.to_string(),
        }
    }
}

/// Counts a refusal, and tells webhooks and the log if it is the first one of this counter. Returns what the caller gets.
pub(super) async fn refuse(
    app: &App,
    asked: &Admittance<'_>,
    why: BlockReason,
    counter: &Counter,
    subject: &Subject,
    until: Option<Timestamp>,
) -> Result<Blocked, Fault> {
    app.memory.fraud.refused.count(why);
    let event = event(asked, why, subject, until);
    tell_once(app, asked, counter, &event).await?;
    Ok(Blocked::until(why, until, asked.now))
}

/// What is told.
pub(super) fn event(
    asked: &Admittance<'_>,
    reason: BlockReason,
    subject: &Subject,
    until: Option<Timestamp>,
) -> BlockEvent {
    BlockEvent {
        reason,
        at: asked.now,
        account: asked.account,
        service: asked.service.sid,
        subject: subject.name(asked),
        country: asked.facts.and_then(|facts| facts.country),
        until,
        lifted: false,
    }
}

/// One line for the operator; only where something is told.
pub(super) fn log(event: &BlockEvent) {
    let until = event
        .until
        .map_or_else(String::new, |until| format!(" until {until}"));
    tracing::warn!(
        account = %event.account,
        service = %event.service,
        "codes are refused{until} for {}: {}",
        event.subject,
        event.reason.explanation()
    );
}

async fn tell_once(
    app: &App,
    asked: &Admittance<'_>,
    counter: &Counter,
    event: &BlockEvent,
) -> Result<(), Fault> {
    let view = StoreView {
        now: asked.now,
        shared: app.shares_store(),
    };
    let is_told = || app.memory.fraud.ledger().is_told(counter, view);
    if is_told() {
        return Ok(());
    }
    let _entered = app.memory.fraud.gates.enter(std::iter::once(counter)).await;
    if is_told() {
        return Ok(());
    }
    let first = retry_on_conflict(app, || tell(app, asked, counter, event)).await?;
    app.memory.fraud.ledger().tell(counter, asked.now);
    if first {
        log(event);
    }
    Ok(())
}

/// Writes the event and that it was told; whether this is the first time.
async fn tell(
    app: &App,
    asked: &Admittance<'_>,
    counter: &Counter,
    event: &BlockEvent,
) -> Result<bool, Fault> {
    let key = keys::budget(counter);
    let mut reading = Reading::new(app);
    let taken = reading.get(&key).await?.unwrap_or_default();
    if taken.told {
        return Ok(false);
    }
    let told = Taken { told: true, ..taken };
    let batch = Batch::new().put_record_until(key, &told, counter.kept_until())?;
    reading
        .commit(announce_block(app, asked.service, event, batch)?)
        .await?;
    Ok(true)
}
