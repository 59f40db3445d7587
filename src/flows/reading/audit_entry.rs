//! What a commit says of itself in the audit log.

use std::time::Duration;

use super::audit_scope::{CodedDecision, KnownAsker, with_asker};
use super::decision_line::ToTell;
use crate::app::App;
use crate::domain::audit::{AuditChange, AuditDecision, AuditDetail, AuditEntry, Author, ChangeKind};
use crate::domain::sid::{AccountSid, SidSource};
use crate::domain::time::Clock;
use crate::memory::audit::AuditMemory;
use crate::store::keys::KeyParts;
use crate::store::{Batch, StoreError, keys};

/// What is counted for changes that rest on no decision.
const DONE: &str = "done";

/// Whose entries those are that belong to no account.
pub const NOBODY: AccountSid = AccountSid::from_bytes([0; 16]);

/// What entries are made with.
#[derive(Clone, Copy)]
pub(in crate::flows) struct AuditParts<'a> {
    detail: AuditDetail,
    retention: Duration,
    clock: &'a dyn Clock,
    sids: &'a dyn SidSource,
    memory: &'a AuditMemory,
}

impl<'a> AuditParts<'a> {
    pub(in crate::flows) fn of(app: &'a App) -> Self {
        Self {
            detail: app.policy.audit_detail,
            retention: app.policy.audit_retention,
            clock: app.clock.as_ref(),
            sids: app.sids.as_ref(),
            memory: &app.memory.audit,
        }
    }

    /// Adds to `batch` the entry that tells of it and of the decision that it follows from; nothing if it is not to be told of.
    /// What was read for it is an `owner`'s. Also what is to be told of it elsewhere once it is committed.
    pub(super) fn add_entry(
        self,
        batch: Batch,
        owner: Option<AccountSid>,
    ) -> Result<(Batch, Option<Box<ToTell>>), StoreError> {
        with_asker(|mut known| {
            let decided = known.as_mut().and_then(|known| known.decided.take());
            let changes = changes_of(&batch, decided.is_some(), known.is_some(), self.detail);
            if decided.is_none() && changes.is_empty() {
                return Ok((batch, None));
            }
            let account = known.as_ref().and_then(|known| known.account);
            let written = || account_of(batch.written_keys().chain(batch.deleted_keys()));
            let account = account.or_else(written).or(owner).unwrap_or(NOBODY);
            let (decision, code) = match decided {
                Some(CodedDecision { decision, code }) => (Some(decision), code),
                None => (None, DONE),
            };
            let (batch, entry) = self.put(batch, account, known, decision, changes, 0)?;
            Ok((batch, Some(Box::new(ToTell { account, entry, code }))))
        })
    }

    /// Adds an entry of what was decided on behalf of whoever asks; the entry, too, for whoever tells of it elsewhere.
    pub(super) fn put_decision(
        self,
        account: AccountSid,
        decision: AuditDecision,
        unwritten: u32,
    ) -> Result<(Batch, AuditEntry), StoreError> {
        with_asker(|mut known| {
            // What else was decided is not what is told of here.
            if let Some(known) = &mut known {
                known.decided = None;
            }
            self.put(
                Batch::new(),
                account,
                known,
                Some(decision),
                Vec::new(),
                unwritten,
            )
        })
    }

    fn put(
        self,
        batch: Batch,
        account: AccountSid,
        mut known: Option<&mut KnownAsker>,
        decision: Option<AuditDecision>,
        changes: Vec<AuditChange>,
        unwritten: u32,
    ) -> Result<(Batch, AuditEntry), StoreError> {
        let author = known
            .as_ref()
            .map_or(Author::Server, |known| known.author.clone());
        // Lent: whoever asks may have more to be told of.
        let request = known.as_mut().and_then(|known| known.request.take());
        let mut entry = AuditEntry {
            author,
            request,
            decision,
            changes,
            unwritten,
        };
        let put = match self.detail {
            AuditDetail::Off => Ok(batch),
            AuditDetail::Decisions | AuditDetail::All => self.put_entry(batch, account, &entry),
        };
        let request = entry.request.take();
        if let Some(known) = known {
            known.request = request;
        }
        Ok((put?, entry))
    }

    /// Adds an entry of the account's.
    pub(in crate::flows) fn put_entry(
        self,
        batch: Batch,
        account: AccountSid,
        entry: &AuditEntry,
    ) -> Result<Batch, StoreError> {
        let now = self.clock.now();
        let key = keys::audit_entry(account, self.memory.next_entry(account, now, self.sids));
        batch.append_record_until(key, entry, now + self.retention)
    }
}

/// What `batch` changes that is to be told of. What a decision is about is told by the decision.
fn changes_of(batch: &Batch, is_decided: bool, is_asked: bool, detail: AuditDetail) -> Vec<AuditChange> {
    let mut changes = Vec::new();
    let mut more = 0_usize;
    let written = batch.written_keys().map(|key| (key, true));
    let deleted = batch.deleted_keys().map(|key| (key, false));
    for (key, is_written) in written.chain(deleted) {
        let change = match (is_written, batch.rests_on(key)) {
            (true, false) => ChangeKind::Created,
            (true, true) => ChangeKind::Changed,
            (false, _) => ChangeKind::Deleted,
        };
        let told = match key.first() {
            // Accounts, keys, tokens, services, credentials, safe numbers, blocks, webhooks, rate limits, messaging configurations,
            // users; the store's own keys.
            Some(b'M' | b'a' | b'k' | b'T' | b's' | b'r' | b'S' | b'P' | b'w' | b'i' | b'h' | b'u') => true,
            // Access tokens, verifications; entities and all that is theirs.
            Some(b't' | b'v' | b'e') => detail == AuditDetail::All || (is_asked && !is_decided),
            _ => false,
        };
        let Some(parts) = Some(key).filter(|_| told).and_then(KeyParts::parse) else {
            continue;
        };
        // An entity counts what it has, and a challenge that waits is on a list: that says nothing.
        let is_told = match parts {
            KeyParts::Pending(..) => false,
            KeyParts::Entity(..) => change != ChangeKind::Changed,
            // A store begins with one.
            KeyParts::KeyRing() => change != ChangeKind::Created,
            _ => true,
        };
        if !is_told {
            continue;
        }
        if changes.len() < AuditEntry::MOST_CHANGES {
            let what = parts.to_string();
            changes.push(AuditChange { change, what });
        } else {
            more += 1;
        }
    }
    if more > 0 {
        changes.push(AuditChange {
            change: ChangeKind::Changed,
            what: format!("{more} more"),
        });
    }
    changes
}

/// The account that what is at one of these keys belongs to.
pub(in crate::flows) fn account_of<'k>(mut keys: impl Iterator<Item = &'k [u8]>) -> Option<AccountSid> {
    keys.find_map(|key| match key.split_first()? {
        // Kinds whose keys begin with their account.
        (b'a' | b'b' | b'E' | b's' | b'r' | b'S' | b'P' | b'W' | b'D' | b'A' | b'U' | b'R', rest) => {
            Some(AccountSid::from_bytes(*rest.first_chunk()?))
        }
        _ => None,
    })
}
