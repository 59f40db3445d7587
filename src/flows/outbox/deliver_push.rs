//! Wakes the device of a factor.

use crate::app::App;
use crate::delivery::Outcome;
use crate::domain::events::OutboxRow;

/// Sends the notification of `row` with the transport that the factor names now, and notes in the factor what the
/// transport says of it.
pub async fn deliver_push(_app: &App, _row: &OutboxRow) -> Outcome {
    Outcome::Retry {
        why: "no sender".into(),
        after: None,
    }
}
