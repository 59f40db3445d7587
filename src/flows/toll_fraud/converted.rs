//! Takes in that a code was used.

use crate::app::App;
use crate::domain::toll_fraud::prefix::NumberPrefix;
use crate::domain::verification::Verification;

/// The verification was approved: all its sends were of use. To be called once that is in the store.
pub fn converted(app: &App, verification: &Verification) {
    if let Some(number) = verification.destination.phone() {
        let place = (verification.account, NumberPrefix::of(number));
        app.memory.fraud.conversions().converted(&place, verification.sid);
    }
}
