//! Web Push: enrolled through the API, delivered to a push service on the loopback, read by a user agent that was written
//! from the RFCs.

mod answers;
mod delivering;
mod enrolment;
mod push_service;
mod user_agent;
mod vapid;

use std::sync::Arc;
use std::time::Duration;

use self::push_service::PushService;
use self::user_agent::UserAgent;
use crate::doubles::TestParts;
use crate::support::device::borrowed;
use crate::support::world::sid_of;
use crate::support::{Device, TestApp, User};
use countersign::app::App;
use countersign::delivery::http::{AddressGuard, HttpClient, HttpPolicy, SystemNames};
use countersign::delivery::push::{Addresses, PushMessage, PushOutcome, PushProviders};
use countersign::delivery::{DeliveryOutcome, Senders};
use countersign::domain::challenge::Challenge;
use countersign::domain::entity::EntityName;
use countersign::domain::factor::{Factor, FactorKind, NotificationChannel, WebPushSubscription};
use countersign::domain::sid::{AccountSid, EventSid, ServiceSid};
use countersign::domain::text::{Identity, Message};
use countersign::flows::access::Actor;
use countersign::flows::push::web_push::deliver_web_push;
use countersign::flows::{challenge, factor};

/// A verified factor of platform `webpush`, and what its device subscribed to.
struct Subscribed {
    user: User,
    device: Device,
    agent: UserAgent,
}

impl Subscribed {
    async fn to(server: &TestApp, endpoint: &str) -> Self {
        let user = User::create(&server.client()).await;
        let mut device = Device::new();
        let agent = UserAgent::new(endpoint);
        let form = with_platform(&device, "webpush", Some(&agent.subscription()));
        let path = format!("{}/Factors", user.path);
        let answer = server.client().post(path, &borrowed(&form)).await;
        device.account = answer.text("account_sid");
        device.factor = answer.text("sid");
        let config = &answer.ok()["config"];
        config["credential_sid"]
            .as_str()
            .unwrap()
            .clone_into(&mut device.credential);
        device.entity.clone_from(&user.path);
        assert_eq!(device.verify(server).await.ok()["status"], "verified");
        Self { user, device, agent }
    }

    async fn factor(&self, app: &App) -> Factor {
        let (service, identity) = self.place();
        let sid = self.device.factor.parse().unwrap();
        let found = factor::fetch(app, self.actor(), &EntityName { service, identity }, sid).await;
        found.unwrap().1
    }

    async fn subscription(&self, app: &App) -> WebPushSubscription {
        match self.factor(app).await.kind {
            FactorKind::Push(push) => match push.notification {
                NotificationChannel::WebPush(subscription) => subscription,
                other => panic!("{other:?}"),
            },
            FactorKind::Totp(_) => panic!("no push factor"),
        }
    }

    async fn challenge(&self, app: &App, path: &str) -> Challenge {
        let (service, identity) = self.place();
        let sid = sid_of(path).parse().unwrap();
        let found = challenge::fetch(app, self.actor(), &EntityName { service, identity }, sid).await;
        found.unwrap().1
    }

    /// Sends the notification of the challenge at `path` once.
    async fn deliver(&self, app: &App, path: &str) -> PushOutcome {
        let (subscription, challenge) = (self.subscription(app).await, self.challenge(app, path).await);
        let details = challenge.details.as_ref();
        let text = details.and_then(|details| details.message.as_ref());
        let message = PushMessage {
            id: EventSid::from_bytes([1; 16]),
            challenge: challenge.sid,
            factor: challenge.factor,
            text: text.map_or("", Message::as_str),
            expires_at: challenge.expires_at,
        };
        deliver_web_push(app, &subscription, &message).await
    }

    fn actor(&self) -> Actor {
        Actor::Account(self.device.account.parse::<AccountSid>().unwrap())
    }

    fn place(&self) -> (ServiceSid, Identity) {
        let service = self.user.service.sid.parse().unwrap();
        (service, Identity::parse(&self.user.identity).unwrap())
    }
}

/// What a device sends to enrol with this platform and token.
fn with_platform(device: &Device, platform: &str, token: Option<&str>) -> Vec<(&'static str, String)> {
    let mut form = device.enrolment();
    form.retain(|(name, _)| *name != "Config.NotificationPlatform");
    form.push(("Config.NotificationPlatform", platform.to_owned()));
    form.extend(token.map(|token| ("Config.NotificationToken", token.to_owned())));
    form
}

/// The server's parts, which may reach this machine.
fn connected(server: &TestApp) -> App {
    let guard = AddressGuard::allowing(vec!["127.0.0.0/8".parse().unwrap()]);
    let policy = HttpPolicy {
        // Impatient, so that a test of patience is short.
        time: Duration::from_millis(500),
        ..HttpPolicy::push_services(guard, Arc::new(SystemNames::default()))
    };
    let push = PushProviders::new(Addresses::default(), HttpClient::new(policy));
    let senders = Senders {
        push,
        ..Senders::default()
    };
    TestParts {
        senders: Arc::new(senders),
        ..TestParts::of(&server.app)
    }
    .wire()
}

/// What is to be done if the push service is to be asked again.
#[expect(
    clippy::option_option,
    reason = "not retried, retried, and retried after a wait"
)]
fn retried(outcome: &PushOutcome) -> Option<Option<Duration>> {
    match outcome {
        PushOutcome::Settled(DeliveryOutcome::Retry { after, .. }) => Some(*after),
        _ => None,
    }
}

/// Whether nothing will make the push service take it.
fn is_refused(outcome: &PushOutcome) -> bool {
    matches!(outcome, PushOutcome::Settled(DeliveryOutcome::Refused { .. }))
}

const DELIVERED: PushOutcome = PushOutcome::Settled(DeliveryOutcome::Delivered);
