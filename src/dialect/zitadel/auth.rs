//! Who calls: the user that a bearer token was made for.

use tonic::Status;
use tonic::metadata::MetadataMap;

use super::NAME;
use super::error::{NO_SUCH_USER, failed};
use crate::app::App;
use crate::domain::bearer_token::{BearerToken, TokenUser};
use crate::domain::entity::EntityName;
use crate::domain::service;
use crate::domain::sid::AccountSid;
use crate::domain::text::{DialectName, IdentityRule, ServiceName};
use crate::domain::user::User;
use crate::flows::reading::Admitted;
use crate::flows::{Error, access, dialect_service, user};
use crate::web::rpc;

/// Whoever calls.
#[derive(Debug)]
pub(super) struct TokenHolder {
    /// The account of the token.
    pub(super) account: AccountSid,
    /// The name of the token's user.
    pub(super) own: EntityName,
    /// Whether it may act for other users of the account, too.
    manages_users: bool,
    /// What other users can be called.
    identities: IdentityRule,
    /// The user itself.
    pub(super) user: User,
}

impl TokenHolder {
    /// The user with this identifier, if the token may act for it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for none, `PERMISSION_DENIED` for another one than the token's unless it manages users,
    /// `NOT_FOUND` for what no user can be called.
    pub(super) fn user_named(&self, user: &str) -> Result<EntityName, Status> {
        if user.is_empty() {
            return Err(Status::invalid_argument("invalid UserId: it must be given"));
        }
        if user == self.own.identity.as_str() {
            return Ok(self.own.clone());
        }
        self.require_manager()?;
        let identity = self
            .identities
            .parse(user)
            .map_err(|_| Status::not_found(NO_SUCH_USER))?;
        Ok(EntityName {
            service: self.own.service,
            identity,
        })
    }

    /// Whether the token may act for other users, and vouch for them.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub(super) fn require_manager(&self) -> Result<(), Status> {
        if self.manages_users {
            return Ok(());
        }
        Err(Status::permission_denied(
            "only a token of `countersign token create --user NAME --manage-users` may do this",
        ))
    }
}

/// The user whose token was shown; its first call creates it.
pub(super) async fn admit(app: &App, metadata: &MetadataMap) -> Result<TokenHolder, Status> {
    if !metadata.contains_key("authorization") {
        return Err(Status::unauthenticated("auth header missing"));
    }
    let token = rpc::bearer_token(metadata).ok_or_else(|| Status::unauthenticated(UNKNOWN))?;
    let (Ok(dialect), Ok(service_name)) = (DialectName::parse(NAME), ServiceName::parse(SERVICE_NAME)) else {
        let told = Status::internal("an internal error occurred");
        return Err(rpc::failed(told, "the names of the service are no names"));
    };
    let foresee = |account| dialect_service::foresee(account, &dialect);
    let admitted = access::authenticate_bearer(app, token, NAME, foresee).await;
    let Admitted { who: token, prior } = admitted.map_err(unknown_or_failed)?;
    let BearerToken {
        account,
        user: Some(TokenUser { name, manages_users }),
        ..
    } = token
    else {
        return Err(Status::unauthenticated(UNKNOWN));
    };
    let mut admitted = Admitted { who: account, prior };
    let foresee = |service| user::foresee(service, &name);
    let service = dialect_service::service_of(app, &mut admitted, &dialect, &service_name, foresee)
        .await
        .map_err(|error| match error {
            Error::Refused(refusal @ service::Refusal::TooMany { .. }) => {
                Status::resource_exhausted(refusal.to_string())
            }
            other => unknown_or_failed(other),
        })?;
    let own = EntityName {
        service,
        identity: name,
    };
    let user = user::ensure(app, admitted, &own)
        .await
        .map_err(unknown_or_failed)?;
    Ok(TokenHolder {
        account,
        own,
        manages_users,
        identities: app.policy.identities,
        user,
    })
}

/// Whatever is wrong with a token, and an account that is gone, is one to whoever shows it.
fn unknown_or_failed<R>(error: Error<R>) -> Status {
    match error {
        Error::Refused(_) => Status::unauthenticated(UNKNOWN),
        Error::Failed(fault) => failed(&fault),
    }
}

const UNKNOWN: &str = "the token is invalid; `countersign token create --user` makes one";

/// What users are shown as whoever writes to them, and as the issuer of their codes, until the service is given another name.
const SERVICE_NAME: &str = "ZITADEL";
