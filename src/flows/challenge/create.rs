//! Creates a challenge, and answers it at once if it comes with a code.

use super::expire::watch_expiry;
use super::notify::recall_pushes;
use super::put_new;
use crate::app::App;
use crate::domain::challenge::{Challenge, Details, Field, Outcome};
use crate::domain::entity::EntityScope;
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind};
use crate::domain::number_matching::{MatchingNumber, NumberLength};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{AccountSid, ChallengeSid, FactorSid, ServiceSid};
use crate::domain::text::{Attributes, Identity, Message};
use crate::domain::time::Timestamp;
use crate::flows::entity::{self, LocatedEntity};
use crate::flows::event::announce;
use crate::flows::outbox::commit_and_ring;
use crate::flows::push::notify_device;
use crate::flows::{Error, factor, retry_on_conflict};
use crate::store::keys;

/// What a caller wants of a new challenge.
#[derive(Clone, Debug)]
pub struct NewChallenge {
    /// The factor that is to answer.
    pub factor: FactorSid,
    /// When it expires; after [`Challenge::DEFAULT_LIFE`] if nothing is said.
    pub expires_at: Option<Timestamp>,
    /// What the user is asked; push factors need it.
    pub message: Option<Message>,
    /// What it is about: at most [`Details::MAX_FIELDS`].
    pub fields: Vec<Field>,
    /// What the user is not shown.
    pub hidden_details: Option<Attributes>,
    /// How long a number has to be typed to approve it; the service may demand a longer one.
    pub number_matching: Option<NumberLength>,
}

/// Creates a challenge of a verified factor. With `code`, of a TOTP factor, the code is checked in the same commit: the
/// challenge that is returned is approved, or pending with one try used up.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::FactorUnknown`], [`Refusal::FactorUnverified`], [`Refusal::FactorDisabled`],
/// [`Refusal::TooManyChallenges`], [`Refusal::TooManyPending`], [`Refusal::TooManyPushes`], [`Refusal::PushPaused`],
/// [`Refusal::FactorDelayed`], [`Refusal::CodeForPush`], [`Refusal::CodeMalformed`], [`Refusal::Parameter`],
/// [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
    new: &NewChallenge,
    code: Option<&str>,
) -> Result<(EntityScope, Challenge), Error> {
    retry_on_conflict(|| create_once(app, account, service, identity, new, code)).await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    identity: &Identity,
    new: &NewChallenge,
    code: Option<&str>,
) -> Result<(EntityScope, Challenge), Error> {
    let place = entity::locate(app, account, service, identity).await?;
    let found = factor::read(app, &place.scope, new.factor)
        .await
        .map_err(unknown_factor)?;
    let now = app.clock.now();
    let mut factor = found.record.clone();
    factor.require_verified()?;
    let mut challenge = draft(app, &place, &factor, new, now)?;
    factor.add_challenge(now)?;
    if let FactorKind::Push(push) = &mut factor.kind {
        let fates = recall_pushes(app, &place.scope, &push.guard, now).await?;
        let asked = (challenge.sid, challenge.expires_at);
        push.guard.ask(asked, &fates, &app.policy.push, now)?;
    }
    if let Some(code) = code {
        let FactorKind::Totp(totp) = &factor.kind else {
            return Err(Refusal::CodeForPush.into());
        };
        let verdict = factor::check_code(app, &place.scope, (&factor, totp), code, now)?;
        challenge.settle_code(verdict, now)?;
        factor.settle_code(verdict, now);
    }
    let key = keys::factor(&place.scope, factor.sid);
    // The factor counts each challenge, so it is written anew.
    let mut batch = place.batch().assert_read(&key, &found).put_record(key, &factor)?;
    batch = put_new(app, &place.scope, &challenge, now, batch)?;
    batch = watch_expiry(&place, &challenge, now, batch)?;
    if let FactorKind::Push(push) = &factor.kind {
        let to = (&place.service.record, &place.scope);
        batch = notify_device(app, to, &challenge, push, challenge.expires_at, batch)?;
    }
    if let Outcome::Approved(_) = challenge.outcome {
        let of = (factor.sid, factor.factor_type());
        let event = Event::new(EventType::ChallengeApproved, now, &place.scope, of);
        batch = announce(
            app,
            &place.service.record,
            &event.of_challenge(challenge.sid),
            batch,
        )?;
    }
    batch = factor::announce_lock(app, &place, (&found.record, &factor), now, batch)?;
    commit_and_ring(app, batch).await?;
    app.memory
        .waiters
        .challenge_changed(place.scope.entity, factor.sid, challenge.sid);
    factor::warn_of_failures(&found.record, &factor);
    Ok((place.scope, challenge))
}

fn unknown_factor(error: Error) -> Error {
    match error {
        Error::Refused(Refusal::NotFound) => Refusal::FactorUnknown.into(),
        error => error,
    }
}

fn draft(
    app: &App,
    place: &LocatedEntity,
    factor: &Factor,
    new: &NewChallenge,
    now: Timestamp,
) -> Result<Challenge, Refusal> {
    let is_push = matches!(factor.kind, FactorKind::Push(_));
    if is_push && new.message.is_none() {
        return Err(MESSAGE_MISSING);
    }
    if !is_push && new.number_matching.is_some() {
        return Err(NUMBER_WITHOUT_PUSH);
    }
    let settings = &place.service.record.settings.push;
    let number_length = NumberLength::stricter(settings.number_matching, new.number_matching);
    let expires_at = new.expires_at.unwrap_or(now + Challenge::DEFAULT_LIFE);
    if expires_at <= now || expires_at > now + Challenge::LONGEST_LIFE {
        return Err(EXPIRATION_OUT_OF_RANGE);
    }
    let details = (new.message.is_some() || !new.fields.is_empty()).then(|| Details {
        message: new.message.clone(),
        fields: new.fields.clone(),
        date: settings.include_date.then_some(now),
    });
    Ok(Challenge {
        sid: ChallengeSid::generate(now, app.entropy.as_ref()),
        factor: factor.sid,
        factor_type: factor.factor_type(),
        outcome: Outcome::Pending,
        details,
        hidden_details: new.hidden_details.clone(),
        metadata: None,
        date_created: now,
        date_updated: now,
        expires_at,
        attempts: 0,
        notifications: u8::from(is_push),
        number: number_length
            .filter(|_| is_push)
            .map(|length| MatchingNumber::draw(length, app.entropy.as_ref())),
        deny_reason: None,
    })
}

const MESSAGE_MISSING: Refusal = Refusal::Parameter {
    parameter: "Details.Message",
    why: "is required for push factors",
};
const NUMBER_WITHOUT_PUSH: Refusal = Refusal::Parameter {
    parameter: "Details.NumberMatching",
    why: "can only be given for push factors",
};
const EXPIRATION_OUT_OF_RANGE: Refusal = Refusal::Parameter {
    parameter: "ExpirationDate",
    why: "must lie in the future, by at most 60 minutes",
};
