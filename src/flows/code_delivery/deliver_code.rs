//! Gives a code to its sender.

use super::compose::compose;
use crate::app::App;
use crate::delivery::Outcome;
use crate::domain::code_routing::Admission;
use crate::domain::events::QueuedCode;
use crate::domain::refusal::Refusal;
use crate::domain::time::Timestamp;
use crate::domain::verification::{IssuedCode, Sending, Verification, VerificationStatus};
use crate::flows::outbox::deliver::{CodeNote, Tried, Untried};
use crate::flows::{Error, account, service};
use crate::store::{keys, records};

/// Sends the code of `row` with the sender that it names, unless it is void by now or the sender is left alone.
pub async fn deliver_code(app: &App, row: &QueuedCode) -> Tried {
    match deliver(app, row).await {
        Ok(tried) => tried,
        // What it is about is gone.
        Err(Error::Refused(_)) => Outcome::Obsolete.into(),
        // It says nothing of the sender.
        Err(error) => untried(error.to_string(), Untried::Fault(app.clock.now() + AFTER_A_FAULT)),
    }
}

async fn deliver(app: &App, row: &QueuedCode) -> Result<Tried, Error> {
    let found = records::read(
        app.store.as_ref(),
        &keys::verification(row.service, row.verification),
    )
    .await?;
    let verification: Verification = found.ok_or(Refusal::NotFound)?.record;
    service::read(app, row.account, row.service).await?;
    // Nothing leaves in the name of a suspended account.
    if !account::is_active(app, row.account).await? {
        return Ok(Outcome::Obsolete.into());
    }
    let now = app.clock.now();
    let Some((sending, code)) = due(&verification, row.send, now) else {
        return Ok(Outcome::Obsolete.into());
    };
    let Some(sender) = app.senders.codes.by_name(row.sender) else {
        let why = format!("the settings name no sender {} any more", row.sender);
        return Ok(Outcome::Refused { why }.into());
    };
    let message = match compose(app, &verification, (sending, code), row.attempt) {
        Ok(message) => message,
        Err(why) => return Ok(Outcome::Refused { why }.into()),
    };
    if let Admission::LeftAlone(until) = app.memory.sender_health.begin(row.sender, now) {
        let why = "the sender failed several times in a row and is left alone for a while";
        return Ok(untried(why.to_owned(), Untried::LeftAlone(until)));
    }
    let sent = sender.sender.send(&message).await;
    Ok(Tried {
        outcome: sent.outcome,
        code: CodeNote {
            reference: sent.reference,
            locale: Some(message.locale),
            untried: None,
        },
    })
}

/// The sending at `send` with its code, if that is still to be sent at `now`: the verification waits, and no other code
/// took the place of this one.
pub(crate) fn due(verification: &Verification, send: u8, now: Timestamp) -> Option<(&Sending, &IssuedCode)> {
    let sending = verification.sends.get(usize::from(send))?;
    let last = verification.codes.len().checked_sub(1)?;
    let code = &verification.codes[last];
    let counts = usize::from(sending.code) == last && now < code.expires_at;
    (counts && verification.status(now) == VerificationStatus::Pending).then_some((sending, code))
}

fn untried(why: String, untried: Untried) -> Tried {
    Tried {
        outcome: Outcome::Retry { why, after: None },
        code: CodeNote {
            untried: Some(untried),
            ..CodeNote::default()
        },
    }
}

/// When to try again what this server itself failed at.
const AFTER_A_FAULT: std::time::Duration = std::time::Duration::from_secs(1);
