//! Who calls: HTTP Basic with an account's or API key's credentials, or as `token` with what a device holds.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::device_jwt::DeviceJwt;
use super::foresight::Asked;
use crate::domain::access::Refusal;
use crate::domain::sid::{AccessTokenSid, AccountSid, ServiceSid};
use crate::flows::access::{self, Actor, Admission};
use crate::flows::reading::{Admitted, Prior};
use crate::flows::{self, access_token};
use crate::web::basic::BasicCredentials;

/// Whoever was authenticated.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// An account or one of its devices.
    Actor(Actor),
    /// A device that may create one factor.
    Enrolment {
        account: AccountSid,
        permit: AccessTokenSid,
    },
}

impl Caller {
    /// The account or the device.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who may only enrol.
    pub(super) fn actor(&self) -> Result<&Actor, Refusal> {
        match self {
            Self::Actor(actor) => Ok(actor),
            Self::Enrolment { .. } => Err(Refusal::Forbidden),
        }
    }
}

/// Whoever was authenticated.
pub(super) struct Authenticated {
    pub(super) caller: Caller,
    /// What was read for that.
    pub(super) prior: Prior,
    /// By what: for those who wait and are to be checked again.
    pub(super) admission: Option<Admission>,
}

/// What a request says of who sends it.
///
/// # Errors
/// [`Refusal::Credentials`].
pub(super) fn credentials(headers: &HeaderMap) -> Result<BasicCredentials, Refusal> {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| BasicCredentials::parse(value.as_bytes()))
        .ok_or(Refusal::Credentials)
}

/// Authenticates a request. `enrols` is the service whose factors may be created with an access token on this route.
///
/// # Errors
/// [`Refusal::Credentials`], before anything else is decided.
pub(super) async fn caller(
    asked: &Asked<'_>,
    basic: BasicCredentials,
    enrols: Option<ServiceSid>,
) -> Result<Authenticated, flows::Error<Refusal>> {
    let app = asked.app;
    let foresee = |actor: &Actor| asked.foresee(actor);
    if basic.user() != "token" {
        let admitted = access::authenticate(app, basic.user(), basic.reveal_password(), foresee).await?;
        let (user, password) = basic.into_parts();
        return Ok(Authenticated {
            caller: Caller::Actor(Actor::Account(admitted.who)),
            prior: admitted.prior,
            admission: Some(Admission::Account { user, password }),
        });
    }
    if access_token::looks_like_one(basic.reveal_password()) {
        let service = enrols.ok_or(Refusal::Credentials)?;
        let foresee = |account| asked.foresee(&Actor::Account(account));
        let (admitted, permit) =
            access_token::authenticate(app, service, basic.reveal_password(), foresee).await?;
        let account = admitted.who;
        return Ok(Authenticated {
            caller: Caller::Enrolment { account, permit },
            prior: admitted.prior,
            admission: None,
        });
    }
    let token = DeviceJwt::parse(basic.reveal_password()).map_err(|_| Refusal::Credentials)?;
    let Admitted { who: device, prior } = access::authenticate_device(app, &token, foresee).await?;
    Ok(Authenticated {
        caller: Caller::Actor(Actor::Device(device.address.clone())),
        prior,
        admission: Some(Admission::Device {
            address: device.address,
            until: device.until,
        }),
    })
}
