//! Writes what is to be sent into the batch of the state change that it tells of.

use crate::app::App;
use crate::domain::challenge::Challenge;
use crate::domain::entity::EntityScope;
use crate::domain::events::{Event, EventType, OutboxMessage, OutboxRow};
use crate::domain::factor::{NotificationChannel, PushFactor};
use crate::domain::service::Service;
use crate::domain::time::Timestamp;
use crate::domain::toll_fraud::BlockEvent;
use crate::flows::Error;
use crate::store::{Batch, keys};

/// Adds a row for each webhook that wants `event`; none if nobody does.
pub(crate) fn announce(
    app: &App,
    service: &Service,
    event: &Event,
    mut batch: Batch,
) -> Result<Batch, Error> {
    for webhook in service.subscribers(event.event_type) {
        let message = OutboxMessage::Webhook {
            webhook,
            event: event.clone(),
        };
        let row = new_row(app, event.at, message);
        // It is the worker that gives it up: what the store reclaimed would be missing from the dead letters.
        batch = batch.put_new_record(keys::outbox_row(row.message.lane(), row.sid), &row)?;
    }
    Ok(batch)
}

/// Adds a row for each webhook that wants to hear that something is blocked; none if nobody does.
pub(crate) fn announce_block(
    app: &App,
    service: &Service,
    event: &BlockEvent,
    mut batch: Batch,
) -> Result<Batch, Error> {
    for webhook in service.subscribers(EventType::VerificationBlocked) {
        let message = OutboxMessage::Blocked {
            webhook,
            event: event.clone(),
        };
        let row = new_row(app, event.at, message);
        batch = batch.put_new_record(keys::outbox_row(row.message.lane(), row.sid), &row)?;
    }
    Ok(batch)
}

/// Adds a row that wakes the factor's device, if the service has what the device's platform asks for (a credential for
/// Apple's and Google's, nothing for Web Push) and the platform has not said that it does not know the device any more.
///
/// The row ends at `until`: a notification of a challenge that is over helps nobody.
pub(crate) fn notify_device(
    app: &App,
    (service, scope): (&Service, &EntityScope),
    challenge: &Challenge,
    push: &PushFactor,
    until: Timestamp,
    batch: Batch,
) -> Result<Batch, Error> {
    let credential = match &push.notification {
        NotificationChannel::Apn(_) => service.settings.push.apn_credential_sid,
        NotificationChannel::Fcm(_) => service.settings.push.fcm_credential_sid,
        NotificationChannel::None | NotificationChannel::WebPush(_) => None,
    };
    let reachable = match &push.notification {
        NotificationChannel::Apn(_) | NotificationChannel::Fcm(_) => credential.is_some(),
        NotificationChannel::None => false,
        NotificationChannel::WebPush(_) => true,
    };
    if !reachable || push.unreachable_with(credential).is_some() {
        return Ok(batch);
    }
    let message = OutboxMessage::Push {
        service: scope.service,
        identity: scope.identity.clone(),
        entity: scope.entity,
        factor: challenge.factor,
        challenge: challenge.sid,
        expires_at: until,
        account: scope.account,
        credential,
    };
    let row = new_row(app, app.clock.now(), message);
    Ok(batch.put_new_record_until(keys::outbox_row(row.message.lane(), row.sid), &row, until)?)
}

fn new_row(app: &App, now: Timestamp, message: OutboxMessage) -> OutboxRow {
    OutboxRow::new(
        app.memory.event_order.next(now, app.entropy.as_ref()),
        now,
        message,
    )
}
