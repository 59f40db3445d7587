//! The token that the URL of a silent authentication ends in: it says which verification it belongs to, and proves that
//! whoever calls it was given it.

use zeroize::Zeroizing;

use crate::app::App;
use crate::crypto::plain_token::PlainToken;
use crate::domain::opaque::TokenHash;
use crate::domain::sid::{ServiceSid, VerificationSid};

/// A token as it stands in the URL: the service, the verification and 190 random bits, with dots between them.
#[derive(Clone, Copy, Debug)]
pub struct SilentToken<'a> {
    /// The service.
    pub service: ServiceSid,
    /// The verification.
    pub verification: VerificationSid,
    secret: Secret<'a>,
}

#[derive(Clone, Copy)]
struct Secret<'a>(&'a str);

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl<'a> SilentToken<'a> {
    /// Reads what [`new_silent_token`] wrote; `None` if it is nothing like it.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        Some(Self {
            service: parts.next()?.parse().ok()?,
            verification: parts.next()?.parse().ok()?,
            secret: Secret(parts.next()?),
        })
    }

    /// Whether it is the token with this hash. Takes the same time for every wrong one.
    #[must_use]
    pub fn matches(&self, app: &App, hash: &TokenHash) -> bool {
        app.vault
            .token_matches(self.verification.as_bytes(), self.secret.0, hash)
    }
}

/// A new token: its text, shown once, and its hash, which is kept.
pub(super) fn new_silent_token(
    app: &App,
    service: ServiceSid,
    verification: VerificationSid,
) -> (Zeroizing<String>, TokenHash) {
    let secret = PlainToken::api_key_secret(app.entropy.as_ref());
    let hash = app.vault.token_hash(verification.as_bytes(), secret.reveal());
    let text = format!("{service}.{verification}.{}", secret.reveal());
    (Zeroizing::new(text), hash)
}
