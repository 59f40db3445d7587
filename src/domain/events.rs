//! Events: what others may want to hear of, and the rows that carry it to them.

use serde::{Deserialize, Serialize};

use super::entity::EntityScope;
use super::factor::{FactorLock, FactorType};
use super::fraud::BlockEvent;
use super::outbox::Reason;
use super::sender_name::SenderName;
use super::sid::{
    AccountSid, AttemptSid, ChallengeSid, CredentialSid, EntitySid, EventSid, FactorSid, ServiceSid,
    VerificationSid, WebhookSid,
};
use super::text::Identity;
use super::time::Timestamp;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum EventType {
    ChallengeApproved,
    ChallengeDenied,
    /// A challenge was not answered in time.
    ChallengeExpired,
    /// A device denied a challenge because its holder did not ask for it.
    ChallengeReported,
    /// A factor was created; it is not ready yet.
    FactorCreated,
    FactorDeleted,
    /// Too many wrong answers in a row ended a factor.
    FactorDisabled,
    /// Something closes a factor for a while.
    FactorLocked,
    /// What closed a factor is lifted, by its account or by a right answer.
    FactorUnlocked,
    FactorVerified,
    /// Something of the account's was read that no server of the store wrote.
    IntegrityFailed,
    /// Somebody has a new API key of the account.
    KeyCreated,
    /// An operator took a copy of everything that is stored.
    StoreExported,
    /// The store was filled with such a copy.
    StoreImported,
    /// A guard against toll fraud begins to refuse codes, or wrong codes close a destination for a while.
    VerificationBlocked,
    /// What was blocked is lifted, by its account or by a right code.
    VerificationUnblocked,
}

impl EventType {
    /// All of them: first those of the API's documents in their order, then our own.
    pub const ALL: [Self; 16] = [
        Self::FactorDeleted,
        Self::FactorCreated,
        Self::FactorVerified,
        Self::ChallengeApproved,
        Self::ChallengeDenied,
        Self::ChallengeExpired,
        Self::ChallengeReported,
        Self::FactorLocked,
        Self::FactorUnlocked,
        Self::FactorDisabled,
        Self::VerificationBlocked,
        Self::VerificationUnblocked,
        Self::KeyCreated,
        Self::IntegrityFailed,
        Self::StoreExported,
        Self::StoreImported,
    ];

    /// The name on the wire, such as `factor.created`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ChallengeApproved => "challenge.approved",
            Self::ChallengeDenied => "challenge.denied",
            Self::ChallengeExpired => "challenge.expired",
            Self::ChallengeReported => "challenge.reported",
            Self::FactorCreated => "factor.created",
            Self::FactorDeleted => "factor.deleted",
            Self::FactorDisabled => "factor.disabled",
            Self::FactorLocked => "factor.locked",
            Self::FactorUnlocked => "factor.unlocked",
            Self::FactorVerified => "factor.verified",
            Self::IntegrityFailed => "integrity.failed",
            Self::KeyCreated => "key.created",
            Self::StoreExported => "store.exported",
            Self::StoreImported => "store.imported",
            Self::VerificationBlocked => "verification.blocked",
            Self::VerificationUnblocked => "verification.unblocked",
        }
    }
}

/// Which events somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventTypes {
    /// All, those of later versions included.
    All,
    /// These, in the order they were given.
    Only(Vec<EventType>),
}

impl EventTypes {
    /// Whether `event` is one of them.
    #[must_use]
    pub fn contain(&self, event: EventType) -> bool {
        match self {
            Self::All => true,
            Self::Only(events) => events.contains(&event),
        }
    }
}

/// Something that happened to a factor, or to a challenge of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Event {
    pub event_type: EventType,
    pub at: Timestamp,
    pub account: AccountSid,
    pub service: ServiceSid,
    pub entity: EntitySid,
    /// The caller's name of the entity.
    pub identity: Identity,
    pub factor: FactorSid,
    pub factor_type: FactorType,
    /// `None` for what happened to the factor itself.
    pub challenge: Option<ChallengeSid>,
    /// What closes the factor, or did.
    pub lock: Option<FactorLock>,
}

impl Event {
    /// Something that happened to a factor of the entity at `scope`.
    #[must_use]
    pub fn new(
        event_type: EventType,
        at: Timestamp,
        scope: &EntityScope,
        factor: FactorSid,
        factor_type: FactorType,
    ) -> Self {
        Self {
            event_type,
            at,
            account: scope.account,
            service: scope.service,
            entity: scope.entity,
            identity: scope.identity.clone(),
            factor,
            factor_type,
            challenge: None,
            lock: None,
        }
    }

    /// The same, to a challenge of that factor.
    #[must_use]
    pub fn of_challenge(mut self, challenge: ChallengeSid) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// The same, with what closes the factor, or did.
    #[must_use]
    pub fn of_lock(mut self, lock: FactorLock) -> Self {
        self.lock = Some(lock);
        self
    }
}

/// Something that an account should hear of at once, whichever of its services it is told by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct AccountNotice {
    pub event_type: EventType,
    pub at: Timestamp,
    pub account: AccountSid,
    /// Whose webhook hears of it.
    pub service: ServiceSid,
    /// What it is about, as in `API key SK...`; `None` for the whole store.
    pub subject: Option<String>,
}

/// Something to be sent, written in the batch of the state change that it tells of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutboxRow {
    /// The identifier; later rows sort later.
    pub sid: EventSid,
    /// When it was written, or put back from the dead letters: its age counts from here.
    pub date_created: Timestamp,
    /// What is to be sent, and to whom.
    pub message: OutboxMessage,
    /// How many tries failed.
    pub attempts: u32,
    /// When the next one is due; at once if that is past.
    pub next_at: Timestamp,
    /// Until when somebody is delivering it.
    pub lease: Option<Timestamp>,
    /// What the last delivery failed of.
    pub last_error: Option<Reason>,
}

impl OutboxRow {
    /// A row that is due at once.
    #[must_use]
    pub fn new(sid: EventSid, now: Timestamp, message: OutboxMessage) -> Self {
        Self {
            sid,
            date_created: now,
            message,
            attempts: 0,
            next_at: now,
            lease: None,
            last_error: None,
        }
    }
}

/// What is to be sent, and to whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum OutboxMessage {
    /// A notification that a challenge waits, to a factor's device.
    Push {
        service: ServiceSid,
        /// The caller's name of the entity.
        identity: Identity,
        entity: EntitySid,
        /// The factor whose device is to be woken.
        factor: FactorSid,
        challenge: ChallengeSid,
        /// From when on it is of no use.
        expires_at: Timestamp,
        account: AccountSid,
        /// The key for the push provider that the service had for the factor's platform, if the platform has one.
        credential: Option<CredentialSid>,
    },
    /// An event, to a webhook.
    Webhook { webhook: WebhookSid, event: Event },
    /// A verification's code, to its sender.
    Code(QueuedCode),
    /// That something is blocked, to a webhook.
    Blocked { webhook: WebhookSid, event: BlockEvent },
    /// What the account should hear of, to a webhook.
    Notice {
        webhook: WebhookSid,
        notice: AccountNotice,
    },
}

/// A code that waits for its sender. It holds neither the code nor where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct QueuedCode {
    pub account: AccountSid,
    pub service: ServiceSid,
    pub verification: VerificationSid,
    /// Which of its sendings: the position.
    pub send: u8,
    pub attempt: AttemptSid,
    pub sender: SenderName,
    /// From when on the code is of no use.
    pub expires_at: Timestamp,
    /// The senders that said that they will never take it.
    pub refused: Vec<SenderName>,
}
