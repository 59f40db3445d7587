//! Who was not let in.

use crate::app::App;
use crate::domain::audit::{
    AuditAct, AuditDecision, AuditDetail, AuditEntry, AuditOutcome, AuditRequest, AuditSubject, Author,
};
use crate::domain::sid::AccountSid;
use crate::flows::reading::{AuditParts, NOBODY, decision_line, with_asker, write_entries};
use crate::memory::audit::{Strangers, TakenStrangers};
use crate::memory::decisions::CountedDecision;
use crate::store::Batch;

/// Notes that whoever asks was not let in as `account`, or as nobody if that is none that is `known`. It is written by
/// [`record_strangers`]: how long the answer takes must not tell which accounts there are.
pub(crate) fn note_stranger(app: &App, account: AccountSid, known: bool) {
    let (request, dialect) = with_asker(|asker| match asker {
        Some(asker) => (asker.request.clone(), asker.dialect),
        None => (None, ""),
    });
    app.memory.decisions.count(&CountedDecision {
        dialect,
        act: AuditAct::Authenticate.name(),
        outcome: AuditOutcome::Refused.name(),
        reason: "wrong_credentials",
    });
    let account = if known { account } else { NOBODY };
    app.memory.audit.note_stranger(account, request);
}

/// Writes down who was not let in since this was last done: one entry, and one line of the log, for each account. Whoever has no
/// credentials fills neither.
pub(super) async fn record_strangers(app: &App) {
    let TakenStrangers { by_account, beyond } = app.memory.audit.take_strangers();
    let told = by_account.into_iter();
    let mut entries: Vec<_> = told
        .map(|(account, Strangers { request, count })| (account, entry(request, WRONG, count - 1)))
        .collect();
    if beyond > 0 {
        let why = "wrong credentials, of more accounts than are told apart";
        entries.push((NOBODY, entry(None, why, beyond - 1)));
    }
    for (account, entry) in &entries {
        decision_line(*account, entry);
    }
    if app.policy.audit_detail == AuditDetail::Off {
        return;
    }
    for together in entries.chunks(WRITTEN_TOGETHER) {
        let put = together.iter().try_fold(Batch::new(), |batch, (account, entry)| {
            AuditParts::of(app).put_entry(batch, *account, entry)
        });
        write_entries(app, put).await;
    }
}

const WRONG: &str = "wrong credentials";

fn entry(request: Option<AuditRequest>, why: &str, unwritten: u32) -> AuditEntry {
    AuditEntry {
        author: Author::Unknown,
        request,
        decision: Some(AuditDecision {
            act: AuditAct::Authenticate,
            subject: AuditSubject::default(),
            outcome: AuditOutcome::Refused,
            reason: Some(why.to_owned()),
        }),
        changes: Vec::new(),
        unwritten,
    }
}

/// How many entries go in one batch.
const WRITTEN_TOGETHER: usize = 100;
