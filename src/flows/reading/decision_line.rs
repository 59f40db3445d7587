//! The line in the log that each decision leaves, and its count.
//!
//! Both tell the same as the audit log, in the same words, whether that is written or not; and only what was committed.

use super::NOBODY;
use super::audit_scope::{KnownAsker, with_asker};
use crate::domain::audit::{AuditAct, AuditEntry, AuditRequest};
use crate::domain::destination::Destination;
use crate::domain::sid::AccountSid;
use crate::domain::text::Identity;
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
    /// Tells of it on behalf of whoever asks.
    pub(in crate::flows) fn tell(&self, memory: &Memory) {
        with_asker(|known| self.tell_as(memory, known.as_deref()));
    }

    fn tell_as(&self, memory: &Memory, known: Option<&KnownAsker>) {
        let request = known.and_then(|known| known.request.as_ref());
        let decision = self.entry.decision.as_ref();
        let act = match (decision, known) {
            (Some(decision), _) => decision.act,
            (None, Some(known)) => known.act,
            (None, None) => AuditAct::Change,
        };
        let outcome = self.entry.outcome();
        memory.decisions.count(&CountedDecision {
            dialect: known.map_or("", |known| known.dialect),
            act: act.name(),
            outcome: outcome.name(),
            reason: self.code,
        });
        let subject = decision.map(|decision| &decision.subject);
        tracing::info!(
            target: TARGET,
            request = request.map(id_of).as_deref(),
            dialect = known.map(|known| known.dialect).filter(|name| !name.is_empty()),
            account = (self.account != NOBODY).then(|| tracing::field::display(self.account)),
            service = subject.and_then(|subject| subject.service).map(tracing::field::display),
            identity = subject.and_then(|subject| subject.identity.as_ref()).map(Identity::as_str),
            factor = subject.and_then(|subject| subject.factor).map(tracing::field::display),
            challenge = subject.and_then(|subject| subject.challenge).map(tracing::field::display),
            verification = subject.and_then(|subject| subject.verification).map(tracing::field::display),
            to = subject.and_then(|subject| subject.destination.as_ref()).map(Destination::masked).as_deref(),
            by = %self.entry.author,
            from = request.map(|request| request.address.as_str()),
            reason = decision.and_then(|decision| decision.reason.as_deref()),
            changes = changes_of(&self.entry).as_deref(),
            unwritten = (self.entry.unwritten > 0).then_some(self.entry.unwritten),
            ms = known.map(|known| u64::try_from(known.began.elapsed().as_millis()).unwrap_or(u64::MAX)),
            "{} {}",
            act.name(),
            outcome.name(),
        );
    }
}

/// As the audit log shows it, and answers carry it.
fn id_of(request: &AuditRequest) -> String {
    format!("{:032x}", u128::from_be_bytes(request.id))
}

fn changes_of(entry: &AuditEntry) -> Option<String> {
    let changes = entry.changes.iter();
    let named = changes.map(|change| format!("{} {}", change.change.name(), change.what));
    Some(named.collect::<Vec<_>>().join(", ")).filter(|named| !named.is_empty())
}

/// What the lines are filtered by: `--log countersign::decision=off` leaves them out.
const TARGET: &str = "countersign::decision";
