//! `countersign user`.

mod text;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};

use clap::{Args, Subcommand};

use self::text::{deletions, subjects, user_text};
use super::admin::client::{AdminSession, ClientFlags};
use super::admin::{
    AdminRequest, EntityTarget, NumberTarget, PlaceView, Reply, UserQuery, UserReply, UserRequest,
    UserTarget, UserView,
};
use super::audit::lines::json_text;
use super::progress::{ProgressLine, ProgressUnit};
use super::{Failure, output};
use crate::domain::audit::printable;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show how things stand with a user, and why codes were refused
    Show {
        #[command(flatten)]
        who: Who,
        /// How many of the latest challenges, verifications and decisions
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Show numbers and addresses in full
        #[arg(long)]
        full_numbers: bool,
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Forget a user's wrong codes and lift locks, delays and pauses; codes that were used stay used
    Unlock(ChangeFlags),
    /// Delete all factors of a user, so that they enrol anew, and end what waits for them
    Reset(ChangeFlags),
    /// Delete a user: entity, factors, challenges, number and locks, and end what waits for them
    Delete {
        #[command(flatten)]
        change: ChangeFlags,
        /// In all services of the account that know the user
        #[arg(long, conflicts_with = "service")]
        all_services: bool,
    },
}

#[derive(Args, Clone, Debug)]
pub(super) struct Who {
    /// The user's identity, number (+49...) or e-mail address, or the SID of an entity (YE...), a factor (YF...), a challenge (YC...) or
    /// a verification (VE...)
    #[arg(value_name = "USER")]
    name: String,
    /// The account (AC...); the only one if none is named
    #[arg(long, value_name = "SID")]
    account: Option<String>,
    /// The service (VA...), where several know the user
    #[arg(long, value_name = "SID")]
    service: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct ChangeFlags {
    #[command(flatten)]
    who: Who,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    flags: ClientFlags,
}

pub(super) async fn run(
    command: Command,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    match command {
        Command::Show {
            who,
            limit,
            full_numbers,
            flags,
        } => {
            let json = flags.json();
            let mut session = AdminSession::open(flags, environment).await?;
            let sight = Sight {
                limit,
                shows_destinations: full_numbers,
                was_known: false,
                shows_decisions: true,
            };
            let shown = show(&mut session, &who, sight).await;
            session.close().await?;
            let user = shown?;
            output::say(&if json { json_text(&user) } else { user_text(&user) });
            Ok(())
        }
        Command::Unlock(change) => act(change, Act::Unlock, environment).await,
        Command::Reset(change) => act(change, Act::Reset, environment).await,
        Command::Delete { change, all_services } => {
            act(change, Act::Delete { all_services }, environment).await
        }
    }
}

#[derive(Clone, Copy)]
enum Act {
    Delete { all_services: bool },
    Reset,
    Unlock,
}

/// How a user is looked at.
#[derive(Clone, Copy)]
struct Sight {
    limit: u16,
    shows_destinations: bool,
    was_known: bool,
    shows_decisions: bool,
}

async fn show(session: &mut AdminSession, who: &Who, sight: Sight) -> Result<UserView, Failure> {
    let mut place = None;
    let what = format!("looking for {}", printable(&who.name));
    let progress = ProgressLine::begin(what, ProgressUnit::Pieces);
    let mut looked = 0;
    loop {
        let query = UserQuery {
            account: who.account.clone(),
            service: who.service.clone(),
            name: who.name.clone(),
            limit: sight.limit,
            shows_destinations: sight.shows_destinations,
            was_known: sight.was_known,
            shows_decisions: sight.shows_decisions,
            place: place.take(),
        };
        match ask(session, UserRequest::Show(query)).await? {
            UserReply::Shown(user) => {
                progress.end();
                return Ok(*user);
            }
            UserReply::Sought(up_to) => {
                looked += LOOKED_AT_ONCE;
                progress.at(looked);
                place = Some(up_to);
            }
            UserReply::Changed { .. } => return Err(other_answer()),
        }
    }
}

/// How many entities are looked at in one request, in vain.
const LOOKED_AT_ONCE: u64 = 10_000;

async fn ask(session: &mut AdminSession, what: UserRequest) -> Result<UserReply, Failure> {
    match session.ask(AdminRequest::AboutUser { what }).await? {
        Reply::User(reply) => Ok(reply),
        _ => Err(other_answer()),
    }
}

fn other_answer() -> Failure {
    Failure::new("the server answered something else than what it was asked")
}

async fn act(
    change: ChangeFlags,
    act: Act,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    let ChangeFlags { who, yes, flags } = change;
    let json = flags.json();
    let mut session = AdminSession::open(flags, environment).await?;
    let changed = act_on(&mut session, &who, act, yes).await;
    session.close().await?;
    let ActedOn {
        done,
        failed,
        still_closed,
    } = changed?;
    if json {
        let told = serde_json::json!({"done": done, "failed": failed, "still_closed": still_closed});
        output::say(&json_text(&told));
    } else {
        let still = still_closed
            .iter()
            .flatten()
            .map(|why| format!("still closed: {why}"));
        let lines = done.into_iter().chain(still);
        let lines: String = lines.map(|line| printable(&line) + "\n").collect();
        output::say(&lines);
    }
    match failed {
        None => Ok(()),
        Some(why) => Err(Failure::new(why)),
    }
}

/// What came of a change.
struct ActedOn {
    done: Vec<String>,
    /// What went wrong then.
    failed: Option<String>,
    /// What closes an unlocked user all the same; `None` if nobody looked.
    still_closed: Option<Vec<String>>,
}

async fn act_on(session: &mut AdminSession, who: &Who, act: Act, yes: bool) -> Result<ActedOn, Failure> {
    let sight = Sight {
        limit: MOST_ENDED,
        shows_destinations: true,
        was_known: false,
        shows_decisions: false,
    };
    let user = show(session, who, sight).await?;
    require_one(&user, who, act)?;
    let target = target(&user, who, act);
    if target.entities.is_empty() && target.destinations.is_empty() {
        return Err(Failure::new(
            "no service knows this user any more, so there is nothing to change",
        ));
    }
    if !yes {
        confirm(act, &user, &target, who)?;
    }
    let request = match act {
        Act::Delete { .. } => UserRequest::Delete(target),
        Act::Reset => UserRequest::Reset(target),
        Act::Unlock => UserRequest::Unlock(target),
    };
    match ask(session, request).await? {
        UserReply::Changed { mut done, mut failed } => {
            if failed.is_none() && user.has_more_places {
                failed = Some("more services know this user than are seen at once; do it again".to_owned());
            }
            if done.is_empty() && failed.is_none() {
                done.push("there was nothing to change".to_owned());
            }
            let still_closed = match (act, &failed) {
                (Act::Unlock, None) => Some(closed_now(session, who).await?),
                _ => None,
            };
            Ok(ActedOn {
                done,
                failed,
                still_closed,
            })
        }
        UserReply::Shown(_) | UserReply::Sought(_) => Err(other_answer()),
    }
}

/// Nothing is changed of somebody who is not the only one that may be meant.
fn require_one(user: &UserView, who: &Who, act: Act) -> Result<(), Failure> {
    let name = printable(&who.name);
    let places = user.places.iter();
    if user.is_ambiguous {
        let known: Vec<_> = places
            .map(|place| {
                let entity = place.entity_sid.as_deref().unwrap_or("no entity");
                format!("{} of {} ({entity})", place.identity, place.service_sid)
            })
            .collect();
        return Err(Failure::misused(format!(
            "{name} is the SID of somebody's and the identity of somebody else: {}; say whom you mean by the SID of the entity \
             (YE...), or by another identity",
            printable(&known.join(", "))
        )));
    }
    let how = match act {
        Act::Delete { all_services: true } => return Ok(()),
        Act::Delete { .. } => "say with --service which one is meant, or --all-services",
        Act::Reset | Act::Unlock => "say with --service which one is meant",
    };
    let mut services: Vec<_> = places.map(|place| place.service_sid.as_str()).collect();
    services.dedup();
    if services.len() > 1 || user.has_more_places {
        let more = if user.has_more_places { " and more" } else { "" };
        return Err(Failure::misused(format!(
            "several services know {name}: {}{more}; {how}",
            services.join(", ")
        )));
    }
    Ok(())
}

/// What closes the user now, after all.
async fn closed_now(session: &mut AdminSession, who: &Who) -> Result<Vec<String>, Failure> {
    let sight = Sight {
        limit: 1,
        shows_destinations: false,
        was_known: true,
        shows_decisions: false,
    };
    Ok(show(session, who, sight).await?.refused_now)
}

/// How many of the latest verifications are ended if they wait.
const MOST_ENDED: u16 = 200;

/// Whom the change is about. Of a number that was found with a user, with a verification or in one service, nothing of other services
/// is: only of one that was named itself.
fn target(user: &UserView, who: &Who, act: Act) -> UserTarget {
    let is_changed = |place: &&PlaceView| match act {
        Act::Delete { .. } => true,
        Act::Reset => place.entity_sid.is_some() || place.code_by_sms == Some(true),
        Act::Unlock => place.entity_sid.is_some(),
    };
    let entities = user.places.iter().filter(is_changed).map(|place| EntityTarget {
        service: place.service_sid.clone(),
        identity: place.identity.clone(),
        entity: place.entity_sid.clone(),
    });
    let only_in = only_services(user, who);
    let is_in = |service: &str| only_in.is_empty() || only_in.contains(&service);
    let destinations = user.destinations.iter().map(|to| {
        let services = if only_in.is_empty() {
            to.service_sids.clone()
        } else {
            only_in.iter().map(|only| (*only).to_owned()).collect()
        };
        NumberTarget {
            destination: to.destination.clone(),
            services,
        }
    });
    let waiting = user.destinations.iter().flat_map(|to| &to.verifications);
    let waiting = waiting
        .filter(|found| ["pending", "max_attempts_reached"].contains(&found.status.as_str()))
        .filter(|found| is_in(&found.service_sid))
        .map(|found| (found.service_sid.clone(), found.sid.clone()));
    UserTarget {
        account: user.account_sid.clone(),
        entities: entities.collect(),
        destinations: destinations.collect(),
        verifications: waiting.collect(),
    }
}

/// The services whose business it is; none if a number was named for all of them.
fn only_services<'a>(user: &'a UserView, who: &'a Who) -> Vec<&'a str> {
    if let Some(service) = &who.service {
        return vec![service];
    }
    let mut of_the_user: Vec<_> = user
        .places
        .iter()
        .map(|place| place.service_sid.as_str())
        .collect();
    of_the_user.sort_unstable();
    of_the_user.dedup();
    if !of_the_user.is_empty() {
        return of_the_user;
    }
    let verifications = user.destinations.iter().flat_map(|to| &to.verifications);
    let named = verifications.filter(|found| found.sid == who.name);
    named.map(|found| found.service_sid.as_str()).take(1).collect()
}

/// Asks whoever sits at the terminal, who sees what is changed.
fn confirm(act: Act, user: &UserView, target: &UserTarget, who: &Who) -> Result<(), Failure> {
    let subjects = subjects(user);
    let (question, answers) = match act {
        Act::Delete { .. } => (
            format!(
                "All of this is deleted for good:\n{}To go on, type {}: ",
                deletions(user, target),
                printable(&who.name)
            ),
            vec![who.name.as_str()],
        ),
        Act::Reset => (
            format!(
                "All factors of this user are deleted, not only one that was named, codes by text message are no factor any more, \
                 and what waits for an answer or a code ends:\n{subjects}Go on? [y/N] "
            ),
            AGREEING.to_vec(),
        ),
        Act::Unlock => (
            format!(
                "The wrong codes of these are forgotten, and their locks lifted:\n{subjects}Go on? [y/N] "
            ),
            AGREEING.to_vec(),
        ),
    };
    let input = io::stdin();
    if !input.is_terminal() {
        return Err(Failure::misused(
            "there is no terminal to ask at: say --yes if this is what you want, after a look with `countersign user show`",
        ));
    }
    let unanswered = |error: io::Error| Failure::new(format!("cannot ask: {error}"));
    let mut line = String::new();
    {
        let mut prompt = io::stderr().lock();
        write!(prompt, "{question}").map_err(unanswered)?;
        prompt.flush().map_err(unanswered)?;
    }
    input.read_line(&mut line).map_err(unanswered)?;
    if answers.contains(&line.trim()) {
        Ok(())
    } else {
        Err(Failure::new("nothing was changed"))
    }
}

/// What says yes.
const AGREEING: [&str; 5] = ["y", "Y", "yes", "Yes", "YES"];
