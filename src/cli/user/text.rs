//! A user on one screen, for people. What others wrote is made printable: nothing of it moves a cursor or ends a line.

use std::fmt::Write as _;

use crate::cli::admin::{
    AuditEntryView, ChallengeView, DestinationView, FactorView, PlaceView, UserTarget, UserView,
    VerificationView,
};
use crate::cli::audit::lines::{AuditFormat, line};
use crate::domain::audit::printable;

/// All that is known of a user.
pub(super) fn user_text(user: &UserView) -> String {
    let mut text = String::new();
    let (account, status, time) = (&user.account_sid, &user.account_status, &user.time);
    say(
        &mut text,
        &format!("Account {account} ({status}), seen at {time}"),
    );
    section(&mut text, "Refused now");
    if user.refused_now.is_empty() {
        say(&mut text, "  nothing of this user's own is closed");
    }
    for reason in &user.refused_now {
        say(&mut text, &format!("  {reason}"));
    }
    say(
        &mut text,
        "  (not looked at: rate limits, and the budgets of devices' addresses)",
    );
    if user.is_ambiguous {
        say(
            &mut text,
            "The name is the SID of somebody's and the identity of somebody else: both are shown.",
        );
    }
    for place in &user.places {
        write_place(&mut text, place);
    }
    if user.places.is_empty() {
        section(&mut text, "Factors");
        say(&mut text, "  no service knows an entity of this name");
    }
    if user.has_more_places {
        say(&mut text, "There are more services that know this identity.");
    }
    for to in &user.destinations {
        write_destination(&mut text, to);
    }
    write_entries(&mut text, "Decisions, the newest last", &user.decisions);
    if let Some(back_to) = &user.decisions_back_to {
        say(
            &mut text,
            &format!(
                "  There may be older ones than of {back_to}: --limit, or `countersign audit list`, shows more."
            ),
        );
    }
    if user.unreadable_entries > 0 {
        let count = user.unreadable_entries;
        say(
            &mut text,
            &format!(
                "  {count} entries of the account's audit log are of a later release, and are left out."
            ),
        );
    }
    if !user.not_let_in.is_empty() {
        let head = "Not let in to the account, whoever it was";
        write_entries(&mut text, head, &user.not_let_in);
    }
    text
}

/// Whom a change is about.
pub(super) fn subjects(user: &UserView) -> String {
    let mut text = String::new();
    for place in &user.places {
        let (identity, service, count) = (&place.identity, &place.service_sid, place.factors.len());
        let by_sms = match place.code_by_sms {
            Some(true) => ", and codes by text message",
            _ => "",
        };
        say(
            &mut text,
            &format!("  {identity} of {service}, factors: {count}{by_sms}"),
        );
    }
    for to in &user.destinations {
        say(&mut text, &format!("  {}", to.destination));
    }
    text
}

/// What a deletion takes away.
pub(super) fn deletions(user: &UserView, target: &UserTarget) -> String {
    let mut text = String::new();
    for place in &user.places {
        let (identity, service) = (&place.identity, &place.service_sid);
        let entity = place.entity_sid.as_deref().unwrap_or("no entity");
        say(&mut text, &format!("  user {identity} of {service} ({entity})"));
        for factor in &place.factors {
            let FactorView {
                sid,
                kind,
                status,
                friendly_name,
                ..
            } = factor;
            say(
                &mut text,
                &format!("    factor {sid}, {kind}, {status}, {friendly_name:?}"),
            );
        }
        let more = if place.has_more_challenges { " or more" } else { "" };
        let count = place.challenges.len();
        say(&mut text, &format!("    challenges: {count}{more}"));
        if let Some(phone) = &place.phone {
            say(&mut text, &format!("    number {phone}"));
        }
    }
    for to in &user.destinations {
        let failures = to.failures;
        say(
            &mut text,
            &format!("  {}: its locks and {failures} wrong codes", to.destination),
        );
    }
    for (service, verification) in &target.verifications {
        say(
            &mut text,
            &format!("  the waiting verification {verification} of {service}"),
        );
    }
    text
}

fn say(text: &mut String, line: &str) {
    text.push_str(&printable(line));
    text.push('\n');
}

fn section(text: &mut String, head: &str) {
    text.push('\n');
    say(text, head);
}

fn write_place(text: &mut String, place: &PlaceView) {
    let (identity, service) = (&place.identity, &place.service_sid);
    let entity = place.entity_sid.as_deref().unwrap_or("no entity");
    section(text, &format!("User {identity} of service {service} ({entity})"));
    if let Some(phone) = &place.phone {
        let verified = match place.phone_verified {
            Some(true) => "verified",
            _ => "not verified",
        };
        let by_sms = match place.code_by_sms {
            Some(true) => ", codes by text message are a factor",
            _ => "",
        };
        say(text, &format!("  number {phone}, {verified}{by_sms}"));
    }
    if place.factors.is_empty() {
        say(text, "  no factors");
    }
    for factor in &place.factors {
        write_factor(text, factor);
    }
    if place.challenges.is_empty() {
        say(text, "  no challenges");
    }
    for challenge in place.challenges.iter().rev() {
        write_challenge(text, challenge);
    }
    if place.has_more_challenges {
        say(text, "  There are older challenges: --limit shows more.");
    }
}

fn write_factor(text: &mut String, factor: &FactorView) {
    let (sid, kind, status) = (&factor.sid, &factor.kind, &factor.status);
    let mut line = format!(
        "  {sid}  {kind}  {status}  {:?}, wrong codes in a row: {}",
        factor.friendly_name, factor.failures
    );
    let last_use = factor
        .last_use
        .as_ref()
        .map_or("never".to_owned(), ToString::to_string);
    if let Some(last) = &factor.last_failure {
        let _ = write!(line, ", the last {last}");
    }
    if let Some(count) = factor.wrong_numbers.filter(|count| *count > 0) {
        let _ = write!(line, ", wrong numbers in a row: {count}");
    }
    if let Some(pending) = factor.pending {
        let _ = write!(line, ", waiting: {pending}");
    }
    let _ = write!(line, ", last use: {last_use}");
    if let Some(drift) = factor.drift_steps.filter(|drift| *drift != 0) {
        let _ = write!(line, ", its clock is ahead by {drift} time steps");
    }
    if let Some(platform) = &factor.notification {
        let _ = write!(line, ", woken by: {platform}");
    }
    say(text, &line);
}

fn write_challenge(text: &mut String, challenge: &ChallengeView) {
    let ChallengeView {
        sid,
        factor_sid,
        status,
        why,
        attempts,
        created,
        expires,
    } = challenge;
    say(
        text,
        &format!(
            "  {sid}  {status}: {why}; of {factor_sid}, {created}, codes tried: {attempts}, ends {expires}"
        ),
    );
}

fn write_destination(text: &mut String, to: &DestinationView) {
    section(text, &format!("Codes to {}", to.destination));
    let last = to
        .last_failure
        .as_ref()
        .map(|last| format!(", the last {last}"))
        .unwrap_or_default();
    let safe = if to.is_safe { ", on the safe list" } else { "" };
    say(
        text,
        &format!("  wrong codes in a row: {}{last}{safe}", to.failures),
    );
    if to.verifications.is_empty() {
        say(text, "  no verifications");
    }
    for verification in to.verifications.iter().rev() {
        write_verification(text, verification);
    }
    if to.has_more_verifications {
        say(text, "  There may be older verifications: --limit shows more.");
    }
}

fn write_verification(text: &mut String, verification: &VerificationView) {
    let VerificationView {
        sid,
        service_sid,
        channel,
        status,
        why,
        failures,
        sends,
        created,
        expires,
    } = verification;
    let channel = channel.as_deref().unwrap_or("not sent");
    say(
        text,
        &format!(
            "  {sid}  {status}: {why}; {channel} of {service_sid}, {created}, sent: {sends}, wrong codes: {failures}, ends {expires}"
        ),
    );
}

fn write_entries(text: &mut String, head: &str, entries: &[AuditEntryView]) {
    section(text, head);
    if entries.is_empty() {
        say(text, "  none");
    }
    for entry in entries.iter().rev() {
        let _ = write!(text, "  {}", line(entry, AuditFormat::Table));
    }
}
