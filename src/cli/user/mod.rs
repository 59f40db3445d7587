//! `countersign user`.

mod text;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};

use clap::{Args, Subcommand};

use self::text::{subjects, user_text};
use super::admin::client::{AdminSession, ClientFlags};
use super::admin::{
    AdminRequest, EntityTarget, NumberTarget, Reply, UserQuery, UserReply, UserRequest, UserTarget, UserView,
};
use super::audit::lines::json_text;
use super::progress::ProgressLine;
use super::{Failure, output};
use crate::domain::audit::printable;
use crate::domain::time::{Clock as _, SystemClock};

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
    /// Delete a user's factors, so that they enrol anew, and end what waits for them
    Reset(ChangeFlags),
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
            let shown = show(&mut session, &who, limit, full_numbers).await;
            session.close().await?;
            let user = shown?;
            output::say(&if json { json_text(&user) } else { user_text(&user) });
            Ok(())
        }
        Command::Unlock(change) => act(change, Act::Unlock, environment).await,
        Command::Reset(change) => act(change, Act::Reset, environment).await,
    }
}

#[derive(Clone, Copy)]
enum Act {
    Reset,
    Unlock,
}

async fn show(
    session: &mut AdminSession,
    who: &Who,
    limit: u16,
    shows_destinations: bool,
) -> Result<UserView, Failure> {
    let mut place = None;
    let mut progress = ProgressLine::begin();
    loop {
        let query = UserQuery {
            account: who.account.clone(),
            name: who.name.clone(),
            limit,
            shows_destinations,
            place: place.take(),
        };
        match ask(session, UserRequest::Show(query)).await? {
            UserReply::Shown(user) => {
                progress.end();
                return Ok(*user);
            }
            UserReply::Sought(up_to) => {
                progress.show(SystemClock.now(), || {
                    format!("looking for {}", printable(&who.name))
                });
                place = Some(up_to);
            }
            UserReply::Changed { .. } => return Err(other_answer()),
        }
    }
}

async fn ask(session: &mut AdminSession, what: UserRequest) -> Result<UserReply, Failure> {
    match session.ask(AdminRequest::AboutUser { what }).await? {
        Reply::User(reply) => Ok(reply),
        Reply::Refused(why) => Err(Failure::new(why)),
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
    let (done, failed) = changed?;
    if json {
        output::say(&json_text(&serde_json::json!({"done": done, "failed": failed})));
    } else {
        let lines: String = done.iter().map(|line| printable(line) + "\n").collect();
        output::say(&lines);
    }
    match failed {
        None => Ok(()),
        Some(why) => Err(Failure::new(why)),
    }
}

/// What was done, and what went wrong then.
async fn act_on(
    session: &mut AdminSession,
    who: &Who,
    act: Act,
    yes: bool,
) -> Result<(Vec<String>, Option<String>), Failure> {
    let user = show(session, who, MOST_ENDED, true).await?;
    let target = target(&user);
    if target.entities.is_empty() && target.destinations.is_empty() {
        return Err(Failure::new(
            "no service knows this user any more, so there is nothing to change",
        ));
    }
    if !yes {
        let question = match act {
            Act::Reset => "All factors of these users are deleted, and what waits for them ends:",
            Act::Unlock => "The wrong codes of these are forgotten, and their locks lifted:",
        };
        confirm(&format!("{question}\n{}", subjects(&user)))?;
    }
    let request = match act {
        Act::Reset => UserRequest::Reset(target),
        Act::Unlock => UserRequest::Unlock(target),
    };
    match ask(session, request).await? {
        UserReply::Changed { done, failed } => Ok((done, failed)),
        UserReply::Shown(_) | UserReply::Sought(_) => Err(other_answer()),
    }
}

/// How many of the latest verifications are ended if they wait.
const MOST_ENDED: u16 = 200;

fn target(user: &UserView) -> UserTarget {
    let entities = user.places.iter().filter_map(|place| {
        Some(EntityTarget {
            service: place.service_sid.clone(),
            identity: place.identity.clone(),
            entity: place.entity_sid.clone()?,
        })
    });
    let destinations = user.destinations.iter().map(|to| NumberTarget {
        destination: to.destination.clone(),
        services: to.service_sids.clone(),
    });
    let waiting = user.destinations.iter().flat_map(|to| &to.verifications);
    let waiting = waiting
        .filter(|found| ["pending", "max_attempts_reached"].contains(&found.status.as_str()))
        .map(|found| (found.service_sid.clone(), found.sid.clone()));
    UserTarget {
        account: user.account_sid.clone(),
        entities: entities.collect(),
        destinations: destinations.collect(),
        verifications: waiting.collect(),
    }
}

/// Asks whoever sits at the terminal.
fn confirm(what: &str) -> Result<(), Failure> {
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
        write!(prompt, "{what}Go on? [y/N] ").map_err(unanswered)?;
        prompt.flush().map_err(unanswered)?;
    }
    input.read_line(&mut line).map_err(unanswered)?;
    if ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str()) {
        Ok(())
    } else {
        Err(Failure::new("nothing was changed"))
    }
}
