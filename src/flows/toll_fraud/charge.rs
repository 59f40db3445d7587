//! Takes the price of one more message out of the account's money.

use super::reserve::reserve;
use crate::app::App;
use crate::domain::attempt::Price;
use crate::domain::refusal::Refusal;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::domain::toll_fraud::budget::Need;
use crate::flows::Error;

/// Spends `price`, if the cap of the day leaves room for it: for a code that goes out once more with another sender, which
/// no caller asked for.
///
/// # Errors
/// [`Refusal::Blocked`] when the cap is reached; [`Error::Busy`], [`Error::Corrupt`], [`Error::Unavailable`].
pub async fn charge(
    app: &App,
    account: AccountSid,
    price: Option<Price>,
    now: Timestamp,
) -> Result<(), Error> {
    let (Some(cap), Some(price)) = (app.policy.toll_fraud.spend_per_day, price) else {
        return Ok(());
    };
    if price.micros == 0 {
        return Ok(());
    }
    let need = Need::price(account, price, cap, now);
    match reserve(app, &[&need], now).await? {
        Ok(reservation) => {
            reservation.keep();
            Ok(())
        }
        Err(spent) => {
            let why = spent.kind.reason();
            app.fraud.guard.tally.count(why);
            Err(Refusal::Blocked {
                why,
                retry_after: super::admit::wait(Some(spent.end()), now),
            }
            .into())
        }
    }
}
