//! A refusal in the audit log, where nothing is committed that could tell of it.

use super::audit_entry::AuditParts;
use super::audit_scope::{CodedDecision, with_asker};
use super::decision_line::ToTell;
use super::{NOBODY, Reading};
use crate::app::App;
use crate::domain::audit::{AuditDecision, AuditDetail, AuditEntry, AuditOutcome, Author, clipped};
use crate::domain::refusal::RefusalReason;
use crate::domain::sid::AccountSid;
use crate::store::{Batch, StoreError};

/// Tells that what is asked for was refused, and why. More refusals than an account may have written are only counted.
pub(crate) async fn record_refusal(app: &App, why: &RefusalReason) {
    let refused = with_asker(|known| {
        let known = known?;
        // What was decided before is not what was refused.
        known.decided = None;
        // Who was not let in is another matter.
        let account = match known.author {
            Author::Operator(_) => known.account.unwrap_or(NOBODY),
            _ => known.account?,
        };
        let now = app.clock.now();
        let admitted = app.memory.audit.admit_refusal(account, &known.author, now);
        let decision = AuditDecision {
            act: known.act,
            subject: known.subject.clone(),
            outcome: AuditOutcome::Refused,
            reason: Some(clipped(&why.words, MOST_REASON)),
        };
        let author = known.author.clone();
        Some((account, author, decision, admitted))
    });
    let Some((account, author, decision, admitted)) = refused else {
        return;
    };
    let Some(unwritten) = admitted else {
        let entry = AuditEntry {
            author,
            request: None,
            decision: Some(decision),
            changes: Vec::new(),
            unwritten: 0,
        };
        let refused = ToTell {
            account,
            entry,
            code: why.code,
        };
        return refused.count(&app.memory);
    };
    let decided = CodedDecision {
        decision,
        code: why.code,
    };
    write_entry(app, account, decided, unwritten).await;
}

/// Writes an entry of its own of what was decided about whom. That stays so, whether it can be written down or not.
pub(in crate::flows) async fn write_entry(
    app: &App,
    account: AccountSid,
    decided: CodedDecision,
    unwritten: u32,
) {
    let CodedDecision { decision, code } = decided;
    let put = match AuditParts::of(app).put_decision(account, decision, unwritten) {
        Ok((put, entry)) => {
            ToTell { account, entry, code }.tell(&app.memory);
            Ok(put)
        }
        Err(error) => Err(error),
    };
    if app.policy.audit_detail != AuditDetail::Off {
        write_entries(app, put).await;
    }
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
