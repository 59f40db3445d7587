//! Web Push: enrolled through the API, delivered to a push service on the loopback, read by a user agent that was written
//! from the RFCs.

mod answers;
mod delivering;
mod enrolment;
mod push_service;
mod user_agent;
mod vapid;

use std::sync::Arc;

use self::push_service::{LoopbackClient, PushService};
use self::user_agent::UserAgent;
use crate::support::device::borrowed;
use crate::support::world::sid_of;
use crate::support::{Device, TestApp, User};
use countersign::app::App;
use countersign::delivery::Senders;
use countersign::delivery::web_push::{Sent, WebPush};
use countersign::domain::challenge::Challenge;
use countersign::domain::factor::{Factor, FactorKind, NotificationChannel, WebPushSubscription};
use countersign::domain::sid::{AccountSid, ServiceSid};
use countersign::domain::text::Identity;
use countersign::flows::actor::Actor;
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
        let found = factor::fetch(app, &self.actor(), service, &identity, sid).await;
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
        let found = challenge::fetch(app, &self.actor(), service, &identity, sid).await;
        found.unwrap().1
    }

    /// Sends the notification of the challenge at `path` once.
    async fn deliver(&self, app: &App, path: &str) -> Sent {
        let (subscription, challenge) = (self.subscription(app).await, self.challenge(app, path).await);
        deliver_web_push(app, &subscription, &challenge).await
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

/// The server's parts, which reach the loopback.
fn connected(server: &TestApp) -> App {
    let mut senders = Senders::default();
    let sender = &mut senders.web_push;
    *sender = WebPush::new(Arc::new(LoopbackClient::default()));
    App {
        senders: Arc::new(senders),
        ..App::clone(&server.app)
    }
}
