//! What `countersign outbox` asks for.

use serde::{Deserialize, Serialize};

use super::{AdminRefusal, Reply, explain};
use crate::app::App;
use crate::domain::events::{OutboxMessage, OutboxRow};
use crate::domain::outbox::{DeadLetter, Lane, Receiver};
use crate::domain::sid::EventSid;
use crate::flows::Fault;
use crate::flows::outbox::dead_letters::{Disposal, decide, decide_all, list_dead_letters};
use crate::flows::outbox::{After, list_waiting};
use crate::flows::page::{Cursor, Order, PageRequest};

/// A page of the rows that wait, or of the dead letters.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OutboxView {
    pub(super) rows: Vec<RowView>,
    /// Where the next page begins, if there are more.
    pub(super) next: Option<String>,
}

/// A row that waits, or a dead letter; what its message does not have is `None`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RowView {
    pub(super) sid: String,
    /// To whom it goes.
    pub(super) receiver: String,
    /// What it is: `code`, `push`, or the type of the event.
    pub(super) what: String,
    pub(super) service_sid: String,
    pub(super) identity: Option<String>,
    pub(super) factor_sid: Option<String>,
    pub(super) challenge_sid: Option<String>,
    pub(super) verification_sid: Option<String>,
    pub(super) attempt_sid: Option<String>,
    pub(super) date_created: String,
    pub(super) attempts: u32,
    /// When it is due, unless it was given up.
    pub(super) next_at: Option<String>,
    /// Why the last try failed, or why it was given up.
    pub(super) why: Option<String>,
    pub(super) date_given_up: Option<String>,
}

pub(super) async fn list(
    app: &App,
    waiting: bool,
    after: Option<String>,
    limit: u16,
) -> Result<Reply, AdminRefusal> {
    let limit = usize::from(limit).clamp(1, 1000);
    let failed = |fault: Fault| fault.to_string();
    let view = if waiting {
        let after = after.as_deref().map(place).transpose()?;
        let (rows, next) = list_waiting(app, after, limit).await.map_err(failed)?;
        OutboxView {
            rows: rows.iter().map(RowView::waiting).collect(),
            next: next.map(|(lane, sid)| format!("{}/{}/{sid}", lane.account, lane.receiver)),
        }
    } else {
        let cursor = match after {
            Some(after) => Cursor::After(*event_sid(&after)?.as_bytes()),
            None => Cursor::Start,
        };
        let request = PageRequest {
            size: limit,
            cursor,
            order: Order::Ascending,
        };
        let page = list_dead_letters(app, request).await.map_err(failed)?;
        OutboxView {
            rows: page.items.iter().map(RowView::dead).collect(),
            next: match page.next {
                Some(Cursor::After(sid)) => Some(EventSid::from_bytes(sid).to_string()),
                _ => None,
            },
        }
    };
    Ok(Reply::Outbox(view))
}

/// Decides on one dead letter, on those of a receiver, or on all.
pub(super) async fn decide_on(
    app: &App,
    sid: Option<String>,
    receiver: Option<String>,
    fate: Disposal,
) -> Result<Reply, AdminRefusal> {
    const NONE: &str = "there is no such dead letter; `countersign outbox list` shows those there are";
    let done = match fate {
        Disposal::Dropped => "dropped",
        Disposal::PutBack => "put back",
    };
    if let Some(sid) = sid {
        decide(app, event_sid(&sid)?, fate)
            .await
            .map_err(|error| explain(error, NONE))?;
        return Ok(Reply::Done(format!("{done} {sid}")));
    }
    let receiver: Option<Receiver> = match receiver {
        Some(text) => Some(
            text.parse()
                .map_err(|error| AdminRefusal::Misused(format!("{text} is no receiver: it {error}")))?,
        ),
        None => None,
    };
    let count = decide_all(app, receiver, fate)
        .await
        .map_err(|fault| fault.to_string())?;
    Ok(Reply::Done(format!("{done} {count}")))
}

impl RowView {
    fn dead(letter: &DeadLetter) -> Self {
        Self {
            next_at: None,
            why: Some(letter.why.to_string()),
            date_given_up: Some(letter.date_given_up.to_string()),
            ..Self::waiting(&letter.row)
        }
    }

    fn waiting(row: &OutboxRow) -> Self {
        let view = Self::bare(row);
        match &row.message {
            OutboxMessage::Blocked { event, .. } => Self {
                service_sid: event.service.to_string(),
                ..view
            },
            OutboxMessage::Code(code) => Self {
                service_sid: code.service.to_string(),
                verification_sid: Some(code.verification.to_string()),
                attempt_sid: Some(code.attempt.to_string()),
                ..view
            },
            OutboxMessage::Notice { notice, .. } => Self {
                service_sid: notice.service.to_string(),
                ..view
            },
            OutboxMessage::Push {
                service,
                identity,
                factor,
                challenge,
                ..
            } => Self {
                service_sid: service.to_string(),
                identity: Some(identity.to_string()),
                factor_sid: Some(factor.to_string()),
                challenge_sid: Some(challenge.to_string()),
                ..view
            },
            OutboxMessage::Webhook { event, .. } => Self {
                service_sid: event.service.to_string(),
                identity: Some(event.identity.to_string()),
                factor_sid: Some(event.factor.to_string()),
                challenge_sid: event.challenge.map(|sid| sid.to_string()),
                ..view
            },
        }
    }

    /// What rows of every kind have, with the rest left empty.
    fn bare(row: &OutboxRow) -> Self {
        Self {
            sid: row.sid.to_string(),
            receiver: row.message.receiver().to_string(),
            what: row.message.name().to_owned(),
            service_sid: String::new(),
            identity: None,
            factor_sid: None,
            challenge_sid: None,
            verification_sid: None,
            attempt_sid: None,
            date_created: row.date_created.to_string(),
            attempts: row.attempts,
            next_at: Some(row.next_at.to_string()),
            why: row.last_error.as_ref().map(ToString::to_string),
            date_given_up: None,
        }
    }
}

fn event_sid(text: &str) -> Result<EventSid, AdminRefusal> {
    text.parse()
        .map_err(|error| AdminRefusal::Misused(format!("{text} is no event's SID: it {error}")))
}

fn place(text: &str) -> Result<After, AdminRefusal> {
    let mut parts = text.splitn(3, '/');
    let mut read = || {
        let lane = Lane {
            account: parts.next()?.parse().ok()?,
            receiver: parts.next()?.parse().ok()?,
        };
        Some((lane, parts.next()?.parse().ok()?))
    };
    let parsed = read();
    parsed.ok_or_else(|| {
        AdminRefusal::Misused(format!(
            "{text} is no place that a list of waiting rows ended with"
        ))
    })
}
