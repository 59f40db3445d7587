//! Takes the price of one more message out of the account's money.

use super::reserve::{Reservation, reserve};
use crate::app::App;
use crate::domain::fraud::budget::Need;
use crate::domain::price::Price;
use crate::domain::refusal::Refusal;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::flows::Error;

/// What was taken of an account's money for one more message. It is given back if this is dropped without
/// [`Charge::keep`].
#[derive(Debug)]
#[must_use = "what was taken is given back when this is dropped"]
pub(crate) struct Charge(Option<Reservation>);

impl Charge {
    /// For what costs nothing, or was paid already.
    pub(crate) fn nothing() -> Self {
        Self(None)
    }

    /// What it pays for is in the store: it is spent.
    pub(crate) fn keep(self) {
        if let Some(reservation) = self.0 {
            reservation.keep();
        }
    }
}

/// Takes `price`, if the cap of the day leaves room for it: for a code that goes out once more with another sender, which
/// no caller asked for. Whoever commits what it pays for keeps it then: one that is refused by the store, or comes too
/// late, costs nothing.
///
/// # Errors
/// [`Refusal::Blocked`] when the cap is reached; [`Error::Failed`].
pub(crate) async fn charge(
    app: &App,
    account: AccountSid,
    price: Option<Price>,
    now: Timestamp,
) -> Result<Charge, Error> {
    let (Some(cap), Some(price)) = (app.policy.toll_fraud.spend_per_day, price) else {
        return Ok(Charge::nothing());
    };
    if price.micros == 0 {
        return Ok(Charge::nothing());
    }
    let need = Need::price(account, price, cap, now);
    match reserve(app, &[&need], now).await? {
        Ok(reservation) => Ok(Charge(Some(reservation))),
        Err(spent) => {
            let why = spent.kind.reason();
            app.memory.fraud.refused.count(why);
            Err(Refusal::Blocked {
                why,
                retry_after: super::admit::wait(Some(spent.end()), now),
            }
            .into())
        }
    }
}
