//! What a server does again and again beside its requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::machine::WatchedMachine;
use super::service_manager;
use crate::app::App;
use crate::cli::witness::Witness;
use crate::config::BackupSchedule;
use crate::domain::node::Duty;
use crate::flows::nodes::{self, RegisteredNode};
use crate::flows::outbox::count_waiting;
use crate::flows::verification::PlanKeeper;
use crate::flows::{audit, challenge, data_keys, epoch, news, relearn, sweep};
use crate::web::ops::Ops;
use crate::web::readiness::Readiness;
use crate::web::rpc::ServerHealth;

/// What not every server does.
pub(super) struct Beside {
    /// Its place among those that share the store.
    pub(super) member: Option<RegisteredNode>,
    pub(super) witness: Option<Witness>,
    /// The backups that it makes by itself.
    pub(super) backups: Option<BackupSchedule>,
    pub(super) machine: WatchedMachine,
}

/// Begins all of it; it ends with what is returned.
pub(super) fn begin(
    app: &Arc<App>,
    ops: &Arc<Ops>,
    health: watch::Sender<ServerHealth>,
    with: Beside,
) -> JoinSet<()> {
    let Beside {
        member,
        witness,
        backups,
        machine,
    } = with;
    let mut tasks = JoinSet::new();
    let reclaiming = Arc::clone(app);
    tasks.spawn(async move {
        // Behind a long rest: first what expired is announced, then it is reclaimed.
        let _logged_below = challenge::expire_due(&reclaiming).await;
        sweep::keep_up(reclaiming).await;
    });
    tasks.spawn(machine.watch());
    tasks.spawn(service_manager::keep_up(Arc::clone(app)));
    tasks.spawn(tell_health(Arc::clone(ops), health));
    tasks.spawn(expire_again_and_again(Arc::clone(app)));
    tasks.spawn(count_again_and_again(Arc::clone(app)));
    tasks.spawn(relearn::keep_up(Arc::clone(app)));
    tasks.spawn(audit::seal::keep_up(Arc::clone(app)));
    tasks.spawn(advance_again_and_again(Arc::clone(app)));
    if let Some(mut member) = member {
        let running = Arc::clone(app);
        tasks.spawn(async move {
            nodes::keep_up(&running, &mut member).await;
        });
    }
    if let Some(witness) = witness {
        tasks.spawn(witness.keep_up(Arc::clone(app)));
    }
    if let Some(schedule) = backups {
        tasks.spawn(super::backups::keep_up(Arc::clone(app), schedule));
    }
    let learning = Arc::clone(app);
    tasks.spawn(async move {
        epoch::keep_up(learning).await;
    });
    let writing = Arc::clone(app);
    tasks.spawn(async move {
        data_keys::keep_up(writing).await;
    });
    let telling = Arc::clone(app);
    tasks.spawn(async move {
        news::keep_up(telling).await;
    });
    tasks
}

/// Tells those who watch whenever the server begins or ceases to serve, and the log why.
async fn tell_health(ops: Arc<Ops>, told: watch::Sender<ServerHealth>) {
    // A server that begins not ready says so.
    let mut before = Readiness::ready();
    service_manager::tell_status("serving");
    loop {
        let readiness = ops.readiness().await;
        let health = readiness.health();
        if !readiness.is_like(&before) && health != ServerHealth::Ending {
            if readiness.unready.is_empty() {
                tracing::info!("ready again");
                service_manager::tell_status("serving");
            } else {
                service_manager::tell_status(&format!("not ready: {}", readiness.reasons()));
                tracing::warn!("not ready: {}", readiness.reasons());
            }
        }
        before = readiness;
        // What ends does not begin anew.
        told.send_if_modified(|known| {
            let news = *known != health && *known != ServerHealth::Ending;
            if news {
                *known = health;
            }
            news
        });
        tokio::time::sleep(HEALTH_PERIOD).await;
    }
}

/// How old what is told of the store may be.
const HEALTH_PERIOD: Duration = Duration::from_secs(1);

/// Another process that shares the store puts in and takes out unseen.
async fn count_again_and_again(app: Arc<App>) {
    loop {
        tokio::time::sleep(COUNTING_PERIOD).await;
        if let Err(error) = count_waiting(&app).await {
            tracing::error!("cannot count what waits in the outbox: {error}");
        }
    }
}

/// How often what waits in the outbox is counted anew.
const COUNTING_PERIOD: Duration = Duration::from_mins(5);

/// Announces challenges that were not answered in time, for those who want to hear of it.
async fn expire_again_and_again(app: Arc<App>) {
    let mut failing = false;
    loop {
        if !app.memory.nodes.has_duty(Duty::ChallengeTimers, app.clock.now()) {
            tokio::time::sleep(EXPIRY_PERIOD).await;
            continue;
        }
        let expired = challenge::expire_due(&app).await;
        let next = expired.as_ref().ok().copied().flatten();
        let rest = next.map_or(EXPIRY_PERIOD, |next| next.since(app.clock.now()));
        tokio::time::sleep(rest.min(EXPIRY_PERIOD)).await;
        if let (Err(error), false) = (&expired, failing) {
            tracing::error!("some expired challenges are not announced: {error}");
        }
        failing = expired.is_err();
    }
}

/// Goes on with the plans of verifications when their next step is due.
async fn advance_again_and_again(app: Arc<App>) {
    let (mut failing, mut plans) = (false, PlanKeeper::default());
    let phase = phase(&app);
    loop {
        let advanced = plans.go_on(&app).await;
        let next = advanced.as_ref().ok().copied().flatten();
        let rest = next.map_or(EXPIRY_PERIOD, |next| next.since(app.clock.now()) + phase);
        tokio::time::sleep(rest.min(EXPIRY_PERIOD)).await;
        if let (Err(error), false) = (&advanced, failing) {
            tracing::error!("some plans of verifications do not go on: {error}");
        }
        failing = advanced.is_err();
    }
}

/// Someone waits for the next step of a plan, so it is no server's duty: none would take it while the one that has the duty is
/// gone without having said so. So that not all take the same step at the same moment, each takes it a little later than it is
/// due.
fn phase(app: &App) -> Duration {
    let mut byte = [0];
    if app.shares_store() {
        app.entropy.fill(&mut byte);
    }
    Duration::from_millis(byte[0].into())
}

/// New timers are seen after so long at the latest; looking costs one row.
const EXPIRY_PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::machine::tests::WrittenLines;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_begins_not_ready_says_so_at_once() {
        let written = WrittenLines::default();
        let to = written.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || to.clone()).finish();
        let logging = tracing::subscriber::set_default(subscriber);
        let (told, mut health) = watch::channel(ServerHealth::Serving);
        let begun = tokio::time::Instant::now();
        tokio::select! {
            () = tell_health(Arc::default(), told) => {}
            changed = health.changed() => changed.unwrap(),
        }
        assert!(begun.elapsed().is_zero(), "{:?}", begun.elapsed());
        assert_eq!(*health.borrow(), ServerHealth::Failing);
        drop(logging);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("not ready: ").count(), 1, "{text}");
    }
}
