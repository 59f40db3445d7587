//! What became of requests.

use axum::response::Response;
use zeroize::Zeroizing;

use super::call::{VerifyCall, named};
use super::error::{VerifyError, request_id};
use super::prices::price_of;
use super::reply::VerifyReply;
use super::{RESPONSE, SENDER_TAG};
use crate::domain::channel::Channel;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::{AttemptSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{Sending, SendingOutcome, Verification, VerificationStatus};
use crate::flows::verification::{self, VerificationName};
use crate::flows::{Error, attempt};

/// `/verify/search/{format}`
pub(super) async fn search(call: VerifyCall) -> Response {
    let outcome = find(&call).await;
    call.respond(RESPONSE, outcome)
}

async fn find(call: &VerifyCall) -> Result<VerifyReply, VerifyError> {
    let names = ["request_id", "request_ids"];
    let lists = names.iter().flat_map(|name| call.parameters.all(name));
    let mut ids: Vec<&str> = Vec::new();
    for id in lists.flat_map(|list| list.split(',')).map(str::trim) {
        if !id.is_empty() && !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > MOST_REQUESTS {
            return Err(VerifyError::new(18, "Too many request_ids provided"));
        }
    }
    if ids.is_empty() {
        return Err(VerifyError::unable("Wrong parameters"));
    }
    let mut found = Vec::with_capacity(ids.len());
    for sid in ids.iter().filter_map(|id| named(id)) {
        found.extend(one(call, sid).await?);
    }
    let as_list = ids.len() > 1 || call.parameters.all("request_ids").next().is_some();
    match (as_list, found.pop()) {
        (_, None) => Err(VerifyError::new(101, "No response found")),
        (false, Some(one)) => Ok(one),
        (true, Some(last)) => {
            found.push(last);
            Ok(VerifyReply::new(SEVERAL).with_list(SEVERAL, REQUEST, found))
        }
    }
}

async fn one(call: &VerifyCall, sid: VerificationSid) -> Result<Option<VerifyReply>, VerifyError> {
    let which = VerificationName::Sid(sid);
    let read = verification::fetch_with_given(&call.app, call.account, call.service, &which).await;
    let (found, given) = match read {
        Ok(read) => read,
        Err(Error::Refused(_)) => return Ok(None),
        Err(Error::Failed(fault)) => return Err(VerifyError::failed(&fault)),
    };
    let attempts = attempt::of_verification(&call.app, &found)
        .await
        .map_err(|fault| VerifyError::failed(&fault))?;
    let price = price_of(&attempts);
    let sender = found.content.tags.pairs().iter();
    let mut sender = sender.filter(|(name, _)| name == SENDER_TAG);
    let now = call.app.clock.now();
    let date = |moment: Option<Timestamp>| moment.map_or_else(String::new, date);
    let reply = VerifyReply::new(REQUEST)
        .with("request_id", request_id(found.sid.as_bytes()))
        .with("account_id", &*call.key)
        .with(
            "number",
            found
                .destination
                .phone()
                .map_or_else(String::new, |number| PhoneNumber::digits(number).to_owned()),
        )
        .with("price", price.value)
        .with("currency", price.currency)
        .with(
            "sender_id",
            sender.next().map_or("verify", |(_, value)| value.as_str()),
        )
        .with("date_submitted", date(Some(found.date_created)))
        .with("date_finalized", date(finalized(&found, now)))
        .with(
            "first_event_date",
            date(sent(&found).map(|(send, _)| send.at).next()),
        )
        .with(
            "last_event_date",
            date(sent(&found).map(|(send, _)| send.at).last()),
        )
        .with_list("checks", "check", checks(&found, &given))
        .with_list("events", "event", events(&found))
        // Some readers of XML take it for the end.
        .with("status", status(found.status(now)));
    Ok(Some(reply))
}

/// When it ended, if it did.
fn finalized(found: &Verification, now: Timestamp) -> Option<Timestamp> {
    match (found.end, found.status(now)) {
        (Some(end), _) => Some(end.at),
        (None, VerificationStatus::Expired) => Some(found.expires_at),
        (None, _) => None,
    }
}

fn checks(found: &Verification, given: &[Option<Zeroizing<String>>]) -> Vec<VerifyReply> {
    let checks = found.checks.iter().zip(given).map(|(check, given)| {
        let code = given.as_ref().map_or("", |code| code.as_str());
        VerifyReply::new("check")
            .with("date_received", date(check.at))
            .with("code", code)
            .with("ip_address", check.ip.as_deref().unwrap_or_default())
            .with("status", if check.right { "VALID" } else { "INVALID" })
    });
    checks.collect()
}

/// What was sent, or is on its way, and the attempt by which it was last tried. What nobody could send is no event.
fn sent(found: &Verification) -> impl Iterator<Item = (&Sending, AttemptSid)> {
    let sent = |send: &&Sending| send.outcome != SendingOutcome::Unavailable;
    let sent = found.sends.iter().filter(sent);
    sent.filter_map(|send| Some((send, send.tries.last()?.attempt)))
}

fn events(found: &Verification) -> Vec<VerifyReply> {
    sent(found)
        .map(|(send, attempt)| {
            let kind = if send.channel == Channel::Call {
                "tts"
            } else {
                "sms"
            };
            VerifyReply::new("event")
                .with("type", kind)
                .with("id", event_id(attempt))
        })
        .collect()
}

/// The last event, as a check names it.
pub(super) fn last_event(found: &Verification) -> String {
    let last = sent(found).map(|(_, attempt)| attempt).max();
    last.map_or_else(String::new, event_id)
}

/// What an event is called: the attempt's bytes, as a UUID.
fn event_id(attempt: AttemptSid) -> String {
    let digits = request_id(attempt.as_bytes());
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &digits[range]);
    parts.join("-")
}

fn status(status: VerificationStatus) -> &'static str {
    match status {
        VerificationStatus::Approved => "SUCCESS",
        VerificationStatus::Canceled => "CANCELLED",
        VerificationStatus::Expired => "EXPIRED",
        VerificationStatus::MaxAttemptsReached => "FAILED",
        VerificationStatus::Pending => "IN PROGRESS",
    }
}

/// `YYYY-MM-DD HH:MM:SS`, in UTC.
fn date(moment: Timestamp) -> String {
    moment.to_string().replace('T', " ").replace('Z', "")
}

/// How many requests one search is for at the most.
const MOST_REQUESTS: usize = 10;

const REQUEST: &str = "verify_request";
const SEVERAL: &str = "verification_requests";
