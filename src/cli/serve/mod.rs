//! `countersign serve`.
//!
//! `setup` is what has to go well first, `background` what goes on beside the requests; here is how it begins and ends.

mod background;
mod backup_command;
mod backups;
mod machine;
mod node;
mod ops_server;
mod service_manager;
mod setup;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use self::background::Beside;
use self::machine::WatchedMachine;
use self::ops_server::OpsServer;
use self::service_manager::MoreTime;
use self::setup::{Started, senders, warn_of_log_senders};
use super::open::{ask_for_key, open};
use super::signals::Signals;
use super::{Failure, VERSION, output};
use crate::app::App;
use crate::config::{Config, Storage};
use crate::domain::store_condition::StoreCondition;
use crate::flows::audit;
use crate::flows::deliveries::Deliveries;
use crate::flows::nodes::{self, RegisteredNode};
use crate::flows::outbox::worker::{Limits as WorkerLimits, Worker};
use crate::server::connections::OpenConnections;
use crate::server::{self, Protocol};
use crate::web::boundary::Boundary;
use crate::web::metrics::Metrics;
use crate::web::rpc::ServerHealth;

/// Serves until a signal comes.
pub(super) async fn serve(config: Config) -> Result<(), Failure> {
    // From here on a signal is kept until the server can act on it.
    let mut signals =
        Signals::new().map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))?;
    // Asked from now on whether the server has started.
    let ops = OpsServer::start(config.network.ops_listen)?;
    let (rolling, backup) = (config.storage.rolling, config.backup);
    let storage = with_asked_key(config.storage, &mut signals).await?;
    let more_time = MoreTime::to_start();
    let opened = open(storage, config.policy, senders(config.outbound, config.senders)).await?;
    let member = match node::join(&opened, config.alike, &config.telegram, rolling).await {
        Ok(member) => member,
        Err(failure) => {
            opened.close().await?;
            return Err(failure);
        }
    };
    let node = member.as_ref().map(RegisteredNode::node);
    let started = Started::new(
        &opened,
        config.network,
        config.signal,
        config.telegram,
        &config.zitadel,
        config.tls,
        config.bootstrap,
    )
    .await;
    drop(more_time);
    // Until the store is closed.
    let mut more_time = None;
    let served = match started {
        Ok(started) => {
            warn_of_log_senders(&opened.app);
            let beside = Beside {
                machine: WatchedMachine {
                    app: Arc::clone(&opened.app),
                    data: opened.directory.path().to_path_buf(),
                    certificates: started.certificates.clone(),
                },
                member,
                witness: opened.witness.clone(),
                backups: backup.and_then(|schedule| backups::with_recipients(schedule, opened.own_recipient)),
            };
            started
                .serve(&opened.app, ops, beside, signals, &mut more_time)
                .await
        }
        Err(failure) => Err(failure),
    };
    if let Some(node) = node
        && let Err(error) = nodes::leave(&opened.app, node).await
    {
        tracing::warn!("other servers take this one for running for up to a minute: {error}");
    }
    let ended = match served {
        Ok(()) => opened.close().await,
        Err(failure) => {
            // A store that failed may not let go, and there is nothing left that it could lose.
            let _closed_or_not = tokio::time::timeout(LAST_WORDS, opened.close()).await;
            Err(failure)
        }
    };
    drop(more_time);
    if ended.is_ok() {
        tracing::info!("stopped: countersign {VERSION}");
    }
    ended
}

/// Asks the command for the master key, if one is to be asked. Whoever stops the server meanwhile need not wait for it.
async fn with_asked_key(mut storage: Storage, signals: &mut Signals) -> Result<Storage, Failure> {
    let give_up = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&give_up);
    let mut asking = tokio::task::spawn_blocking(move || ask_for_key(&mut storage, &seen).map(|()| storage));
    let asked = tokio::select! {
        asked = &mut asking => asked,
        () = signals.next() => {
            give_up.store(true, Ordering::Relaxed);
            asking.await
        }
    };
    asked.unwrap_or_else(|_| Err(Failure::new("asking for the master key failed")))
}

impl Started {
    /// Serves until a signal comes, or the store has failed.
    async fn serve(
        self,
        app: &Arc<App>,
        ops_server: OpsServer,
        with: Beside,
        signals: Signals,
        more_time: &mut Option<MoreTime>,
    ) -> Result<(), Failure> {
        let figures = Metrics::of(app, env!("CARGO_PKG_VERSION"), env!("BUILT_FROM"));
        let requests = figures.requests();
        let tally = figures.connections();
        let ops = ops_server.begin(app, figures);
        let mut beside = tokio::task::JoinSet::new();
        let mut helpers = background::begin(app, &ops, self.health.clone(), with);
        if let Some(certificates) = self.certificates {
            helpers.spawn(certificates.watch(CERTIFICATE_PERIOD));
        }
        let (stop_worker, worker_stopped) = oneshot::channel::<()>();
        let worker = Worker::new(Arc::clone(app), Arc::new(Deliveries), WorkerLimits::default());
        let stopped = async {
            let _dropped_or_sent = worker_stopped.await;
        };
        beside.spawn(worker.run(stopped, self.limits.drain));
        let (stop_admin, admin_stopped) = watch::channel(());
        if let Some(admin) = self.admin {
            beside.spawn(admin.serve(Arc::clone(app), admin_stopped, self.limits.drain));
        }
        output::say(&self.welcome);
        tracing::info!("started: countersign {VERSION}, process {}", std::process::id());
        let (stop_apis, _) = watch::channel(());
        let mut serving = tokio::task::JoinSet::new();
        // One for all dialects: it is the process that has only so many.
        let connections = OpenConnections::new(self.limits.connections, self.proxies.clone(), tally);
        for (listeners, dialect) in self.apis {
            let protocol = Protocol::of(dialect, |http| {
                let boundary = Boundary::new(http, Arc::clone(&requests), app.entropy.as_ref());
                boundary.set_up(self.proxies.clone(), self.pages.clone())
            });
            let mut stopped = stop_apis.subscribe();
            let connections = Arc::clone(&connections);
            let stopped = async move {
                let _changed_or_dropped = stopped.changed().await;
            };
            serving.spawn(server::run_among(
                connections,
                listeners,
                protocol,
                self.limits,
                stopped,
            ));
        }
        service_manager::tell_ready();
        let served = until_signal_or_failure(app, signals).await;
        service_manager::tell_ending();
        *more_time = Some(MoreTime::to_end(
            self.drain_delay + self.limits.drain + LAST_WORDS,
        ));
        ops.drain();
        self.health.send_replace(ServerHealth::Ending);
        // Nobody can be served any more whose store has failed.
        if served.is_ok() && !self.drain_delay.is_zero() {
            connections.send_away();
            tracing::info!(
                "not ready from now on; requests are served for another {} s (drain_delay_seconds)",
                self.drain_delay.as_secs()
            );
            tokio::time::sleep(self.drain_delay).await;
        }
        // Whoever waits is answered now; the drain is for those who are at work.
        app.memory.waiters.close();
        stop_admin.send_replace(());
        drop(stop_apis);
        // What the last requests announce is delivered after the next start. Where others share the store there may be none
        // for long, and they would have to find it first.
        if app.shares_store() {
            while serving.join_next().await.is_some() {}
        }
        drop(stop_worker);
        while serving.join_next().await.is_some() {}
        // Operators see the end of the drain; certificates are of no more use.
        helpers.shutdown().await;
        let told = tokio::time::timeout(LAST_WORDS, audit::seal::tell_the_rest(app)).await;
        if told.is_err() {
            tracing::warn!("what was not written into the audit log yet is lost: the store does not answer");
        }
        while beside.join_next().await.is_some() {}
        ops_server.stop().await;
        served
    }
}

/// Waits for a signal to stop. A store that has failed ends the server as well: what it has acknowledged is found by the next
/// start, and until then nothing could be answered.
async fn until_signal_or_failure(app: &App, signals: Signals) -> Result<(), Failure> {
    let mut stopping = Box::pin(signals.stop());
    let failed = async {
        loop {
            if let StoreCondition::Failed(reason) = app.engine.condition() {
                return reason;
            }
            tokio::time::sleep(STORE_PERIOD).await;
        }
    };
    tokio::select! {
        () = &mut stopping => Ok(()),
        reason = failed => {
            tracing::error!("stopping: the store failed");
            // A signal still ends what takes too long.
            tokio::spawn(stopping);
            Err(Failure::unwritable(format!("the store failed: {reason}")))
        }
    }
}

/// How long the store may take for what the audit log is told at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often it is asked whether the store has failed.
const STORE_PERIOD: Duration = Duration::from_millis(250);

const CERTIFICATE_PERIOD: Duration = Duration::from_secs(2);
