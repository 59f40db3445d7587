//! What has to go well before a server serves: listeners, the first account, what is spoken where.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use url::Url;

use crate::app::App;
use crate::cli::admin::socket::AdminSocket;
use crate::cli::banner::{self, Door};
use crate::cli::open::Opened;
use crate::cli::senders::code_senders;
use crate::cli::{Failure, telegram};
use crate::config::senders::Sender;
use crate::config::{Bootstrap, Certificate, OutboundSettings, Tls};
use crate::delivery::Senders;
use crate::delivery::http::{AddressGuard, HttpClient, HttpPolicy, SystemNames};
use crate::delivery::push::{Addresses, PushProviders};
use crate::dialect::{Dialect, Speaks, signal, together, twilio, vonage, zitadel};
use crate::domain::text::FriendlyName;
use crate::flows::account;
use crate::flows::outbox::count_waiting;
use crate::flows::relearn::relearn;
use crate::server::tls::Certificates;
use crate::server::{ClientLimits, Listener, self_signed};
use crate::web::client_address::TrustedProxies;
use crate::web::cross_origin::PageOrigins;
use crate::web::docs::{self, ManualScope};
use crate::web::public_url::PublicUrl;
use crate::web::rpc::{ServerHealth, about};

/// Everything that can go wrong at the start has gone well.
pub(super) struct Started {
    /// One entry for each dialect.
    pub(super) apis: Vec<(Vec<Listener>, Dialect)>,
    pub(super) admin: Option<AdminSocket>,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) proxies: TrustedProxies,
    pub(super) pages: PageOrigins,
    pub(super) limits: ClientLimits,
    /// For how long it is still served behind the signal to stop.
    pub(super) drain_delay: Duration,
    /// Where clients are told how the server is.
    pub(super) health: watch::Sender<ServerHealth>,
    pub(super) welcome: String,
}

impl Started {
    pub(super) async fn new(
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
        let shelf = if network.public_docs {
            ManualScope::Whole
        } else {
            ManualScope::Errors
        };
        // The store answered all that was asked above.
        let (health, told) = watch::channel(ServerHealth::Serving);
        let mut apis = vec![(api, spoken(&opened.app, public_url, signal, shelf, told)?)];
        apis.extend(telegram.map(|(listener, dialect)| (vec![listener], dialect)));
        Ok(Self {
            welcome: lines + &welcome,
            apis,
            health,
            admin: admin.ok(),
            certificates,
            proxies: TrustedProxies::these(network.trusted_proxies.unwrap_or_default()),
            pages: PageOrigins::these(&network.cors_origins.unwrap_or_default()).with_calls_of(
                zitadel::claims,
                zitadel.zitadel_cors_origins.as_deref().unwrap_or_default(),
            ),
            drain_delay: network.drain_delay_seconds.unwrap_or_else(|| {
                // Whoever runs several servers has something in front of them.
                if opened.app.shares_store() {
                    BALANCER_NOTICES
                } else {
                    Duration::ZERO
                }
            }),
            limits: ClientLimits {
                connections: network.max_connections,
                ..ClientLimits::default()
            },
        })
    }
}

pub(super) fn senders(outbound: OutboundSettings, codes: Vec<Sender>) -> Senders {
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
pub(super) fn warn_of_log_senders(app: &App) {
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
    shelf: ManualScope,
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
            (docs::claims, docs::http(shelf)),
        ],
    );
    Ok(Dialect {
        name: "twilio, signal, vonage, zitadel",
        speaks: Speaks::Http(all),
    })
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

pub(super) fn occupied(key: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::new(format!("{key}: cannot listen on {address}: {error}"))
}

/// After how long a load balancer that asks every other second has noticed that a server is not ready.
const BALANCER_NOTICES: Duration = Duration::from_secs(5);
