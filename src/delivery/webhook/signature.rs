//! The parts of the signatures that several secrets or the body's hash make up.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

use crate::crypto::webhook_secret::WebhookSecret;

/// A signature of each secret, the current one's first, separated by blanks: the Standard Webhooks specification lets a
/// receiver accept a message that any of them fits, so that secrets can be rotated without a gap.
pub(super) fn standard(secrets: &[WebhookSecret], id: &str, timestamp: u64, body: &[u8]) -> String {
    let signatures = secrets.iter().rev();
    let signatures: Vec<_> = signatures
        .map(|secret| secret.sign_standard(id, timestamp, body))
        .collect();
    signatures.join(" ")
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
