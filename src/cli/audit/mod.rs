//! `countersign audit`.

pub(super) mod lines;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};

use self::lines::{AuditFormat, head, line};
use super::admin::client::{AdminSession, ClientFlags};
use super::admin::{AdminRequest, AuditPageView, AuditQuery, ChainPlace, Reply};
use super::progress::{ProgressLine, ProgressUnit};
use super::{Failure, output};
use crate::domain::time::{Clock as _, SystemClock, Timestamp};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the latest entries, the newest last
    List {
        /// The most entries
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        which: WhichEntries,
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Write all entries, the oldest first, as lines of JSON, CEF or CSV
    Export {
        #[command(flatten)]
        which: WhichEntries,
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Show entries as they come, until it is interrupted
    Follow {
        #[command(flatten)]
        which: WhichEntries,
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Find out whether entries are missing, changed or out of order
    Verify {
        /// The account (AC...); all if none is named
        #[arg(long, value_name = "SID")]
        account: Option<String>,
        #[command(flatten)]
        flags: ClientFlags,
    },
}

/// Which entries, and how they are shown.
#[derive(Args, Clone, Debug)]
pub(super) struct WhichEntries {
    /// The account (AC...); the only one if none is named, `none` for what belongs to no account
    #[arg(long, value_name = "SID")]
    account: Option<String>,
    /// What the caller calls the user
    #[arg(long)]
    identity: Option<String>,
    /// The factor (YF...)
    #[arg(long, value_name = "SID")]
    factor: Option<String>,
    /// The phone number or e-mail address that a code went to
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// How it ended: done, approved, denied or refused
    #[arg(long)]
    outcome: Option<String>,
    /// Since when: a date and time (2026-11-30T08:00:00Z), or how long ago (90s, 15m, 12h, 7d)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Until when, in the same way
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Show numbers and addresses in full
    #[arg(long)]
    full_numbers: bool,
    /// How they are shown
    #[arg(long, value_enum)]
    format: Option<AuditFormat>,
}

pub(super) async fn run(
    command: Command,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    match command {
        Command::List { limit, which, flags } => {
            let format = which.format_or(&flags, AuditFormat::Table);
            let mut session = AdminSession::open(flags, environment).await?;
            let listed = list(&mut session, &which, limit, format).await;
            session.close().await?;
            listed
        }
        Command::Export { which, flags } => {
            let format = which.format_or(&flags, AuditFormat::Json);
            let mut session = AdminSession::open(flags, environment).await?;
            output::say(head(format));
            let exported = show_all(&mut session, which.query()?, format).await;
            session.close().await?;
            complete(&exported?.unreadable)
        }
        Command::Follow { which, flags } => {
            let format = which.format_or(&flags, AuditFormat::Table);
            let mut session = AdminSession::open(flags, environment).await?;
            if !session.is_server() {
                session.close().await?;
                return Err(Failure::new(
                    "no server runs on this data directory, so nothing new comes",
                ));
            }
            let mut query = which.query()?;
            if query.since_millis.is_none() {
                query.since_millis = Some(SystemClock.now().millis());
            }
            output::say(head(format));
            loop {
                let Shown { last, unreadable } = show_all(&mut session, query.clone(), format).await?;
                query.after = last;
                if let Err(incomplete) = complete(&unreadable) {
                    output::complain(&incomplete.line);
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Command::Verify { account, flags } => {
            let json = flags.json();
            let mut session = AdminSession::open(flags, environment).await?;
            let verified = verify(&mut session, account, json).await;
            session.close().await?;
            verified
        }
    }
}

/// How often is looked for what is new. An entry may come a little later than others with greater identifiers, of another server:
/// then it is not shown.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl WhichEntries {
    fn format_or(&self, flags: &ClientFlags, default: AuditFormat) -> AuditFormat {
        let chosen = flags.json().then_some(AuditFormat::Json);
        self.format.or(chosen).unwrap_or(default)
    }

    fn query(&self) -> Result<AuditQuery, Failure> {
        let now = SystemClock.now();
        let moment = |text: &Option<String>| match text {
            Some(text) => moment(text, now).map(|moment| Some(moment.millis())),
            None => Ok(None),
        };
        Ok(AuditQuery {
            account: self.account.clone(),
            identity: self.identity.clone(),
            factor: self.factor.clone(),
            destination: self.number.clone(),
            outcome: self.outcome.clone(),
            since_millis: moment(&self.since)?,
            until_millis: moment(&self.until)?,
            shows_destinations: self.full_numbers,
            limit: MOST_AT_ONCE,
            ..AuditQuery::default()
        })
    }
}

/// How many entries are asked for at once.
const MOST_AT_ONCE: u16 = 500;

/// A moment as somebody writes it.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let ago = || {
        let (unit, seconds) = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)]
            .into_iter()
            .find(|(unit, _)| text.ends_with(*unit))?;
        let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
        Some(now.before(Duration::from_secs(u64::from(number) * seconds)))
    };
    Timestamp::parse_iso8601(text).or_else(ago).ok_or_else(|| {
        Failure::misused(format!(
            "{text:?} is no moment: write a date and time such as 2026-11-30T08:00:00Z, or how long ago, such as 15m, 12h or 7d"
        ))
    })
}

async fn list(
    session: &mut AdminSession,
    which: &WhichEntries,
    limit: u16,
    format: AuditFormat,
) -> Result<(), Failure> {
    let mut query = which.query()?;
    query.latest_first = true;
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    while found.len() < usize::from(limit) {
        query.limit = limit - u16::try_from(found.len()).unwrap_or(limit);
        let AuditPageView {
            entries,
            next,
            unreadable,
        } = ask(session, query.clone()).await?;
        found.extend(entries);
        left_out.extend(unreadable);
        match next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    if found.is_empty() && left_out.is_empty() && format == AuditFormat::Table {
        output::say("No entries.\n");
        return Ok(());
    }
    // The newest last, where the eye is.
    let lines: String = found.iter().rev().map(|entry| line(entry, format)).collect();
    output::say(&format!("{}{lines}", head(format)));
    complete(&left_out)
}

/// Fails if entries were left out.
fn complete(unreadable: &[String]) -> Result<(), Failure> {
    match unreadable {
        [] => Ok(()),
        [one, ..] => Err(Failure::incomplete(format!(
            "{} entries are left out, {one} among them: a later release of countersign wrote them, and that one can show them",
            unreadable.len()
        ))),
    }
}

/// Entries that were shown.
struct Shown {
    /// The last one that was looked at.
    last: Option<String>,
    /// Those that were not shown, for the server cannot read them.
    unreadable: Vec<String>,
}

/// Shows all entries that the query asks for.
async fn show_all(
    session: &mut AdminSession,
    mut query: AuditQuery,
    format: AuditFormat,
) -> Result<Shown, Failure> {
    let mut left_out = Vec::new();
    loop {
        let AuditPageView {
            entries,
            next,
            unreadable,
        } = ask(session, query.clone()).await?;
        let lines: String = entries.iter().map(|entry| line(entry, format)).collect();
        output::say(&lines);
        let shown = entries.last().map(|entry| &entry.sid);
        // In the order of time, as identifiers are.
        let last = shown.max(unreadable.last());
        let is_last = next.is_none();
        query.after = next.or_else(|| last.cloned()).or(query.after);
        left_out.extend(unreadable);
        if is_last {
            return Ok(Shown {
                last: query.after,
                unreadable: left_out,
            });
        }
    }
}

async fn ask(session: &mut AdminSession, query: AuditQuery) -> Result<AuditPageView, Failure> {
    match session.ask(AdminRequest::ListAudit(query)).await? {
        Reply::AuditPage(page) => Ok(page),
        _ => Err(Failure::new(
            "the server answered something else than what it was asked",
        )),
    }
}

async fn verify(session: &mut AdminSession, account: Option<String>, json: bool) -> Result<(), Failure> {
    let mut left = vec![account.clone().unwrap_or_else(|| "none".to_owned())];
    let mut asks_for_all = account.is_none();
    let (mut entries, mut unsealed, mut problems) = (0, 0, Vec::new());
    let progress = ProgressLine::begin("verifying entries", ProgressUnit::Pieces);
    while let Some(account) = left.pop() {
        let mut place = ChainPlace::default();
        loop {
            let request = AdminRequest::VerifyAudit {
                account: account.clone(),
                place,
            };
            let Reply::AuditChain(part) = session.ask(request).await? else {
                return Err(Failure::new(
                    "the server answered something else than what it was asked",
                ));
            };
            if std::mem::take(&mut asks_for_all) {
                left.extend(part.accounts);
            }
            entries += part.entries;
            unsealed += part.unsealed;
            problems.extend(
                part.problems
                    .into_iter()
                    .map(|problem| format!("{account}: {problem}")),
            );
            progress.at(entries);
            place = part.position;
            if part.is_last {
                break;
            }
        }
    }
    progress.end();
    if json {
        let report = serde_json::json!({"sealed": entries, "unsealed": unsealed, "problems": problems});
        output::say(&format!("{report}\n"));
    } else {
        let mut text = String::new();
        for problem in &problems {
            let _ = writeln!(text, "{problem}");
        }
        let _ = writeln!(
            text,
            "{entries} entries are as they were sealed, {unsealed} are not sealed yet."
        );
        output::say(&text);
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err(Failure::new("the audit log has a problem")),
        count => Err(Failure::new(format!("the audit log has {count} problems"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_or_how_long_ago() {
        let now = Timestamp::from_seconds(1_000_000);
        let of = |text: &str| moment(text, now).map(Timestamp::seconds).ok();
        assert_eq!(of("1970-01-02T00:00:00Z"), Some(86_400));
        assert_eq!(of("90s"), Some(999_910));
        assert_eq!(of("2h"), Some(992_800));
        assert_eq!(of("7d"), Some(1_000_000 - 7 * 86_400));
        for bad in ["", "h", "-1h", "1w", "yesterday", "1.5h"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
