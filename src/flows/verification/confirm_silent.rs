//! A device calls the URL of a silent authentication, and its network is asked whose address it comes from.
//!
//! The call is counted in one commit, the provider is asked, and what it says is taken in by another one: nothing is
//! decided on what was read before the answer.

use std::fmt;
use std::net::IpAddr;

use zeroize::Zeroizing;

use super::silent_token::{SilentTarget, SilentToken, draw_client_token};
use crate::app::App;
use crate::delivery::Outcome;
use crate::delivery::codes::CodeMessage;
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::channel::Channel;
use crate::domain::outbox::Reason;
use crate::domain::refusal::Refusal;
use crate::domain::sender_name::SenderName;
use crate::domain::verification::{
    SilentAuthentication, SilentError, SilentFailure, Try, Verification, VerificationStatus,
};
use crate::flows::code::{
    SendingAt, learn, new_attempt, put_attempt, put_new_attempt, put_verification, route,
};
use crate::flows::fraud::{Charge, charge};
use crate::flows::reading::Reading;
use crate::flows::{Error, account, retry_on_conflict, service};
use crate::store::records::{self, Stored};
use crate::store::{Batch, keys};

/// What came of a call.
pub enum SilentAnswer {
    /// The number is the device's.
    Confirmed {
        /// What the check has to name, if the caller wants that.
        client_token: Option<Zeroizing<String>>,
    },
    /// The network says that the number is not the device's.
    Mismatch,
    /// Nobody could tell.
    Undecided,
}

impl fmt::Debug for SilentAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirmed { .. } => "Confirmed(..)",
            Self::Mismatch => "Mismatch",
            Self::Undecided => "Undecided",
        })
    }
}

/// Takes in that somebody at `address` called the URL that ends in `token`.
///
/// # Errors
/// [`Refusal::NotFound`] if the token is not that of a silent authentication that waits, was confirmed before, or was called
/// too often; [`Error::Failed`].
pub async fn confirm_silent(app: &App, token: &str, address: IpAddr) -> Result<SilentAnswer, Error> {
    let Some(target) = SilentToken::verification_of(token) else {
        app.vault.spend_token_check(&[0; 16], token);
        return Err(Refusal::NotFound.into());
    };
    let Some(attempt) = retry_on_conflict(|| begin(app, target, token)).await? else {
        return Ok(SilentAnswer::Undecided);
    };
    let outcome = ask(app, &attempt, address).await;
    learn(app, &attempt, &outcome);
    retry_on_conflict(|| finish(app, target, token, &attempt, &outcome)).await
}

/// Counts the call; the attempt that it is. `None` if there is no sender that could be asked, or no money left to ask one
/// once more: the first call was paid when the URL was made.
async fn begin(app: &App, target: SilentTarget, token: &str) -> Result<Option<Attempt>, Error> {
    let found = read(app, target, token).await?;
    let now = app.clock.now();
    let mut verification = found.record.clone();
    service::read(app, verification.account, verification.service).await?;
    if !account::is_active(&mut Reading::new(app), verification.account).await? {
        return Err(Refusal::NotFound.into());
    }
    let sends = &verification.sends;
    let send = sends.iter().rposition(|sending| sending.channel == Channel::Sna);
    let send = send.ok_or(Refusal::NotFound)?;
    let silent = verification.silent.as_mut().ok_or(Refusal::NotFound)?;
    let first = silent.calls == 0;
    silent.calls += 1;
    let tries = &mut verification.sends[send].tries;
    let key = keys::verification(verification.service, verification.sid);
    let batch = Batch::new().assert_read(&key, &found);
    // The attempt of the first call was written when the URL was made.
    let written = match tries.last() {
        Some(last) if first => {
            let key = keys::attempt(verification.account, last.attempt);
            records::read(app.store.as_ref(), &key).await?
        }
        _ => None,
    };
    let (batch, attempt, paid) = if let Some(written) = written {
        (batch, written.record, Charge::nothing())
    } else {
        let country = country_of(app, &verification, send).await?;
        let asked = &verification.sends[send].tries;
        let asked: Vec<SenderName> = asked.iter().map(|each| each.sender).collect();
        let service = verification.service;
        let fresh = route(app, service, Channel::Sna, country, &asked, now).await?;
        let sender = match fresh {
            Some(sender) => Some(sender),
            None => route(app, service, Channel::Sna, country, &[], now).await?,
        };
        let Some(sender) = sender else {
            return Ok(None);
        };
        let cost = sender.price;
        let paid = match charge(app, verification.account, cost, now).await {
            Ok(paid) => paid,
            Err(Error::Refused(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let of = SendingAt {
            verification: &verification,
            position: u8::try_from(send).map_err(|_| Error::corrupt("too many sendings"))?,
        };
        let attempt = new_attempt(app, of, &sender, country, now)?;
        verification.sends[send].tries.push(Try {
            attempt: attempt.sid,
            sender: sender.name,
            at: now,
        });
        (put_new_attempt(batch, &attempt)?, attempt, paid)
    };
    app.store
        .commit(put_verification(batch, Some(&found.record), &verification)?)
        .await?;
    paid.keep();
    Ok(Some(attempt))
}

/// The country of the number, as its first attempt has it.
async fn country_of(
    app: &App,
    verification: &Verification,
    send: usize,
) -> Result<Option<crate::domain::country::Country>, Error> {
    let Some(first) = verification.sends[send].tries.first() else {
        return Ok(None);
    };
    let key = keys::attempt(verification.account, first.attempt);
    let found = records::read(app.store.as_ref(), &key).await?;
    Ok(found.and_then(|found| found.record.country))
}

/// Asks the provider.
async fn ask(app: &App, attempt: &Attempt, address: IpAddr) -> Outcome {
    let Some(sender) = app.senders.codes.by_name(attempt.sender) else {
        return Outcome::Refused {
            why: format!("the settings name no sender {} any more", attempt.sender),
        };
    };
    let message = CodeMessage {
        id: attempt.sid,
        channel: Channel::Sna,
        to: attempt.destination.clone(),
        code: Zeroizing::default(),
        text: Zeroizing::default(),
        subject: None,
        locale: String::new(),
        from: None,
        from_name: None,
        send_digits: None,
        tags: Vec::new(),
        substitutions: Vec::new(),
        template_id: None,
        device_ip: Some(address),
        expires_at: attempt.expires_at,
    };
    let asking = tokio::time::timeout(PATIENCE, sender.sender.send(&message)).await;
    asking.map_or_else(
        |_| Outcome::Retry {
            why: format!("no answer within {PATIENCE:?}"),
            after: None,
        },
        |sent| sent.outcome,
    )
}

/// Takes in what the provider said.
async fn finish(
    app: &App,
    target: SilentTarget,
    token: &str,
    attempt: &Attempt,
    outcome: &Outcome,
) -> Result<SilentAnswer, Error> {
    let found = read_counted(app, target, token).await?;
    let now = app.clock.now();
    let mut verification = found.record.clone();
    let silent = verification.silent.as_mut().ok_or(Refusal::NotFound)?;
    let attempt_key = keys::attempt(attempt.account, attempt.sid);
    let written: Option<Stored<Attempt>> = records::read(app.store.as_ref(), &attempt_key).await?;
    let written = written.ok_or(Refusal::NotFound)?;
    let mut changed = written.record.clone();
    let failed = |why: &str| AttemptStatus::Failed {
        why: Reason::new(why),
    };
    let fail = |silent: &mut SilentAuthentication, why| {
        silent.errors.push(SilentError {
            attempt: attempt.sid,
            why,
        });
    };
    let answer = match outcome {
        Outcome::Delivered => {
            changed.status = AttemptStatus::Sent;
            silent.confirmed = true;
            let client_token = silent.wants_client_token.then(|| {
                let token = draw_client_token(app.entropy.as_ref());
                let owner = verification.sid;
                silent.client_token = Some(app.vault.token_hash(owner.as_bytes(), &token));
                token
            });
            SilentAnswer::Confirmed { client_token }
        }
        Outcome::Refused { why } => {
            changed.status = failed(why);
            fail(silent, SilentFailure::Mismatch);
            SilentAnswer::Mismatch
        }
        Outcome::Retry { why, .. } => {
            changed.status = failed(why);
            fail(silent, SilentFailure::Undecided);
            SilentAnswer::Undecided
        }
        Outcome::Obsolete => return Err(Refusal::NotFound.into()),
    };
    let key = keys::verification(verification.service, verification.sid);
    let batch = Batch::new()
        .assert_read(&key, &found)
        .assert_read(&attempt_key, &written);
    let batch = put_attempt(
        put_verification(batch, Some(&found.record), &verification)?,
        changed,
        now,
    )?;
    app.store.commit(batch).await?;
    Ok(answer)
}

/// The verification that `token` is the URL of, if it may still be called.
async fn read(app: &App, target: SilentTarget, token: &str) -> Result<Stored<Verification>, Error> {
    let found = read_counted(app, target, token).await?;
    let silent = found.record.silent.as_ref();
    let open = silent.is_some_and(|silent| silent.calls < SilentAuthentication::MOST_CALLS);
    Ok(Some(found).filter(|_| open).ok_or(Refusal::NotFound)?)
}

/// The same, if its call was counted: only whether it waits for an answer is asked.
async fn read_counted(app: &App, target: SilentTarget, token: &str) -> Result<Stored<Verification>, Error> {
    let key = keys::verification(target.service, target.verification);
    let found: Option<Stored<Verification>> = records::read(app.store.as_ref(), &key).await?;
    let silent = found.as_ref().and_then(|found| found.record.silent.as_ref());
    let Some(silent) = silent else {
        app.vault.spend_token_check(target.verification.as_bytes(), token);
        return Err(Refusal::NotFound.into());
    };
    let ours = app
        .vault
        .token_matches(target.verification.as_bytes(), token, &silent.token);
    let waits = |found: &Stored<Verification>| {
        ours && !silent.confirmed && found.record.status(app.clock.now()) == VerificationStatus::Pending
    };
    let waiting = found.as_ref().is_some_and(waits);
    Ok(found.filter(|_| waiting).ok_or(Refusal::NotFound)?)
}

/// How long the device is made to wait.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);
