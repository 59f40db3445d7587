//! The outbox: what is announced arrives, in order, at least once, or is a dead letter; and no receiver is another one's
//! problem.

mod abuse;
mod abuse_names;
mod abuse_sockets;
mod dead_letters;
mod expiry;
mod final_status;
mod full;
mod one_recipient;
mod order;
mod slow_receivers;
mod tenant;
mod tries;
mod two_processes;

use countersign::domain::events::{OutboxMessage, OutboxRow};

use crate::support::{Client, User};

/// A webhook for these events; its SID.
async fn subscribe(client: &Client<'_>, user: &User, events: &[&str]) -> String {
    let mut form = vec![("FriendlyName", "x"), ("WebhookUrl", "https://x.example")];
    form.extend(events.iter().map(|event| ("EventTypes", *event)));
    let webhooks = format!("{}/Webhooks", user.service.path);
    client.post(&webhooks, &form).await.text("sid")
}

/// The type of the event, and the factor's SID.
pub(crate) fn event(row: &OutboxRow) -> (&'static str, String) {
    match &row.message {
        OutboxMessage::Webhook { event, .. } => (event.event_type.name(), event.factor.to_string()),
        OutboxMessage::Blocked { .. }
        | OutboxMessage::Code(_)
        | OutboxMessage::Notice { .. }
        | OutboxMessage::Push { .. } => {
            panic!("another message")
        }
    }
}

fn names(rows: &[OutboxRow]) -> Vec<&'static str> {
    rows.iter().map(|row| event(row).0).collect()
}
