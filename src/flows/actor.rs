//! Who asks: an account, or one of its devices.

use crate::domain::access::Refusal;
use crate::domain::entity::EntityName;
use crate::domain::sid::{AccountSid, FactorSid};
use crate::store::records::DeviceAddress;

/// Whoever was authenticated.
#[derive(Clone, Debug)]
pub enum Actor {
    /// An account, by its auth token or an API key: everything of the account's is in reach.
    Account(AccountSid),
    /// A device, by a JWT of its key: its own factor and that factor's challenges are in reach, nothing else.
    Device(DeviceAddress),
}

impl Actor {
    /// For what is no device's business.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for devices.
    pub fn account_only(&self) -> Result<AccountSid, Refusal> {
        match self {
            Self::Account(account) => Ok(*account),
            Self::Device(_) => Err(Refusal::Forbidden),
        }
    }

    /// For what belongs to an entity: the account, and the one factor that is in reach, if it is only one.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for devices of other entities. It says nothing of whether the entity exists.
    pub fn within(&self, name: &EntityName) -> Result<(AccountSid, Option<FactorSid>), Refusal> {
        match self {
            Self::Account(account) => Ok((*account, None)),
            Self::Device(device) if device.service == name.service && device.identity == name.identity => {
                Ok((device.account, Some(device.factor)))
            }
            Self::Device(_) => Err(Refusal::Forbidden),
        }
    }

    /// For what belongs to a factor.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for devices of other factors.
    pub fn with_factor(&self, name: &EntityName, factor: FactorSid) -> Result<AccountSid, Refusal> {
        match self.within(name)? {
            (account, None) => Ok(account),
            (account, Some(own)) if own == factor => Ok(account),
            _ => Err(Refusal::Forbidden),
        }
    }
}
