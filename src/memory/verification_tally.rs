//! How many verifications began and how they ended.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// What is counted together. All parts are names that this program gives, so there are no more than those.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CountedVerification {
    /// The protocol that it was asked in; empty for commands, and for what nobody asked for.
    pub dialect: &'static str,
    /// What its last code was sent by; `none` if none was.
    pub channel: &'static str,
    /// `begun`, or how it ended.
    pub outcome: &'static str,
}

/// How often each was counted since this process began.
#[derive(Debug, Default)]
pub struct VerificationTally(Family<CountedVerification, Counter>);

impl VerificationTally {
    /// Counts one.
    pub fn count(&self, verification: &CountedVerification) {
        self.0.get_or_create(verification).inc();
    }

    /// The counts, as they are shown.
    #[must_use]
    pub fn counts(&self) -> Family<CountedVerification, Counter> {
        self.0.clone()
    }
}
