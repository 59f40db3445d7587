//! What a service remembers of a destination: the verification that waits there, and what counts across verifications.

use serde::{Deserialize, Serialize};

use super::limits::{Failures, SlidingLog};
use super::sid::VerificationSid;

/// What a service remembers of a destination. A new verification, or another code, resets none of the counts
/// (NIST SP 800-63B-4, 3.1.3.2).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DestinationRecord {
    /// The last verification; it may be over.
    pub last: Option<VerificationSid>,
    /// Wrong codes in a row.
    pub failures: Failures,
    /// When wrong codes were given within a day.
    pub failed_checks: SlidingLog,
    /// When codes were sent within a day.
    pub sends: SlidingLog,
}
