//! Everything that a sending asks and writes, in this order; each may refuse, and nothing is changed then.

use crate::app::App;
use crate::domain::channel::Channel;
use crate::domain::phone::PhoneNumber;
use crate::domain::refusal::Refusal;
use crate::domain::service::Service;
use crate::domain::time::Timestamp;
use crate::domain::verification::{NewCode, Try, Verification};
use crate::flows::Error;
use crate::flows::code_delivery::attempts::price;
use crate::flows::code_delivery::enqueue::enqueue;
use crate::flows::code_delivery::route::route;
use crate::flows::toll_fraud::admit::{Admission, Admittance, admit};
use crate::store::Batch;

/// What is to be sent, and how.
pub(super) struct Order<'a> {
    /// Over which channel.
    pub(super) channel: Channel,
    /// The code from now on, if it is another one.
    pub(super) new_code: Option<NewCode>,
    /// Whether it is looked at for fraud.
    pub(super) risk_check: bool,
    /// The service.
    pub(super) service: &'a Service,
}

/// Sends the code of `verification`: chooses the sender, asks the guards against toll fraud, notes the sending in the
/// verification, which the caller writes, and adds the attempt and its outbox row to `batch`. Once that is in the store,
/// the caller commits the admission.
///
/// # Errors
/// [`Refusal::NoSenderFor`], [`Refusal::Blocked`], [`Refusal::LandlineSms`], [`Error::Failed`].
pub(super) async fn send(
    app: &App,
    verification: &mut Verification,
    order: Order<'_>,
    now: Timestamp,
    batch: Batch,
) -> Result<(Batch, Admission), Error> {
    let channel = order.channel;
    let facts = verification.destination.phone().map(PhoneNumber::facts);
    let country = facts.and_then(|facts| facts.country);
    let sender = route(app, verification.service, channel, country, &[], now)
        .await?
        .ok_or(Refusal::NoSenderFor { channel })?;
    let asked = Admittance {
        account: verification.account,
        service: order.service,
        destination: &verification.destination,
        facts,
        channel,
        device_ip: verification.content.device_ip,
        risk_check: order.risk_check,
        price: sender.price.map(price),
        now,
    };
    let admission = admit(app, &asked).await?;
    verification.record_send(channel, order.new_code, now);
    let position = u8::try_from(verification.sends.len().saturating_sub(1)).unwrap_or(u8::MAX);
    let (batch, attempt) = enqueue(app, verification, position, &sender, country, now, batch)?;
    verification.note_try(Try {
        attempt,
        sender: sender.name,
        at: now,
    });
    Ok((batch, admission))
}
