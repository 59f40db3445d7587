//! What one process remembers and no store holds: who waits, whom to wake, what was counted, what is held of budgets.
//!
//! All of it may be lost at any moment, with a restart or because another process on the same store remembers something
//! else: that costs a look at the store, a pause, or a number on a page of metrics, and never lets anything happen that
//! the store would not. Requests are counted by whoever serves them (`web::metrics`), which nothing is decided by either.
//!
//! Invariant: locks are held for moments, and never across an `await` (but for `gates`, `turns`, `key_walk` and the one at
//! which those wait who read the `epoch`, which are there to be waited at).
//! What is decided with what is remembered is decided by plain values of [`crate::domain`]; here are the locks around them.

pub mod audit;
pub(crate) mod backlog;
pub mod backups;
pub(crate) mod breaker;
pub mod code_offsets;
pub(crate) mod conversions;
pub mod dead_letters;
pub mod decisions;
pub mod delivery_routes;
pub mod epoch;
pub mod fraud;
pub(crate) mod gates;
pub mod machine;
pub mod news;
pub mod nodes;
pub mod sids;
pub(crate) mod tallies;
pub mod turns;
pub mod verification_tally;
pub mod waiters;
pub(crate) mod wakeups;

use std::sync::Arc;

use self::audit::AuditMemory;
use self::backlog::Backlog;
use self::backups::BackupTally;
use self::breaker::SenderBreakers;
use self::code_offsets::AcceptedOffsets;
use self::conversions::SenderConversions;
use self::dead_letters::SaidLetters;
use self::decisions::DecisionTally;
use self::delivery_routes::RouteTally;
use self::epoch::KnownEpoch;
use self::fraud::FraudMemory;
use self::machine::MachineMemory;
use self::nodes::NodeMemory;
use self::tallies::{DeliveryTally, SenderTally};
use self::turns::RecordTurns;
use self::verification_tally::VerificationTally;
use self::waiters::Waiters;
use self::wakeups::Wakeups;

/// What this process remembers. Empty after a start.
#[derive(Debug, Default)]
pub struct Memory {
    /// Who waits for changes of challenges and factors.
    pub waiters: Arc<Waiters>,
    /// Where it is said that the outbox has new rows.
    pub wakeups: Wakeups,
    /// Who decides next about a record for which many come at once.
    pub turns: RecordTurns,
    /// The epoch that the store is in.
    pub epoch: KnownEpoch,
    /// How many messages of each account wait in the outbox.
    pub backlog: Backlog,
    /// What became of the outbox's rows.
    pub deliveries: DeliveryTally,
    /// What became of them by the way that they took.
    pub routes: RouteTally,
    /// What the log was told of dead letters.
    pub dead_letters: SaidLetters,
    /// What became of the codes that each sender was given.
    pub senders: SenderTally,
    /// How the senders of codes do.
    pub sender_breakers: SenderBreakers,
    /// Whether the codes that they sent came back.
    pub conversions: SenderConversions,
    /// How far the codes that were accepted were off.
    pub code_offsets: AcceptedOffsets,
    /// What the machine that it runs on is like.
    pub machine: MachineMemory,
    /// Which servers share the store.
    pub nodes: NodeMemory,
    /// What became of the backups that this process makes by itself.
    pub backups: BackupTally,
    /// What is to be sealed in the audit log, and what was refused lately.
    pub audit: AuditMemory,
    /// What was decided, and how often.
    pub decisions: DecisionTally,
    /// How many verifications began and how they ended.
    pub verifications: VerificationTally,
    /// Held by whoever writes entries anew because the data keys have changed.
    pub key_walk: tokio::sync::Mutex<()>,
    /// What guards codes by message against toll fraud.
    pub fraud: Arc<FraudMemory>,
}
