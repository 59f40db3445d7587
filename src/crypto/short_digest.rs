//! Short digests: what tells things apart without naming them.

use aws_lc_rs::digest::{SHA256, digest};

/// The first 16 bytes of SHA-256 over `bytes`. It hides nothing from whoever guesses them.
#[must_use]
pub(crate) fn short_digest(bytes: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..16]);
    short
}
