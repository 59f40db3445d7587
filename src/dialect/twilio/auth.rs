//! Who calls: HTTP Basic with an account's or API key's credentials, or as `token` with what a device holds.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::device_jwt::DeviceJwt;
use crate::app::App;
use crate::domain::access::Refusal;
use crate::domain::sid::{AccessTokenSid, AccountSid, ServiceSid};
use crate::flows::access::{self, Actor, Admission};
use crate::flows::{self, access_token};

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

/// Whoever was authenticated, and by what: for those who wait and are to be checked again.
pub(super) struct Authenticated {
    pub(super) caller: Caller,
    pub(super) admission: Option<Admission>,
}

/// What the `Authorization` header holds.
pub struct Basic {
    /// User name, colon, password.
    text: Zeroizing<String>,
    colon: usize,
}

impl Basic {
    /// Reads `Basic`, blank, Base64 of user name, colon, password (RFC 7617). Nothing else is a credential here.
    #[must_use]
    pub fn parse(header: &[u8]) -> Option<Self> {
        let (scheme, encoded) = header.split_first_chunk::<6>()?;
        if !scheme.eq_ignore_ascii_case(b"basic ") || encoded.len() > MAX_ENCODED {
            return None;
        }
        let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
        let text = String::from_utf8(decoded).map_err(|error| Zeroizing::new(error.into_bytes()));
        let text = Zeroizing::new(text.ok()?);
        let colon = text.find(':')?;
        Some(Self { text, colon })
    }

    /// The user name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.text[..self.colon]
    }

    /// The password.
    #[must_use]
    pub fn reveal_password(&self) -> &str {
        &self.text[self.colon + 1..]
    }

    /// The user name and the password, for whoever checks them again later.
    fn into_parts(self) -> (String, Zeroizing<String>) {
        let password = Zeroizing::new(self.reveal_password().to_owned());
        (self.user().to_owned(), password)
    }
}

/// Long enough for every token of a device.
const MAX_ENCODED: usize = 16 * 1024;

/// Authenticates a request. `enrols` is the service whose factors may be created with an access token on this route.
///
/// # Errors
/// [`Refusal::Credentials`], before anything else is looked up.
pub(super) async fn caller(
    app: &App,
    headers: &HeaderMap,
    enrols: Option<ServiceSid>,
) -> Result<Authenticated, flows::Error<Refusal>> {
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|value| Basic::parse(value.as_bytes()));
    let basic = header.ok_or(Refusal::Credentials)?;
    if basic.user() != "token" {
        let account = access::authenticate(app, basic.user(), basic.reveal_password()).await?;
        let (user, password) = basic.into_parts();
        return Ok(Authenticated {
            caller: Caller::Actor(Actor::Account(account)),
            admission: Some(Admission::Account { user, password }),
        });
    }
    if access_token::looks_like_one(basic.reveal_password()) {
        let service = enrols.ok_or(Refusal::Credentials)?;
        let (account, permit) = access_token::authenticate(app, service, basic.reveal_password()).await?;
        return Ok(Authenticated {
            caller: Caller::Enrolment { account, permit },
            admission: None,
        });
    }
    let token = DeviceJwt::parse(basic.reveal_password()).map_err(|_| Refusal::Credentials)?;
    let device = access::authenticate_device(app, &token).await?;
    Ok(Authenticated {
        caller: Caller::Actor(Actor::Device(device.address.clone())),
        admission: Some(Admission::Device {
            address: device.address,
            until: device.until,
        }),
    })
}
