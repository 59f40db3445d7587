//! The server that clients log in at: its key, and what it is to do beside the protocol.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use countersign::app::App;
use countersign::delivery::Senders;
use countersign::delivery::codes::{
    CodeMessage, CodeSender, CodeSenders, ConfiguredSender, SenderKind, Sent,
};
use countersign::dialect::telegram::connection::dialect;
use countersign::dialect::telegram::handshake::HandshakeKeys;
use countersign::dialect::telegram::rsa_key::RsaKey;
use countersign::dialect::telegram::settings::{ClientApp, LoginSettings};
use countersign::domain::channel::Channel;
use countersign::domain::client_key::KeyLives;
use countersign::domain::country::Country;
use countersign::domain::sender_name::SenderName;
use countersign::server::{ClientLimits, Listener};
use serde_json::{Value, json};

use crate::foreign::python;
use crate::serving::http::{Served, serve_dialect};
use crate::support::called::{CalledServer, converse};

/// The program that may log in, and what it shows.
pub(super) const API_ID: i32 = 12_345;
pub(super) const API_HASH: &str = "0123456789abcdef0123456789abcdef";

/// How long keys are kept without a use, with a login.
pub(super) const KEY_LIFE: Duration = Duration::from_hours(24 * 30);

/// A server that is spoken to in two protocols.
pub(super) struct LoginServer {
    pub(super) called: CalledServer,
    pub(super) served: Served,
}

impl LoginServer {
    pub(super) async fn new() -> Self {
        let called = CalledServer::new().await;
        let served = serve(&called, "127.0.0.1:0");
        Self { called, served }
    }

    pub(super) fn app(&self) -> &Arc<App> {
        &self.called.server.app
    }

    /// Another process on the same store, at the same address: what only memory held is gone.
    async fn restart(&mut self) {
        let address = self.served.address.to_string();
        let store = Arc::clone(&self.app().engine);
        self.called.server = self.called.server.restarted(store);
        let next = Served {
            ..serve(&self.called, "127.0.0.1:0")
        };
        let Served { stop, ended, .. } = std::mem::replace(&mut self.served, next);
        drop(stop);
        ended.await.unwrap();
        // The port is free now.
        self.served = serve(&self.called, &address);
    }

    /// Runs a script of `tests/it/python`, which must succeed.
    pub(super) async fn run(mut self, script: &str, modules: &[&str]) {
        let mut script = python(script, modules);
        script
            .arg(self.served.address.port().to_string())
            .arg(key().public_pem())
            .arg(API_ID.to_string())
            .arg(API_HASH);
        converse(script, async |wish: Value| match wish["do"].as_str() {
            Some("restart") => {
                self.restart().await;
                json!(null)
            }
            _ => self.called.grant(&wish).await,
        })
        .await;
    }
}

fn serve(called: &CalledServer, address: &str) -> Served {
    let settings = LoginSettings {
        apps: vec![ClientApp {
            api_id: API_ID,
            api_hash: API_HASH.to_owned().into(),
        }],
        account: Some(called.accounts[0].user.parse().unwrap()),
        key_lives: KeyLives {
            logged_in: KEY_LIFE,
            otherwise: Duration::from_hours(24),
        },
    };
    let dialect = dialect(called.server.app.clone(), HandshakeKeys::new(key()), settings);
    let listener = Listener::plain(address.parse().unwrap()).unwrap();
    serve_dialect(listener, dialect.speaks, ClientLimits::default())
}

/// One for all tests: to make one takes a while.
pub(super) fn key() -> RsaKey {
    RsaKey::from_pem(key_text()).unwrap()
}

/// The same as it is kept.
pub(super) fn key_text() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| RsaKey::generate().unwrap().1.to_string())
}

/// A sender of messages and calls to the United States that takes everything.
pub(super) fn senders() -> Senders {
    let sender = ConfiguredSender {
        name: SenderName::parse("first").unwrap(),
        kind: SenderKind::Http,
        channels: vec![Channel::Sms, Channel::Call],
        countries: Some(vec![Country::parse("US").unwrap()]),
        messaging_service: None,
        price: None,
        sender: Arc::new(Taking),
    };
    Senders {
        codes: CodeSenders::new(vec![sender]),
        ..Senders::default()
    }
}

#[derive(Debug)]
struct Taking;

#[async_trait]
impl CodeSender for Taking {
    async fn send(&self, _message: &CodeMessage) -> Sent {
        Sent::delivered(None)
    }
}
