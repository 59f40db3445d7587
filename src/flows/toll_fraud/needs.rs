//! Which budgets a code is taken from.

use super::admit::Admittance;
use super::announce::Subject;
use crate::domain::phone::PhoneNumber;
use crate::domain::toll_fraud::budget::{Counter, CounterKind, DeviceNetwork, Need};
use crate::domain::toll_fraud::prefix::NumberPrefix;
use crate::domain::toll_fraud::settings::Settings;

/// What the code needs, and whom each budget is for; `guarded` is the number, unless it is a safe one.
///
/// A safe number is taken from its own budget, its service's and the account's money all the same.
pub(super) fn needs(
    settings: &Settings,
    asked: &Admittance<'_>,
    guarded: Option<&PhoneNumber>,
) -> Vec<(Need, Subject)> {
    let (account, now) = (asked.account, asked.now);
    let safe = asked.destination.phone().is_some() && guarded.is_none();
    let mut needs = Vec::with_capacity(7);
    if let Some(limit) = settings.number_per_day {
        let counter = Counter::of_number(account, asked.destination, now);
        needs.push((Need::one(counter, limit), Subject::Number));
    }
    let device = asked.device_ip.map(DeviceNetwork::of).filter(|_| !safe);
    if let (Some(limit), Some(device)) = (settings.device_per_hour, device) {
        let counter = Counter::of_device(account, device, now);
        needs.push((Need::one(counter, limit), Subject::Device(device)));
    }
    if let Some(number) = guarded {
        let prefix = NumberPrefix::of(number);
        for (limit, kind) in [
            (settings.prefix_per_hour, CounterKind::PrefixHour),
            (settings.prefix_per_day, CounterKind::PrefixDay),
        ] {
            if let Some(limit) = limit {
                let counter = Counter::of_prefix(account, kind, &prefix, now);
                needs.push((Need::one(counter, limit), Subject::Prefix(prefix.clone())));
            }
        }
        if let Some(limit) = settings.country_per_day {
            let country = asked.facts.and_then(|facts| facts.country);
            let counter = Counter::of_country(account, CounterKind::Country, country, now);
            needs.push((Need::one(counter, limit), Subject::Country(country)));
        }
    }
    if let Some(limit) = settings.service_per_day {
        let counter = Counter::of_service(account, asked.service.sid, now);
        needs.push((Need::one(counter, limit), Subject::Service));
    }
    if let (Some(cap), Some(price)) = (settings.spend_per_day, asked.price) {
        needs.push((Need::price(account, price, cap, now), Subject::Money(cap)));
    }
    needs.retain(|(need, _)| need.amount > 0);
    needs
}
