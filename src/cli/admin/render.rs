//! Replies for people and for machines.

use std::fmt::Write as _;

use serde_json::json;

use super::{
    AccountView, KeyView, NewSecret, NewToken, NewWebhookSecret, OutboxView, Reply, TokenView, nodes,
};
use crate::cli::Failure;
use crate::cli::table::TextTable;

/// A reply that something was done, as it is shown: as one JSON value if `json`, or for people.
pub(in crate::cli) fn render(reply: &Reply, json: bool) -> Result<String, Failure> {
    if json {
        to_json(reply).map_err(|error| Failure::new(error.to_string()))
    } else {
        Ok(to_text(reply))
    }
}

fn to_json(reply: &Reply) -> serde_json::Result<String> {
    let value = match reply {
        Reply::Accounts(accounts) => serde_json::to_string(accounts),
        Reply::AuditChain(chain) => serde_json::to_string(chain),
        Reply::AuditPage(page) => serde_json::to_string(page),
        Reply::DataKeys(keys) => serde_json::to_string(keys),
        Reply::Done(what) => Ok(json!({"done": what}).to_string()),
        Reply::Keys(keys) => serde_json::to_string(keys),
        Reply::Nodes(nodes) => serde_json::to_string(nodes),
        Reply::Outbox(outbox) => serde_json::to_string(outbox),
        Reply::Misused(why) | Reply::Refused(why) => Ok(json!({"refused": why}).to_string()),
        Reply::Secret(secret) => serde_json::to_string(secret),
        Reply::Token(token) => serde_json::to_string(token),
        Reply::Tokens(tokens) => serde_json::to_string(tokens),
        Reply::User(user) => serde_json::to_string(user),
        Reply::WebhookSecret(secret) => serde_json::to_string(secret),
    };
    value.map(|value| value + "\n")
}

fn to_text(reply: &Reply) -> String {
    let mut text = String::new();
    match reply {
        Reply::Accounts(accounts) => text = account_table(accounts),
        // Their command shows them.
        Reply::AuditChain(_) | Reply::AuditPage(_) | Reply::User(_) => {}
        Reply::DataKeys(keys) => text = keys.text(),
        Reply::Done(what) => {
            let _ = writeln!(text, "{what}");
        }
        Reply::Keys(keys) => text = key_table(keys),
        Reply::Misused(why) | Reply::Refused(why) => {
            let _ = writeln!(text, "{why}");
        }
        Reply::Nodes(nodes) => text = nodes::table(nodes),
        Reply::Outbox(outbox) => text = outbox_table(outbox),
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
        Reply::Tokens(tokens) => text = token_table(tokens),
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
    text
}

fn account_table(accounts: &[AccountView]) -> String {
    let mut table = TextTable::new(["ACCOUNT", "CREATED", "STATUS", "NAME"], "No accounts.");
    for account in accounts {
        table.row([
            account.sid.clone(),
            account.date_created.clone(),
            account.status.clone(),
            account.friendly_name.clone(),
        ]);
    }
    table.text()
}

fn key_table(keys: &[KeyView]) -> String {
    let mut table = TextTable::new(["API KEY", "CREATED", "IMPORTED", "NAME"], "No API keys.");
    for key in keys {
        table.row([
            key.sid.clone(),
            key.date_created.clone(),
            key.imported.clone().unwrap_or_else(|| "-".to_owned()),
            key.friendly_name.clone(),
        ]);
    }
    table.text()
}

fn token_table(tokens: &[TokenView]) -> String {
    let mut table = TextTable::new(
        ["TOKEN", "CREATED", "PROTOCOL", "USER", "ENDS", "NAME"],
        "No bearer tokens.",
    );
    for token in tokens {
        table.row([
            token.sid.clone(),
            token.date_created.clone(),
            token.dialect.clone(),
            token.user.clone().unwrap_or_else(|| "-".to_owned()),
            token.expires.clone().unwrap_or_else(|| "never".to_owned()),
            token.friendly_name.clone(),
        ]);
    }
    table.text()
}

fn outbox_table(outbox: &OutboxView) -> String {
    let mut table = TextTable::new(
        ["EVENT", "RECEIVER", "WHAT", "TRIES", "STATE", "WHY"],
        "Nothing of this kind is in the outbox.",
    );
    for row in &outbox.rows {
        let state = match (&row.date_given_up, &row.next_at) {
            (Some(date), _) => format!("given up {date}"),
            (None, next) => format!("due {}", next.as_deref().unwrap_or_default()),
        };
        table.row([
            row.sid.clone(),
            row.receiver.clone(),
            row.what.clone(),
            row.attempts.to_string(),
            state,
            row.why.clone().unwrap_or_default(),
        ]);
    }
    let mut text = table.text();
    if let Some(next) = &outbox.next {
        let _ = writeln!(text, "There are more: --after {next}");
    }
    text
}

const ONCE: &str = "It is not shown again.\n";
const ALL_ONCE: &str = "They are not shown again.\n";
