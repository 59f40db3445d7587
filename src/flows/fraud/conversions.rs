//! What is remembered of conversions: that a code was used, and what was sent within the last hour, by this process, an earlier
//! one or others that share the store.

use crate::app::App;
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::fraud::conversion::{AccountPrefix, PrefixConversions, Sends};
use crate::domain::fraud::settings::ConversionRule;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::flows::reading::Reading;
use crate::flows::{Fault, account};
use crate::store::{Order, Scan, keys, records};

/// The verification was approved: all its sends were of use. To be called once that is in the store.
pub fn converted(app: &App, verification: &Verification) {
    if let Some(place) = AccountPrefix::of(verification.account, &verification.destination) {
        app.memory.fraud.conversions().converted(&place, verification.sid);
    }
}

/// Remembers anew, by the attempts of all accounts within the window, newest first, as many as are of use. To be called before
/// a server listens, and now and then where others share the store.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn rebuild(app: &App) -> Result<(), Fault> {
    if app.policy.toll_fraud.conversion.is_none() {
        return Ok(());
    }
    let mut recalled = PrefixConversions::default();
    for account in account::list(app).await? {
        recall(app, account.sid, app.clock.now(), &mut recalled).await?;
    }
    *app.memory.fraud.conversions() = recalled;
    Ok(())
}

async fn recall(
    app: &App,
    account: AccountSid,
    now: Timestamp,
    conversions: &mut PrefixConversions,
) -> Result<(), Fault> {
    /// The most attempts of an account that are read.
    const MOST: usize = 50_000;
    const CHUNK: usize = 500;
    let (mut recalled, mut after, mut read) = (Vec::new(), None, 0);
    'reading: while read < MOST {
        let scan = Scan {
            prefix: keys::attempts(account).bytes().to_vec(),
            after: after.take(),
            order: Order::Descending,
            limit: CHUNK,
        };
        let entries = Reading::new(app).scan_past(scan).await?;
        read += entries.len();
        let full = entries.len() == CHUNK;
        for (key, entry) in entries {
            let attempt: Attempt = records::decode(&entry.value)?;
            if now.since(attempt.date_created) >= ConversionRule::WINDOW {
                break 'reading;
            }
            recalled.extend(sends(&attempt));
            after = Some(key);
        }
        if !full {
            break;
        }
    }
    for (place, sends) in recalled.into_iter().rev() {
        conversions.add(&place, sends, now);
    }
    Ok(())
}

/// What counts of an attempt: nothing if it did not leave.
fn sends(attempt: &Attempt) -> Option<(AccountPrefix, Sends)> {
    let place = AccountPrefix::of(attempt.account, &attempt.destination)?;
    match attempt.status {
        AttemptStatus::Queued | AttemptStatus::Sent => {}
        AttemptStatus::Failed { .. } | AttemptStatus::Canceled => return None,
    }
    let sends = Sends {
        service: attempt.service,
        verification: attempt.verification,
        at: attempt.date_created,
        count: 1,
        converted: attempt.converted_at.is_some(),
    };
    Some((place, sends))
}
