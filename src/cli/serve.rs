//! `countersign serve`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use url::Url;

use super::admin::socket::AdminSocket;
use super::banner::{self, Door};
use super::open::{OpenPurpose, Opened, open};
use super::senders::code_senders;
use super::signals::Signals;
use super::{Failure, output, telegram};
use crate::app::App;
use crate::config::senders::Sender;
use crate::config::{Bootstrap, Certificate, Config, OutboundSettings, Tls};
use crate::delivery::Senders;
use crate::delivery::http::{AddressGuard, HttpClient, HttpPolicy, SystemNames};
use crate::delivery::push::{Addresses, PushProviders};
use crate::dialect::{Dialect, Speaks, signal, together, twilio, vonage, zitadel};
use crate::domain::text::FriendlyName;
use crate::flows::deliveries::Deliveries;
use crate::flows::outbox::count_waiting;
use crate::flows::outbox::worker::{Limits as WorkerLimits, Worker};
use crate::flows::relearn::{self, relearn};
use crate::flows::verification::PlanKeeper;
use crate::flows::{account, challenge, news, sweep};
use crate::server::connections::OpenConnections;
use crate::server::tls::Certificates;
use crate::server::{self, ClientLimits, Listener, Protocol, self_signed};
use crate::web::boundary::Boundary;
use crate::web::client_address::TrustedProxies;
use crate::web::cross_origin::PageOrigins;
use crate::web::ops::{self, Ops};
use crate::web::public_url::PublicUrl;
use crate::web::rpc::{ServerHealth, about};

/// Serves until a signal comes.
pub(super) async fn serve(config: Config) -> Result<(), Failure> {
    // From here on a signal is kept until the server can act on it.
    let signals =
        Signals::new().map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))?;
    let opened = open(
        config.storage,
        config.policy,
        senders(config.outbound, config.senders),
        OpenPurpose::Use,
    )
    .await?;
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
    let served = match started {
        Ok(started) => {
            warn_of_log_senders(&opened.app);
            started.serve(&opened.app, signals).await;
            Ok(())
        }
        Err(failure) => Err(failure),
    };
    served.and(opened.close().await)
}

fn senders(outbound: OutboundSettings, codes: Vec<Sender>) -> Senders {
    let guard = AddressGuard::allowing(outbound.outbound_allow.unwrap_or_default());
    // One for each, so that names that devices chose are not in the way of webhooks. Together they hold no more threads than
    // is good.
    let names = || Arc::new(SystemNames::default());
    let push_services = HttpClient::new(HttpPolicy::push_services(guard.clone(), names()));
    let addresses = Addresses {
        apns: Some(outbound.apns_url),
        apns_sandbox: Some(outbound.apns_sandbox_url),
        fcm: Some(outbound.fcm_url),
        fcm_tokens: outbound.fcm_token_url,
        timeout: None,
    };
    Senders {
        codes: code_senders(codes),
        push: PushProviders::new(addresses, push_services),
        webhooks: HttpClient::new(HttpPolicy::webhooks(guard, names())),
    }
}

/// Whoever runs the server must know that its log is enough to use somebody's code.
fn warn_of_log_senders(app: &App) {
    if app.senders.codes.writes_to_log() {
        tracing::warn!(
            "codes are written to this log, where everybody who reads it can use them; configure senders to change that"
        );
    }
}

/// What is spoken on the main listeners.
fn spoken(
    app: &Arc<App>,
    public_url: PublicUrl,
    signal: crate::config::Signal,
    health: watch::Receiver<ServerHealth>,
) -> Result<Dialect, Failure> {
    let callers = if signal.needs_token {
        signal::Callers::Tokens
    } else {
        signal::Callers::Anybody(signal.account)
    };
    let registration = signal::http(Arc::clone(app), callers, signal.app_hash);
    let about = about::http(&[signal::DESCRIPTORS, zitadel::DESCRIPTORS], health)
        .map_err(|error| Failure::new(format!("cannot describe the services: {error}")))?;
    let all = together(
        twilio::http(Arc::clone(app), public_url),
        vec![
            (signal::claims, registration),
            (zitadel::claims, zitadel::http(Arc::clone(app))),
            (vonage::claims, vonage::http(Arc::clone(app))),
            (about::claims, about),
        ],
    );
    Ok(Dialect {
        name: "twilio, signal, vonage, zitadel",
        speaks: Speaks::Http(all),
    })
}

/// Everything that can go wrong at the start has gone well.
struct Started {
    /// One entry for each dialect.
    apis: Vec<(Vec<Listener>, Dialect)>,
    ops: Option<Listener>,
    admin: Option<AdminSocket>,
    certificates: Option<Arc<Certificates>>,
    proxies: TrustedProxies,
    pages: PageOrigins,
    limits: ClientLimits,
    /// Where clients are told how the server is.
    health: watch::Sender<ServerHealth>,
    welcome: String,
}

impl Started {
    async fn new(
        opened: &Opened,
        network: crate::config::NetworkSettings,
        signal: crate::config::Signal,
        telegram: crate::config::telegram::Telegram,
        zitadel: &crate::config::ZitadelSettings,
        tls: Option<Tls>,
        bootstrap: Option<Bootstrap>,
    ) -> Result<Self, Failure> {
        let mut api = Vec::new();
        let mut door = None;
        if let Some(address) = network.listen {
            let plain = Listener::plain(address).map_err(|error| occupied("listen", address, &error))?;
            if network.public_url.is_none() && !plain.address().ip().is_loopback() {
                tracing::warn!(
                    "public_url is not set, so URLs in answers begin with http:// and the Host header of the request, which \
                     is wrong behind a proxy that ends TLS"
                );
            }
            door = Some(Door::http(plain.address()));
            api.push(plain);
        }
        let mut certificates = None;
        if let Some(Tls { listen, certificate }) = tls {
            let (listener, shown, beside) = https(listen, certificate, opened, network.public_url.as_ref())?;
            door.get_or_insert(beside);
            api.push(listener);
            certificates = Some(shown);
        }
        let Some(door) = door else {
            return Err(Failure::new("listen: there is no listener (see tls_listen)"));
        };
        let ops = match network.ops_listen {
            Some(address) => {
                Some(Listener::plain(address).map_err(|error| occupied("ops_listen", address, &error))?)
            }
            None => None,
        };
        let admin = AdminSocket::bind(opened.directory.path());
        let admin = admin.inspect_err(|error| {
            tracing::warn!(
                "no admin socket, so account and key commands need the server to be stopped: {error}"
            );
        });
        relearn(&opened.app)
            .await
            .map_err(|error| Failure::new(format!("cannot read the attempts: {error}")))?;
        count_waiting(&opened.app)
            .await
            .map_err(|error| Failure::new(format!("cannot count what waits in the outbox: {error}")))?;
        let welcome = first_account(&opened.app, bootstrap, &door).await?;
        let telegram = telegram::listener(telegram, opened.directory.path(), &opened.app).await?;
        let mut lines = api.iter().fold(String::new(), |lines, listener| {
            lines + "listening on " + &listener.url() + "\n"
        });
        if let Some((listener, _)) = &telegram {
            lines = lines + "listening on mtproto://" + &listener.address().to_string() + "\n";
        }
        let public_url = network
            .public_url
            .as_ref()
            .map_or_else(PublicUrl::from_requests, PublicUrl::fixed);
        // The store answered all that was asked above.
        let (health, told) = watch::channel(ServerHealth::Serving);
        let mut apis = vec![(api, spoken(&opened.app, public_url, signal, told)?)];
        apis.extend(telegram.map(|(listener, dialect)| (vec![listener], dialect)));
        Ok(Self {
            welcome: lines + &welcome,
            apis,
            health,
            ops,
            admin: admin.ok(),
            certificates,
            proxies: TrustedProxies::these(network.trusted_proxies.unwrap_or_default()),
            pages: PageOrigins::these(&network.cors_origins.unwrap_or_default()).with_calls_of(
                zitadel::claims,
                zitadel.zitadel_cors_origins.as_deref().unwrap_or_default(),
            ),
            limits: ClientLimits {
                connections: network.max_connections,
                ..ClientLimits::default()
            },
        })
    }

    async fn serve(self, app: &Arc<App>, signals: Signals) {
        let ops = Arc::new(Ops {
            app: Arc::clone(app),
            requests: Arc::default(),
            draining: AtomicBool::new(false),
        });
        let (stop_ops, ops_stopped) = oneshot::channel::<()>();
        let mut beside = tokio::task::JoinSet::new();
        if let Some(listener) = self.ops {
            tracing::info!("serving /health, /ready and /metrics on {}", listener.url());
            let http = ops::http(Arc::clone(&ops));
            let protocol = Protocol::Http(Boundary::new(http, Arc::default(), app.entropy.as_ref()));
            let limits = ClientLimits {
                connections: 64,
                drain: Duration::from_secs(1),
                ..self.limits
            };
            beside.spawn(server::run(vec![listener], protocol, limits, async {
                let _dropped_or_sent = ops_stopped.await;
            }));
        }
        let mut helpers = tokio::task::JoinSet::new();
        if let Some(certificates) = self.certificates {
            helpers.spawn(certificates.watch(CERTIFICATE_PERIOD));
        }
        let reclaiming = Arc::clone(app);
        helpers.spawn(async move {
            // Behind a long rest: first what expired is announced, then it is reclaimed.
            let _logged_below = challenge::expire_due(&reclaiming).await;
            sweep::keep_up(reclaiming).await;
        });
        helpers.spawn(tell_health(Arc::clone(&ops), self.health.clone()));
        helpers.spawn(expire_again_and_again(Arc::clone(app)));
        helpers.spawn(count_again_and_again(Arc::clone(app)));
        helpers.spawn(relearn::keep_up(Arc::clone(app)));
        helpers.spawn(advance_again_and_again(Arc::clone(app)));
        let telling = Arc::clone(app);
        helpers.spawn(async move {
            news::keep_up(telling).await;
        });
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
        let (stop_apis, _) = watch::channel(());
        let mut serving = tokio::task::JoinSet::new();
        // One for all dialects: it is the process that has only so many.
        let connections = OpenConnections::new(self.limits.connections, self.proxies.clone());
        for (listeners, dialect) in self.apis {
            let protocol = Protocol::of(dialect, |http| {
                let boundary = Boundary::new(http, Arc::clone(&ops.requests), app.entropy.as_ref());
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
        signals.stop().await;
        ops.draining.store(true, Ordering::Relaxed);
        self.health.send_replace(ServerHealth::Ending);
        // Whoever waits is answered now; the drain is for those who are at work.
        app.memory.waiters.close();
        stop_admin.send_replace(());
        // What the last requests announce is delivered after the next start.
        drop(stop_worker);
        drop(stop_apis);
        while serving.join_next().await.is_some() {}
        // Operators see the end of the drain; certificates are of no more use.
        helpers.shutdown().await;
        drop(stop_ops);
        while beside.join_next().await.is_some() {}
    }
}

/// Tells those who watch whenever the server begins or ceases to serve.
async fn tell_health(ops: Arc<Ops>, told: watch::Sender<ServerHealth>) {
    loop {
        tokio::time::sleep(HEALTH_PERIOD).await;
        let health = ops.health().await;
        // What ends does not begin anew.
        told.send_if_modified(|known| {
            let news = *known != health && *known != ServerHealth::Ending;
            if news {
                *known = health;
            }
            news
        });
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
    loop {
        let advanced = plans.go_on(&app).await;
        let next = advanced.as_ref().ok().copied().flatten();
        let rest = next.map_or(EXPIRY_PERIOD, |next| next.since(app.clock.now()));
        tokio::time::sleep(rest.min(EXPIRY_PERIOD)).await;
        if let (Err(error), false) = (&advanced, failing) {
            tracing::error!("some plans of verifications do not go on: {error}");
        }
        failing = advanced.is_err();
    }
}

fn https(
    listen: SocketAddr,
    certificate: Certificate,
    opened: &Opened,
    public_url: Option<&Url>,
) -> Result<(Listener, Arc<Certificates>, Door), Failure> {
    let (certificate, key, authority) = match certificate {
        Certificate::Files { certificate, key } => (certificate, key, None),
        Certificate::SelfSigned => {
            let host = public_url
                .and_then(Url::host_str)
                .map(|host| host.trim_matches(['[', ']']));
            let made = self_signed::ensure(&opened.directory.tls(), host).map_err(|error| {
                Failure::new(format!("tls_self_signed: cannot make a certificate: {error}"))
            })?;
            tracing::info!(
                "HTTPS with the self-signed certificate in {}",
                made.certificate.display()
            );
            (made.certificate.clone(), made.key, Some(made.certificate))
        }
    };
    let certificates = Certificates::load(certificate, key).map(Arc::new);
    let certificates = certificates.map_err(|error| Failure::new(format!("tls_cert, tls_key: {error}")))?;
    let settings = certificates
        .server_config()
        .map_err(|error| Failure::new(format!("tls_listen: {error}")))?;
    let listener = Listener::tls(listen, settings).map_err(|error| occupied("tls_listen", listen, &error))?;
    let door = Door::https(listener.address(), authority, public_url);
    Ok((listener, certificates, door))
}

/// Creates the first account of an empty store; what is to be said of it.
async fn first_account(app: &App, bootstrap: Option<Bootstrap>, door: &Door) -> Result<String, Failure> {
    let failure =
        |error: &dyn std::fmt::Display| Failure::new(format!("cannot create the first account: {error}"));
    let name = FriendlyName::parse("First account").map_err(|error| failure(&error))?;
    let Some(Bootstrap { sid, token }) = bootstrap else {
        let created = account::create_first(app, &name).await;
        let Some(new) = created.map_err(|error| failure(&error))? else {
            return Ok(String::new());
        };
        let program = std::env::current_exe().ok();
        let program = program
            .as_deref()
            .and_then(|path| path.to_str())
            .unwrap_or("countersign");
        return Ok(banner::first_account(&new, door, program));
    };
    let created = account::create_first_as(app, sid, &token, &name).await;
    if let Some(account) = created.map_err(|error| failure(&error))? {
        tracing::info!(
            "created the account {0} of COUNTERSIGN_BOOTSTRAP; `countersign account rotate-webhook-secret {0}` shows a \
             secret to check its webhooks with",
            account.sid
        );
        return Ok(String::new());
    }
    let found = account::find(app, Some(sid))
        .await
        .map_err(|error| failure(&error))?;
    if !matches!(found, account::FoundAccount::One(_)) {
        tracing::warn!(
            "COUNTERSIGN_BOOTSTRAP was ignored, because the store has accounts; add one with `countersign account create`"
        );
    }
    Ok(String::new())
}

fn occupied(key: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::new(format!("{key}: cannot listen on {address}: {error}"))
}

/// New timers are seen after so long at the latest; looking costs one row.
const EXPIRY_PERIOD: Duration = Duration::from_secs(1);
const CERTIFICATE_PERIOD: Duration = Duration::from_secs(2);
