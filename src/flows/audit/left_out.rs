//! What was only counted: that there was more than is written is always told.

use crate::app::App;
use crate::domain::audit::{AuditAct, AuditDecision, AuditEntry, AuditOutcome, AuditSubject, Author};
use crate::domain::sid::AccountSid;
use crate::flows::reading::{AuditParts, NOBODY, write_entries};
use crate::memory::audit::UntoldRefusals;
use crate::store::{Batch, StoreError};

/// Writes down how many refusals were only counted, where no later refusal of the account has told of them.
pub(super) async fn record_left_out(app: &App) {
    write(app, app.memory.audit.take_left_out(app.clock.now())).await;
}

/// The same when the process ends, which forgets all that it has counted.
pub(super) async fn record_all_left_out(app: &App) {
    write(app, app.memory.audit.take_all_left_out()).await;
}

async fn write(app: &App, left_out: UntoldRefusals) {
    let UntoldRefusals { by_account, beyond } = left_out;
    let told = by_account
        .into_iter()
        .map(|(account, count)| (account, "more refusals than are written", count));
    let beyond = (NOBODY, "refusals of more accounts than are told apart", beyond);
    for (account, why, count) in told.chain([beyond]).filter(|(_, _, count)| *count > 0) {
        write_entries(app, entry(app, account, why, count)).await;
    }
}

fn entry(app: &App, account: AccountSid, why: &str, count: u32) -> Result<Batch, StoreError> {
    let entry = AuditEntry {
        author: Author::Server,
        request: None,
        decision: Some(AuditDecision {
            act: AuditAct::Change,
            subject: AuditSubject::default(),
            outcome: AuditOutcome::Refused,
            reason: Some(why.to_owned()),
        }),
        changes: Vec::new(),
        unwritten: count,
    };
    AuditParts::of(app).put_entry(Batch::new(), account, &entry)
}
