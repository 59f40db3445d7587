//! How many ES256 signatures one core checks in a second: what push approvals are held against.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use crate::cli::device::key::HeldKey;

use super::load::count;

/// Verifies for about `duration` on this thread.
pub(super) fn measure(duration: Duration) -> Result<f64, String> {
    let key = HeldKey::generate().map_err(|error| error.to_string())?;
    let message = [0x5a; 600];
    let signature = key.sign_fixed(&message).map_err(|error| error.to_string())?;
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_point());
    let started = Instant::now();
    let mut verified = 0;
    while started.elapsed() < duration {
        for _ in 0..BATCH {
            black_box(&public)
                .verify(black_box(&message), &signature)
                .map_err(|_| "a signature of this machine's own does not verify".to_owned())?;
        }
        verified += BATCH;
    }
    Ok(count(verified) / started.elapsed().as_secs_f64())
}

const BATCH: u64 = 100;
