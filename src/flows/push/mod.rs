//! Pushes: the notification that a challenge waits is queued in the commit of the challenge (`notify_device`), and wakes
//! the factor's device after it ([`deliver_push`]), by Apple's or Google's service or by Web Push ([`web_push`]).

mod deliver;
pub mod web_push;

pub use self::deliver::{PushParcel, deliver_push};

use crate::app::App;
use crate::domain::challenge::Challenge;
use crate::domain::entity::EntityScope;
use crate::domain::events::OutboxMessage;
use crate::domain::factor::{NotificationChannel, PushFactor};
use crate::domain::service::Service;
use crate::domain::time::Timestamp;
use crate::flows::outbox::put_new_row;
use crate::store::{Batch, StoreError};

/// Adds a row that wakes the factor's device, if the service has what the device's platform asks for (a credential for
/// Apple's and Google's, nothing for Web Push) and the platform has not said that it does not know the device any more.
///
/// The row ends at `until`: a notification of a challenge that is over helps nobody.
pub(crate) fn notify_device(
    app: &App,
    service: &Service,
    scope: &EntityScope,
    challenge: &Challenge,
    push: &PushFactor,
    until: Timestamp,
    batch: Batch,
) -> Result<Batch, StoreError> {
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
    let sid = challenge.push_sid(app.entropy.as_ref());
    put_new_row(batch, sid, message, app.clock.now())
}
