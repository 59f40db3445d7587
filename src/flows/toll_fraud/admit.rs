//! Asks whether a code may be sent.

use std::sync::Arc;
use std::time::Duration;

use super::announce::{Subject, refuse};
use super::judge::judge;
use super::needs::needs;
use super::reserve::{Reservation, reserve};
use crate::app::App;
use crate::domain::attempt::Price;
use crate::domain::channel::Channel;
use crate::domain::destination::Destination;
use crate::domain::phone::{LineKind, NumberFacts};
use crate::domain::refusal::Refusal;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::toll_fraud::budget::{Counter, CounterKind};
use crate::domain::toll_fraud::conversion::Place;
use crate::domain::toll_fraud::prefix::NumberPrefix;
use crate::domain::toll_fraud::{BlockReason, permission};
use crate::flows::{Error, safe_list};
use crate::memory::fraud::FraudMemory;

/// A code that is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Admittance<'a> {
    /// By which account.
    pub account: AccountSid,
    /// By which service.
    pub service: &'a Service,
    /// To whom.
    pub destination: &'a Destination,
    /// What the numbering plans say of the number; a number without is of an unknown kind.
    pub facts: Option<NumberFacts>,
    /// Over which channel.
    pub channel: Channel,
    /// The address of the device that asked for it, as the caller says.
    pub device_ip: Option<&'a str>,
    /// Whether the caller wants the conversion of the prefix looked at.
    pub risk_check: bool,
    /// What it costs, if the operator said so.
    pub price: Option<Price>,
    /// When.
    pub now: Timestamp,
}

/// That a code may be sent. What it took of the budgets is given back if this is dropped without
/// [`Admission::commit`].
#[derive(Debug)]
#[must_use = "what was reserved is given back when this is dropped"]
pub struct Admission {
    reservation: Reservation,
    fraud: Arc<FraudMemory>,
    /// Whose conversion the code counts for.
    watched: Option<Place>,
    service: ServiceSid,
    now: Timestamp,
}

impl Admission {
    /// The sending is in the store: it counts.
    pub fn commit(self, verification: VerificationSid) {
        self.reservation.keep();
        if let Some(place) = &self.watched {
            let mut conversions = self.fraud.conversions();
            conversions.sent(place, (self.service, verification), self.now);
        }
    }
}

/// Decides whether the code may be sent, and takes what it needs of the budgets.
///
/// # Errors
/// [`Refusal::Blocked`], [`Refusal::LandlineSms`]; [`Error::Failed`] if other processes change the same budgets all the time,
/// [`Error::Failed`]. Nothing was taken then.
pub async fn admit(app: &App, asked: &Admittance<'_>) -> Result<Admission, Error> {
    let facts = asked.destination.phone().map(|_| asked.facts.unwrap_or(UNKNOWN));
    if facts.is_some_and(|facts| is_text_to_landline(asked, facts)) {
        return Err(Refusal::LandlineSms.into());
    }
    let settings = &app.policy.toll_fraud;
    let guarded = match asked.destination.phone() {
        Some(number) if !safe_list::contains(app, asked.account, number).await? => Some(number),
        _ => None,
    };
    let mut watched = None;
    if let (Some(number), Some(facts)) = (guarded, facts) {
        if let Some(reason) = permission::refusal(settings, facts) {
            return Err(refuse_for_good(app, asked, reason, facts).await);
        }
        if let Some(rule) = &settings.conversion {
            let place = (asked.account, NumberPrefix::of(number));
            if asked.risk_check || !settings.risk_check_may_be_disabled {
                judge(app, asked, &place, rule).await?;
            }
            watched = Some(place);
        }
    }
    let needs = needs(settings, asked, guarded);
    let counted: Vec<_> = needs.iter().map(|(need, _)| need).collect();
    match reserve(app, &counted, asked.now).await? {
        Ok(reservation) => Ok(Admission {
            reservation,
            fraud: Arc::clone(&app.memory.fraud),
            watched,
            service: asked.service.sid,
            now: asked.now,
        }),
        Err(spent) => {
            let subject = needs
                .iter()
                .find(|(need, _)| need.counter == spent)
                .map_or(Subject::Nothing, |(_, subject)| subject.clone());
            let until = Some(spent.end());
            Err(refuse(app, asked, spent.kind.reason(), (&spent, &subject), until).await)
        }
    }
}

/// What no waiting changes is told once a day, for the whole country.
async fn refuse_for_good(
    app: &App,
    asked: &Admittance<'_>,
    reason: BlockReason,
    facts: NumberFacts,
) -> Error {
    let kind = match reason {
        BlockReason::Country => CounterKind::CountryRefused,
        _ => CounterKind::KindRefused,
    };
    let counter = Counter::of_country(asked.account, kind, facts.country, asked.now);
    refuse(
        app,
        asked,
        reason,
        (&counter, &Subject::Country(facts.country)),
        None,
    )
    .await
}

fn is_text_to_landline(asked: &Admittance<'_>, facts: NumberFacts) -> bool {
    let settings = &asked.service.settings;
    settings.skip_sms_to_landlines
        && settings.lookup_enabled
        && asked.channel == Channel::Sms
        && facts.kind == LineKind::FixedLine
}

/// When a refusal that lasts until `until` is over.
pub(super) fn wait(until: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    until.map(|until| until.since(now).max(Duration::from_secs(1)))
}

const UNKNOWN: NumberFacts = NumberFacts {
    country: None,
    kind: LineKind::Unknown,
};
