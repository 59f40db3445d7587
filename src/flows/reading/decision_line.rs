//! The line in the log that each decision leaves, and its count.
//!
//! Both tell the same as the audit log, in the same words, whether that is written or not: of what changes something once it is
//! committed, of a refusal at once. Of more refusals than the audit log takes of an account there is the count alone.

use std::time::Duration;

use super::NOBODY;
use super::audit_scope::with_asker;
use crate::domain::audit::{AuditAct, AuditEntry, AuditRequest};
use crate::domain::destination::Destination;
use crate::domain::sid::AccountSid;
use crate::domain::text::without_local_parts;
use crate::memory::Memory;
use crate::memory::decisions::CountedDecision;

/// What is to be told once it was committed.
#[derive(Debug)]
pub(in crate::flows) struct ToTell {
    pub(in crate::flows) account: AccountSid,
    /// Without the request, which is known as long as it is under way.
    pub(in crate::flows) entry: AuditEntry,
    /// What the reason is counted as.
    pub(in crate::flows) code: &'static str,
}

impl ToTell {
    /// Tells of it on behalf of whoever asks, and counts it.
    pub(in crate::flows) fn tell(&self, memory: &Memory) {
        self.count(memory);
        with_asker(|known| match known {
            Some(known) => line(
                self.account,
                &self.entry,
                known.request.as_ref(),
                Some(known.began.elapsed()),
            ),
            None => line(self.account, &self.entry, None, None),
        });
    }

    /// Only counts it: as much was told of the account lately as of anybody.
    pub(in crate::flows) fn count(&self, memory: &Memory) {
        let dialect = with_asker(|known| known.map_or("", |known| known.dialect));
        memory.decisions.count(&CountedDecision {
            dialect,
            act: act_of(&self.entry).name(),
            outcome: self.entry.outcome().name(),
            reason: self.code,
        });
    }
}

/// Tells of what was decided about somebody before.
pub(in crate::flows) fn decision_line(account: AccountSid, entry: &AuditEntry) {
    line(account, entry, entry.request.as_ref(), None);
}

/// What was to be decided, as the audit log shows it.
fn act_of(entry: &AuditEntry) -> AuditAct {
    let decision = entry.decision.as_ref();
    decision.map_or(AuditAct::Change, |decision| decision.act)
}

fn line(account: AccountSid, entry: &AuditEntry, request: Option<&AuditRequest>, took: Option<Duration>) {
    let decision = entry.decision.as_ref();
    let subject = decision.map(|decision| &decision.subject);
    let identity = subject.and_then(|subject| subject.identity.as_ref());
    tracing::info!(
        target: TARGET,
        request = request.map(id_of).as_deref(),
        dialect = request.map(|request| request.dialect.as_str()).filter(|name| !name.is_empty()),
        account = (account != NOBODY).then(|| tracing::field::display(account)),
        service = subject.and_then(|subject| subject.service).map(tracing::field::display),
        identity = identity.map(|identity| without_local_parts(identity.as_str())).as_deref(),
        factor = subject.and_then(|subject| subject.factor).map(tracing::field::display),
        challenge = subject.and_then(|subject| subject.challenge).map(tracing::field::display),
        verification = subject.and_then(|subject| subject.verification).map(tracing::field::display),
        to = subject.and_then(|subject| subject.destination.as_ref()).map(Destination::masked).as_deref(),
        by = %entry.author,
        from = request.map(|request| request.address.as_str()),
        reason = decision.and_then(|decision| decision.reason.as_deref()),
        changes = changes_of(entry).as_deref(),
        unwritten = (entry.unwritten > 0).then_some(entry.unwritten),
        ms = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        "{} {}",
        act_of(entry).name(),
        entry.outcome().name(),
    );
}

/// As the audit log shows it, and answers carry it.
fn id_of(request: &AuditRequest) -> String {
    format!("{:032x}", u128::from_be_bytes(request.id))
}

fn changes_of(entry: &AuditEntry) -> Option<String> {
    let changes = entry.changes.iter();
    let named =
        changes.map(|change| format!("{} {}", change.change.name(), without_local_parts(&change.what)));
    Some(named.collect::<Vec<_>>().join(", ")).filter(|named| !named.is_empty())
}

/// What the lines are filtered by: `--log countersign::decision=off` leaves them out.
const TARGET: &str = "countersign::decision";
