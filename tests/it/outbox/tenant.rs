//! Rows of one account, as flows would write them.

use std::time::Duration;

use countersign::domain::entity::EntityScope;
use countersign::domain::events::{Event, EventType, OutboxMessage, OutboxRow, QueuedCode};
use countersign::domain::factor::FactorType;
use countersign::domain::outbox::Lane;
use countersign::domain::sender_name::SenderName;
use countersign::domain::sid::{
    AccountSid, AttemptSid, ChallengeSid, CredentialSid, EntitySid, EventSid, FactorSid, ServiceSid,
    VerificationSid, WebhookSid,
};
use countersign::domain::text::Identity;
use countersign::store::{Batch, keys};

use crate::support::TestApp;

/// What rows of one account are addressed with.
pub(super) struct Tenant<'a> {
    pub(super) server: &'a TestApp,
    pub(super) account: AccountSid,
    pub(super) number: u8,
}

impl Tenant<'_> {
    fn sid(&self, number: usize) -> [u8; 16] {
        let mut sid = [self.number; 16];
        sid[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
        sid
    }

    fn scope(&self) -> EntityScope {
        EntityScope {
            account: self.account,
            service: ServiceSid::from_bytes([self.number; 16]),
            identity: Identity::parse("user-0001").unwrap(),
            entity: EntitySid::from_bytes([self.number; 16]),
        }
    }

    pub(super) fn webhook(&self, number: usize) -> OutboxMessage {
        let now = self.server.app.clock.now();
        let factor = FactorSid::from_bytes(self.sid(number));
        OutboxMessage::Webhook {
            webhook: WebhookSid::from_bytes(self.sid(number)),
            event: Event::new(
                EventType::FactorCreated,
                now,
                &self.scope(),
                factor,
                FactorType::Totp,
            ),
        }
    }

    pub(super) fn push(&self, number: usize) -> OutboxMessage {
        let scope = self.scope();
        OutboxMessage::Push {
            service: scope.service,
            identity: scope.identity,
            entity: scope.entity,
            factor: FactorSid::from_bytes(self.sid(number)),
            challenge: ChallengeSid::from_bytes(self.sid(number)),
            expires_at: self.server.app.clock.now() + Duration::from_mins(10),
            account: self.account,
            credential: None,
        }
    }

    /// Of a user's device, with the one credential that there is.
    pub(super) fn push_with_credential(&self, user: usize, challenge: usize) -> OutboxMessage {
        let scope = self.scope();
        OutboxMessage::Push {
            service: scope.service,
            identity: scope.identity,
            entity: EntitySid::from_bytes(self.sid(user)),
            factor: FactorSid::from_bytes(self.sid(user)),
            challenge: ChallengeSid::from_bytes(self.sid(challenge)),
            expires_at: self.server.app.clock.now() + Duration::from_hours(2),
            account: self.account,
            credential: Some(CredentialSid::from_bytes([self.number; 16])),
        }
    }

    /// Of which user a push is.
    pub(super) fn user_of(message: &OutboxMessage) -> usize {
        let number = &message.target().recipient[..8];
        usize::try_from(u64::from_be_bytes(number.try_into().unwrap())).unwrap()
    }

    pub(super) fn code(&self, number: usize, sender: &str) -> OutboxMessage {
        OutboxMessage::Code(QueuedCode {
            account: self.account,
            service: self.scope().service,
            verification: VerificationSid::from_bytes(self.sid(number)),
            send: 0,
            attempt: AttemptSid::from_bytes(self.sid(number)),
            sender: SenderName::parse(sender).unwrap(),
            expires_at: self.server.app.clock.now() + Duration::from_mins(10),
            refused: Vec::new(),
        })
    }

    /// Writes the rows, and has the worker look at them.
    pub(super) async fn send(&self, messages: Vec<OutboxMessage>) -> Vec<EventSid> {
        let app = &self.server.app;
        let (mut batch, mut sids, mut lanes) = (Batch::new(), Vec::new(), Vec::<Lane>::new());
        for message in messages {
            let sid = EventSid::generate(app.clock.now(), app.sids.as_ref());
            let row = OutboxRow::new(sid, app.clock.now(), message);
            let key = keys::outbox_row(row.message.lane(), sid);
            batch = match row.message.reclaimed_at() {
                Some(until) => batch.put_record_until(key, &row, until).unwrap(),
                None => batch.put_record(key, &row).unwrap(),
            };
            sids.push(sid);
            lanes.push(row.message.lane());
        }
        app.store.commit(batch).await.unwrap();
        app.memory.wakeups.wake(lanes);
        sids
    }
}
