//! Chooses the sender of a code.
//!
//! Those that serve the channel and the country stand in the operator's order, those of the messaging service that the
//! service has configured for the country before all others. A sender whose circuit is open is passed over; one whose codes
//! do not come back goes to the end, but for one code in twenty, by which it is seen when that changes.

use std::sync::Arc;

use crate::app::App;
use crate::delivery::codes::ConfiguredSender;
use crate::domain::channel::Channel;
use crate::domain::code_routing::Rate;
use crate::domain::country::Country;
use crate::domain::entropy::Entropy;
use crate::domain::messaging_configuration::{MessagingConfiguration, Region};
use crate::domain::sender_name::SenderName;
use crate::domain::sid::{AccountSid, MessagingServiceSid, ServiceSid};
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::keys::{self, Key};

/// Where a code goes, as far as that says who can take it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) account: AccountSid,
    pub(crate) service: ServiceSid,
    pub(crate) channel: Channel,
    /// To which country; e-mails and some numbers have none.
    pub(crate) country: Option<Country>,
}

/// A sender that could take a code.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) sender: Arc<ConfiguredSender>,
    /// Whether it is not left alone.
    pub(crate) available: bool,
}

/// The sender that a code is given to that goes this `way`, none of `tried`; `None` if there is none. If all are left
/// alone, the first of them: it may work again before the code is over.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub(crate) async fn route(
    app: &App,
    reading: &mut Reading<'_>,
    way: Way,
    tried: &[SenderName],
    now: Timestamp,
) -> Result<Option<Arc<ConfiguredSender>>, Fault> {
    let mut left = rank(app, reading, way, now).await?;
    left.retain(|candidate| !tried.contains(&candidate.sender.name));
    let first = left.iter().position(|candidate| candidate.available).unwrap_or(0);
    Ok((first < left.len()).then(|| left.swap_remove(first).sender))
}

/// As [`route`], but the sender called `preferred` comes first, unless it is left alone.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub(super) async fn route_preferring(
    app: &App,
    reading: &mut Reading<'_>,
    way: Way,
    preferred: Option<&str>,
    now: Timestamp,
) -> Result<Option<Arc<ConfiguredSender>>, Fault> {
    if let Some(name) = preferred {
        let mut candidates = rank(app, reading, way, now).await?.into_iter();
        let named =
            candidates.find(|candidate| candidate.available && candidate.sender.name.as_str() == name);
        if let Some(named) = named {
            return Ok(Some(named.sender));
        }
    }
    route(app, reading, way, &[], now).await
}

/// All senders that could take a code that goes this `way`, in the order in which they are to be asked.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub(crate) async fn rank(
    app: &App,
    reading: &mut Reading<'_>,
    way: Way,
    now: Timestamp,
) -> Result<Vec<Candidate>, Fault> {
    let Way { channel, country, .. } = way;
    let messaging_service = messaging_service(reading, way).await?;
    let candidates = app.senders.codes.candidates(channel, country, messaging_service);
    let candidates: Vec<_> = candidates
        .map(|sender| {
            let rate = app.memory.conversions.rate(sender.name, country, now);
            let available = app
                .memory
                .sender_breakers
                .is_available(sender.name, way.account, now);
            let sender = Arc::clone(sender);
            (Candidate { sender, available }, rate)
        })
        .collect();
    let rates: Vec<_> = candidates.iter().map(|(_, rate)| *rate).collect();
    let order = order(&rates, app.entropy.as_ref());
    Ok(order
        .into_iter()
        .map(|index| candidates[index].0.clone())
        .collect())
}

/// In which order senders with these rates are asked.
fn order(rates: &[Rate], entropy: &dyn Entropy) -> Vec<usize> {
    let falls = |rate: &Rate| rate.is_poor() || rates.iter().any(|other| rate.is_clearly_below(*other));
    let (behind, mut order): (Vec<_>, Vec<_>) = (0..rates.len()).partition(|&index| falls(&rates[index]));
    if behind.is_empty() || order.is_empty() || is_look(entropy) {
        return (0..rates.len()).collect();
    }
    order.extend(behind);
    order
}

/// Whether this code is one of those by which it is seen how a sender does that stands behind.
fn is_look(entropy: &dyn Entropy) -> bool {
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes);
    u32::from_le_bytes(bytes).is_multiple_of(ONE_IN)
}

/// One code in so many is given out as if all codes came back.
const ONE_IN: u32 = 20;

/// The keys of what [`route`] reads: for whoever reads more in the same round trip.
pub(super) fn keys_to_route(
    service: ServiceSid,
    country: Option<Country>,
) -> Vec<Key<MessagingConfiguration>> {
    let regions = country.map(Region::Country).into_iter().chain([Region::All]);
    regions
        .map(|region| keys::messaging_configuration(service, region))
        .collect()
}

/// Which messaging service the service has configured for the country.
async fn messaging_service(
    reading: &mut Reading<'_>,
    way: Way,
) -> Result<Option<MessagingServiceSid>, Fault> {
    match way.channel {
        Channel::Rcs | Channel::Sms | Channel::Whatsapp => {}
        Channel::Call | Channel::Email | Channel::Sna => return Ok(None),
    }
    let keys = keys_to_route(way.service, way.country);
    reading.prefetch(keys.iter().map(Key::bytes)).await?;
    for key in keys {
        if let Some(found) = reading.glance(&key).await? {
            return Ok(Some(found.messaging_service));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    fn rate(conversions: u32, tries: u32) -> Rate {
        Rate { tries, conversions }
    }

    /// How often each of the orders comes in 2000.
    fn orders(rates: &[Rate]) -> std::collections::BTreeMap<Vec<usize>, u32> {
        let entropy = SeededEntropy::new(1);
        let mut orders = std::collections::BTreeMap::new();
        for _ in 0..2000 {
            *orders.entry(order(rates, &entropy)).or_default() += 1;
        }
        orders
    }

    #[test]
    fn who_does_not_convert_stands_behind_but_for_a_few_codes() {
        for rates in [
            vec![rate(5, 50), rate(40, 50), rate(0, 0)],
            vec![rate(0, 50), rate(0, 0), rate(30, 50)],
        ] {
            let orders = orders(&rates);
            assert!((50..150).contains(&orders[&vec![0, 1, 2]]), "{orders:?}");
            assert_eq!(orders[&vec![0, 1, 2]] + orders[&vec![1, 2, 0]], 2000);
        }
    }

    #[test]
    fn the_operators_order_holds_where_nobody_is_clearly_worse_or_too_little_is_known() {
        for rates in [
            vec![],
            vec![rate(0, 100)],
            vec![rate(0, 100), rate(0, 100)],
            vec![rate(30, 50), rate(50, 50)],
            vec![rate(0, 19), rate(50, 50)],
            vec![rate(20, 50), rate(19, 19)],
        ] {
            let expected: Vec<_> = (0..rates.len()).collect();
            assert_eq!(orders(&rates).into_keys().collect::<Vec<_>>(), [expected]);
        }
    }
}
