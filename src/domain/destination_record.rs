//! What a service remembers of a destination: the verification that waits there.

use serde::{Deserialize, Serialize};

use super::sid::VerificationSid;
use super::time::Timestamp;

/// What a service remembers of a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationRecord {
    /// The last verification; it may be over.
    pub last: Option<VerificationSid>,
    /// Until when the last verification can be fetched, at the longest.
    pub last_kept_until: Timestamp,
}

impl DestinationRecord {
    /// Names the last verification, which can be fetched until `kept_until`, for ever if `None`.
    pub fn name_last(&mut self, sid: VerificationSid, kept_until: Option<Timestamp>) {
        let until = kept_until.unwrap_or(Timestamp::MAX);
        self.last_kept_until = if self.last == Some(sid) {
            self.last_kept_until.max(until)
        } else {
            until
        };
        self.last = Some(sid);
    }

    /// From when on nothing in it counts any more; `None` if there is no such moment.
    #[must_use]
    pub fn counts_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.last_kept_until.max(now);
        (until < Timestamp::MAX).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_as_long_as_the_last_verification() {
        let at = Timestamp::from_seconds;
        let mut record = DestinationRecord::default();
        assert_eq!(record.counts_until(at(5)), Some(at(5)));
        record.name_last(VerificationSid::from_bytes([1; 16]), Some(at(40)));
        record.name_last(VerificationSid::from_bytes([1; 16]), Some(at(30)));
        assert_eq!(record.counts_until(at(5)), Some(at(40)));
        record.name_last(VerificationSid::from_bytes([2; 16]), Some(at(30)));
        assert_eq!(record.counts_until(at(5)), Some(at(30)));
        record.name_last(VerificationSid::from_bytes([2; 16]), None);
        assert_eq!(record.counts_until(at(5)), None);
    }
}
