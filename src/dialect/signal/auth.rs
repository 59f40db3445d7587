//! Who calls: whoever shows a bearer token, or anybody where only this machine can call.

use tonic::Status;
use tonic::metadata::MetadataMap;

use super::NAME;
use super::errors::failed;
use crate::app::App;
use crate::domain::service::Refusal;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::{DialectName, ServiceName};
use crate::flows::reading::Admitted;
use crate::flows::{Error, access, account, dialect_service};

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Whoever shows a bearer token that was made for this protocol.
    Tokens,
    /// Anybody, for this account, or for the only one.
    Anybody(Option<AccountSid>),
}

/// The account that a call acts for, and its service for sessions.
pub(super) async fn admit(
    app: &App,
    callers: &Callers,
    metadata: &MetadataMap,
) -> Result<(Admitted<AccountSid>, ServiceSid), Status> {
    let mut account = match callers {
        Callers::Tokens => of_token(app, metadata).await?,
        Callers::Anybody(Some(account)) => Admitted::from(*account),
        Callers::Anybody(None) => Admitted::from(only_account(app).await?),
    };
    let (Ok(dialect), Ok(name)) = (DialectName::parse(NAME), ServiceName::parse(SERVICE_NAME)) else {
        return Err(Status::internal("an internal error occurred"));
    };
    let service = dialect_service::service_of(app, &mut account, &dialect, &name)
        .await
        .map_err(|error| match error {
            Error::Refused(Refusal::NotFound) => match callers {
                Callers::Tokens => Status::unauthenticated(UNKNOWN),
                Callers::Anybody(_) => Status::failed_precondition(
                    "the account that the setting signal_account names does not exist",
                ),
            },
            Error::Refused(refusal) => Status::resource_exhausted(refusal.to_string()),
            Error::Failed(fault) => failed(&fault),
        })?;
    Ok((account, service))
}

async fn of_token(app: &App, metadata: &MetadataMap) -> Result<Admitted<AccountSid>, Status> {
    let shown = shown(metadata).ok_or_else(|| {
        Status::unauthenticated(
            "No API key provided: send the metadata authorization: Bearer and a token of `countersign token create --signal`",
        )
    })?;
    match access::authenticate_bearer(app, shown, NAME).await {
        Ok(Admitted { who, prior }) => Ok(Admitted {
            who: who.account,
            prior,
        }),
        Err(Error::Refused(_)) => Err(Status::unauthenticated(UNKNOWN)),
        Err(Error::Failed(fault)) => Err(failed(&fault)),
    }
}

/// What callers of today and of before April 2023 show.
fn shown(metadata: &MetadataMap) -> Option<&str> {
    let bearer = metadata.get("authorization").and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    bearer.or_else(|| metadata.get("x-signal-api-key")?.to_str().ok())
}

async fn only_account(app: &App) -> Result<AccountSid, Status> {
    match account::list(app)
        .await
        .map_err(|fault| failed(&fault))?
        .as_slice()
    {
        [only] => Ok(only.sid),
        [] => Err(Status::failed_precondition(
            "this server has no account yet; create one with `countersign account create`",
        )),
        _ => Err(Status::failed_precondition(
            "this server has several accounts: say in the setting signal_account which one calls act for",
        )),
    }
}

const UNKNOWN: &str = "API key not recognized";

/// What users are shown as whoever writes to them, until the service is given another name.
const SERVICE_NAME: &str = "Signal";
