//! Takes the price of one more message out of the account's money.

use super::reserve::{Reservation, reserve};
use crate::app::App;
use crate::domain::fraud::Blocked;
use crate::domain::fraud::budget::Need;
use crate::domain::price::Price;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::Batch;

/// What is taken of an account's money for one more message. It is given back if this is dropped without
/// [`Charge::keep`].
#[derive(Debug)]
#[must_use = "what was taken is given back when this is dropped"]
pub(crate) struct Charge<'a>(Option<Reservation<'a>>);

impl Charge<'_> {
    /// For what costs nothing, or was paid already.
    pub(crate) fn nothing() -> Self {
        Self(None)
    }

    /// Adds to `batch`, that of what it pays for, what is taken out of the store.
    pub(crate) fn put(&self, batch: Batch) -> Result<Batch, Fault> {
        match &self.0 {
            Some(reservation) => reservation.put(batch),
            None => Ok(batch),
        }
    }

    /// What it pays for is in the store: it is spent.
    pub(crate) fn keep(self) {
        if let Some(reservation) = self.0 {
            reservation.keep();
        }
    }
}

/// Takes `price`, if the cap of the day leaves room for it: for a code that goes out once more with another sender, which
/// no caller asked for. `Err` within says that it does not. Whoever commits what it pays for, as `reading` has it, adds to
/// the batch what [`Charge::put`] says and keeps it then: what is refused by the store, or comes too late, costs nothing.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub(crate) async fn charge<'a>(
    app: &'a App,
    reading: &mut Reading<'_>,
    account: AccountSid,
    price: Option<Price>,
    now: Timestamp,
) -> Result<Result<Charge<'a>, Blocked>, Fault> {
    let (Some(cap), Some(price)) = (app.policy.toll_fraud.spend_per_day, price) else {
        return Ok(Ok(Charge::nothing()));
    };
    if price.micros == 0 {
        return Ok(Ok(Charge::nothing()));
    }
    let need = Need::price(account, price, cap, now);
    Ok(match reserve(app, reading, &[&need], now).await? {
        Ok(reservation) => Ok(Charge(Some(reservation))),
        Err(spent) => {
            let why = spent.kind.reason();
            app.memory.fraud.refused.count(why);
            Err(Blocked::until(why, Some(spent.end()), now))
        }
    })
}
