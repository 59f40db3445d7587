//! What `countersign user` asks for.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::named::{account_named, account_or_only_one, service_named};
use super::user_view::UserView;
use super::{AdminRefusal, Reply, explain};
use crate::app::App;
use crate::domain::destination::{Destination, EmailAddress};
use crate::domain::entity::EntityName;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::{AccountSid, EntitySid, ServiceSid, VerificationSid};
use crate::domain::text::Identity;
use crate::flows::page::{Cursor, Order, PageRequest};
use crate::flows::support::delete::delete;
use crate::flows::support::find::{Search, SearchPlace, UserHandle, find};
use crate::flows::support::report::report;
use crate::flows::support::reset::reset;
use crate::flows::support::unlock::{UnlockedFactor, Unlocking, unlock};
use crate::flows::verification::{self, Settlement, VerificationName};
use crate::flows::{Fault, service};

/// What is asked of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(in crate::cli) enum UserRequest {
    Delete(UserTarget),
    Reset(UserTarget),
    Show(UserQuery),
    Unlock(UserTarget),
}

/// Who is to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct UserQuery {
    /// `None` stands for the only account.
    pub(in crate::cli) account: Option<String>,
    /// The only service that is looked at, if it is only one.
    pub(in crate::cli) service: Option<String>,
    /// An identity, a number, an address or an SID.
    pub(in crate::cli) name: String,
    /// How many of the latest challenges, verifications and decisions: 1 to 200.
    pub(in crate::cli) limit: u16,
    pub(in crate::cli) shows_destinations: bool,
    /// Whether they were found before, and what was remembered of them may be forgotten since.
    pub(in crate::cli) was_known: bool,
    /// Whether the decisions of the audit log are looked at, too.
    pub(in crate::cli) shows_decisions: bool,
    /// Where a search goes on.
    pub(in crate::cli) place: Option<String>,
}

/// To whom something is done: exactly what was shown before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct UserTarget {
    pub(in crate::cli) account: String,
    pub(in crate::cli) entities: Vec<EntityTarget>,
    pub(in crate::cli) destinations: Vec<NumberTarget>,
    /// Verifications that wait, with their services.
    pub(in crate::cli) verifications: Vec<(String, String)>,
}

/// A user, by all that tells it from one that is created anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct EntityTarget {
    pub(in crate::cli) service: String,
    pub(in crate::cli) identity: String,
    /// `None` for a user who has none.
    pub(in crate::cli) entity: Option<String>,
}

/// A number or an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct NumberTarget {
    pub(in crate::cli) destination: String,
    /// The services that remember it.
    pub(in crate::cli) services: Vec<String>,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum UserReply {
    /// Line by line; and what went wrong at last, behind which nothing was done.
    Changed {
        done: Vec<String>,
        failed: Option<String>,
    },
    Shown(Box<UserView>),
    /// It was looked for in vain so far, up to this place.
    Sought(String),
}

pub(super) async fn execute(app: &App, what: UserRequest) -> Result<Reply, AdminRefusal> {
    match what {
        UserRequest::Delete(target) => change(app, target, UserChange::Delete).await,
        UserRequest::Reset(target) => change(app, target, UserChange::Reset).await,
        UserRequest::Show(query) => show(app, query).await,
        UserRequest::Unlock(target) => change(app, target, UserChange::Unlock).await,
    }
}

async fn show(app: &App, query: UserQuery) -> Result<Reply, AdminRefusal> {
    let failed = |fault: Fault| fault.to_string();
    let account = account_or_only_one(app, query.account).await?;
    let handles = UserHandle::meanings(&query.name);
    if handles.is_empty() {
        let name: String = query.name.chars().take(100).collect();
        return Err(AdminRefusal::Misused(format!(
            "{name:?} names nobody: give an identity, a number as in +491511234567, an e-mail address, or the SID of an entity \
             (YE...), a factor (YF...), a challenge (YC...) or a verification (VE...)"
        )));
    }
    let service = match &query.service {
        Some(named) => Some(service_named(app, account, named).await?),
        None => None,
    };
    let place = query.place.as_deref().map(place).transpose()?;
    let found = find(app, account, service, &handles, place).await;
    let found = match found.map_err(failed)? {
        Search::GoesOn(SearchPlace { service, before }) => {
            return Ok(Reply::User(UserReply::Sought(format!("{service}/{before}"))));
        }
        Search::Over(found) => found,
    };
    let limit = usize::from(query.limit.clamp(1, 200));
    let report = report(app, account, &handles, found, limit, query.shows_decisions)
        .await
        .map_err(failed)?;
    let report = report.ok_or("there is no such account")?;
    if report.is_empty() && !query.was_known {
        let mut why = format!("nobody in the account {account} is known by this name");
        if let Some(service) = service {
            let _ = write!(why, " in the service {service}");
        }
        if query.shows_decisions {
            why.push_str(", and the audit log has no decision about it");
        }
        return Err(why.into());
    }
    let view = UserView::new(&report, &app.policy, query.shows_destinations);
    Ok(Reply::User(UserReply::Shown(Box::new(view))))
}

fn place(text: &str) -> Result<SearchPlace, AdminRefusal> {
    let mut parts = text.splitn(2, '/');
    let mut read = || {
        Some(SearchPlace {
            service: parts.next()?.parse().ok()?,
            before: parts.next()?.parse().ok()?,
        })
    };
    read().ok_or_else(|| AdminRefusal::Misused(format!("{text:?} is no place where a search ended")))
}

#[derive(Clone, Copy)]
enum UserChange {
    Delete,
    Reset,
    Unlock,
}

/// What is done, in order, until something fails.
async fn change(app: &App, target: UserTarget, how: UserChange) -> Result<Reply, AdminRefusal> {
    let target = ReadTarget::read(app, &target).await?;
    let mut done = Vec::new();
    let failed = target.change(app, how, &mut done).await.err();
    Ok(Reply::User(UserReply::Changed { done, failed }))
}

struct ReadTarget {
    account: AccountSid,
    entities: Vec<(EntityName, Option<EntitySid>)>,
    /// Each in a service.
    destinations: Vec<(Destination, ServiceSid)>,
    verifications: Vec<(ServiceSid, VerificationSid)>,
}

impl ReadTarget {
    async fn read(app: &App, target: &UserTarget) -> Result<Self, AdminRefusal> {
        let account = account_named(app, &target.account).await?;
        let mut entities = Vec::new();
        for EntityTarget {
            service,
            identity,
            entity,
        } in &target.entities
        {
            let name = EntityName {
                service: service_sid(service)?,
                identity: Identity::parse(identity)
                    .map_err(|error| format!("{identity:?} is no identity: it {error}"))?,
            };
            let entity = entity.as_deref().map(entity_sid).transpose()?;
            entities.push((name, entity));
        }
        let mut destinations = Vec::new();
        for NumberTarget {
            destination,
            services,
        } in &target.destinations
        {
            let destination = read_destination(destination)?;
            let mut services = services
                .iter()
                .map(|sid| service_sid(sid))
                .collect::<Result<Vec<_>, _>>()?;
            if services.is_empty() {
                // What the account remembers can be lifted in any of them.
                services.extend(first_service(app, account).await?);
            }
            destinations.extend(services.into_iter().map(|service| (destination.clone(), service)));
        }
        let mut verifications = Vec::new();
        for (service, sid) in &target.verifications {
            let sid = sid
                .parse()
                .map_err(|error| format!("{sid:?} is no verification's SID: it {error}"))?;
            verifications.push((service_sid(service)?, sid));
        }
        Ok(Self {
            account,
            entities,
            destinations,
            verifications,
        })
    }

    async fn change(&self, app: &App, how: UserChange, done: &mut Vec<String>) -> Result<(), String> {
        let gone = |name: &EntityName| {
            format!(
                "{} of {} was deleted or created anew meanwhile; look again",
                name.identity, name.service
            )
        };
        for (name, entity) in &self.entities {
            let whom = format!("{} of {}", name.identity, name.service);
            match how {
                UserChange::Delete => {
                    let deleted = delete(app, self.account, name, *entity)
                        .await
                        .map_err(|error| explain(error, &gone(name)))?;
                    done.push(format!("{whom}: {}", deleted.done()));
                }
                UserChange::Reset => {
                    let reset = reset(app, self.account, name, *entity)
                        .await
                        .map_err(|error| explain(error, &gone(name)))?;
                    done.push(format!("{whom}: {}", reset.done()));
                }
                UserChange::Unlock => {
                    let Some(entity) = entity else {
                        continue;
                    };
                    let unlocked = unlock(app, self.account, name, *entity)
                        .await
                        .map_err(|error| explain(error, &gone(name)))?;
                    if unlocked.is_empty() {
                        done.push(format!("{whom}: there is no factor"));
                    }
                    done.extend(
                        unlocked
                            .iter()
                            .map(|factor| format!("{whom}: {}", unlocked_line(factor))),
                    );
                }
            }
        }
        match how {
            UserChange::Delete => {
                self.end_verifications(app, done).await?;
                self.unlock_destinations(app, done).await
            }
            UserChange::Reset => self.end_verifications(app, done).await,
            UserChange::Unlock => self.unlock_destinations(app, done).await,
        }
    }

    async fn unlock_destinations(&self, app: &App, done: &mut Vec<String>) -> Result<(), String> {
        for (destination, service) in &self.destinations {
            let whom = format!("{} in {service}", destination.masked());
            match verification::unlock(app, self.account, *service, destination).await {
                Ok(()) => done.push(format!("{whom}: unlocked")),
                Err(error) if error == crate::domain::verification::Refusal::NotFound.into() => {
                    done.push(format!("{whom}: nothing of its own was closed"));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    async fn end_verifications(&self, app: &App, done: &mut Vec<String>) -> Result<(), String> {
        for (service, sid) in &self.verifications {
            let which = VerificationName::Sid(*sid);
            match verification::settle(app, self.account, *service, &which, Settlement::Withdraw).await {
                Ok(_) => done.push(format!("{sid} of {service}: ended")),
                Err(error) if error == crate::domain::verification::Refusal::NotFound.into() => {
                    done.push(format!("{sid} of {service}: was over already"));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }
}

fn unlocked_line(factor: &UnlockedFactor) -> String {
    let sid = factor.factor;
    match &factor.what {
        Unlocking::Disabled => {
            format!("{sid} stays disabled: after 100 wrong codes in a row only a new enrolment helps")
        }
        Unlocking::Lifted { .. } => format!("{sid} unlocked: {}", factor.what.done().unwrap_or_default()),
        Unlocking::Open => format!("{sid} was open"),
    }
}

fn entity_sid(text: &str) -> Result<EntitySid, String> {
    text.parse()
        .map_err(|error| format!("{text:?} is no entity's SID: it {error}"))
}

fn service_sid(text: &str) -> Result<ServiceSid, String> {
    text.parse()
        .map_err(|error| format!("{text:?} is no service's SID: it {error}"))
}

fn read_destination(text: &str) -> Result<Destination, String> {
    let number = PhoneNumber::parse(text, None).map(Destination::Phone);
    number
        .or_else(|_| EmailAddress::parse(text).map(Destination::Email))
        .map_err(|_| "it is neither a number nor an e-mail address".to_owned())
}

async fn first_service(app: &App, account: AccountSid) -> Result<Option<ServiceSid>, String> {
    let request = PageRequest {
        size: 1,
        cursor: Cursor::Start,
        order: Order::Ascending,
    };
    let listed = service::list(app, account, request)
        .await
        .map_err(|error| error.to_string())?;
    Ok(listed.items.first().map(|service| service.sid))
}
