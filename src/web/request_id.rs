//! Names for requests, so that a client's report can be matched with a line of the log.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::dialect::RequestId;
use crate::domain::entropy::Entropy;

/// Makes names for requests without asking the system for random bytes each time.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: [u8; 8],
    mask: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Names that no other process gives.
    #[must_use]
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let (mut process, mut mask) = ([0; 8], [0; 8]);
        entropy.fill(&mut process);
        entropy.fill(&mut mask);
        Self {
            process,
            mask: u64::from_be_bytes(mask),
            next: AtomicU64::new(0),
        }
    }

    pub(crate) fn next(&self) -> RequestId {
        // The numbers are mixed (with the finalizer of SplitMix64, which maps no two to the same), so that a client
        // cannot count the requests of others.
        let number = self.next.fetch_add(1, Ordering::Relaxed) ^ self.mask;
        let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.process);
        bytes[8..].copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
        RequestId(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::doubles::SeededEntropy;

    #[test]
    fn no_two_requests_have_the_same_name() {
        let (one, other) = (SeededEntropy::new(1), SeededEntropy::new(2));
        let (one, other) = (RequestIds::new(&one), RequestIds::new(&other));
        let names: HashSet<_> = (0..1000).flat_map(|_| [one.next(), other.next()]).collect();
        assert_eq!(names.len(), 2000);
    }

    #[test]
    fn the_digits_are_the_printed_name() {
        let id = RequestIds::new(&SeededEntropy::new(1)).next();
        assert_eq!(id.digits(), id.to_string().as_bytes());
    }
}
