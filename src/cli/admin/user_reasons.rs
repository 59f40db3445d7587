//! What keeps a user's codes and answers from being accepted, in words.

use std::fmt::Write as _;
use std::time::Duration;

use super::user_view::{FactorView, LockView, MomentView, UserView};
use crate::domain::destination::Destination;
use crate::domain::fraud::BlockReason;

impl UserView {
    /// What keeps codes and answers from being accepted.
    pub(super) fn reasons(&self, is_active: bool) -> Vec<String> {
        let mut reasons = Vec::new();
        if !is_active {
            let account = &self.account_sid;
            reasons.push(format!(
                "the account {account} is suspended: all its credentials and devices are refused until `countersign account resume \
                 {account}`"
            ));
        }
        for place in &self.places {
            if place.entity_sid.is_some() && place.factors.is_empty() {
                let (identity, service) = (&place.identity, &place.service_sid);
                reasons.push(format!(
                    "{identity} has no factor in {service}: the user has to enrol"
                ));
            }
            for factor in &place.factors {
                reasons.extend(factor.reasons());
            }
        }
        for to in &self.destinations {
            reasons.extend(to.locks.iter().map(|lock| lock.sentence(&to.destination)));
        }
        reasons
    }
}

impl FactorView {
    fn reasons(&self) -> Vec<String> {
        let sid = &self.sid;
        let mut reasons = Vec::new();
        match self.status.as_str() {
            "disabled" => reasons.push(format!(
                "{sid} is disabled: it had {} wrong codes in a row, and only a new enrolment helps (`countersign user reset`)",
                self.failures
            )),
            "unverified" => reasons.push(format!(
                "{sid} is not verified: it cannot be challenged before the user proves the enrolment"
            )),
            _ => {}
        }
        if self.status != "disabled" {
            reasons.extend(self.locks.iter().map(|lock| lock.sentence(sid)));
        }
        if let Some(why) = &self.unreachable {
            reasons.push(format!("{sid} cannot be woken, it has to ask by itself: {why}"));
        }
        reasons
    }
}

impl LockView {
    fn sentence(&self, whose: &str) -> String {
        let mut sentence = format!("{whose}: {}", self.explanation);
        if let Some(until) = &self.until {
            let _ = write!(sentence, ", until {until}");
        }
        if let Some(remedy) = &self.remedy {
            let _ = write!(sentence, "; what opens it before: {remedy}");
        }
        sentence
    }
}

/// What opens a number or an address again that is closed for `reason`, where forgetting its wrong codes does not.
pub(super) fn remedy(reason: BlockReason, destination: &Destination) -> Option<&'static str> {
    match reason {
        BlockReason::WrongCodes | BlockReason::MaxAttempts | BlockReason::NumberBudget => None,
        BlockReason::PrefixBudget | BlockReason::LowConversion if destination.phone().is_none() => None,
        BlockReason::CountryBudget
        | BlockReason::DeviceBudget
        | BlockReason::LowConversion
        | BlockReason::PrefixBudget => Some("the account's safe list, for this one number"),
        BlockReason::Country | BlockReason::NumberKind | BlockReason::NumberUnknown => {
            Some("that setting, or the account's safe list for this one number")
        }
        BlockReason::ServiceBudget => Some("the setting codes.sends_per_service_per_day"),
        BlockReason::SpendCap => Some("that setting"),
    }
}

impl std::fmt::Display for MomentView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let far = Duration::from_secs(self.in_seconds.unsigned_abs());
        let (number, unit) = match far.as_secs() {
            seconds @ ..120 => (seconds, "s"),
            seconds @ 120..7200 => (seconds / 60, "min"),
            seconds @ 7200..172_800 => (seconds / 3600, "h"),
            seconds => (seconds / 86_400, "days"),
        };
        match self.in_seconds {
            0 => write!(f, "{} (now)", self.at),
            1.. => write!(f, "{} (in {number} {unit})", self.at),
            _ => write!(f, "{} ({number} {unit} ago)", self.at),
        }
    }
}
