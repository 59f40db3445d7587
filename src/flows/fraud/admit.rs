//! Asks whether a code may be sent.

use std::net::IpAddr;
use std::sync::Arc;

use super::judge::{is_lifted, judge};
use super::refuse::{Subject, refuse};
use super::reserve::{Reservation, reserve};
use crate::app::App;
use crate::domain::channel::Channel;
use crate::domain::destination::Destination;
use crate::domain::fraud::budget::{Counter, CounterKind, DeviceNetwork, Need};
use crate::domain::fraud::conversion::AccountPrefix;
use crate::domain::fraud::prefix::DestinationPrefix;
use crate::domain::fraud::settings::Settings;
use crate::domain::fraud::{BlockReason, permission};
use crate::domain::phone::{LineKind, NumberFacts};
use crate::domain::price::Price;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::Refusal;
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault, safe_list};
use crate::memory::fraud::FraudMemory;
use crate::store::{Batch, keys};

/// A code that is to be sent.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Admittance<'a> {
    pub account: AccountSid,
    pub service: &'a Service,
    pub destination: &'a Destination,
    /// What the numbering plans say of the number; a number without is of an unknown kind.
    pub facts: Option<NumberFacts>,
    pub channel: Channel,
    /// The address of the device that asked for it, as the caller says.
    pub device_ip: Option<IpAddr>,
    /// Whether the caller wants the conversion of the prefix looked at.
    pub risk_check: bool,
    /// What it costs, if the operator said so.
    pub price: Option<Price>,
    pub now: Timestamp,
}

/// That a code may be sent. What it took of the budgets is given back if this is dropped without
/// [`SendPermit::commit`].
#[derive(Debug)]
#[must_use = "what was reserved is given back when this is dropped"]
pub struct SendPermit<'a> {
    reservation: Reservation<'a>,
    fraud: Arc<FraudMemory>,
    /// Whose conversion the code counts for.
    watched: Option<AccountPrefix>,
    service: ServiceSid,
    now: Timestamp,
}

impl SendPermit<'_> {
    /// Adds to `batch`, that of the sending, what is taken of budgets out of the store.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] if a record of ours is too large.
    pub fn put(&self, batch: Batch) -> Result<Batch, Fault> {
        self.reservation.put(batch)
    }

    /// The sending is in the store: it counts.
    pub fn commit(self, verification: VerificationSid) {
        self.reservation.keep();
        if let Some(place) = &self.watched {
            let mut conversions = self.fraud.conversions();
            conversions.sent(place, self.service, verification, self.now);
        }
    }
}

/// The keys of what [`admit`] reads of `destination`: for whoever reads more in the same round trip.
pub(crate) fn keys_to_admit(app: &App, account: AccountSid, destination: &Destination) -> Vec<Vec<u8>> {
    let safe = destination
        .phone()
        .map(|number| keys::safe_number(account, number).into_bytes());
    let judged = looks_at_prefixes(&app.policy.toll_fraud);
    let prefix = DestinationPrefix::of(destination).filter(|_| judged);
    let block = prefix.map(|prefix| keys::prefix_block(account, &prefix).into_bytes());
    safe.into_iter().chain(block).collect()
}

/// Decides whether the code may be sent, and takes what it needs of the budgets. Whoever commits the sending, as `reading`
/// has it, adds to its batch what [`SendPermit::put`] says.
///
/// # Errors
/// [`Refusal::Blocked`], [`Refusal::LandlineSms`], [`Error::Failed`]. Nothing was taken then.
pub async fn admit<'a>(
    app: &'a App,
    reading: &mut Reading<'_>,
    asked: &Admittance<'_>,
) -> Result<SendPermit<'a>, Error<Refusal>> {
    let number = asked.destination.phone();
    let facts = number.map(|_| asked.facts.unwrap_or(UNKNOWN));
    if facts.is_some_and(|facts| is_text_to_landline(asked, facts)) {
        return Err(Refusal::LandlineSms.into());
    }
    let keys = keys_to_admit(app, asked.account, asked.destination);
    reading.prefetch(keys.iter().map(Vec::as_slice)).await?;
    let settings = &app.policy.toll_fraud;
    let safe = match number {
        Some(number) => safe_list::contains(reading, asked.account, number).await?,
        None => false,
    };
    if let Some(facts) = facts
        && !safe
        && let Some(reason) = permission::refusal(settings, facts)
    {
        return Err(refuse_for_good(app, asked, reason, facts).await?.into());
    }
    let mut prefix = AccountPrefix::of(asked.account, asked.destination).filter(|_| !safe);
    if let Some(place) = &prefix
        && looks_at_prefixes(settings)
        && is_lifted(reading, place, asked.now).await?
    {
        prefix = None;
    }
    let mut watched = None;
    if let (Some(place), Some(rule)) = (&prefix, &settings.conversion) {
        let checked = asked.risk_check || !settings.risk_check_may_be_disabled;
        if checked && let Some(blocked) = judge(app, reading, asked, place, rule).await? {
            return Err(Refusal::Blocked(blocked).into());
        }
        watched = Some(place.clone());
    }
    let needs = needs(settings, asked, prefix.as_ref(), safe);
    let counted: Vec<_> = needs.iter().map(|budgeted| &budgeted.need).collect();
    match reserve(app, reading, &counted, asked.now).await? {
        Ok(reservation) => Ok(SendPermit {
            reservation,
            fraud: Arc::clone(&app.memory.fraud),
            watched,
            service: asked.service.sid,
            now: asked.now,
        }),
        Err(spent) => {
            let subject = needs
                .iter()
                .find(|budgeted| budgeted.need.counter == spent)
                .map_or(Subject::Nothing, |budgeted| budgeted.subject.clone());
            let (why, until) = (spent.kind.reason(), Some(spent.end()));
            let blocked = refuse(app, asked, why, &spent, &subject, until).await?;
            Err(Refusal::Blocked(blocked).into())
        }
    }
}

/// What no waiting changes is told once a day, for the whole country.
async fn refuse_for_good(
    app: &App,
    asked: &Admittance<'_>,
    reason: BlockReason,
    facts: NumberFacts,
) -> Result<Refusal, Fault> {
    let kind = match reason {
        BlockReason::Country => CounterKind::CountryRefused,
        BlockReason::NumberUnknown => CounterKind::UnknownRefused,
        _ => CounterKind::KindRefused,
    };
    let counter = Counter::of_country(asked.account, kind, facts.country, asked.now);
    let subject = Subject::Country(facts.country);
    let blocked = refuse(app, asked, reason, &counter, &subject, None).await?;
    Ok(Refusal::Blocked(blocked))
}

/// What is taken of a budget, and whom that budget is for.
struct Budgeted {
    need: Need,
    subject: Subject,
}

impl Budgeted {
    fn new(need: Need, subject: Subject) -> Self {
        Self { need, subject }
    }
}

/// What the code needs, and whom each budget is for; `prefix` is that of the destination, if it has one that counts.
///
/// A safe number is taken from its own budget, its service's and the account's money all the same.
fn needs(
    settings: &Settings,
    asked: &Admittance<'_>,
    prefix: Option<&AccountPrefix>,
    safe: bool,
) -> Vec<Budgeted> {
    let (account, now) = (asked.account, asked.now);
    let mut needs = Vec::with_capacity(7);
    if let Some(limit) = settings.number_per_day {
        let counter = Counter::of_number(account, asked.destination, now);
        needs.push(Budgeted::new(Need::one(counter, limit), Subject::Number));
    }
    let device = asked.device_ip.map(DeviceNetwork::of).filter(|_| !safe);
    if let (Some(limit), Some(device)) = (settings.device_per_hour, device) {
        let counter = Counter::of_device(account, device, now);
        needs.push(Budgeted::new(Need::one(counter, limit), Subject::Device(device)));
    }
    let is_phone = asked.destination.phone().is_some();
    if let Some(AccountPrefix { prefix, .. }) = prefix {
        let (hour, day) = if is_phone {
            (settings.prefix_per_hour, settings.prefix_per_day)
        } else {
            (settings.domain_per_hour, settings.domain_per_day)
        };
        for (limit, kind) in [(hour, CounterKind::PrefixHour), (day, CounterKind::PrefixDay)] {
            if let Some(limit) = limit {
                let counter = Counter::of_prefix(account, kind, prefix, now);
                needs.push(Budgeted::new(
                    Need::one(counter, limit),
                    Subject::Prefix(prefix.clone()),
                ));
            }
        }
    }
    if is_phone
        && !safe
        && let Some(limit) = settings.country_per_day
    {
        let country = asked.facts.and_then(|facts| facts.country);
        let counter = Counter::of_country(account, CounterKind::Country, country, now);
        needs.push(Budgeted::new(
            Need::one(counter, limit),
            Subject::Country(country),
        ));
    }
    if let Some(limit) = settings.service_per_day {
        let counter = Counter::of_service(account, asked.service.sid, now);
        needs.push(Budgeted::new(Need::one(counter, limit), Subject::Service));
    }
    if let (Some(cap), Some(price)) = (settings.spend_per_day, asked.price) {
        needs.push(Budgeted::new(
            Need::price(account, price, cap, now),
            Subject::Money(cap),
        ));
    }
    needs.retain(|budgeted| budgeted.need.amount > 0);
    needs
}

/// Whether any guard is about a prefix as a whole.
fn looks_at_prefixes(settings: &Settings) -> bool {
    let budgets = [
        settings.prefix_per_hour,
        settings.prefix_per_day,
        settings.domain_per_hour,
        settings.domain_per_day,
    ];
    settings.conversion.is_some() || budgets.iter().any(Option::is_some)
}

fn is_text_to_landline(asked: &Admittance<'_>, facts: NumberFacts) -> bool {
    let settings = &asked.service.settings;
    settings.skip_sms_to_landlines
        && settings.lookup_enabled
        && asked.channel == Channel::Sms
        && facts.kind == LineKind::FixedLine
}

const UNKNOWN: NumberFacts = NumberFacts {
    country: None,
    kind: LineKind::Unknown,
};
