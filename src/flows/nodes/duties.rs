//! Who of those that share a store does what one of them has to do: leases, renewed while their holder runs.
//!
//! Nothing rests on there being one holder only: whoever works asserts what was read. A second one would work in vain.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;
use crate::domain::node::{Duty, DutyHolder, NodeId};
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::{Batch, keys};

/// Renews what this server has, and takes what nobody has.
pub(super) async fn keep_up(app: &App, node: NodeId) -> Infallible {
    loop {
        sleep(PERIOD).await;
        // A store that does not answer is told of elsewhere; the leases run out meanwhile.
        if let Err(error) = look(app, node).await {
            tracing::debug!("the duties of servers were not looked at: {error}");
        }
    }
}

/// Renews what this server has, and takes what nobody has; gives all back if its clock is wrong.
pub(super) async fn look(app: &App, node: NodeId) -> Result<(), Fault> {
    if app.memory.nodes.clock_is_wrong() {
        return give_back(app, node).await;
    }
    let now = app.memory.nodes.database_at(app.clock.now());
    let until = now + DutyHolder::LEASE;
    let mut reading = Reading::new(app);
    prefetch(&mut reading).await?;
    let (mut batch, mut ours) = (Batch::new(), BTreeMap::new());
    for duty in Duty::ALL {
        let key = keys::duty(duty);
        let is_free = |holder: DutyHolder| holder.node == node || holder.is_over(now);
        let holder = match reading.glance(&key).await {
            // Nobody holds it who could say so.
            Err(Fault::Forged(_)) => None,
            holder => {
                let holder = holder?;
                if holder.is_none_or(is_free) {
                    // From here on it rests on that.
                    reading.get(&key).await?;
                }
                holder
            }
        };
        if holder.is_none_or(is_free) {
            batch = batch.put_record_until(key, &DutyHolder { node, until }, until)?;
            ours.insert(duty, until);
        }
    }
    match reading.commit(batch).await {
        Ok(()) => app.memory.nodes.set_duties(ours),
        // Another one came first: what is ours shows the next time.
        Err(Fault::Conflict(_)) => {}
        Err(fault) => return Err(fault),
    }
    Ok(())
}

/// Lets others take what this server has.
pub(super) async fn give_back(app: &App, node: NodeId) -> Result<(), Fault> {
    app.memory.nodes.set_duties(BTreeMap::new());
    let mut reading = Reading::new(app);
    prefetch(&mut reading).await?;
    let mut batch = Batch::new();
    for duty in Duty::ALL {
        let key = keys::duty(duty);
        let holder = match reading.glance(&key).await {
            Err(Fault::Forged(_)) => None,
            holder => holder?,
        };
        if holder.is_some_and(|holder| holder.node == node) {
            reading.get(&key).await?;
            batch = batch.delete(key.into_bytes());
        }
    }
    match reading.commit(batch).await {
        Ok(()) | Err(Fault::Conflict(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}

async fn prefetch(reading: &mut Reading<'_>) -> Result<(), Fault> {
    let all = Duty::ALL.map(keys::duty);
    reading.prefetch(all.iter().map(keys::Key::bytes)).await
}

/// How often the leases are looked at.
pub(super) const PERIOD: Duration = Duration::from_secs(5);
