//! A refusal in the audit log, where nothing is committed that could tell of it.

use super::Reading;
use super::audit_entry::AuditParts;
use super::audit_scope::with_asker;
use crate::app::App;
use crate::domain::audit::{AuditDecision, AuditDetail, AuditOutcome, clipped};
use crate::domain::sid::AccountSid;
use crate::store::{Batch, StoreError};

/// Writes down that what is asked for was refused, and why. More refusals than an account may have written are only counted.
pub(crate) async fn record_refusal(app: &App, why: &str) {
    if app.policy.audit_detail == AuditDetail::Off {
        return;
    }
    let refused = with_asker(|known| {
        let known = known?;
        // What was decided before is not what was refused.
        known.decided = None;
        // Who was not let in is another matter.
        let account = known.account?;
        let unwritten = app
            .memory
            .audit
            .admit_refusal(account, &known.author, app.clock.now())?;
        let decision = AuditDecision {
            act: known.act,
            subject: known.subject.clone(),
            outcome: AuditOutcome::Refused,
            reason: Some(clipped(why, MOST_REASON)),
        };
        Some((account, decision, unwritten))
    });
    if let Some((account, decision, unwritten)) = refused {
        write_entry(app, account, decision, unwritten).await;
    }
}

/// Writes an entry of its own of what was decided about whom. That stays so, whether it can be written down or not.
pub(in crate::flows) async fn write_entry(
    app: &App,
    account: AccountSid,
    decision: AuditDecision,
    unwritten: u32,
) {
    let put = AuditParts::of(app).put_decision(account, decision, unwritten);
    write_entries(app, put).await;
}

/// Commits entries that tell of what stays so, whether it can be written down or not.
pub(in crate::flows) async fn write_entries(app: &App, put: Result<Batch, StoreError>) {
    let written = async { Reading::new(app).commit_unaudited(put?).await };
    if let Err(error) = Box::pin(written).await {
        tracing::warn!("an entry is not in the audit log: {error}");
    }
}

/// How long a reason is at the most.
pub(in crate::flows) const MOST_REASON: usize = 200;
