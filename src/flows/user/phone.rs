//! The user's phone number: given, shown to be the user's, taken away.

use std::fmt;

use super::{find, put};
use crate::app::App;
use crate::crypto::plain_code::PlainCode;
use crate::domain::channel::Channel;
use crate::domain::destination::Destination;
use crate::domain::entity::EntityName;
use crate::domain::phone::PhoneNumber;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::user::{Refusal, User};
use crate::domain::verification::{self, CodePolicy, Content, Draft, Verification};
use crate::flows::code::{keys_to_send, next_code, open_code, put_verification};
use crate::flows::fraud::SendPermit;
use crate::flows::reading::{Admitted, Reading};
use crate::flows::verification::{Guess, Resend, check_within, count_change, send_within};
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// A number that a user is to have.
#[derive(Clone, Debug)]
pub struct NewPhone {
    /// The number.
    pub number: PhoneNumber,
    /// Whether a number that is verified stays, and is not replaced by this one.
    pub keeps_verified: bool,
    /// How it is shown to be the user's.
    pub proof: PhoneProof,
}

/// How a number is shown to be a user's.
#[derive(Clone, Debug)]
pub enum PhoneProof {
    /// By a code.
    Code(Box<Issuing>),
    /// The caller vouches for it.
    Vouched,
}

/// How a code is issued.
#[derive(Clone, Debug)]
pub struct Issuing {
    /// The rules of the code.
    pub policy: CodePolicy,
    /// What the message says besides the code.
    pub content: Content,
    /// Whether the caller gets it, instead of whoever has the number.
    pub returned: bool,
}

/// A user, and the code that was issued if its caller gets it.
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct ChangedPhone {
    pub user: User,
    pub code: Option<PlainCode>,
}

/// The code stays out of logs.
impl fmt::Debug for ChangedPhone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangedPhone")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Gives the user another number, and issues a code for it unless the caller vouches for it. What was issued for the number
/// before is void.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::PhoneUnchanged`], [`Refusal::WouldUnverify`], [`Refusal::Verification`] with what keeps
/// a code from being sent, [`Error::Failed`].
pub async fn set_phone(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
    new: &NewPhone,
) -> Result<ChangedPhone, Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || set_once(app, prior.reading(app), who, name, new)).await
}

async fn set_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
    new: &NewPhone,
) -> Result<ChangedPhone, Error<Refusal>> {
    let (service, mut user) = find(&mut reading, account, name).await?;
    user.require_replaceable(&new.number, new.keeps_verified)?;
    match &new.proof {
        PhoneProof::Code(issuing) => issue(app, reading, &service, user, new.number.clone(), issuing).await,
        PhoneProof::Vouched => {
            let now = app.clock.now();
            let batch = end_waiting(&mut reading, &user, Verification::replace, now).await?;
            user.set_phone(new.number.clone(), None, now);
            reading.commit(put(batch, &user)?).await?;
            Ok(ChangedPhone { user, code: None })
        }
    }
}

/// Issues another code for the number that the user has; the one before is void.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::PhoneMissing`], [`Refusal::PhoneVerified`], [`Refusal::Verification`] with what keeps
/// a code from being sent, [`Error::Failed`].
pub async fn resend_phone_code(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
    issuing: &Issuing,
) -> Result<ChangedPhone, Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || resend_once(app, prior.reading(app), who, name, issuing)).await
}

async fn resend_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
    issuing: &Issuing,
) -> Result<ChangedPhone, Error<Refusal>> {
    let (service, user) = find(&mut reading, account, name).await?;
    let number = user.require_unverified()?.clone();
    issue(app, reading, &service, user, number, issuing).await
}

/// Begins a verification of `number`, which takes the place of the one that waits, issues its code, and writes all of it with
/// the user. Each code has a verification of its own, so that no number of them fills one up; what wrong codes cost is
/// remembered with the number.
async fn issue(
    app: &App,
    mut reading: Reading<'_>,
    service: &Service,
    mut user: User,
    number: PhoneNumber,
    issuing: &Issuing,
) -> Result<ChangedPhone, Error<Refusal>> {
    let now = app.clock.now();
    let batch = end_waiting(&mut reading, &user, Verification::replace, now).await?;
    let draft = Draft {
        sid: VerificationSid::generate(now, app.sids.as_ref()),
        account: user.account,
        service: user.service,
        destination: Destination::Phone(number.clone()),
        policy: issuing.policy.clone(),
        content: issuing.content.clone(),
    };
    let mut verification = Verification::begin(draft, now);
    let (batch, sent) = put_code(app, &mut reading, service, &mut verification, issuing, batch)
        .await
        .map_err(Error::into_area)?;
    user.set_phone(number, Some(verification.sid), now);
    let batch = put(put_verification(batch, None, &verification)?, &user)?;
    let code = match (sent.is_none(), verification.codes.last()) {
        (true, Some(code)) => Some(open_code(app, &verification, code)?),
        _ => None,
    };
    reading.commit(batch).await?;
    count_change(app, None, &verification, now);
    if let Some(permit) = sent {
        permit.commit(verification.sid);
    }
    Ok(ChangedPhone { user, code })
}

/// Adds to `batch` what sends the verification's first code, if it is to be sent.
async fn put_code<'a>(
    app: &'a App,
    reading: &mut Reading<'_>,
    service: &Service,
    verification: &mut Verification,
    issuing: &Issuing,
    batch: Batch,
) -> Result<(Batch, Option<SendPermit<'a>>), Error<verification::Refusal>> {
    let channel = Channel::Sms;
    if issuing.returned {
        let now = app.clock.now();
        if let Some(code) = next_code(app, verification, channel, None, now)? {
            verification.record_issue(code, now);
        }
        return Ok((batch, None));
    }
    let read_to_send = keys_to_send(app, service.account, service.sid, &verification.destination);
    reading.prefetch(read_to_send.iter().map(Vec::as_slice)).await?;
    let wanted = Resend {
        channel,
        content: issuing.content.clone(),
        risk_check: true,
        sender: None,
    };
    let outgoing = send_within(app, reading, service, verification, &wanted, batch).await?;
    Ok((outgoing.batch, Some(outgoing.permit)))
}

/// A batch that ends, as `how` says, the verification that waits for a code of the user's, if one does.
async fn end_waiting(
    reading: &mut Reading<'_>,
    user: &User,
    how: fn(&mut Verification, Timestamp) -> Result<(), verification::Refusal>,
    now: Timestamp,
) -> Result<Batch, Error<Refusal>> {
    let waits = user.phone.as_ref().and_then(|phone| phone.verification);
    let Some(sid) = waits else {
        return Ok(Batch::new());
    };
    // It may be over already: whoever owns the account ends verifications, too.
    let found = reading.get(&keys::verification(user.service, sid)).await?;
    let Some(before) = found.filter(|found| found.is_pending(now)) else {
        return Ok(Batch::new());
    };
    let mut after = before.clone();
    how(&mut after, now).map_err(Refusal::from)?;
    Ok(put_verification(Batch::new(), Some(&before), &after)?)
}

/// Checks a code for the number that the user has, and if it is right the number is the user's from then on. `None` for a wrong
/// code, which counts against the number as all do.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::PhoneMissing`], [`Refusal::NoCode`] if none is waited for, [`Refusal::Verification`] as
/// [`check`](crate::flows::verification::check); [`Error::Failed`].
pub async fn verify_phone(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
    code: &str,
) -> Result<Option<User>, Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || verify_once(app, prior.reading(app), who, name, code)).await
}

async fn verify_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
    code: &str,
) -> Result<Option<User>, Error<Refusal>> {
    let (_, mut user) = find(&mut reading, account, name).await?;
    let phone = user.phone.as_ref().ok_or(Refusal::PhoneMissing)?;
    let verification = phone.verification.ok_or(Refusal::NoCode)?;
    let guess = Guess {
        code: Some(code),
        ..Guess::default()
    };
    let checked = check_within(app, &mut reading, account, name.service, verification, &guess).await;
    let checked = checked.map_err(|error| match error {
        Error::Refused(verification::Refusal::NotFound) => Refusal::NoCode.into(),
        error => error.into_area::<Refusal>(),
    })?;
    let (mut batch, right) = (Batch::new(), checked.is_right());
    if right {
        user.verify_phone(app.clock.now())?;
        batch = put(batch, &user)?;
    }
    checked
        .commit(app, reading, batch)
        .await
        .map_err(Error::into_area)?;
    Ok(right.then_some(user))
}

/// Takes the user's number away; what was issued for it is void.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::PhoneMissing`], [`Error::Failed`].
pub async fn remove_phone(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
) -> Result<User, Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || remove_once(app, prior.reading(app), who, name)).await
}

async fn remove_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
) -> Result<User, Error<Refusal>> {
    let (_, mut user) = find(&mut reading, account, name).await?;
    let now = app.clock.now();
    let batch = end_waiting(&mut reading, &user, Verification::cancel, now).await?;
    user.remove_phone(now)?;
    reading.commit(put(batch, &user)?).await?;
    Ok(user)
}
