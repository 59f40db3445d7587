//! The wired parts that every use case is handed. No logic.

use std::sync::Arc;
use std::time::Duration;

use crate::crypto::vault::Vault;
use crate::delivery::Senders;
use crate::domain::audit::AuditDetail;
use crate::domain::email::EmailAddress;
use crate::domain::entropy::Entropy;
use crate::domain::factor::DriftLimit;
use crate::domain::fraud::settings::Settings as TollFraudSettings;
use crate::domain::message::template::Templates;
use crate::domain::push_guard::PushLimits;
use crate::domain::sid::SidSource;
use crate::domain::text::IdentityRule;
use crate::domain::time::Clock;
use crate::memory::Memory;
use crate::store::Store;

/// The wired parts.
#[derive(Clone, Debug)]
pub struct App {
    /// Where everything is kept: an [`AuthenticStore`](crate::store::authentic::AuthenticStore) on the engine.
    pub store: Arc<dyn Store>,
    /// The engine below it, for whoever moves entries as they are.
    pub engine: Arc<dyn Store>,
    /// What time it is, for every flow: none asks the system.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub entropy: Arc<dyn Entropy>,
    /// Where identifiers come from: one source in a process, so that they rise.
    pub sids: Arc<dyn SidSource>,
    /// What seals secrets, vouches for entries and hashes tokens.
    pub vault: Arc<Vault>,
    /// How messages leave.
    pub senders: Arc<Senders>,
    /// What this process remembers.
    pub memory: Arc<Memory>,
    /// What the operator chose.
    pub policy: Policy,
}

impl App {
    /// Whether other processes may work on the same store now. What only this one knows is then not all that there is to know.
    #[must_use]
    pub fn shares_store(&self) -> bool {
        !self.store.is_exclusive()
    }
}

/// What the operator chose, as far as use cases need it.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The most entities and factors that one account may create in a second; no limit if `None`.
    pub entity_creations_per_second: Option<u32>,
    /// The most services that one account may have.
    pub services_per_account: u32,
    /// What callers may call their users.
    pub identities: IdentityRule,
    /// Whether new TOTP factors may have secrets of 80 to 127 bits, as older systems made them.
    pub legacy_totp_secrets: bool,
    /// How far what is learned of the clock of a device with codes may be off.
    pub totp_drift: DriftLimit,
    /// How long a factor is kept that nobody verifies.
    pub unverified_factor_retention: Duration,
    /// How long an entity is kept that has no factors.
    pub empty_entity_retention: Duration,
    /// The most requests that wait for a change at the same time, streams included.
    pub max_waiters: usize,
    /// With how many messages of an account in the outbox nothing more begins for it; twice as many are the most there are.
    pub outbox_rows_per_account: usize,
    /// How long challenges are kept after they were created.
    pub challenge_retention: Duration,
    /// How far a device's clock may differ from ours.
    pub device_clock_skew: Duration,
    /// How long an outbox row waits for its delivery before it is given up.
    pub outbox_retention: Duration,
    /// Where push services reach the operator: a `mailto:` or `https:` URI.
    pub webpush_contact: Option<String>,
    /// How often a push factor's holder may be asked.
    pub push: PushLimits,
    /// How long a dead letter is kept after it was given up.
    pub outbox_dead_retention: Duration,
    /// How much is written into the audit log.
    pub audit_detail: AuditDetail,
    /// How long entries of the audit log are kept.
    pub audit_retention: Duration,
    /// What messages may say: the templates of every server and the operator's own.
    pub templates: Templates,
    /// Which addresses a caller may have an e-mail come from.
    pub email_from: Vec<EmailAddress>,
    /// Whether silent authentication hands the device a token that the check has to name, unless the caller says.
    pub sna_client_token: bool,
    /// Which codes by message are not sent.
    pub toll_fraud: TollFraudSettings,
}
