//! What leaves the server, as its receivers see it.

mod apns;
mod fcm;
mod provider_failure;

use std::time::Duration;

use std::sync::Arc;

use countersign::delivery::{DeliveryOutcome, Senders};
use countersign::domain::events::{OutboxMessage, OutboxRow};
use countersign::flows::push::deliver_push;
use countersign::store::memory::MemoryStore;
use serde_json::Value;

use crate::support::credentials::{apn_form, create_credential, fcm_form};
use crate::support::world::sid_of;
use crate::support::world::with_many_pushes;
use crate::support::{Device, Service, TestApp, User};

/// A user whose devices are woken by a provider.
struct Notified {
    server: TestApp,
    user: User,
    device: Device,
    token: String,
    platform: &'static str,
    credential: String,
}

impl Notified {
    async fn new(platform: &'static str, senders: Senders) -> Self {
        Self::with(platform, &[], senders).await
    }

    /// With more parameters of the credential.
    async fn with(platform: &'static str, more: &[(&'static str, &str)], senders: Senders) -> Self {
        let server = TestApp::with(Arc::new(MemoryStore::new()), with_many_pushes())
            .await
            .with_senders(senders);
        let client = server.client();
        let (mut form, setting) = match platform {
            "apn" => (apn_form(), "Push.ApnCredentialSid"),
            _ => (fcm_form(), "Push.FcmCredentialSid"),
        };
        form.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let credential = create_credential(&client, &form).await;
        let user = Service::create_with(&client, &[(setting, &credential)])
            .await
            .user("user-0001");
        let device = user.device(&server, &client).await;
        let token = "0123456789abcdef".repeat(4);
        let notified = Self {
            user,
            device,
            token,
            platform,
            credential,
            server: server.clone(),
        };
        let device = notified.device.clone();
        notified.set_token(&device, &notified.token).await;
        notified
    }

    /// The device says which token it has now.
    async fn set_token(&self, device: &Device, token: &str) {
        let form = [
            ("Config.NotificationPlatform", self.platform),
            ("Config.NotificationToken", token),
        ];
        device.on(&self.server).post(device.path(), &form).await.ok();
    }

    /// The path of a new challenge, and the row that tells of it.
    async fn challenge(&self) -> (String, OutboxRow) {
        self.challenge_of(&self.device).await
    }

    async fn challenge_of(&self, device: &Device) -> (String, OutboxRow) {
        let challenge = self.user.push_challenge(&self.server.client(), device).await;
        let rows = self.rows_of(&challenge).await;
        assert_eq!(rows.len(), 1);
        (challenge, rows.into_iter().next().unwrap())
    }

    /// The rows that tell of a challenge.
    async fn rows_of(&self, path: &str) -> Vec<OutboxRow> {
        let of = |row: &OutboxRow| matches!(&row.message, OutboxMessage::Push { challenge, .. } if challenge.to_string() == sid_of(path));
        self.server.outbox().await.into_iter().filter(of).collect()
    }

    /// What comes of the notification of a new challenge.
    async fn push(&self) -> DeliveryOutcome {
        let (_, row) = self.challenge().await;
        self.deliver(&row).await
    }

    async fn deliver(&self, row: &OutboxRow) -> DeliveryOutcome {
        deliver_push(&self.server.app, row).await
    }

    /// The factor's `config`.
    async fn config(&self, device: &Device) -> Value {
        let shown = self.server.client().get(device.path()).await.ok();
        shown["config"].clone()
    }
}

/// Whether it is worth another try, because of this and after so long.
#[track_caller]
fn assert_retry(outcome: &DeliveryOutcome, words: &str, seconds: Option<u64>) {
    match outcome {
        DeliveryOutcome::Retry { why, after, .. } => {
            assert!(why.contains(words), "{words} is not in: {why}");
            assert_eq!(*after, seconds.map(Duration::from_secs), "{why}");
        }
        other => panic!("{other:?} is no retry for {words}"),
    }
}

#[track_caller]
fn assert_refused(outcome: &DeliveryOutcome, words: &str) {
    match outcome {
        DeliveryOutcome::Refused { why } => assert!(why.contains(words), "{words} is not in: {why}"),
        other => panic!("{other:?} is no refusal for {words}"),
    }
}
