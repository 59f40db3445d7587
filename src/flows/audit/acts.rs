//! What operators do that changes no record of an account, but that all should hear of.

use crate::app::App;
use crate::domain::audit::{AuditAct, AuditDecision, AuditOutcome, AuditSubject, clipped};
use crate::domain::events::EventType;
use crate::domain::sid::AccountSid;
use crate::flows::event;
use crate::flows::reading::{CodedDecision, MOST_REASON, NOBODY, Reading, write_entry};
use crate::store::{Order, Scan, keys};

/// Writes down that `act` was done by whoever asks.
///
/// It goes on if that cannot be written: whoever has to save a store whose disk is full is not kept from it. The log says so.
pub async fn record_act(app: &App, act: AuditAct) {
    record(app, act, None).await;
}

/// Writes down that whoever asks has converted the store from or to somewhere, in the same way.
pub async fn record_conversion(app: &App, which_way: &str) {
    record(app, AuditAct::Convert, Some(clipped(which_way, MOST_REASON))).await;
}

async fn record(app: &App, act: AuditAct, reason: Option<String>) {
    let decision = AuditDecision {
        act,
        subject: AuditSubject::default(),
        outcome: AuditOutcome::Done,
        reason,
    };
    let decided = CodedDecision {
        decision,
        code: act.name(),
    };
    write_entry(app, NOBODY, decided, 0).await;
}

/// Tells the webhooks of every account that want to hear of it that `event_type` happened. What keeps some from being told is
/// logged.
pub async fn tell_accounts(app: &App, event_type: EventType) {
    let mut after = None;
    loop {
        let scan = Scan {
            prefix: keys::accounts().bytes().to_vec(),
            after: after.take(),
            order: Order::Ascending,
            limit: ACCOUNTS_AT_ONCE,
        };
        let found = match Reading::new(app).scan_past(scan).await {
            Ok(found) => found,
            Err(error) => {
                let name = event_type.name();
                tracing::warn!("not all accounts are told of {name}: {error}");
                return;
            }
        };
        for (key, _) in &found {
            if let Some(account) = keys::last_sid(key) {
                let account = AccountSid::from_bytes(account);
                event::notify(app, account, event_type, None).await;
            }
        }
        match found.into_iter().next_back() {
            Some((last, _)) => after = Some(last),
            None => return,
        }
    }
}

const ACCOUNTS_AT_ONCE: usize = 500;
