//! The audit log: who did what to whom, with which outcome and why.
//!
//! Each entry stands among those of its account, in the order of their making, and is written in the same commit as what it
//! tells of. Behind a while entries are sealed: a seal holds a digest of a stretch of them and of the seal before it, so that
//! one that is missing, changed or out of its order is found.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::destination::Destination;
use super::sid::{
    AccessTokenSid, ApiKeySid, AuditSid, BearerTokenSid, ChallengeSid, FactorSid, ServiceSid, VerificationSid,
};
use super::text::Identity;
use super::time::Timestamp;

/// How much of what happens is written into the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditDetail {
    /// Nothing.
    Off,
    /// What was decided about codes, answers and callers, and what somebody set up, changed or removed.
    Decisions,
    /// That, and each change of entities, factors, challenges and verifications besides.
    All,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Author {
    /// The server by itself, as when something ends in time.
    Server,
    /// The account, by its auth token.
    Account,
    /// Whoever has this API key.
    ApiKey(ApiKeySid),
    /// Whoever has this bearer token.
    BearerToken(BearerTokenSid),
    /// Whoever has this access token, which permits to enrol one factor.
    AccessToken(AccessTokenSid),
    /// The device that this factor is.
    Device(FactorSid),
    /// Somebody on the server's machine, by the number of the user there.
    Operator(u32),
    /// Whoever the protocol lets in without credentials of an account.
    Anyone,
    /// Nobody who is known: the credentials were wrong.
    Unknown,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("server"),
            Self::Account => f.write_str("account"),
            Self::ApiKey(sid) => write!(f, "key {sid}"),
            Self::BearerToken(sid) => write!(f, "token {sid}"),
            Self::AccessToken(sid) => write!(f, "access token {sid}"),
            Self::Device(sid) => write!(f, "device {sid}"),
            Self::Operator(user) => write!(f, "operator (user {user})"),
            Self::Anyone => f.write_str("anyone"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// The request in which something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRequest {
    /// Its identifier, which the answer carries, too.
    #[serde(with = "serde_bytes")]
    pub id: [u8; 16],
    /// The protocol that it was made in; empty if it never said enough to know.
    pub dialect: String,
    /// Whom it came from.
    pub address: String,
    /// What the client calls itself, as far as [`clipped`] leaves it.
    pub agent: Option<String>,
}

/// Whom something was done to. What does not apply is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct AuditSubject {
    pub service: Option<ServiceSid>,
    pub identity: Option<Identity>,
    pub factor: Option<FactorSid>,
    pub challenge: Option<ChallengeSid>,
    pub verification: Option<VerificationSid>,
    pub destination: Option<Destination>,
}

/// What somebody wanted decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditAct {
    /// A code of a TOTP factor was given.
    CheckCode,
    /// A device answered a challenge.
    AnswerChallenge,
    /// A code that was sent to somebody was given.
    CheckVerification,
    /// Somebody asked to be let in.
    Authenticate,
    /// Anything else that is asked for in the API or by a command.
    Change,
    /// Somebody took a copy of everything that is stored.
    Export,
    /// A store was filled with such a copy.
    Import,
    /// Something was read that no server of this store wrote.
    Integrity,
    /// Everything that is stored was copied to another place, to be served there.
    Convert,
}

impl AuditAct {
    /// As it is shown and filtered by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CheckCode => "check_code",
            Self::AnswerChallenge => "answer_challenge",
            Self::CheckVerification => "check_verification",
            Self::Authenticate => "authenticate",
            Self::Change => "change",
            Self::Export => "export",
            Self::Import => "import",
            Self::Integrity => "integrity",
            Self::Convert => "convert",
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// What was given is right.
    Approved,
    /// The holder of the device said no.
    Denied,
    /// What was given is wrong, or of no use now.
    Refused,
}

impl AuditOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Done, Self::Approved, Self::Denied, Self::Refused];

    /// As it is shown and filtered by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Refused => "refused",
        }
    }
}

/// Something that was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct AuditDecision {
    pub act: AuditAct,
    pub subject: AuditSubject,
    pub outcome: AuditOutcome,
    /// Why, in words; never what was given.
    pub reason: Option<String>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum ChangeKind {
    Created,
    Changed,
    Deleted,
}

impl ChangeKind {
    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

/// A record that was created, changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct AuditChange {
    pub change: ChangeKind,
    /// What its kind's row in the table of kinds calls it, as in `API key SK…`.
    pub what: String,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct AuditEntry {
    pub author: Author,
    pub request: Option<AuditRequest>,
    pub decision: Option<AuditDecision>,
    pub changes: Vec<AuditChange>,
    /// How many refusals of the account before this one were counted and not written, because there were too many at once.
    pub unwritten: u32,
}

impl AuditEntry {
    /// How it ended; changes alone were done.
    #[must_use]
    pub fn outcome(&self) -> AuditOutcome {
        self.decision
            .as_ref()
            .map_or(AuditOutcome::Done, |decision| decision.outcome)
    }

    /// The most changes that one entry names; a number stands for the rest.
    pub const MOST_CHANGES: usize = 20;
}

/// What seals a stretch of an account's entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct AuditSeal {
    /// Its place among the account's seals, from 1.
    pub number: u64,
    /// The hash of the one before; zeros for the first.
    #[serde(with = "serde_bytes")]
    pub previous: [u8; 32],
    pub first: AuditSid,
    pub last: AuditSid,
    pub entries: u32,
    /// Of all its entries, in order.
    #[serde(with = "serde_bytes")]
    pub digest: [u8; 32],
    /// When the first of its entries may be reclaimed: from then on some may be missing.
    pub whole_until: Timestamp,
    /// When the last of them may, and it with them.
    pub ends_at: Timestamp,
    /// When the seal before this one may be reclaimed: until then it has to be there.
    pub previous_ends_at: Option<Timestamp>,
}

/// The end of an account's chain of seals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The last seal.
    pub seals: u64,
    /// Its hash.
    #[serde(with = "serde_bytes")]
    pub hash: [u8; 32],
    /// The last entry that is sealed.
    pub last: AuditSid,
    /// When the last seal may be reclaimed.
    pub ends_at: Timestamp,
    /// How many entries were sealed in all.
    pub entries: u64,
}

/// How old an entry is when it is sealed: older than any commit that is under way, by whichever server's clock.
pub const SETTLED: Duration = Duration::from_mins(1);

/// How many entries a seal covers at the most.
pub const MOST_SEALED: usize = 500;

/// What somebody else said, fit to be kept and shown: at most `most` characters, everything that does not print replaced.
#[must_use]
pub fn clipped(text: &str, most: usize) -> String {
    let mut rest = text.chars();
    let mut clipped: String = rest.by_ref().take(most).map(shown).collect();
    if rest.next().is_some() {
        clipped.push('…');
    }
    clipped
}

/// The text with everything that does not print replaced.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(shown).collect()
}

fn shown(letter: char) -> char {
    if is_printable(letter) { letter } else { '\u{fffd}' }
}

/// Whether a letter is shown as one: it moves no cursor, ends no line, and does not change the order in which others are read.
#[must_use]
pub fn is_printable(letter: char) -> bool {
    let is_format = matches!(
        letter,
        '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !letter.is_control() && !is_format
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_said_is_kept_short_and_printable() {
        assert_eq!(clipped("curl/8.5", 120), "curl/8.5");
        let long = "x".repeat(1_000_000);
        assert_eq!(clipped(&long, 120), format!("{}…", "x".repeat(120)));
        assert_eq!(
            clipped("a\u{1b}[31m\r\nb\u{85}", 120),
            "a\u{fffd}[31m\u{fffd}\u{fffd}b\u{fffd}"
        );
        assert_eq!(
            clipped("a\u{202e}b\u{2028}c\u{feff}", 120),
            "a\u{fffd}b\u{fffd}c\u{fffd}"
        );
        assert_eq!(clipped("żółć", 4), "żółć");
        assert_eq!(clipped("żółć", 3), "żół…");
    }
}
