//! Lets devices in.

use crate::app::App;
use crate::domain::access::{DevicePass, Refusal};
use crate::domain::factor::FactorKind;
use crate::domain::time::Timestamp;
use crate::flows::reading::Reading;
use crate::flows::{Error, account};
use crate::store::keys;
use crate::store::records::DeviceAddress;

/// A device that was authenticated.
#[derive(Clone, Debug)]
pub struct Device {
    /// Where its factor is.
    pub address: DeviceAddress,
    /// Until when what it showed may be used, as far as its clock and this one can be apart.
    pub until: Timestamp,
}

/// The device whose key signed `pass`: it names the factor's credential and claims its account, and holds now, give or take
/// [`crate::app::Policy::device_clock_skew`].
///
/// # Errors
/// [`Refusal::Credentials`] for everything that is wrong with the pass, the factor, its service or its account;
/// [`Error::Failed`].
pub async fn authenticate_device(app: &App, pass: &dyn DevicePass) -> Result<Device, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let address = reading.require(&keys::device(pass.credential())).await?;
    let factor = keys::factor(&address.scope(), address.factor);
    let service = keys::service(address.account, address.service);
    let account = keys::account(address.account);
    reading
        .prefetch([factor.bytes(), service.bytes(), account.bytes()])
        .await?;
    let factor = reading.require(&factor).await?;
    let FactorKind::Push(push) = &factor.kind else {
        return Err(Refusal::Credentials.into());
    };
    let claims = pass.verify(&push.public_key).ok_or(Refusal::Credentials)?;
    claims
        .check(app.clock.now(), app.policy.device_clock_skew)
        .map_err(|_| Refusal::Credentials)?;
    // A deleted service leaves its factors to the sweeper: they must not be of use until it comes.
    reading.require(&service).await?;
    let active = account::is_active(&mut reading, address.account).await?;
    if claims.account_sid != address.account || !active {
        return Err(Refusal::Credentials.into());
    }
    Ok(Device {
        address,
        until: claims.expires + app.policy.device_clock_skew,
    })
}
