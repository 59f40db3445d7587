//! Creates a challenge, and answers it at once if it comes with a code.

use super::expire::watch_expiry;
use super::notify::recall_pushes;
use super::put_new;
use crate::app::App;
use crate::domain::attached::AttachedError;
use crate::domain::challenge::{Challenge, Details, Fields, Outcome, Refusal};
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::events::{Event, EventType};
use crate::domain::factor::{Factor, FactorKind};
use crate::domain::number_matching::{MatchingNumber, NumberLength};
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ChallengeSid, FactorSid};
use crate::domain::text::{Attributes, Message};
use crate::domain::time::Timestamp;
use crate::flows::event::announce;
use crate::flows::outbox::require_room;
use crate::flows::push::notify_device;
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, audit, entity, factor, retry_on_conflict};
use crate::store::{Batch, keys};

/// What a caller wants of a new challenge.
#[derive(Clone, Debug)]
pub struct NewChallenge {
    /// The factor that is to answer.
    pub factor: FactorSid,
    /// When it expires; after [`Challenge::DEFAULT_LIFE`] if nothing is said.
    pub expires_at: Option<Timestamp>,
    /// What the user is asked; push factors need it.
    pub message: Option<Message>,
    /// What it is about.
    pub fields: Fields,
    /// What the user is not shown.
    pub hidden_details: Option<Attributes>,
    /// How long a number has to be typed to approve it; the service may demand a longer one.
    pub number_matching: Option<NumberLength>,
    /// Whether its details tell when it was created: what the dialect keeps with the service may decide that.
    pub shows_date: fn(&Service) -> Result<bool, AttachedError>,
}

/// Creates a challenge of a verified factor. With `code`, of a TOTP factor, the code is checked in the same commit: the
/// challenge that is returned is approved, or pending with one try used up.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::FactorUnknown`], [`Refusal::CodeForPush`], [`Refusal::MessageMissing`],
/// [`Refusal::NumberForCode`], [`Refusal::ExpiryOutOfRange`]; [`Refusal::Factor`] for a factor that is not verified, takes no
/// challenge or no code now, is paused, or has codes of another length; [`Error::Failed`].
pub async fn create(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    name: &EntityName,
    new: &NewChallenge,
    code: Option<&str>,
) -> Result<(EntityScope, Challenge), Error<Refusal>> {
    let Admitted { who, mut prior } = account.into();
    retry_on_conflict(app, || create_once(app, prior.reading(app), who, name, new, code)).await
}

async fn create_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    name: &EntityName,
    new: &NewChallenge,
    code: Option<&str>,
) -> Result<(EntityScope, Challenge), Error<Refusal>> {
    let located = entity::locate(&mut reading, account, name).await?;
    require_room(app, account).await?;
    let (scope, service) = (&located.scope, &located.service);
    audit::note_factor(new.factor);
    let key = keys::factor(scope, new.factor);
    let before = reading.get(&key).await?.ok_or(Refusal::FactorUnknown)?;
    let now = app.clock.now();
    let mut factor = before.clone();
    factor.require_verified().map_err(Refusal::Factor)?;
    let shows_date = (new.shows_date)(service)?;
    let mut challenge = draft(app, service, &factor, new, shows_date, now)?;
    factor.add_challenge(now).map_err(Refusal::Factor)?;
    if let FactorKind::Push(push) = &mut factor.kind {
        let fates = recall_pushes(&mut reading, scope, &push.guard, now).await?;
        push.guard
            .ask(challenge.sid, challenge.expires_at, &fates, &app.policy.push, now)
            .map_err(Refusal::Factor)?;
    }
    if let Some(code) = code {
        let FactorKind::Totp(totp) = &factor.kind else {
            return Err(Refusal::CodeForPush.into());
        };
        let verdict = factor::check_code(app, scope, &factor, totp, code, now).map_err(Error::into_area)?;
        audit::note_decided_challenge(challenge.sid);
        challenge.settle_code(verdict, now)?;
        factor.settle_code(verdict, app.policy.totp_drift, now);
    }
    let mut batch = put_new(app, scope, &challenge, now, Batch::new())?;
    batch = watch_expiry(&located, &challenge, now, batch)?;
    if let FactorKind::Push(push) = &factor.kind {
        let until = challenge.expires_at;
        batch = notify_device(app, service, scope, &challenge, push, until, batch)?;
    }
    if let Outcome::Approved(_) = challenge.outcome {
        let event = Event::new(
            EventType::ChallengeApproved,
            now,
            scope,
            factor.sid,
            factor.factor_type(),
        )
        .of_challenge(challenge.sid);
        batch = announce(app, service, &event, &mut factor, batch)?;
    }
    batch = factor::announce_locks(app, &located, &before, &mut factor, now, batch)?;
    // The factor counts each challenge, so it is written anew.
    reading.commit(factor::put(app, batch, key, &factor)?).await?;
    app.memory
        .waiters
        .challenge_changed(scope.entity, factor.sid, challenge.sid);
    factor::tell_of_code(app, scope.account, &before, &factor, now);
    Ok((located.scope, challenge))
}

fn draft(
    app: &App,
    service: &Service,
    factor: &Factor,
    new: &NewChallenge,
    shows_date: bool,
    now: Timestamp,
) -> Result<Challenge, Refusal> {
    let is_push = matches!(factor.kind, FactorKind::Push(_));
    if is_push && new.message.is_none() {
        return Err(Refusal::MessageMissing);
    }
    if !is_push && new.number_matching.is_some() {
        return Err(Refusal::NumberForCode);
    }
    let settings = &service.settings.push;
    let number_length = NumberLength::stricter(settings.number_matching, new.number_matching);
    let expires_at = new.expires_at.unwrap_or(now + Challenge::DEFAULT_LIFE);
    if expires_at <= now || expires_at > now + Challenge::LONGEST_LIFE {
        return Err(Refusal::ExpiryOutOfRange);
    }
    let details = (new.message.is_some() || !new.fields.as_slice().is_empty()).then(|| Details {
        message: new.message.clone(),
        fields: new.fields.clone(),
        date: shows_date.then_some(now),
    });
    Ok(Challenge {
        sid: ChallengeSid::generate(now, app.sids.as_ref()),
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
