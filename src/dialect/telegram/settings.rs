//! What the operator chose.

use zeroize::Zeroizing;

use crate::domain::client_key::KeyLives;
use crate::domain::sid::AccountSid;

/// What the operator chose.
#[derive(Debug)]
pub struct LoginSettings {
    /// The programs that may have codes sent; any if there are none.
    pub apps: Vec<ClientApp>,
    /// The account that clients log in for; the only one if `None`.
    pub account: Option<AccountSid>,
    /// How long keys are kept without a use.
    pub key_lives: KeyLives,
}

/// What a program shows to have a code sent.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are the protocol's")]
pub struct ClientApp {
    pub api_id: i32,
    pub api_hash: Zeroizing<String>,
}

/// The hash is a secret of whoever made the program.
impl std::fmt::Debug for ClientApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientApp({}, ..)", self.api_id)
    }
}
