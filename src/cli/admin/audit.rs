//! The audit log, as operators see it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::named::account_or_only_one;
use super::{AdminRefusal, Reply};
use crate::app::App;
use crate::domain::audit::{AuditEntry, AuditOutcome};
use crate::domain::destination::Destination;
use crate::domain::sid::{AccountSid, AuditSid};
use crate::domain::text::without_local_parts;
use crate::domain::time::Timestamp;
use crate::flows::audit::list::{self, AuditFilter};
use crate::flows::audit::verify::{self, ChainPosition};
use crate::flows::{account, audit};
use crate::store::Order;

/// Which entries somebody wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct AuditQuery {
    /// `None` stands for the only account; `none` for what belongs to none.
    pub(in crate::cli) account: Option<String>,
    pub(in crate::cli) identity: Option<String>,
    pub(in crate::cli) factor: Option<String>,
    pub(in crate::cli) destination: Option<String>,
    pub(in crate::cli) outcome: Option<String>,
    pub(in crate::cli) since_millis: Option<u64>,
    pub(in crate::cli) until_millis: Option<u64>,
    /// The latest first.
    pub(in crate::cli) latest_first: bool,
    /// Whether numbers and addresses are shown in full.
    pub(in crate::cli) shows_destinations: bool,
    /// Behind this entry.
    pub(in crate::cli) after: Option<String>,
    /// The most entries: 1 to 1000.
    pub(in crate::cli) limit: u16,
}

/// Some entries.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct AuditPageView {
    pub(in crate::cli) entries: Vec<AuditEntryView>,
    /// Where to go on.
    pub(in crate::cli) next: Option<String>,
    /// Those that the server cannot read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cli) unreadable: Vec<String>,
}

/// What is shown of an entry.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct AuditEntryView {
    pub(in crate::cli) sid: String,
    pub(in crate::cli) time: String,
    pub(in crate::cli) millis: u64,
    pub(in crate::cli) account_sid: String,
    pub(in crate::cli) author: String,
    pub(in crate::cli) act: String,
    pub(in crate::cli) outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) service_sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) factor_sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) challenge_sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) verification_sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) destination: Option<String>,
    /// As in `created API key SK…`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cli) changes: Vec<String>,
    /// How many refusals before this one were only counted.
    #[serde(skip_serializing_if = "is_zero")]
    pub(in crate::cli) unwritten: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) dialect: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) agent: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How far an account's chain was followed, and what was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::cli) struct ChainView {
    /// The accounts there are, when the first is asked for.
    pub(in crate::cli) accounts: Vec<String>,
    pub(in crate::cli) position: ChainPlace,
    pub(in crate::cli) is_last: bool,
    pub(in crate::cli) entries: u64,
    pub(in crate::cli) unsealed: u64,
    pub(in crate::cli) problems: Vec<String>,
}

/// Where to go on with a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct ChainPlace {
    pub(in crate::cli) seal: Option<(u64, [u8; 32])>,
    pub(in crate::cli) last: Option<String>,
    pub(in crate::cli) counted: Option<String>,
}

pub(super) async fn list(app: &App, query: AuditQuery) -> Result<Reply, AdminRefusal> {
    let account = account_of(app, query.account).await?;
    let order = if query.latest_first {
        Order::Descending
    } else {
        Order::Ascending
    };
    let outcome = match &query.outcome {
        Some(name) => Some(outcome(name)?),
        None => None,
    };
    let not_a = |what: &str, text: &str| AdminRefusal::Misused(format!("{text:?} is no SID of {what}"));
    let factor = query
        .factor
        .map(|text| text.parse().map_err(|_| not_a("a factor (YF...)", &text)));
    let after = query
        .after
        .map(|text| text.parse().map_err(|_| not_a("an entry (AE...)", &text)));
    let filter = AuditFilter {
        identity: query.identity,
        factor: factor.transpose()?,
        destination: query.destination,
        outcome,
        since: query.since_millis.map(Timestamp::from_millis),
        until: query.until_millis.map(Timestamp::from_millis),
    };
    let limit = query.limit.clamp(1, 1000).into();
    let page = list::page(app, account, &filter, order, after.transpose()?, limit).await;
    let page = page.map_err(|fault| fault.to_string())?;
    let view = |(sid, entry): &(AuditSid, AuditEntry)| view(account, *sid, entry, query.shows_destinations);
    Ok(Reply::AuditPage(AuditPageView {
        entries: page.entries.iter().map(view).collect(),
        next: page.next.map(|next| next.to_string()),
        unreadable: page.unreadable.iter().map(ToString::to_string).collect(),
    }))
}

pub(super) async fn verify(app: &App, account: &str, place: ChainPlace) -> Result<Reply, AdminRefusal> {
    let failed = |fault: crate::flows::Fault| fault.to_string();
    let mut view = ChainView::default();
    if place == ChainPlace::default() {
        let accounts = account::list(app).await.map_err(failed)?;
        view.accounts = accounts.iter().map(|account| account.sid.to_string()).collect();
    }
    let account = account_of(app, Some(account.to_owned())).await?;
    let entry = |text: Option<String>| {
        let sid = text.map(|text| text.parse::<AuditSid>());
        sid.transpose().map_err(|error| error.to_string())
    };
    let position = ChainPosition {
        seal: place.seal,
        last: entry(place.last)?,
        counted: entry(place.counted)?,
    };
    let part = verify::follow(app, account, position).await.map_err(failed)?;
    view.position = ChainPlace {
        seal: part.position.seal,
        last: part.position.last.map(|last| last.to_string()),
        counted: part.position.counted.map(|counted| counted.to_string()),
    };
    view.is_last = part.is_last;
    (view.entries, view.unsealed, view.problems) = (part.entries, part.unsealed, part.problems);
    Ok(Reply::AuditChain(view))
}

async fn account_of(app: &App, account: Option<String>) -> Result<AccountSid, AdminRefusal> {
    if account.as_deref() == Some("none") {
        return Ok(audit::NOBODY);
    }
    account_or_only_one(app, account).await
}

fn outcome(name: &str) -> Result<AuditOutcome, AdminRefusal> {
    let found = AuditOutcome::ALL
        .into_iter()
        .find(|outcome| outcome.name() == name);
    found.ok_or_else(|| {
        let names = AuditOutcome::ALL.map(AuditOutcome::name).join(", ");
        AdminRefusal::Misused(format!("{name:?} is no outcome; there are: {names}"))
    })
}

pub(super) fn view(
    account: AccountSid,
    sid: AuditSid,
    entry: &AuditEntry,
    shows_destinations: bool,
) -> AuditEntryView {
    let shown: fn(&str) -> Cow<'_, str> = if shows_destinations {
        |text| Cow::Borrowed(text)
    } else {
        without_local_parts
    };
    let mut view = AuditEntryView {
        sid: sid.to_string(),
        time: sid.created_at().to_string(),
        millis: sid.created_at().millis(),
        account_sid: account.to_string(),
        author: entry.author.to_string(),
        act: "change".to_owned(),
        outcome: entry.outcome().name().to_owned(),
        changes: entry
            .changes
            .iter()
            .map(|change| format!("{} {}", change.change.name(), shown(&change.what)))
            .collect(),
        unwritten: entry.unwritten,
        ..AuditEntryView::default()
    };
    if let Some(decision) = &entry.decision {
        let subject = &decision.subject;
        let destination = |destination: &Destination| {
            if shows_destinations {
                destination.as_str().to_owned()
            } else {
                destination.masked()
            }
        };
        decision.act.name().clone_into(&mut view.act);
        view.reason.clone_from(&decision.reason);
        view.service_sid = subject.service.map(|sid| sid.to_string());
        view.identity = subject
            .identity
            .as_ref()
            .map(|identity| shown(identity.as_str()).into_owned());
        view.factor_sid = subject.factor.map(|sid| sid.to_string());
        view.challenge_sid = subject.challenge.map(|sid| sid.to_string());
        view.verification_sid = subject.verification.map(|sid| sid.to_string());
        view.destination = subject.destination.as_ref().map(destination);
    }
    if let Some(request) = &entry.request {
        view.request_id = Some(format!("{:032x}", u128::from_be_bytes(request.id)));
        view.dialect = Some(request.dialect.clone()).filter(|dialect| !dialect.is_empty());
        view.address = Some(request.address.clone());
        view.agent.clone_from(&request.agent);
    }
    view
}
