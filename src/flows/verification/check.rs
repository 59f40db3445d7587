//! Checks a code, and accepts it once.

use std::fmt;

use super::count::count_change;
use super::unlock::{Decided, announce_locks};
use super::{
    FoundVerification, Scope, VerificationName, find, paused_until, put_destination, put_wrong_codes,
};
use crate::app::App;
use crate::crypto::plain_code::PlainCode;
use crate::domain::audit::{AuditAct, AuditOutcome, AuditSubject};
use crate::domain::destination::Destination;
use crate::domain::limits::Failures;
use crate::domain::sealing::SealedField;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{IssuedCode, Payment, Refusal, Submission, Verification};
use crate::domain::wrong_codes::WrongCodes;
use crate::flows::code::{note_conversion, open_code, put_verification, tell_conversion};
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, Fault, audit, retry_on_conflict};
use crate::store::{Batch, keys};

/// What somebody gives to be checked.
#[derive(Clone, Default)]
pub struct Guess<'a> {
    /// The code as it was typed; `None` after a silent authentication.
    pub code: Option<&'a str>,
    /// The payment that it agrees to.
    pub payment: AgreedPayment,
    /// What the device got in a silent authentication.
    pub sna_client_token: Option<&'a str>,
    /// From which address it came, if the protocol says so.
    pub ip: Option<String>,
    /// Where the code went, if the caller says that besides the verification: it must be so.
    pub destination: Option<Destination>,
    /// Whether it is compared, and counted if it is wrong, also with a verification that stays approved whatever is given.
    pub compares_approved: bool,
}

/// The payment that a code which is given agrees to.
#[derive(Clone)]
pub enum AgreedPayment {
    /// This one, or none: the code is wrong for any other.
    Named(Option<Payment>),
    /// Whichever the code was sent with: the protocol does not repeat it.
    AsSent,
}

impl Default for AgreedPayment {
    fn default() -> Self {
        Self::Named(None)
    }
}

impl AgreedPayment {
    fn is_of(&self, verification: &Verification) -> bool {
        match self {
            Self::Named(payment) => verification.content.payment == *payment,
            Self::AsSent => true,
        }
    }
}

/// What was guessed stays out of logs: it may be right.
impl fmt::Debug for Guess<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guess(..)")
    }
}

/// What came of a check that is committed. Nothing was read behind that.
#[derive(Debug)]
pub struct CheckOutcome {
    /// As it is now.
    pub verification: Verification,
    /// Whether the code was the right one. That the verification is approved does not say that: another code may have been given
    /// at the same time.
    pub is_right: bool,
    /// Until when no code is looked at for this destination because of wrong ones, this one included; `None` if the next one is.
    pub paused_until: Option<Timestamp>,
}

/// Checks a code. A wrong one is no error: the verification that is returned is still pending, or its wrong codes are used
/// up. A code for another payment is a wrong one. All spellings that [`PlainCode::parse`] takes are one guess; what it does
/// not take is none.
///
/// # Errors
/// [`Refusal::NotFound`] unless it waits: unknown, another account's, approved and over are the same;
/// [`Refusal::TooManyChecks`], [`Refusal::TooSoon`], [`Refusal::NoCodeSent`], [`Refusal::CodeExpired`],
/// [`Refusal::DestinationLocked`], [`Refusal::CodeMalformed`], [`Refusal::CodeMissing`], [`Error::Failed`].
pub async fn check(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    service: ServiceSid,
    which: &VerificationName,
    guess: &Guess<'_>,
) -> Result<CheckOutcome, Error<Refusal>> {
    let Admitted {
        who: account,
        mut prior,
    } = account.into();
    let scope = Scope { account, service };
    retry_on_conflict(app, || attempt(app, prior.reading(app), scope, which, guess)).await
}

async fn attempt(
    app: &App,
    mut reading: Reading<'_>,
    scope: Scope,
    which: &VerificationName,
    guess: &Guess<'_>,
) -> Result<CheckOutcome, Error<Refusal>> {
    let checked = evaluate(app, &mut reading, scope, which, guess).await?;
    let is_right = checked.right;
    let judged = checked.decided.as_ref();
    let paused_until = judged.and_then(|judged| paused_until(&judged.wrong_codes, judged.now));
    let verification = checked.commit(app, reading, Batch::new()).await?;
    Ok(CheckOutcome {
        verification,
        is_right,
        paused_until,
    })
}

/// What came of a check that is not committed yet: until it is, it means nothing.
pub(crate) struct Checked {
    pub(crate) verification: Verification,
    /// Whether the code was the right one.
    right: bool,
    /// What is to be written; `None` if nothing changes.
    decided: Option<Judged>,
}

/// What a verdict rests on, and what follows from it besides what stands in the verification.
struct Judged {
    found: FoundVerification,
    wrong_codes: WrongCodes,
    now: Timestamp,
}

/// The same as [`check`] for whoever decides more in the same commit.
///
/// # Errors
/// As [`check`].
pub(crate) async fn check_within(
    app: &App,
    reading: &mut Reading<'_>,
    account: AccountSid,
    service: ServiceSid,
    verification: VerificationSid,
    guess: &Guess<'_>,
) -> Result<Checked, Error<Refusal>> {
    let scope = Scope { account, service };
    evaluate(app, reading, scope, &VerificationName::Sid(verification), guess).await
}

async fn evaluate(
    app: &App,
    reading: &mut Reading<'_>,
    scope: Scope,
    which: &VerificationName,
    guess: &Guess<'_>,
) -> Result<Checked, Error<Refusal>> {
    let now = app.clock.now();
    audit::note_subject(AuditAct::CheckVerification, || named_by(scope.service, which));
    let found = find(reading, scope, which, now).await?;
    let mut verification = found.verification.clone();
    audit::note_subject(AuditAct::CheckVerification, || AuditSubject {
        service: Some(verification.service),
        verification: Some(verification.sid),
        destination: Some(verification.destination.clone()),
        ..AuditSubject::default()
    });
    let named = guess.destination.as_ref();
    if named.is_some_and(|named| !named.is_same(&verification.destination)) {
        return Err(Refusal::NotFound.into());
    }
    if verification.stays_approved() {
        return if guess.compares_approved {
            compare_again(app, found, guess, now)
        } else {
            Ok(Checked::undecided(verification))
        };
    }
    verification.require_open(now)?;
    let Some(text) = guess.code else {
        return check_silently(app, found, guess, now);
    };
    let given = PlainCode::parse(text, verification.policy.alphabet);
    if given.is_none() && !verification.policy.counts_malformed {
        return Err(Refusal::CodeMalformed.into());
    }
    let code = verification.require_checkable(now)?;
    let mut wrong_codes = found.wrong_codes.clone().unwrap_or_default();
    wrong_codes.require_unlocked(now)?;
    let right = match &given {
        Some(given) => is_right(app, &verification, code, given, guess)?,
        None => false,
    };
    let key = keys::verification(verification.service, verification.sid);
    let kept = given
        .filter(|_| verification.policy.keeps_submitted)
        .map(|given| {
            let entropy = app.entropy.as_ref();
            app.vault.seal(
                entropy,
                key.bytes(),
                SealedField::SubmittedCode,
                given.reveal().as_bytes(),
            )
        });
    let submission = Submission {
        sealed: kept,
        ip: guess.ip.clone(),
    };
    verification.settle_check(right, submission, now);
    if right {
        wrong_codes.end_row();
    } else {
        wrong_codes.count_failure(now);
    }
    let decided = Judged {
        found,
        wrong_codes,
        now,
    };
    Ok(Checked {
        verification,
        right,
        decided: Some(decided),
    })
}

/// What is known of a verification before it is found: of one that is over, that is all there is to tell.
fn named_by(service: ServiceSid, which: &VerificationName) -> AuditSubject {
    let subject = AuditSubject {
        service: Some(service),
        ..AuditSubject::default()
    };
    match which {
        VerificationName::Sid(sid) => AuditSubject {
            verification: Some(*sid),
            ..subject
        },
        VerificationName::To(destination) => AuditSubject {
            destination: Some(destination.clone()),
            ..subject
        },
    }
}

/// Compares a code with the one that `found` was approved by. A wrong one counts as ever: whoever may ask so could find the
/// right one otherwise, and be told that it is.
fn compare_again(
    app: &App,
    found: FoundVerification,
    guess: &Guess<'_>,
    now: Timestamp,
) -> Result<Checked, Error<Refusal>> {
    let verification = found.verification.clone();
    let mut wrong_codes = found.wrong_codes.clone().unwrap_or_default();
    wrong_codes.require_unlocked(now)?;
    let given = guess
        .code
        .and_then(|text| PlainCode::parse(text, verification.policy.alphabet));
    let right = match (&given, verification.codes.last()) {
        (Some(given), Some(code)) => is_right(app, &verification, code, given, guess)?,
        _ => false,
    };
    if !right {
        wrong_codes.count_failure(now);
    }
    let decided = (!right).then_some(Judged {
        found,
        wrong_codes,
        now,
    });
    Ok(Checked {
        verification,
        right,
        decided,
    })
}

/// Whether it is the code, for the payment that the code was made for. Both are looked at in any case.
fn is_right(
    app: &App,
    verification: &Verification,
    code: &IssuedCode,
    given: &PlainCode,
    guess: &Guess<'_>,
) -> Result<bool, Fault> {
    let same_code = open_code(app, verification, code)?.matches(given);
    let same_payment = guess.payment.is_of(verification);
    Ok(same_code & same_payment)
}

/// Approves what the device's network has confirmed; otherwise it goes on waiting. What the device was given has 190 random
/// bits: a wrong one need not be counted.
fn check_silently(
    app: &App,
    found: FoundVerification,
    guess: &Guess<'_>,
    now: Timestamp,
) -> Result<Checked, Error<Refusal>> {
    let mut verification = found.verification.clone();
    let Some(silent) = &verification.silent else {
        return Err(Refusal::CodeMissing.into());
    };
    let known = match (&silent.client_token, guess.sna_client_token) {
        (Some(hash), Some(token)) => app.vault.token_matches(verification.sid.as_bytes(), token, hash),
        _ => !silent.wants_client_token,
    };
    let same_payment = guess.payment.is_of(&verification);
    if !(silent.confirmed && known && same_payment) {
        return Ok(Checked::undecided(verification));
    }
    verification.approve(now)?;
    let mut wrong_codes = found.wrong_codes.clone().unwrap_or_default();
    wrong_codes.end_row();
    let decided = Judged {
        found,
        wrong_codes,
        now,
    };
    Ok(Checked {
        verification,
        right: true,
        decided: Some(decided),
    })
}

impl Checked {
    /// Nothing is changed by it.
    fn undecided(verification: Verification) -> Self {
        Self {
            verification,
            right: false,
            decided: None,
        }
    }

    /// Whether the code was the right one, just now.
    pub(crate) fn is_right(&self) -> bool {
        self.right
    }

    /// Writes what was decided with what is in `batch` already, all of it or nothing.
    ///
    /// # Errors
    /// [`Fault`].
    pub(crate) async fn commit(
        self,
        app: &App,
        mut reading: Reading<'_>,
        batch: Batch,
    ) -> Result<Verification, Error<Refusal>> {
        let Self {
            verification,
            right,
            decided,
        } = self;
        let Some(Judged {
            found,
            wrong_codes,
            now,
        }) = decided
        else {
            return Ok(verification);
        };
        if right {
            audit::decide(AuditOutcome::Approved, || ("right_code", None));
        } else {
            audit::decide(AuditOutcome::Refused, || {
                ("wrong_code", Some("wrong code".to_owned()))
            });
        }
        let mut record = found.destination.clone().unwrap_or_default();
        // One that goes on beside others is nobody's last: what is remembered would stay as long as it does, which may be for
        // ever.
        if record.last == Some(verification.sid) {
            record.name_last(verification.sid, verification.kept_until());
        }
        let before = found.wrong_codes.as_ref();
        let decided = Decided {
            before: (&found.verification, before),
            after: (&verification, &wrong_codes),
        };
        let batch = announce_locks(app, &found.service, &decided, now, batch)?;
        let key = keys::wrong_codes(verification.account, &verification.destination);
        let batch = put_wrong_codes(batch, key, before, &wrong_codes, now)?;
        let batch = put_destination(batch, &verification, found.destination.as_ref(), &record, now)?;
        let mut batch = put_verification(batch, Some(&found.verification), &verification)?;
        let mut converted = None;
        if right {
            (batch, converted) = note_conversion(&mut reading, &verification, now, batch).await?;
        }
        reading.commit(batch).await?;
        count_change(app, Some(&found.verification), &verification, now);
        tell_conversion(app, &verification, converted.as_ref());
        if !right {
            warn_of_failures(&found.wrong_codes.unwrap_or_default(), &verification, now);
        }
        Ok(verification)
    }
}

/// Tells the operator, once it is committed, of the wrong codes from which on a destination is closed for a while: somebody
/// is guessing, or somebody needs help.
fn warn_of_failures(before: &WrongCodes, verification: &Verification, now: Timestamp) {
    let mut after = before.clone();
    after.count_failure(now);
    let failures = after.failures.count();
    let what = match failures {
        Failures::DELAYED_FROM => "each further one is followed by a growing delay",
        Failures::DISABLED_AT => "no code is checked for a day",
        _ => return,
    };
    tracing::warn!(
        verification.sid = %verification.sid,
        failures,
        "{failures} wrong codes in a row were given for {:?} of account {}: {what}",
        verification.destination,
        verification.account
    );
}
