//! How often something was decided: in which protocol, what, how and why.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// What is counted together. All parts are names that this program gives, so there are no more than those.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CountedDecision {
    /// The protocol that it was asked in; empty for commands, and for what nobody asked for.
    pub dialect: &'static str,
    /// What was to be decided, as the audit log names it.
    pub act: &'static str,
    /// How, as the audit log names it.
    pub outcome: &'static str,
    /// Why, in one word.
    pub reason: &'static str,
}

/// How often each was decided since this process began.
#[derive(Debug, Default)]
pub struct DecisionTally(Family<CountedDecision, Counter>);

impl DecisionTally {
    /// Counts one.
    pub fn count(&self, decision: &CountedDecision) {
        self.0.get_or_create(decision).inc();
    }

    /// The counts, as they are shown.
    #[must_use]
    pub fn counts(&self) -> Family<CountedDecision, Counter> {
        self.0.clone()
    }
}
