//! What was read that no server of this store wrote.

use crate::app::App;
use crate::domain::audit::{AuditAct, AuditDecision, AuditOutcome, AuditSubject, clipped};
use crate::domain::events::EventType;
use crate::domain::sid::AccountSid;
use crate::flows::event;
use crate::flows::reading::{CodedDecision, MOST_REASON, NOBODY, Reading, account_of, write_entry};
use crate::store::ForgedEntry;
use crate::store::keys::KeyParts;

/// Writes down which entries were found to be forged since this was last done. Whoever read one was refused then and there.
pub(super) async fn record_forged(app: &App) {
    for ForgedEntry { key, why } in Reading::new(app).take_forged() {
        let what = KeyParts::parse(&key).map_or_else(
            || format!("key {}", key.escape_ascii()),
            |parts| parts.to_string(),
        );
        let account = account_of([key.as_slice()].into_iter()).unwrap_or(NOBODY);
        tell(app, account, what, &why).await;
    }
}

/// Writes down once that the head of an account's chain is gone.
pub(super) async fn record_lost_head(app: &App, account: AccountSid) {
    if app.memory.audit.note_lost_head(account) {
        let what = KeyParts::AuditHead(account).to_string();
        tell(app, account, what, LOST_HEAD).await;
    }
}

async fn tell(app: &App, account: AccountSid, what: String, why: &str) {
    let decision = AuditDecision {
        act: AuditAct::Integrity,
        subject: AuditSubject::default(),
        outcome: AuditOutcome::Refused,
        reason: Some(clipped(&format!("{what}: {why}"), MOST_REASON)),
    };
    let decided = CodedDecision {
        decision,
        code: "forged",
    };
    write_entry(app, account, decided, 0).await;
    if account != NOBODY {
        event::notify(app, account, EventType::IntegrityFailed, Some(what)).await;
    }
}

pub(super) const LOST_HEAD: &str = "it is gone, or names less than was sealed; entries may be gone with it";
