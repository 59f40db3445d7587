//! What a caller who waits is let in by, again and again: what held when it came may not hold when it is answered.

use zeroize::Zeroizing;

use super::Error;
use super::actor::Actor;
use crate::app::App;
use crate::domain::factor::FactorStatus;
use crate::domain::refusal::Refusal;
use crate::domain::time::Timestamp;
use crate::flows::account;
use crate::store::keys;
use crate::store::records::{self, DeviceAddress};

/// What a caller was let in by.
#[derive(Clone)]
pub enum Admission {
    /// An account's or an API key's credentials.
    Account {
        /// The SID of the account or the key.
        user: String,
        /// The auth token or the secret.
        password: Zeroizing<String>,
    },
    /// A device's JWT. Its signature was checked when the device came, and neither that nor the factor's key changes.
    Device {
        /// The device.
        address: DeviceAddress,
        /// Until when the JWT may be used.
        until: Timestamp,
    },
}

impl Admission {
    /// Until when it holds at the longest, if that is limited.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Account { .. } => None,
            Self::Device { until, .. } => Some(*until),
        }
    }

    /// Whoever is let in now. Does not look at the time: see [`Admission::until`].
    ///
    /// # Errors
    /// [`Refusal::Credentials`] when the credentials were revoked, or the account, the service or the factor is no more,
    /// or the account is suspended; [`Error::Failed`].
    pub async fn check(&self, app: &App) -> Result<Actor, Error> {
        let address = match self {
            Self::Account { user, password } => {
                return Ok(Actor::Account(account::authenticate(app, user, password).await?));
            }
            Self::Device { address, .. } => address,
        };
        let store = app.store.as_ref();
        let factor = records::read(store, &keys::factor(&address.scope(), address.factor)).await?;
        let usable = factor.is_some_and(|factor| factor.record.status != FactorStatus::Disabled);
        let service = records::read(store, &keys::service(address.account, address.service)).await?;
        let account_active = account::is_active(app, address.account).await?;
        if !usable || service.is_none() || !account_active {
            return Err(Refusal::Credentials.into());
        }
        Ok(Actor::Device(address.clone()))
    }
}

/// The password stays out of logs.
impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Account { user, .. } => write!(f, "Admission::Account({user}, ..)"),
            Self::Device { address, until } => write!(f, "Admission::Device({}, {until})", address.factor),
        }
    }
}
