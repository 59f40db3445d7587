//! Gives a code to its sender.

use async_trait::async_trait;

use super::compose::compose;
use super::learn::target;
use super::send::open_code;
use super::settle::settle;
use crate::app::App;
use crate::delivery::DeliveryOutcome;
use crate::domain::circuit::FailureScope;
use crate::domain::events::{OutboxRow, QueuedCode};
use crate::domain::time::Timestamp;
use crate::domain::verification::{IssuedCode, Sending, Verification, VerificationStatus};
use crate::flows::outbox::{Parcel, Settled};
use crate::flows::reading::{NotRead, Reading};
use crate::flows::{Fault, SealedReads, account};
use crate::memory::breaker::NotNow;
use crate::memory::delivery_routes::DeliveryRoute;
use crate::store::keys;

/// A code on its way to its sender.
#[derive(Debug)]
pub struct CodeParcel {
    pub(super) code: QueuedCode,
    pub(super) note: CodeNote,
}

/// What there is to say of the try besides what came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct CodeNote {
    /// What the provider calls the message.
    pub(super) reference: Option<String>,
    /// In which language the message was written.
    pub(super) locale: Option<String>,
    /// When it was asked for, by whoever wants the code: earlier than a try with another sender.
    pub(super) asked_at: Option<Timestamp>,
    /// Why nothing was tried, if nothing was.
    pub(super) untried: Option<Untried>,
    /// Whether it is refused by this server, which did not ask the sender and so knows nothing new of it.
    pub(super) refused_here: bool,
}

/// Why nothing was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untried {
    /// Another code is on its way to the same recipient; it looks again then.
    Busy(Timestamp),
    /// This server itself failed; it looks again then.
    Fault(Timestamp),
    /// The sender gets nothing until then: its circuit is open.
    CircuitOpen(Timestamp),
}

impl Untried {
    /// When to look again.
    pub(super) fn until(self) -> Timestamp {
        match self {
            Self::Busy(until) | Self::CircuitOpen(until) | Self::Fault(until) => until,
        }
    }
}

impl CodeParcel {
    /// One of which nothing was tried yet.
    #[must_use]
    pub fn new(code: QueuedCode) -> Self {
        Self {
            code,
            note: CodeNote::default(),
        }
    }
}

#[async_trait]
impl Parcel for CodeParcel {
    /// While settings change from process to process, those that know the sender get the code for a minute.
    fn left_to_others(&self, app: &App, row: &OutboxRow) -> Option<Timestamp> {
        let (now, until) = (app.clock.now(), row.date_created + FOR_OTHERS);
        let is_young = now < until && !row.date_created.was_set_back(now);
        let unknown = is_young && app.senders.codes.by_name(self.code.sender).is_none();
        unknown.then(|| until.min(now + LOOK_AT_UNKNOWN))
    }

    /// Sends the code with the sender that it names, unless it is void by now or the sender is left alone.
    async fn deliver(&mut self, app: &App, _row: &OutboxRow) -> DeliveryOutcome {
        let mut sealed = SealedReads::default();
        let sent = loop {
            match self.send(app).await {
                Err(NotRead::Failed(fault)) if sealed.is_to_be_read_again(&fault) => {}
                sent => break sent,
            }
        };
        match sent {
            Ok(outcome) => outcome,
            // What it is about is gone.
            Err(NotRead::Absent) => DeliveryOutcome::Obsolete,
            // What it is about will never be readable, with this sender or another one.
            Err(NotRead::Failed(fault)) if fault.is_of_a_record() => {
                self.note.refused_here = true;
                let why = fault.to_string();
                DeliveryOutcome::Refused { why }
            }
            // It says nothing of the sender.
            Err(NotRead::Failed(fault)) => {
                self.untried(fault.to_string(), Untried::Fault(app.clock.now() + AFTER_A_FAULT))
            }
        }
    }

    fn route(&self, app: &App) -> DeliveryRoute {
        let sender = app.senders.codes.by_name(self.code.sender);
        DeliveryRoute {
            what: "code",
            provider: sender.map_or("unknown", |sender| sender.kind.name()),
            sender: Some(self.code.sender),
        }
    }

    fn asked_at(&self) -> Option<Timestamp> {
        self.note.asked_at
    }

    async fn settle(
        &self,
        app: &App,
        leased: &OutboxRow,
        outcome: &DeliveryOutcome,
    ) -> Result<Settled, Fault> {
        settle(app, self, leased, outcome).await
    }
}

impl CodeParcel {
    async fn send(&mut self, app: &App) -> Result<DeliveryOutcome, NotRead> {
        let row = &self.code;
        let mut reading = Reading::new(app);
        let key = keys::verification(row.service, row.verification);
        let owner = keys::service(row.account, row.service);
        let payer = keys::account(row.account);
        reading
            .prefetch([key.bytes(), owner.bytes(), payer.bytes()])
            .await?;
        let verification: Verification = reading.require(&key).await?;
        reading.require(&owner).await?;
        // Nothing leaves in the name of a suspended account.
        if !account::is_active(&mut reading, row.account).await? {
            return Ok(DeliveryOutcome::Obsolete);
        }
        let now = app.clock.now();
        let Some(due) = due(&verification, row.send, now) else {
            return Ok(DeliveryOutcome::Obsolete);
        };
        self.note.asked_at = Some(due.sending.at);
        let Some(sender) = app.senders.codes.by_name(row.sender) else {
            let why = format!("the settings name no sender {} any more", row.sender);
            self.note.refused_here = true;
            return Ok(DeliveryOutcome::Refused { why });
        };
        let code = open_code(app, &verification, due.code)?;
        let message = match compose(app, &verification, due, &code, row.attempt) {
            Ok(message) => message,
            Err(why) => {
                self.note.refused_here = true;
                return Ok(DeliveryOutcome::Refused { why });
            }
        };
        let target = target(row.account, &verification.destination);
        let breakers = &app.memory.sender_breakers;
        let _trying = match breakers.begin(row.sender, &target, now) {
            Ok(trying) => trying,
            Err(NotNow::Busy(until)) => {
                let why = "another code is on its way to the same recipient";
                return Ok(self.untried(why.to_owned(), Untried::Busy(until)));
            }
            Err(NotNow::Open(until)) => {
                let why = "the sender fails or has too much to do, and is left alone for a while";
                return Ok(self.untried(why.to_owned(), Untried::CircuitOpen(until)));
            }
        };
        // Whatever the sender waits for (a session, its turn): a code that is over is not sent.
        let life = due.code.expires_at.since(now);
        let Ok(sent) = tokio::time::timeout(life, sender.sender.send(&message)).await else {
            let why = "the code was over before the sender had taken it".to_owned();
            return Ok(DeliveryOutcome::Retry {
                why,
                after: None,
                about: FailureScope::Recipient { status: 0 },
            });
        };
        self.note.reference = sent.reference;
        self.note.locale = Some(message.locale);
        Ok(sent.outcome)
    }

    fn untried(&mut self, why: String, untried: Untried) -> DeliveryOutcome {
        self.note.untried = Some(untried);
        DeliveryOutcome::Retry {
            why,
            after: None,
            about: FailureScope::Recipient { status: 0 },
        }
    }
}

/// A code that is still to be sent.
#[derive(Clone, Copy)]
pub(super) struct DueCode<'a> {
    pub(super) sending: &'a Sending,
    pub(super) code: &'a IssuedCode,
}

/// The code of the sending at `send`, if that is still to be sent at `now`: the verification waits, and no other code took
/// the place of this one.
pub(super) fn due(verification: &Verification, send: u8, now: Timestamp) -> Option<DueCode<'_>> {
    let sending = verification.sends.get(usize::from(send))?;
    let last = verification.codes.len().checked_sub(1)?;
    let code = &verification.codes[last];
    let counts = usize::from(sending.code) == last && now < code.expires_at;
    (counts && verification.status(now) == VerificationStatus::Pending).then_some(DueCode { sending, code })
}

/// For how long a code of a sender that the settings do not name is left to processes whose settings do.
const FOR_OTHERS: std::time::Duration = std::time::Duration::from_mins(1);

/// When to look whether such a code is gone.
const LOOK_AT_UNKNOWN: std::time::Duration = std::time::Duration::from_secs(5);

/// When to try again what this server itself failed at.
const AFTER_A_FAULT: std::time::Duration = std::time::Duration::from_secs(1);
