//! Lifts what closes a prefix, because its account vouches for it.

use std::time::Duration;

use crate::app::App;
use crate::domain::fraud::budget::{Counter, CounterKind};
use crate::domain::fraud::conversion::AccountPrefix;
use crate::domain::fraud::prefix::DestinationPrefix;
use crate::domain::fraud::{BlockEvent, PrefixBlock};
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::Refusal;
use crate::flows::event::announce_block;
use crate::flows::reading::Reading;
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// Lets codes go to `prefix` for as long as `length`: until the moment that is returned nothing holds them up that is about the
/// prefix as a whole. When that is over, what was sent there before tells nothing of its conversion, but budgets that are spent
/// still are. What is about one number, the country, the service or the account's money stays. Whoever asks again may have a
/// longer time; each time is told to webhooks and in the log.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, or if nothing closes the prefix; [`Error::Failed`].
pub async fn lift(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    prefix: &DestinationPrefix,
    length: Duration,
) -> Result<Timestamp, Error<Refusal>> {
    let place = AccountPrefix {
        account,
        prefix: prefix.clone(),
    };
    let until = retry_on_conflict(app, || attempt(app, service, &place, length)).await?;
    tracing::warn!(
        "the account {account} lets codes go to {prefix} until {until}, whatever its conversion and its budgets say"
    );
    app.memory.fraud.conversions().forget_all(&place);
    Ok(until)
}

async fn attempt(
    app: &App,
    service: ServiceSid,
    place: &AccountPrefix,
    length: Duration,
) -> Result<Timestamp, Error<Refusal>> {
    let now = app.clock.now();
    let AccountPrefix { account, prefix } = place;
    let owner = keys::service(*account, service);
    let key = keys::prefix_block(*account, prefix);
    let budgets = [CounterKind::PrefixHour, CounterKind::PrefixDay].map(|kind| {
        (
            kind,
            keys::budget(&Counter::of_prefix(*account, kind, prefix, now)),
        )
    });
    let mut reading = Reading::new(app);
    let needed = [owner.bytes(), key.bytes()].into_iter();
    reading
        .prefetch(needed.chain(budgets.iter().map(|(_, key)| key.bytes())))
        .await?;
    let owner = reading.require(&owner).await?;
    let known = reading.get(&key).await?;
    let known = known.filter(|block| block.remaining(now).is_some());
    let mut reasons: Vec<_> = known
        .iter()
        .filter(|block| !block.lifted)
        .map(|block| block.reason)
        .collect();
    for (kind, budget) in budgets {
        let spent = reading.get(&budget).await?.is_some_and(|taken| taken.told);
        reasons.extend(spent.then(|| kind.reason()));
    }
    if reasons.is_empty() {
        reasons.extend(known.map(|block| block.reason));
    }
    let Some(reason) = reasons.first().copied() else {
        return Err(Refusal::NotFound.into());
    };
    let until = now + length;
    let lifted = PrefixBlock {
        reason,
        since: now,
        until,
        sends: 0,
        converted: 0,
        lifted: true,
    };
    let mut batch = Batch::new().put_record_until(key, &lifted, lifted.kept_until())?;
    reasons.dedup();
    for reason in reasons {
        let event = BlockEvent {
            reason,
            at: now,
            account: *account,
            service,
            subject: prefix.to_string(),
            country: None,
            until: None,
            lifted: true,
        };
        batch = announce_block(app, &owner, &event, batch)?;
    }
    reading.commit(batch).await?;
    Ok(until)
}
