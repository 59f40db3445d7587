//! Who is let in, and to what.

use super::refusal::AreaRefusal;

/// Why a caller is not let in, or not to what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The credentials are wrong, or their account is suspended. All kinds of wrong look the same.
    #[error("the credentials are wrong, revoked, or their account is suspended")]
    Credentials,
    /// A device, or the holder of an access token, may not do this, or not to this.
    #[error("a device is only let in to its own factor and that factor's challenges")]
    Forbidden,
}

impl AreaRefusal for Refusal {
    /// What credentials name and the store does not know makes them wrong.
    const NOT_FOUND: Self = Self::Credentials;
}
