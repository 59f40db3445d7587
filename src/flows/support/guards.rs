//! Which guards against toll fraud hold up codes to somebody's number or address.

use crate::app::App;
use crate::domain::destination::Destination;
use crate::domain::fraud::budget::{Counter, CounterKind};
use crate::domain::fraud::conversion::AccountPrefix;
use crate::domain::fraud::{BlockReason, permission};
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::keys::{self, Key};

/// What closes a number or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestinationBlock {
    /// Why.
    pub reason: BlockReason,
    /// `None` if no waiting helps.
    pub until: Option<Timestamp>,
    /// The only service that it is about, if it is about one.
    pub service: Option<ServiceSid>,
}

impl DestinationBlock {
    pub(super) fn until(reason: BlockReason, until: Timestamp) -> Self {
        Self {
            reason,
            until: Some(until),
            service: None,
        }
    }
}

/// All guards that hold up codes from `services` to the destination now. Not looked at are those of the addresses of devices, which
/// nobody knows before one asks, and, of sums of money, whether one more message costs more than is left.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub(super) async fn holding(
    app: &App,
    account: AccountSid,
    services: &[ServiceSid],
    destination: &Destination,
    is_safe: bool,
) -> Result<Vec<DestinationBlock>, Fault> {
    let now = app.clock.now();
    let settings = &app.policy.toll_fraud;
    let facts = destination.phone().map(PhoneNumber::facts);
    let mut blocks = Vec::new();
    let refusal = facts
        .filter(|_| !is_safe)
        .and_then(|facts| permission::refusal(settings, facts));
    blocks.extend(refusal.map(|reason| DestinationBlock {
        reason,
        until: None,
        service: None,
    }));
    let mut reading = Reading::new(app);
    let prefix = AccountPrefix::of(account, destination).filter(|_| !is_safe);
    if let Some(AccountPrefix { prefix, .. }) = &prefix {
        let block = reading.glance(&keys::prefix_block(account, prefix)).await?;
        let holds = block.filter(|block| !block.lifted && block.remaining(now).is_some());
        blocks.extend(holds.map(|block| DestinationBlock::until(block.reason, block.until)));
    }
    let mut counters = vec![(Counter::of_number(account, destination, now), None)];
    if let Some(AccountPrefix { prefix, .. }) = &prefix {
        for kind in [CounterKind::PrefixHour, CounterKind::PrefixDay] {
            counters.push((Counter::of_prefix(account, kind, prefix, now), None));
        }
    }
    if let Some(facts) = facts.filter(|_| !is_safe && settings.country_per_day.is_some()) {
        counters.push((
            Counter::of_country(account, CounterKind::Country, facts.country, now),
            None,
        ));
    }
    if settings.service_per_day.is_some() {
        counters.extend(
            services
                .iter()
                .map(|service| (Counter::of_service(account, *service, now), Some(*service))),
        );
    }
    if let Some(cap) = settings.spend_per_day {
        counters.push((Counter::of_spend(account, cap.currency, now), None));
    }
    let keys: Vec<_> = counters
        .iter()
        .map(|(counter, _)| keys::budget(counter))
        .collect();
    reading.prefetch(keys.iter().map(Key::bytes)).await?;
    for ((counter, service), key) in counters.iter().zip(&keys) {
        let taken = reading.glance(key).await?;
        if taken.is_some_and(|taken| taken.told) {
            blocks.push(DestinationBlock {
                service: *service,
                ..DestinationBlock::until(counter.kind.reason(), counter.end())
            });
        }
    }
    Ok(blocks)
}
