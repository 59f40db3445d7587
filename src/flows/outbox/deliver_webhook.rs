//! Tells a webhook of an event.

use crate::app::App;
use crate::delivery::Outcome;
use crate::domain::events::OutboxRow;

/// Sends the event of `row` to its webhook as it is configured now, signed with the account's webhook signing secret.
pub async fn deliver_webhook(_app: &App, _row: &OutboxRow) -> Outcome {
    Outcome::Retry {
        why: "no sender".into(),
        after: None,
    }
}
