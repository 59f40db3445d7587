//! Who is let in, and to what: accounts, their API keys and their devices.

mod bearer;
mod decoy;

use zeroize::Zeroizing;

pub use self::bearer::{authenticate_bearer, presented};
use self::decoy::or_decoy;
use crate::app::App;
use crate::domain::access::{DevicePass, Refusal};
use crate::domain::audit::{AuditAct, AuditSubject, Author};
use crate::domain::entity::EntityName;
use crate::domain::factor::{Factor, FactorStatus};
use crate::domain::opaque::TokenHash;
use crate::domain::refusal::{AreaRefusal as _, RefusalReason};
use crate::domain::sid::{AccountSid, ApiKeySid, FactorSid, ServiceSid};
use crate::domain::text::KeyName;
use crate::domain::time::Timestamp;
use crate::flows::reading::{Admitted, Foreseen, NotRead, Prior, Reading, record_refusal};
use crate::flows::{Error, Fault, account, audit};
use crate::store::keys;
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
    /// The account, or that of the device.
    #[must_use]
    pub fn account(&self) -> AccountSid {
        match self {
            Self::Account(account) => *account,
            Self::Device(device) => device.account,
        }
    }

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

    /// For what all of a service's devices may see.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for devices of other services. It says nothing of whether the service exists.
    pub fn of_service(&self, service: ServiceSid) -> Result<AccountSid, Refusal> {
        match self {
            Self::Account(account) => Ok(*account),
            Self::Device(device) if device.service == service => Ok(device.account),
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

/// The account that `user` and `password` speak for: its SID and auth token, or an API key's SID and secret, or what an imported
/// key was called elsewhere, and its secret.
///
/// An unknown user takes as long as a wrong password. What is foreseen of the request is read with the account.
///
/// # Errors
/// [`Refusal::Credentials`] for every kind of wrong credentials, [`Refusal::Suspended`] for right ones of a suspended account,
/// [`Error::Failed`].
pub async fn authenticate(
    app: &App,
    user: &str,
    password: &str,
    foresee: impl Fn(&Actor) -> Foreseen,
) -> Result<Admitted<AccountSid>, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let (account, author, owner, hash, known, active) = if let Ok(sid) = user.parse::<AccountSid>() {
        prefetch_account(&mut reading, sid, &foresee).await?;
        let (found, known) = or_decoy(app, reading.get(&keys::account(sid)).await?)?;
        let active = found.is_active();
        (sid, Author::Account, *sid.as_bytes(), found.token, known, active)
    } else if let Some(sid) = named_key(app, &mut reading, user).await? {
        let (key, known) = or_decoy(app, reading.get(&keys::api_key(sid)).await?)?;
        prefetch_account(&mut reading, key.account, &foresee).await?;
        let (owner, has_owner) = or_decoy(app, reading.glance(&keys::account(key.account)).await?)?;
        let (known, active) = (known & has_owner, owner.is_active());
        let author = Author::ApiKey(sid);
        (key.account, author, *sid.as_bytes(), key.secret, known, active)
    } else {
        let none = TokenHash([0; 32]);
        (NO_ACCOUNT, Author::Unknown, [0; 16], none, false, false)
    };
    // The token is looked at in any case.
    let right = app.vault.token_matches(&owner, password, &hash) & known;
    match (right, active) {
        (true, true) => {
            audit::note_author(account, author);
            let prior = Prior::of(reading);
            Ok(Admitted { who: account, prior })
        }
        (true, false) => {
            audit::note_author(account, author);
            Err(refuse_suspended(app).await.into())
        }
        (false, _) => {
            audit::note_stranger(app, account, known);
            Err(Refusal::Credentials.into())
        }
    }
}

/// Tells of right credentials whose account is suspended: whoever asks why they are refused is to find it. Their author is noted
/// before.
pub(crate) async fn refuse_suspended(app: &App) -> Refusal {
    audit::note_subject(AuditAct::Authenticate, AuditSubject::default);
    let refusal = Refusal::Suspended;
    let why = RefusalReason {
        code: refusal.code(),
        words: refusal.to_string(),
    };
    // Rare, so it is no part of what every request takes of memory.
    Box::pin(record_refusal(app, &why)).await;
    refusal
}

/// The API key that `user` names, by its SID or by what it was called elsewhere; any SID for a name that no key has. `None` for
/// what names no key.
async fn named_key(app: &App, reading: &mut Reading<'_>, user: &str) -> Result<Option<ApiKeySid>, Fault> {
    if let Ok(sid) = user.parse() {
        return Ok(Some(sid));
    }
    let Ok(name) = KeyName::parse(user) else {
        return Ok(None);
    };
    let (imported, _) = or_decoy(app, reading.get(&keys::imported_key(&name)).await?)?;
    Ok(Some(imported.key))
}

/// Reads an account with what is foreseen of its request.
async fn prefetch_account(
    reading: &mut Reading<'_>,
    account: AccountSid,
    foresee: impl Fn(&Actor) -> Foreseen,
) -> Result<(), Fault> {
    let foreseen = foresee(&Actor::Account(account)).and(keys::account(account));
    reading.prefetch(foreseen.keys()).await
}

/// A device that showed a token which its factor's key signed.
#[derive(Clone, Debug)]
pub struct AuthenticatedDevice {
    /// Where its factor is.
    pub address: DeviceAddress,
    /// Until when what it showed may be used, as far as its clock and this one can be apart.
    pub until: Timestamp,
}

/// The device whose key signed `pass`: it names the factor's credential and claims its account, and holds now, give or
/// take [`crate::app::Policy::device_clock_skew`].
///
/// A signature of a device that is not known is checked, too, and nothing more is read for one that is until its signature
/// holds: the time that an answer takes must not tell which devices there are.
///
/// # Errors
/// [`Refusal::Credentials`] for everything that is wrong with the pass, the factor or its service; [`Refusal::Suspended`] for a right
/// one of a suspended account; [`Error::Failed`].
pub async fn authenticate_device(
    app: &App,
    pass: &dyn DevicePass,
    foresee: impl Fn(&Actor) -> Foreseen,
) -> Result<Admitted<AuthenticatedDevice>, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let (device, known) = or_decoy(app, reading.get(&keys::device(pass.credential())).await?)?;
    let signed = pass.verify(&device.public_key);
    // What follows is only seen by whoever has the key.
    let address = device.address;
    let refuse = || {
        audit::note_stranger(app, address.account, known);
        Refusal::Credentials
    };
    let claims = signed.filter(|_| known).ok_or_else(refuse)?;
    claims
        .check(app.clock.now(), app.policy.device_clock_skew)
        .map_err(|_| refuse())?;
    let (_, active) = read_device(&mut reading, &address, foresee).await?;
    if claims.account_sid != address.account {
        return Err(refuse().into());
    }
    if !active {
        audit::note_author(address.account, Author::Device(address.factor));
        return Err(refuse_suspended(app).await.into());
    }
    let who = AuthenticatedDevice {
        address,
        until: claims.expires + app.policy.device_clock_skew,
    };
    audit::note_author(who.address.account, Author::Device(who.address.factor));
    let prior = Prior::of(reading);
    Ok(Admitted { who, prior })
}

/// The factor of a device, with its service and what is foreseen of the request; and whether its account is active.
async fn read_device(
    reading: &mut Reading<'_>,
    address: &DeviceAddress,
    foresee: impl Fn(&Actor) -> Foreseen,
) -> Result<(Factor, bool), NotRead> {
    let factor = keys::factor(&address.scope(), address.factor);
    let service = keys::service(address.account, address.service);
    let account = keys::account(address.account);
    let foreseen = foresee(&Actor::Device(address.clone()));
    let needed = [factor.bytes(), service.bytes(), account.bytes()].into_iter();
    reading.prefetch(needed.chain(foreseen.keys())).await?;
    let factor = reading.require(&factor).await?;
    // A deleted service leaves its factors to the sweeper: they must not be of use until it comes.
    reading.require(&service).await?;
    let active = account::is_active(reading, address.account).await?;
    Ok((factor, active))
}

/// What a caller was let in by.
#[derive(Clone)]
#[expect(missing_docs, reason = "the names say what they are")]
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
    pub async fn check(
        &self,
        app: &App,
        foresee: impl Fn(&Actor) -> Foreseen,
    ) -> Result<Admitted<Actor>, Error<Refusal>> {
        let address = match self {
            Self::Account { user, password } => {
                let Admitted { who, prior } = authenticate(app, user, password, foresee).await?;
                let who = Actor::Account(who);
                return Ok(Admitted { who, prior });
            }
            Self::Device { address, .. } => address,
        };
        let mut reading = Reading::new(app);
        let (factor, active) = read_device(&mut reading, address, foresee).await?;
        if factor.status == FactorStatus::Disabled || !active {
            return Err(Refusal::Credentials.into());
        }
        let who = Actor::Device(address.clone());
        let prior = Prior::of(reading);
        Ok(Admitted { who, prior })
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

/// Looked for where there is no account to look for, so that this takes as long.
const NO_ACCOUNT: AccountSid = AccountSid::from_bytes([0; 16]);
