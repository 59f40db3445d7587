//! Who calls: whoever shows a bearer token, or anybody where only this machine can call.

use tonic::Status;
use tonic::metadata::MetadataMap;

use super::NAME;
use super::errors::failed;
use crate::app::App;
use crate::domain::audit::Author;
use crate::domain::service::Refusal;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::{DialectName, ServiceName};
use crate::flows::reading::{Admitted, Foreseen};
use crate::flows::{Error, access, account, audit, dialect_service};
use crate::web::rpc;

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Whoever shows a bearer token that was made for this protocol.
    Tokens,
    /// Anybody, for this account, or for the only one.
    Anybody(Option<AccountSid>),
}

/// The account that a call acts for, and its service for sessions; what is foreseen of the call is read with the service.
pub(super) async fn admit(
    app: &App,
    callers: &Callers,
    metadata: &MetadataMap,
    foresee: impl Fn(AccountSid, ServiceSid) -> Foreseen,
) -> Result<(Admitted<AccountSid>, ServiceSid), Status> {
    let (Ok(dialect), Ok(name)) = (DialectName::parse(NAME), ServiceName::parse(SERVICE_NAME)) else {
        let told = Status::internal("an internal error occurred");
        return Err(rpc::failed(told, "the names of the service are no names"));
    };
    let mut account = match callers {
        Callers::Tokens => of_token(app, metadata, &dialect).await?,
        Callers::Anybody(account) => of_this_machine(app, *account, metadata).await?,
    };
    let who = account.who;
    let service = dialect_service::service_of(app, &mut account, &dialect, &name, |service| {
        foresee(who, service)
    })
    .await
    .map_err(|error| match error {
        Error::Refused(Refusal::NotFound) => Status::unauthenticated(UNKNOWN),
        Error::Refused(refusal) => Status::resource_exhausted(refusal.to_string()),
        Error::Failed(fault) => failed(&fault),
    })?;
    Ok((account, service))
}

async fn of_token(
    app: &App,
    metadata: &MetadataMap,
    dialect: &DialectName,
) -> Result<Admitted<AccountSid>, Status> {
    let shown = shown(metadata).ok_or_else(|| {
        Status::unauthenticated(
            "No API key provided: send the metadata authorization: Bearer and a token of `countersign token create --signal`",
        )
    })?;
    let foresee = |account| dialect_service::foresee(account, dialect);
    match access::authenticate_bearer(app, shown, NAME, foresee).await {
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
    rpc::bearer_token(metadata).or_else(|| metadata.get("x-signal-api-key")?.to_str().ok())
}

/// The account of callers that need show nothing. A page in a browser, and whoever comes through a proxy, may call from this
/// machine, too, and is nobody who may do that.
async fn of_this_machine(
    app: &App,
    account: Option<AccountSid>,
    metadata: &MetadataMap,
) -> Result<Admitted<AccountSid>, Status> {
    audit::note_dialect(NAME);
    if FROM_ELSEWHERE.iter().any(|name| metadata.contains_key(*name)) {
        return Err(Status::unauthenticated(
            "calls of pages and through proxies need a token: set signal_auth to bearer",
        ));
    }
    let found = account::find(app, account)
        .await
        .map_err(|fault| failed(&fault))?;
    let refuse = |why: &str| Err(Status::failed_precondition(why));
    match found {
        account::FoundAccount::One(found) if found.is_active() => {
            audit::note_author(found.sid, Author::Anyone);
            Ok(found.sid.into())
        }
        account::FoundAccount::One(_) => refuse("the account that calls act for is suspended"),
        account::FoundAccount::None if account.is_some() => {
            refuse("the account that the setting signal_account names does not exist")
        }
        account::FoundAccount::None => {
            refuse("this server has no account yet; create one with `countersign account create`")
        }
        account::FoundAccount::Several => refuse(
            "this server has several accounts: say in the setting signal_account which one calls act for",
        ),
    }
}

/// What browsers and proxies add to requests.
const FROM_ELSEWHERE: [&str; 6] = [
    "forwarded",
    "origin",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
];

const UNKNOWN: &str = "API key not recognized";

/// What users are shown as whoever writes to them, until the service is given another name.
const SERVICE_NAME: &str = "Signal";

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::domain::text::FriendlyName;
    use crate::doubles::TestParts;

    #[tokio::test]
    async fn whoever_needs_no_token_is_on_this_machine_and_acts_for_an_active_account() {
        let app = TestParts::default().wire();
        let anybody = Callers::Anybody(None);
        let from_here = MetadataMap::new();
        let refused = async |metadata: &MetadataMap| {
            let admitted = admit(&app, &anybody, metadata, |_, _| Foreseen::default()).await;
            admitted.map(|_| ()).map_err(|status| status.code())
        };
        assert_eq!(refused(&from_here).await, Err(Code::FailedPrecondition));
        let name = FriendlyName::parse("Owl Bank").unwrap();
        let made = account::create(&app, name).await.unwrap().account.sid;
        assert_eq!(refused(&from_here).await, Ok(()));
        for header in FROM_ELSEWHERE {
            let mut metadata = MetadataMap::new();
            metadata.insert(header, "https://evil.example".parse().unwrap());
            assert_eq!(refused(&metadata).await, Err(Code::Unauthenticated), "{header}");
        }
        account::suspend(&app, made).await.unwrap();
        assert_eq!(refused(&from_here).await, Err(Code::FailedPrecondition));
    }
}
