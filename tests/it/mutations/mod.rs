//! Recorded requests, broken at random: whatever comes, the answer is one of the protocol's, what is refused changes
//! nothing, nobody else's things change, the memory stays where it was, and other calls go on.
//!
//! `COUNTERSIGN_MUTATION_SEED` breaks them in other places. A dialect is a file here, which records its requests.

mod answers;
mod breaker;
mod mutator;
mod signal;
mod telegram;
mod zitadel;

use std::time::Duration;

use countersign::server::ClientLimits;

/// Those of a server for which a call may wait as long as all others are broken.
fn patient_limits() -> ClientLimits {
    ClientLimits {
        body: Duration::from_mins(10),
        idle: Duration::from_mins(10),
        ..ClientLimits::default()
    }
}
