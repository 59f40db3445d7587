//! The wired parts that a test is about: the one place where tests make an `App`.

use std::sync::Arc;
use std::time::Duration;

use countersign::app::{App, Policy};
use countersign::crypto::key_ring::KeyRing;
use countersign::crypto::master_key::MasterKey;
use countersign::crypto::vault::Vault;
use countersign::delivery::Senders;
use countersign::domain::audit::AuditDetail;
use countersign::domain::entropy::Entropy;
use countersign::domain::factor::DriftLimit;
use countersign::domain::fraud::settings::Settings;
use countersign::domain::message::template::Templates;
use countersign::domain::push_guard::PushLimits;
use countersign::domain::text::IdentityRule;
use countersign::domain::time::{Clock, Timestamp};
use countersign::memory::sids::RisingSids;
use countersign::store::Store;
use countersign::store::authentic::AuthenticStore;
use countersign::store::memory::MemoryStore;

use super::{ManualClock, SeededEntropy, watch};

/// The parts of an `App`, before they are wired; what a test does not care for is the default.
///
/// ```text
/// TestParts { policy, ..TestParts::default() }.wire()
/// ```
pub(crate) struct TestParts {
    /// The engine: what vouches for entries is put before it.
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) senders: Arc<Senders>,
    pub(crate) policy: Policy,
}

impl TestParts {
    /// The parts of another process that works beside this one, or after it.
    pub(crate) fn of(app: &App) -> Self {
        let App {
            store: _,
            engine: store,
            clock,
            entropy,
            sids: _,
            vault,
            senders,
            memory: _,
            policy,
        } = app.clone();
        Self {
            store,
            clock,
            entropy,
            vault,
            senders,
            policy,
        }
    }

    /// A process that remembers nothing yet.
    pub(crate) fn wire(self) -> App {
        watch::begin();
        let app = App {
            store: Arc::new(AuthenticStore::new(
                Arc::clone(&self.store),
                Arc::clone(&self.vault),
            )),
            engine: self.store,
            clock: self.clock,
            sids: Arc::new(RisingSids::new(Arc::clone(&self.entropy))),
            entropy: self.entropy,
            vault: self.vault,
            senders: self.senders,
            memory: Arc::default(),
            policy: self.policy,
        };
        watch::look_at_debug(
            "what is printed of the parts",
            &(&app.vault, &app.senders, &app.policy),
        );
        app
    }
}

impl Default for TestParts {
    fn default() -> Self {
        let entropy = SeededEntropy::new(0);
        let master = MasterKey::generate(&entropy);
        let ring = KeyRing::generate(&master, &entropy, Timestamp::from_seconds(1_800_000_000));
        watch::secret(&master.to_text());
        Self {
            store: Arc::new(MemoryStore::new()),
            clock: Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000))),
            entropy: Arc::new(SeededEntropy::new(1)),
            vault: Arc::new(Vault::new(&ring)),
            senders: Arc::default(),
            policy: policy(),
        }
    }
}

/// What an operator chose who has set nothing. That the settings' own defaults say the same is a test's to see.
pub(crate) fn policy() -> Policy {
    Policy {
        entity_creations_per_second: None,
        max_waiters: 20_000,
        outbox_rows_per_account: 100_000,
        services_per_account: 1000,
        identities: IdentityRule::Narrow,
        legacy_totp_secrets: false,
        totp_drift: DriftLimit::OFF,
        unverified_factor_retention: Duration::from_hours(14 * 24),
        empty_entity_retention: Duration::from_hours(90 * 24),
        challenge_retention: Duration::from_hours(30 * 24),
        device_clock_skew: Duration::from_mins(1),
        outbox_retention: Duration::from_hours(3 * 24),
        webpush_contact: None,
        push: PushLimits::default(),
        outbox_dead_retention: Duration::from_hours(30 * 24),
        audit_detail: AuditDetail::Decisions,
        audit_retention: Duration::from_hours(90 * 24),
        templates: Templates::default(),
        email_from: Vec::new(),
        sna_client_token: true,
        toll_fraud: Settings::default(),
    }
}
