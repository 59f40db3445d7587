//! What operators do that changes no record of an account.

use crate::app::App;
use crate::domain::audit::{AuditAct, AuditDecision, AuditDetail, AuditOutcome, AuditSubject};
use crate::flows::reading::{NOBODY, write_entry};

/// Writes down that `act` was done by whoever asks.
///
/// It goes on if that cannot be written: whoever has to save a store whose disk is full is not kept from it. The log says so.
pub async fn record_act(app: &App, act: AuditAct) {
    if app.policy.audit_detail == AuditDetail::Off {
        return;
    }
    let decision = AuditDecision {
        act,
        subject: AuditSubject::default(),
        outcome: AuditOutcome::Done,
        reason: None,
    };
    write_entry(app, NOBODY, decision, 0).await;
}
