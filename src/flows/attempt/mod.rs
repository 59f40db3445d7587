//! Attempts: what became of each try to send a code.
//!
//! An account's attempts stand in the order of their creation, and nothing else orders them: a range of dates is a range of
//! keys, every other filter looks at each attempt of that range. What one request looks at is bounded.

mod list;
mod range;
mod summarize;

pub use self::list::{LONGEST_VERIFICATION, MOST_READ, list};
pub use self::summarize::{AttemptSummary, MOST_COUNTED, summarize};

use crate::app::App;
use crate::domain::attempt::{Attempt, Refusal};
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::destination::Destination;
use crate::domain::phone::LeadingDigits;
use crate::domain::sid::{AccountSid, AttemptSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault};
use crate::store::keys::{self, Key};

/// The attempt, if it is one of the account's and not older than [`Attempt::RETENTION`].
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(app: &App, account: AccountSid, sid: AttemptSid) -> Result<Attempt, Error<Refusal>> {
    let attempt = Reading::new(app).require(&keys::attempt(account, sid)).await?;
    // Until the sweeper comes by, it is there and does not count.
    if sid.created_at() < app.clock.now().before(Attempt::RETENTION) {
        return Err(Refusal::NotFound.into());
    }
    Ok(attempt)
}

/// What is kept of the attempts of a verification, the first one first, in one round trip.
///
/// # Errors
/// [`Fault`].
pub async fn of_verification(app: &App, verification: &Verification) -> Result<Vec<Attempt>, Fault> {
    let tries = verification.sends.iter().flat_map(|send| &send.tries);
    let keys: Vec<_> = tries
        .map(|tried| keys::attempt(verification.account, tried.attempt))
        .collect();
    let mut reading = Reading::new(app);
    reading.prefetch(keys.iter().map(Key::bytes)).await?;
    let mut attempts = Vec::with_capacity(keys.len());
    for key in keys {
        attempts.extend(reading.get(&key).await?);
    }
    Ok(attempts)
}

/// Which attempts; `None` means all. The dates are half-open, so that one range's end is the next one's beginning.
#[derive(Clone, Debug, Default)]
pub struct AttemptFilter {
    /// Those written at this moment or later.
    pub created_after: Option<Timestamp>,
    /// Those written before this moment.
    pub created_before: Option<Timestamp>,
    /// Those over this channel.
    pub channel: Option<Channel>,
    /// Those that were converted, or those that were not.
    pub converted: Option<bool>,
    /// Those to this country.
    pub country: Option<Country>,
    /// Those to this destination.
    pub destination: Option<Destination>,
    /// Those to phone numbers that begin like this.
    pub digits: Option<LeadingDigits>,
    /// Those of this service.
    pub service: Option<ServiceSid>,
    /// Those of this verification.
    pub verification: Option<VerificationSid>,
}

impl AttemptFilter {
    /// Whether all but the dates fit.
    pub(super) fn matches(&self, attempt: &Attempt) -> bool {
        let begins_like = |digits: &LeadingDigits| {
            let number = attempt.destination.phone();
            number.is_some_and(|number| digits.begin(number))
        };
        self.channel.is_none_or(|channel| channel == attempt.channel)
            && self
                .converted
                .is_none_or(|converted| converted == attempt.converted_at.is_some())
            && self
                .country
                .is_none_or(|country| Some(country) == attempt.country)
            && self
                .destination
                .as_ref()
                .is_none_or(|destination| destination.is_same(&attempt.destination))
            && self.digits.as_ref().is_none_or(begins_like)
            && self.service.is_none_or(|service| service == attempt.service)
            && self
                .verification
                .is_none_or(|verification| verification == attempt.verification)
    }
}
