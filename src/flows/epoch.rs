//! The store's epochs: what was decided before the store may have forgotten something is void.
//!
//! A database whose standby was behind when it took over has lost commits; whichever server finds that its own are gone begins
//! an epoch there. Every commit of every server rests on the epoch that it was decided in, so none that rests on what is void
//! is written once the epoch is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Fault;
use super::outbox::count_waiting;
use super::reading::Reading;
use super::relearn::relearn;
use crate::app::App;
use crate::domain::store_epoch::StoreEpoch;
use crate::store::keys;

/// Reads which epoch the store is in.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn learn(app: &App) -> Result<(), Fault> {
    Reading::new(app).learn_epoch().await
}

/// The epoch that the store is in, as it says itself.
///
/// # Errors
/// [`Fault`].
pub async fn stored(app: &App) -> Result<Option<StoreEpoch>, Fault> {
    Reading::new(app).glance(&keys::store_epoch()).await
}

/// Goes on learning, and begins an epoch where commits are lost, for as long as others may share the store, which is for good.
pub async fn keep_up(app: Arc<App>) -> Infallible {
    if !app.shares_store() {
        return std::future::pending().await;
    }
    let (mut learnt, mut failing) = (Instant::now(), false);
    loop {
        sleep(LOOK_PERIOD).await;
        let done = if Reading::new(&app).has_lost_commits() {
            begin_after_loss(&app).await
        } else if learnt.elapsed() >= LEARNING_PERIOD {
            learnt = Instant::now();
            learn(&app).await
        } else {
            continue;
        };
        if let (Err(error), false) = (&done, failing) {
            tracing::warn!("the store's epoch could be neither read nor begun: {error}");
        }
        failing = done.is_err();
    }
}

/// Begins an epoch in a store that has lost commits, and uses it again.
///
/// # Errors
/// [`Fault::Unavailable`]: nothing can be used as before.
pub async fn begin_after_loss(app: &App) -> Result<(), Fault> {
    let (ours, nodes) = (app.clock.now(), &app.memory.nodes);
    // A clock that is known to be wrong would leave codes good that were used, or lock everybody out.
    let now = if nodes.clock_is_wrong() {
        nodes.database_at(ours)
    } else {
        nodes.database_at(ours).max(ours)
    };
    let drift = app.policy.totp_drift;
    Reading::new(app).begin_epoch_after_loss(now, drift).await?;
    learn(app).await?;
    let known = app.memory.epoch.get();
    let epoch = known.map_or(StoreEpoch::FIRST, |(epoch, _)| epoch);
    tracing::error!(
        "the store has lost what it had acknowledged, so epoch {} begins: challenges, codes and access tokens from before {} \
         are void, and so are the time steps of TOTP up to then; what was created, changed or revoked in the last moments \
         before may be as it was, so see to revocations",
        epoch.number,
        epoch.began
    );
    relearn(app).await?;
    count_waiting(app).await
}

/// How soon lost commits are gone on with, once they are noticed.
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// How old what is read without a decision may be.
const LEARNING_PERIOD: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
