//! A device calls the URL of a silent authentication, and its network is asked whose address it comes from.
//!
//! The call is counted in one commit, the provider is asked, and what it says is taken in by another one: nothing is
//! decided on what was read before the answer.

use std::fmt;
use std::net::IpAddr;

use zeroize::Zeroizing;

use super::silent_token::{SilentTarget, SilentToken, draw_client_token};
use crate::app::App;
use crate::delivery::DeliveryOutcome;
use crate::delivery::codes::{CodeMessage, Sent};
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::audit::{AuditAct, AuditOutcome, AuditSubject, Author};
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::outbox::Reason;
use crate::domain::sender_name::SenderName;
use crate::domain::verification::{
    Refusal, SilentAuthentication, SilentError, SilentFailure, Try, Verification, VerificationStatus,
};
use crate::flows::code::{
    SendingAt, Way, learn, new_attempt, put_attempt, put_new_attempt, put_verification, route,
};
use crate::flows::fraud::{Charge, charge};
use crate::flows::reading::{NotRead, Reading};
use crate::flows::{Error, Fault, account, audit, retry_on_conflict};
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
    /// Nothing was asked: whoever opened the URL has to say that it was on purpose.
    Unopened,
}

/// How the URL was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SilentCall {
    /// As a link is opened, by whomever: a device, or something that shows what is behind links.
    Link,
    /// On purpose.
    OnPurpose,
}

impl fmt::Debug for SilentAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirmed { .. } => "Confirmed(..)",
            Self::Mismatch => "Mismatch",
            Self::Undecided => "Undecided",
            Self::Unopened => "Unopened",
        })
    }
}

/// Takes in that somebody at `address` called the URL that ends in `token`. A call that need not have been on purpose does
/// nothing to a verification whose device is to get a token: whatever shows what is behind links would take it away.
///
/// # Errors
/// [`Refusal::NotFound`] if the token is not that of a silent authentication that waits, was confirmed before, or was called
/// too often; [`Error::Failed`].
pub async fn confirm_silent(
    app: &App,
    token: &str,
    address: IpAddr,
    call: SilentCall,
) -> Result<SilentAnswer, Error<Refusal>> {
    let Some(target) = SilentToken::verification_of(token) else {
        app.vault.spend_token_check(&[0; 16], token);
        return Err(Refusal::NotFound.into());
    };
    let attempt = match retry_on_conflict(app, || begin(app, target, token, call)).await? {
        Begun::Asks(attempt) => *attempt,
        Begun::AsksNobody => return Ok(SilentAnswer::Undecided),
        Begun::Unopened => return Ok(SilentAnswer::Unopened),
    };
    let sent = ask(app, &attempt, address).await;
    // One that is not there any more was not asked.
    if app.senders.codes.by_name(attempt.sender).is_some() {
        learn(app, &attempt, &sent.outcome);
    }
    retry_on_conflict(app, || finish(app, target, token, &attempt, &sent.outcome)).await
}

/// What becomes of a call.
enum Begun {
    /// It was counted, and this attempt is it.
    Asks(Box<Attempt>),
    /// There is no sender that could be asked, or no money left to ask one once more.
    AsksNobody,
    /// It was not counted.
    Unopened,
}

/// Counts the call. The first one was paid when the URL was made.
async fn begin(
    app: &App,
    target: SilentTarget,
    token: &str,
    call: SilentCall,
) -> Result<Begun, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let before = read(app, &mut reading, target, token).await?;
    let now = app.clock.now();
    let mut verification = before.clone();
    let owner = keys::service(verification.account, verification.service);
    let payer = keys::account(verification.account);
    reading.prefetch([owner.bytes(), payer.bytes()]).await?;
    if reading.glance(&owner).await?.is_none()
        || !account::is_active(&mut reading, verification.account).await?
    {
        return Err(Refusal::NotFound.into());
    }
    let sends = &verification.sends;
    let send = sends.iter().rposition(|sending| sending.channel == Channel::Sna);
    let send = send.ok_or(Refusal::NotFound)?;
    let silent = verification.silent.as_mut().ok_or(Refusal::NotFound)?;
    if call == SilentCall::Link && silent.wants_client_token {
        return Ok(Begun::Unopened);
    }
    let first = silent.calls == 0;
    silent.calls += 1;
    let tries = &verification.sends[send].tries;
    // The attempt of the first call was written when the URL was made.
    let written = match tries.last() {
        Some(last) if first => {
            let key = keys::attempt(verification.account, last.attempt);
            reading.glance(&key).await?
        }
        _ => None,
    };
    let (batch, attempt, paid) = if let Some(written) = written {
        (Batch::new(), written, Charge::nothing())
    } else {
        let country = country_of(&mut reading, &verification, send).await?;
        let way = Way {
            account: verification.account,
            service: verification.service,
            channel: Channel::Sna,
            country,
        };
        let asked: Vec<SenderName> = tries.iter().map(|each| each.sender).collect();
        let sender = match route(app, &mut reading, way, &asked, now).await? {
            Some(fresh) => Some(fresh),
            None => route(app, &mut reading, way, &[], now).await?,
        };
        let asks = match sender {
            Some(sender) => {
                let paid = charge(app, &mut reading, verification.account, sender.price, now).await?;
                paid.ok().map(|paid| (sender, paid))
            }
            None => None,
        };
        let Some((sender, paid)) = asks else {
            // It counts all the same, or whoever has the URL could have this looked for without end.
            let batch = put_verification(Batch::new(), Some(&before), &verification)?;
            reading.commit(batch).await?;
            return Ok(Begun::AsksNobody);
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
        (put_new_attempt(Batch::new(), &attempt)?, attempt, paid)
    };
    let batch = paid.put(batch)?;
    reading
        .commit(put_verification(batch, Some(&before), &verification)?)
        .await?;
    paid.keep();
    Ok(Begun::Asks(Box::new(attempt)))
}

/// The country of the number, as its first attempt has it.
async fn country_of(
    reading: &mut Reading<'_>,
    verification: &Verification,
    send: usize,
) -> Result<Option<Country>, Fault> {
    let Some(first) = verification.sends[send].tries.first() else {
        return Ok(None);
    };
    let key = keys::attempt(verification.account, first.attempt);
    let found = reading.glance(&key).await?;
    Ok(found.and_then(|found| found.country))
}

/// Asks the provider.
async fn ask(app: &App, attempt: &Attempt, address: IpAddr) -> Sent {
    let Some(sender) = app.senders.codes.by_name(attempt.sender) else {
        return Sent::refused(format!("the settings name no sender {} any more", attempt.sender));
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
    // Some look the number up elsewhere before they answer.
    asking.unwrap_or_else(|_| Sent::retry_recipient(0, format!("no answer within {PATIENCE:?}"), None))
}

/// Takes in what the provider said.
async fn finish(
    app: &App,
    target: SilentTarget,
    token: &str,
    attempt: &Attempt,
    outcome: &DeliveryOutcome,
) -> Result<SilentAnswer, Error<Refusal>> {
    let mut reading = Reading::new(app);
    let key = keys::verification(target.service, target.verification);
    let attempt_key = keys::attempt(attempt.account, attempt.sid);
    reading.prefetch([key.bytes(), attempt_key.bytes()]).await?;
    let before = read_counted(app, &mut reading, target, token).await?;
    let now = app.clock.now();
    let mut verification = before.clone();
    let silent = verification.silent.as_mut().ok_or(Refusal::NotFound)?;
    let mut changed = reading.require(&attempt_key).await?;
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
        DeliveryOutcome::Delivered => {
            changed.status = AttemptStatus::Sent;
            silent.confirmed = true;
            audit::decide(AuditOutcome::Done, || {
                (
                    "confirmed_by_network",
                    Some("the network confirmed the number".to_owned()),
                )
            });
            let client_token = silent.wants_client_token.then(|| {
                let token = draw_client_token(app.entropy.as_ref());
                let owner = verification.sid;
                silent.client_token = Some(app.vault.token_hash(owner.as_bytes(), &token));
                token
            });
            SilentAnswer::Confirmed { client_token }
        }
        DeliveryOutcome::Refused { why } => {
            changed.status = failed(why);
            fail(silent, SilentFailure::Mismatch);
            audit::decide(AuditOutcome::Refused, || {
                let why = "the network says that the number is not the device's";
                ("other_number", Some(why.to_owned()))
            });
            SilentAnswer::Mismatch
        }
        DeliveryOutcome::Retry { why, .. } => {
            changed.status = failed(why);
            fail(silent, SilentFailure::Undecided);
            audit::decide(AuditOutcome::Refused, || {
                (
                    "network_silent",
                    Some("the network could not be asked".to_owned()),
                )
            });
            SilentAnswer::Undecided
        }
        DeliveryOutcome::Obsolete => return Err(Refusal::NotFound.into()),
    };
    let batch = put_verification(Batch::new(), Some(&before), &verification)?;
    reading.commit(put_attempt(batch, changed, now)?).await?;
    Ok(answer)
}

/// The verification that `token` is the URL of, if it may still be called.
async fn read(
    app: &App,
    reading: &mut Reading<'_>,
    target: SilentTarget,
    token: &str,
) -> Result<Verification, NotRead> {
    let found = read_counted(app, reading, target, token).await?;
    let silent = found.silent.as_ref();
    let open = silent.is_some_and(|silent| silent.calls < SilentAuthentication::MOST_CALLS);
    Some(found).filter(|_| open).ok_or(NotRead::Absent)
}

/// The same, if its call was counted: only whether it waits for an answer is asked.
async fn read_counted(
    app: &App,
    reading: &mut Reading<'_>,
    target: SilentTarget,
    token: &str,
) -> Result<Verification, NotRead> {
    let key = keys::verification(target.service, target.verification);
    let found = reading.get(&key).await?;
    let owner = target.verification.as_bytes();
    let Some((found, silent)) = found.and_then(|found| found.silent.clone().map(|silent| (found, silent)))
    else {
        app.vault.spend_token_check(owner, token);
        return Err(NotRead::Absent);
    };
    let ours = app.vault.token_matches(owner, token, &silent.token);
    let waits = !silent.confirmed && found.status(app.clock.now()) == VerificationStatus::Pending;
    if ours && waits {
        audit::note_author(found.account, Author::Anyone);
        audit::note_subject(AuditAct::CheckVerification, || AuditSubject {
            service: Some(found.service),
            verification: Some(found.sid),
            destination: Some(found.destination.clone()),
            ..AuditSubject::default()
        });
        Ok(found)
    } else {
        Err(NotRead::Absent)
    }
}

/// How long the device is made to wait.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);
