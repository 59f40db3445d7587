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
#[derive(Debug)]
pub struct VerificationTally(Family<CountedVerification, Counter>);

impl Default for VerificationTally {
    /// Each outcome is there from the first look on, with nothing counted, so that those who ask for it know its name.
    fn default() -> Self {
        let counts = Family::default();
        for outcome in OUTCOMES {
            let nobody = CountedVerification {
                dialect: "",
                channel: "none",
                outcome,
            };
            drop(counts.get_or_create(&nobody));
        }
        Self(counts)
    }
}

const OUTCOMES: [&str; 4] = ["begun", "approved", "canceled", "failed"];

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
