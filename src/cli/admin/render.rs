//! Replies for people and for machines.

use std::fmt::Write as _;

use super::{NewSecret, NewToken, NewWebhookSecret, NodeView, Reply};

/// The reply as it is shown: as one JSON value if `json`, or for people. `Err` if it says that nothing was done.
pub(in crate::cli) fn render(reply: &Reply, json: bool) -> Result<String, String> {
    if json { to_json(reply) } else { to_text(reply) }
}

fn to_json(reply: &Reply) -> Result<String, String> {
    let value = match reply {
        Reply::Accounts(accounts) => serde_json::to_string(accounts),
        Reply::AuditChain(chain) => serde_json::to_string(chain),
        Reply::AuditPage(page) => serde_json::to_string(page),
        Reply::DataKeys(keys) => serde_json::to_string(keys),
        Reply::Done(_) => Ok("{}".to_owned()),
        Reply::Keys(keys) => serde_json::to_string(keys),
        Reply::Nodes(nodes) => serde_json::to_string(nodes),
        Reply::Outbox(outbox) => serde_json::to_string(outbox),
        Reply::Refused(why) => return Err(why.clone()),
        Reply::Secret(secret) => serde_json::to_string(secret),
        Reply::Token(token) => serde_json::to_string(token),
        Reply::Tokens(tokens) => serde_json::to_string(tokens),
        Reply::User(user) => serde_json::to_string(user),
        Reply::WebhookSecret(secret) => serde_json::to_string(secret),
    };
    value.map(|value| value + "\n").map_err(|error| error.to_string())
}

fn to_text(reply: &Reply) -> Result<String, String> {
    let mut text = String::new();
    match reply {
        Reply::Accounts(accounts) => {
            for account in accounts {
                let (sid, status, name) = (&account.sid, &account.status, &account.friendly_name);
                let _ = writeln!(text, "{sid}  {}  {status:9}  {name}", account.date_created);
            }
        }
        // Their command shows them.
        Reply::AuditChain(_) | Reply::AuditPage(_) | Reply::User(_) => {}
        Reply::DataKeys(keys) => text = keys.text(),
        Reply::Done(what) => {
            let _ = writeln!(text, "{what}");
        }
        Reply::Keys(keys) => {
            for key in keys {
                let _ = write!(text, "{}  {}  {}", key.sid, key.date_created, key.friendly_name);
                let _ = match &key.imported {
                    Some(name) => writeln!(text, "  ({name})"),
                    None => writeln!(text),
                };
            }
        }
        Reply::Nodes(nodes) => text = nodes.iter().map(NodeView::line).collect(),
        Reply::Outbox(outbox) => {
            for row in &outbox.rows {
                let (sid, receiver, what, attempts) = (&row.sid, &row.receiver, &row.what, row.attempts);
                let (verb, date) = match (&row.date_given_up, &row.next_at) {
                    (Some(date), _) => ("given up", date.as_str()),
                    (None, next) => ("due", next.as_deref().unwrap_or_default()),
                };
                let why = row.why.as_deref().unwrap_or_default();
                let _ = writeln!(
                    text,
                    "{sid}  {receiver}  {what:18}  {attempts:3} tries, {verb} {date}  {why}"
                );
            }
            if let Some(next) = &outbox.next {
                let _ = writeln!(text, "There are more: --after {next}");
            }
        }
        Reply::Refused(why) => return Err(why.clone()),
        Reply::Secret(NewSecret {
            sid,
            account_sid,
            secret,
            webhook_secret,
        }) if sid == account_sid => {
            let _ = write!(text, "Account SID     {sid}\nAuth token      {secret}\n");
            if let Some(webhook_secret) = webhook_secret {
                let _ = write!(text, "Webhook secret  {webhook_secret}\n{ALL_ONCE}");
            } else {
                text.push_str(ONCE);
            }
        }
        Reply::Secret(NewSecret {
            sid,
            account_sid,
            secret,
            ..
        }) => {
            let _ = write!(text, "API key SID  {sid}\nSecret       {secret}\n{ONCE}");
            let _ = writeln!(text, "It acts for the account {account_sid}.");
        }
        // Alone: it is put into a variable, or into a file.
        Reply::Token(NewToken { token, .. }) => {
            let _ = writeln!(text, "{token}");
        }
        Reply::Tokens(tokens) => {
            for token in tokens {
                let (sid, dialect, name) = (&token.sid, &token.dialect, &token.friendly_name);
                let user = token.user.as_deref().unwrap_or("-");
                let end = token.expires.as_deref().unwrap_or("stays");
                let _ = writeln!(
                    text,
                    "{sid}  {}  {dialect:8}  {user}  {end}  {name}",
                    token.date_created
                );
            }
        }
        Reply::WebhookSecret(NewWebhookSecret {
            account_sid,
            webhook_secret,
            old_signs_until,
        }) => {
            let _ = write!(
                text,
                "Account SID     {account_sid}\nWebhook secret  {webhook_secret}\n{ONCE}"
            );
            let _ = match old_signs_until {
                Some(until) => writeln!(
                    text,
                    "Until {until} X-Twilio-Signature is still made with the old secret, and webhook-signature carries \
                     signatures of both."
                ),
                None => writeln!(text, "From now on all signatures are made with it alone."),
            };
        }
    }
    Ok(text)
}

const ONCE: &str = "It is not shown again.\n";
const ALL_ONCE: &str = "They are not shown again.\n";
