//! Who was not let in.

use crate::app::App;
use crate::domain::audit::{
    AuditAct, AuditDecision, AuditDetail, AuditEntry, AuditOutcome, AuditRequest, AuditSubject, Author,
};
use crate::domain::sid::AccountSid;
use crate::flows::reading::{NOBODY, current, write_refusal};
use crate::store::{Batch, keys};

/// Notes that whoever asks was not let in as `account`, or as nobody if that is none that is `known`. It is written by
/// [`record_strangers`]: how long the answer takes must not tell which accounts there are.
pub(crate) fn note_stranger(app: &App, account: AccountSid, known: bool) {
    if app.policy.audit_detail != AuditDetail::Off {
        let request: Option<AuditRequest> = current().and_then(|asker| asker.request);
        let account = if known { account } else { NOBODY };
        app.memory.audit.note_stranger(account, request);
    }
}

/// Writes down who was not let in since this was last done: one entry for each account.
pub(super) async fn record_strangers(app: &App) {
    for (account, strangers) in app.memory.audit.take_strangers() {
        let decision = AuditDecision {
            act: AuditAct::Authenticate,
            subject: AuditSubject::default(),
            outcome: AuditOutcome::Refused,
            reason: Some("wrong credentials".to_owned()),
        };
        let entry = AuditEntry {
            author: Author::Unknown,
            request: strangers.request,
            decision: Some(decision),
            changes: Vec::new(),
            unwritten: strangers.count - 1,
        };
        let now = app.clock.now();
        let sid = app.memory.audit.next_entry(account, now, app.sids.as_ref());
        let key = keys::audit_entry(account, sid);
        let put = Batch::new().put_new_record_until(key, &entry, now + app.policy.audit_retention);
        write_refusal(app, put).await;
    }
}
