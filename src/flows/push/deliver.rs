//! Wakes the device of a factor.

use async_trait::async_trait;

use super::web_push::deliver_web_push;
use crate::app::App;
use crate::delivery::DeliveryOutcome;
use crate::delivery::push::apns::ApnsAccess;
use crate::delivery::push::fcm::FcmAccess;
use crate::delivery::push::{PushMessage, PushOutcome, PushProvider as _};
use crate::domain::challenge::{Challenge, ChallengeStatus};
use crate::domain::circuit::FailureScope;
use crate::domain::credential::{Credential, CredentialKey};
use crate::domain::entity::EntityScope;
use crate::domain::events::{OutboxMessage, OutboxRow};
use crate::domain::factor::{FactorKind, FactorStatus, NotificationChannel, PushFactor, Unreachable};
use crate::domain::outbox::Receiver;
use crate::domain::service::Service;
use crate::domain::sid::{CredentialSid, FactorSid};
use crate::domain::text::{ApnsTopic, Message};
use crate::flows::outbox::Parcel;
use crate::flows::reading::{NotRead, Reading};
use crate::flows::{Fault, account, credential, factor, retry_on_conflict};
use crate::memory::delivery_routes::DeliveryRoute;
use crate::store::{Batch, keys};

/// A notification on its way to a device.
#[derive(Debug, Default)]
pub struct PushParcel {
    /// Which transport was tried, once one was.
    provider: Option<&'static str>,
}

#[async_trait]
impl Parcel for PushParcel {
    async fn deliver(&mut self, app: &App, row: &OutboxRow) -> DeliveryOutcome {
        deliver_over(app, row, &mut self.provider).await
    }

    fn route(&self, _app: &App) -> DeliveryRoute {
        DeliveryRoute {
            what: "push",
            provider: self.provider.unwrap_or("unknown"),
            sender: None,
        }
    }
}

/// Sends the notification of `row` with the transport that the factor names now, and notes in the factor what the
/// transport says of it.
pub async fn deliver_push(app: &App, row: &OutboxRow) -> DeliveryOutcome {
    deliver_over(app, row, &mut None).await
}

/// The same; notes which transport is tried.
async fn deliver_over(app: &App, row: &OutboxRow, provider: &mut Option<&'static str>) -> DeliveryOutcome {
    match deliver(app, row, provider).await {
        Ok(outcome) => outcome,
        // What it is about is gone.
        Err(NotRead::Absent) => DeliveryOutcome::Obsolete,
        Err(NotRead::Failed(fault)) => DeliveryOutcome::Retry {
            why: fault.to_string(),
            after: None,
            about: FailureScope::Recipient { status: 0 },
        },
    }
}

async fn deliver(
    app: &App,
    row: &OutboxRow,
    provider: &mut Option<&'static str>,
) -> Result<DeliveryOutcome, NotRead> {
    let Some(notice) = Notice::read(app, row).await? else {
        return Ok(DeliveryOutcome::Obsolete);
    };
    let message = PushMessage {
        id: row.sid,
        challenge: notice.challenge.sid,
        factor: notice.factor,
        text: notice.text(),
        expires_at: notice.challenge.expires_at,
    };
    *provider = match &notice.push.notification {
        NotificationChannel::Apn(_) => Some("apns"),
        NotificationChannel::Fcm(_) => Some("fcm"),
        NotificationChannel::WebPush(_) => Some("web_push"),
        NotificationChannel::None => None,
    };
    let push = &notice.service.settings.push;
    // Each transport has an arm: which credential it needs, and how it sends.
    let (credential, sent) = match &notice.push.notification {
        NotificationChannel::Apn(_) => {
            let sid = push.apn_credential_sid;
            (sid, notice.send_with(app, sid, &message).await?)
        }
        NotificationChannel::Fcm(_) => {
            let sid = push.fcm_credential_sid;
            (sid, notice.send_with(app, sid, &message).await?)
        }
        NotificationChannel::WebPush(subscription) => {
            if notice.push.unreachable_with(None).is_some() {
                return Ok(DeliveryOutcome::Obsolete);
            }
            let sent = deliver_web_push(app, subscription, &message).await;
            // A device that has changed its transport since is still in the lane of those that it shared one with.
            let shares = !matches!(row.message.lane().receiver, Receiver::Factor(_));
            (None, if shares { sent.of_one_device() } else { sent })
        }
        NotificationChannel::None => return Ok(DeliveryOutcome::Obsolete),
    };
    match sent {
        PushOutcome::Settled(outcome) => Ok(outcome),
        PushOutcome::Unregistered { why } => Ok(notice.lose(app, credential, &why).await?),
    }
}

/// What a row is about, as it is now.
struct Notice {
    scope: EntityScope,
    service: Service,
    factor: FactorSid,
    push: PushFactor,
    challenge: Challenge,
}

impl Notice {
    /// `None` if there is nobody to tell or nothing to tell any more.
    async fn read(app: &App, row: &OutboxRow) -> Result<Option<Self>, NotRead> {
        let OutboxMessage::Push {
            service,
            identity,
            entity,
            factor,
            challenge,
            expires_at,
            account,
            // Which key it has by now is looked up.
            credential: _,
        } = &row.message
        else {
            return Ok(None);
        };
        let now = app.clock.now();
        if now >= *expires_at {
            return Ok(None);
        }
        let scope = EntityScope {
            account: *account,
            service: *service,
            identity: identity.clone(),
            entity: *entity,
        };
        let owner = keys::service(scope.account, scope.service);
        let factor_key = keys::factor(&scope, *factor);
        let key = keys::challenge(&scope, *challenge);
        let payer = keys::account(scope.account);
        let mut reading = Reading::new(app);
        reading
            .prefetch([owner.bytes(), factor_key.bytes(), key.bytes(), payer.bytes()])
            .await?;
        let service = reading.require(&owner).await?;
        let found = reading.require(&factor_key).await?;
        let challenge = reading.require(&key).await?;
        let waits = challenge.status(now) == ChallengeStatus::Pending;
        // Nothing leaves in the name of a suspended account.
        let heard =
            found.status == FactorStatus::Verified && account::is_active(&mut reading, scope.account).await?;
        match found.kind {
            // Whoever reported a challenge is left in peace by those that were asked before, too.
            FactorKind::Push(push) if waits && heard && push.guard.paused_until(now).is_none() => {
                Ok(Some(Self {
                    scope,
                    service,
                    factor: *factor,
                    push: *push,
                    challenge,
                }))
            }
            FactorKind::Push(_) | FactorKind::Totp(_) => Ok(None),
        }
    }

    fn text(&self) -> &str {
        let details = self.challenge.details.as_ref();
        details
            .and_then(|details| details.message.as_ref())
            .map_or("", Message::as_str)
    }

    /// Sends with the provider whose credential the service names.
    async fn send_with(
        &self,
        app: &App,
        sid: Option<CredentialSid>,
        message: &PushMessage<'_>,
    ) -> Result<PushOutcome, Fault> {
        let provider = match self.push.notification {
            NotificationChannel::Apn(_) => "APNs",
            NotificationChannel::Fcm(_) => "FCM",
            NotificationChannel::None | NotificationChannel::WebPush(_) => "push",
        };
        let refused = |why: String| PushOutcome::Settled(DeliveryOutcome::Refused { why });
        let missing = || {
            let service = self.scope.service;
            refused(format!(
                "service {service} names no {provider} credential, which the device's platform needs; create one and name \
                 it in the service's settings"
            ))
        };
        let Some(sid) = sid else {
            return Ok(missing());
        };
        if self.push.unreachable_with(Some(sid)).is_some() {
            return Ok(PushOutcome::Settled(DeliveryOutcome::Obsolete));
        }
        let (credential, secret) = match credential::opened(app, self.scope.account, sid).await {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(missing()),
            Err(fault @ (Fault::Corrupt(_) | Fault::KeyGone(_))) => return Ok(refused(fault.to_string())),
            Err(fault) => return Err(fault),
        };
        let sent = self.send(app, &credential, &secret, message).await;
        Ok(sent.unwrap_or_else(missing))
    }

    /// `None` if the credential is another provider's.
    async fn send(
        &self,
        app: &App,
        credential: &Credential,
        secret: &str,
        message: &PushMessage<'_>,
    ) -> Option<PushOutcome> {
        let now = app.clock.now();
        let senders = &app.senders.push;
        match (&self.push.notification, &credential.key) {
            (NotificationChannel::Apn(token), CredentialKey::Apn(apn)) => {
                let access = ApnsAccess {
                    private_key: secret,
                    key_id: &apn.key_id,
                    team_id: &apn.team_id,
                    topic: apn
                        .topic
                        .as_ref()
                        .map_or(self.push.app_id.as_str(), ApnsTopic::as_str),
                    sandbox: apn.sandbox,
                };
                Some(senders.apns.send(&access, token, message, now).await)
            }
            (NotificationChannel::Fcm(token), CredentialKey::Fcm { .. }) => {
                let access = FcmAccess {
                    service_account: secret,
                };
                Some(senders.fcm.send(&access, token, message, now).await)
            }
            (NotificationChannel::Apn(_), CredentialKey::Fcm { .. })
            | (NotificationChannel::Fcm(_), CredentialKey::Apn(_))
            | (NotificationChannel::None | NotificationChannel::WebPush(_), _) => None,
        }
    }

    /// Notes that the transport does not know the device any more. If the device has told of a new token meanwhile, the
    /// notification is sent there.
    async fn lose(
        &self,
        app: &App,
        credential: Option<CredentialSid>,
        why: &str,
    ) -> Result<DeliveryOutcome, Fault> {
        let Some(lost) = retry_on_conflict(app, || self.mark(app, credential, why)).await? else {
            return Ok(DeliveryOutcome::Obsolete);
        };
        if !lost {
            return Ok(DeliveryOutcome::Retry {
                why: format!("the device's token was replaced while the old one was tried ({why})"),
                after: None,
                about: FailureScope::Recipient { status: 0 },
            });
        }
        tracing::info!(
            factor = %self.factor,
            "the device of factor {} is not notified any more until it sends a new token: {why}",
            self.factor
        );
        Ok(DeliveryOutcome::Obsolete)
    }

    /// Whether the token was the factor's still; `None` without the factor.
    async fn mark(
        &self,
        app: &App,
        credential: Option<CredentialSid>,
        why: &str,
    ) -> Result<Option<bool>, Fault> {
        let key = keys::factor(&self.scope, self.factor);
        let mut reading = Reading::new(app);
        let Some(mut factor) = reading.get(&key).await? else {
            return Ok(None);
        };
        let FactorKind::Push(push) = &mut factor.kind else {
            return Ok(Some(false));
        };
        let unreachable = Unreachable {
            since: app.clock.now(),
            why: why.to_owned(),
            credential,
        };
        if !push.lose(&self.push.notification, unreachable) {
            return Ok(Some(false));
        }
        let batch = factor::put(app, Batch::new(), key, &factor)?;
        reading.commit(batch).await?;
        Ok(Some(true))
    }
}
