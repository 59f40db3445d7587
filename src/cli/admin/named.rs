//! Whom a command names: the account, and the service. Whoever mistypes one is told which one was probably meant.

use super::AdminRefusal;
use crate::app::App;
use crate::config::nearest;
use crate::domain::account::Account;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::flows::page::{Cursor, Order, PageRequest};
use crate::flows::{Fault, account, service};

/// The account that is named, or the only one there is.
pub(super) async fn account_or_only_one(
    app: &App,
    named: Option<String>,
) -> Result<AccountSid, AdminRefusal> {
    let accounts = account::list(app).await.map_err(|fault| fault.to_string())?;
    match (named, accounts.as_slice()) {
        (Some(named), accounts) => among(&named, accounts),
        (None, [only]) => Ok(only.sid),
        (None, []) => Err("there is no account; create one with `countersign account create`".into()),
        (None, _) => Err(AdminRefusal::Misused(
            "there are several accounts; say which one is meant by its SID (AC...): `countersign account list` shows them"
                .to_owned(),
        )),
    }
}

/// The account that is named.
pub(super) async fn account_named(app: &App, named: &str) -> Result<AccountSid, AdminRefusal> {
    account_or_only_one(app, Some(named.to_owned())).await
}

fn among(named: &str, accounts: &[Account]) -> Result<AccountSid, AdminRefusal> {
    let known = accounts
        .iter()
        .map(|account| (account.sid.to_string(), account.friendly_name.to_string()));
    match named.parse::<AccountSid>() {
        Ok(sid) if accounts.iter().any(|account| account.sid == sid) => Ok(sid),
        Ok(_) => Err(AdminRefusal::from("there is no such account").and(&suggestion(named, known))),
        Err(error) => Err(AdminRefusal::Misused(format!(
            "{named} is no account's SID: it {error}{}",
            suggestion(named, known)
        ))),
    }
}

/// The service of the account that is named.
pub(super) async fn service_named(
    app: &App,
    account: AccountSid,
    named: &str,
) -> Result<ServiceSid, AdminRefusal> {
    let parsed = named.parse::<ServiceSid>();
    if let Ok(sid) = parsed
        && service::fetch(app, account, sid).await.is_ok()
    {
        return Ok(sid);
    }
    let services = services(app, account).await.map_err(|fault| fault.to_string())?;
    let known = services.iter().map(|service| {
        (
            service.sid.to_string(),
            service.settings.friendly_name.to_string(),
        )
    });
    match parsed {
        Ok(sid) => Err(
            AdminRefusal::from(format!("there is no service {sid} in the account {account}"))
                .and(&suggestion(named, known)),
        ),
        Err(error) => Err(AdminRefusal::Misused(format!(
            "{named:?} is no service's SID: it {error}{}",
            suggestion(named, known)
        ))),
    }
}

/// The first ones of the account: as many as one who mistypes may be told of.
async fn services(app: &App, account: AccountSid) -> Result<Vec<Service>, Fault> {
    let request = PageRequest {
        size: MOST_LOOKED_AT,
        cursor: Cursor::Start,
        order: Order::Ascending,
    };
    match service::list(app, account, request).await {
        Ok(page) => Ok(page.items),
        Err(crate::flows::Error::Failed(fault)) => Err(fault),
        Err(crate::flows::Error::Refused(_)) => Ok(Vec::new()),
    }
}

const MOST_LOOKED_AT: usize = 1000;

/// Which of those that are known, by SID and name, was probably meant; nothing if none was.
fn suggestion(named: &str, known: impl Iterator<Item = (String, String)>) -> String {
    let known: Vec<_> = known.collect();
    // Of a short name every other one is near.
    let is_meant = |name: &str| name.len() > 3 || name.eq_ignore_ascii_case(named);
    let spelled = known.iter().flat_map(|(sid, name)| [sid.clone(), name.clone()]);
    let spelled = spelled.filter(|name| is_meant(name));
    let Some(found) = nearest(named, spelled) else {
        return String::new();
    };
    let of = known.iter().find(|(sid, name)| *sid == found || *name == found);
    of.map_or_else(String::new, |(sid, name)| {
        format!("; did you mean {sid} ({name:?})?")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_mistypes_an_sid_or_gives_a_name_is_told_whom_it_may_be() {
        let known = || {
            [
                ("AC0123456789abcdef", "Team Ledger"),
                ("ACfedcba9876543210", "Shop"),
            ]
            .map(|(sid, name)| (sid.to_owned(), name.to_owned()))
            .into_iter()
        };
        for named in [
            "AC0123456789abcde",
            "AC0123456789abdcef",
            "Team Ledger",
            "Team Leger",
            "team ledger",
        ] {
            assert_eq!(
                suggestion(named, known()),
                "; did you mean AC0123456789abcdef (\"Team Ledger\")?",
                "{named}"
            );
        }
        for named in ["", "x", "ACaaaaaaaaaaaaaaaa", "Sales"] {
            assert_eq!(suggestion(named, known()), "", "{named}");
        }
    }
}
