//! Webhooks: what leaves, signed by whom, and where it must never go.

mod blocked;
mod forgery;
mod hostile;
mod notices;
mod outcomes;
mod secrets;
mod signatures;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign::delivery::http::{AddressGuard, HttpClient, HttpPolicy, Names, SystemNames};
use countersign::delivery::{DeliveryOutcome, Senders};
use countersign::domain::events::{OutboxMessage, OutboxRow};
use countersign::flows::event::deliver_webhook;

use crate::support::world::sid_of;
use crate::support::{Client, TestApp, User};

/// A server that may reach this machine.
async fn server_on_loopback() -> TestApp {
    server_allowing(&["127.0.0.0/8"]).await
}

/// A server that may reach these networks beside the public internet.
async fn server_allowing(networks: &[&str]) -> TestApp {
    TestApp::sending(senders(policy(networks, Arc::new(SystemNames::default())))).await
}

/// That of webhooks, if these networks may be reached beside the public internet.
fn policy(networks: &[&str], names: Arc<dyn Names>) -> HttpPolicy {
    let allowed = networks.iter().map(|network| network.parse().unwrap());
    HttpPolicy::webhooks(AddressGuard::allowing(allowed.collect()), names)
}

/// Impatient, so that tests of patience are short; yet a busy machine answers in less. This machine may be reached.
fn impatient() -> HttpPolicy {
    HttpPolicy {
        time: PATIENCE,
        connect_time: PATIENCE / 2,
        ..policy(&["127.0.0.0/8"], Arc::new(SystemNames::default()))
    }
}

fn senders(policy: HttpPolicy) -> Senders {
    Senders {
        webhooks: HttpClient::new(policy),
        ..Senders::default()
    }
}

/// Names as a test has them; there are no others.
#[derive(Debug, Default)]
struct FakeNames(HashMap<&'static str, Vec<IpAddr>>);

impl FakeNames {
    fn of(names: &[(&'static str, &[&str])]) -> Arc<Self> {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let names = names.iter().map(|(name, texts)| (*name, addresses(texts)));
        Arc::new(Self(names.collect()))
    }
}

#[async_trait]
impl Names for FakeNames {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.0.get(host).cloned();
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "nobody knows it"))
    }
}

/// Creates a webhook that wants `events`; its path.
async fn subscribe(client: &Client<'_>, user: &User, url: &str, events: &str, version: &str) -> String {
    let form = [
        ("FriendlyName", "x"),
        ("WebhookUrl", url),
        ("EventTypes", events),
        ("Version", version),
    ];
    let webhooks = format!("{}/Webhooks", user.service.path);
    format!("{webhooks}/{}", client.post(&webhooks, &form).await.text("sid"))
}

/// A webhook that wants new factors, and a factor; the row that tells of it.
async fn one_row(server: &TestApp, url: &str) -> OutboxRow {
    let client = server.client();
    let user = User::create(&client).await;
    let webhook = subscribe(&client, &user, url, "factor.created", "v2").await;
    user.unverified_totp(&client, "one", &[]).await;
    let is_its = |row: &OutboxRow| match &row.message {
        OutboxMessage::Webhook { webhook: of, .. } => of.to_string() == sid_of(&webhook),
        OutboxMessage::Blocked { .. }
        | OutboxMessage::Code(_)
        | OutboxMessage::Notice { .. }
        | OutboxMessage::Push { .. } => false,
    };
    server.outbox().await.into_iter().find(is_its).unwrap()
}

/// What came of sending each row once, all of them at the same time, in the rows' order.
async fn deliver_all(server: &TestApp, rows: Vec<OutboxRow>) -> Vec<DeliveryOutcome> {
    let deliver = |row: OutboxRow| {
        let app = server.app.clone();
        async move { deliver_webhook(&app, &row).await }
    };
    crate::support::all_at_once(rows.into_iter().map(deliver)).await
}

/// How long an impatient server waits.
const PATIENCE: Duration = Duration::from_secs(2);
