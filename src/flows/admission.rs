//! What a caller who waits is let in by, again and again: what held when it came may not hold when it is answered.

use zeroize::Zeroizing;

use super::Error;
use super::actor::Actor;
use crate::app::App;
use crate::domain::access::Refusal;
use crate::domain::factor::FactorStatus;
use crate::domain::time::Timestamp;
use crate::flows::account;
use crate::flows::reading::Reading;
use crate::store::keys;
use crate::store::records::DeviceAddress;

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
    pub async fn check(&self, app: &App) -> Result<Actor, Error<Refusal>> {
        let address = match self {
            Self::Account { user, password } => {
                return Ok(Actor::Account(account::authenticate(app, user, password).await?));
            }
            Self::Device { address, .. } => address,
        };
        let mut reading = Reading::new(app);
        let factor = keys::factor(&address.scope(), address.factor);
        let service = keys::service(address.account, address.service);
        let account = keys::account(address.account);
        let all = [factor.bytes(), service.bytes(), account.bytes()];
        reading.prefetch(all).await?;
        let factor = reading.require(&factor).await?;
        reading.require(&service).await?;
        let active = account::is_active(&mut reading, address.account).await?;
        if factor.status == FactorStatus::Disabled || !active {
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
