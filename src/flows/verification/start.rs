//! Starts a verification and sends its code, or sends the code of the one that waits.

use std::{fmt, iter};

use zeroize::Zeroizing;

use super::count::count_change;
use super::silent_token::SilentToken;
use super::{Scope, put_destination};
use crate::app::App;
use crate::crypto::plain_code::PlainCode;
use crate::domain::audit::{AuditAct, AuditSubject};
use crate::domain::channel::{Channel, ChannelChoice};
use crate::domain::destination::Destination;
use crate::domain::email::EmailAddress;
use crate::domain::service::{Service, ServiceSettings};
use crate::domain::sid::{AccountSid, ServiceSid, TemplateSid, VerificationSid};
use crate::domain::text::{Attributes, Substitutions};
use crate::domain::time::Timestamp;
use crate::domain::verification::{
    CodePolicy, Content, Draft, Refusal, SilentAuthentication, Uniqueness, Verification,
};
use crate::flows::code::{Outgoing, SendOrder, keys_to_send, next_code, put_verification, send};
use crate::flows::outbox::require_room;
use crate::flows::rate_limit::{self, CountedValue};
use crate::flows::reading::{Admitted, Foreseen, Reading};
use crate::flows::{Error, audit, retry_on_conflict};
use crate::store::Batch;
use crate::store::keys::{self, Key};

/// What a caller wants of a verification.
#[derive(Clone)]
pub struct NewVerification {
    /// Where the code is to go.
    pub destination: Destination,
    /// Over which channel; one that has a plan follows it instead.
    pub channel: ChannelChoice,
    /// The rules of a new one; one that waits keeps its own.
    pub rules: Rules,
    /// What the messages say besides the code, and what the service's owner chose beside it; one that waits says it too
    /// from now on.
    pub content: Content,
    /// Templates that will do, the best one first, each with what its places hold; the first that can be sent is what the
    /// message is written by. `content` names none then.
    pub templates: Vec<(TemplateSid, Substitutions)>,
    /// The code, if the caller chooses it and the service lets it.
    pub custom_code: Option<PlainCode>,
    /// What the service's rate limits count: their names and the values.
    pub rate_limits: Attributes,
    /// Whether it is looked at for fraud.
    pub risk_check: bool,
    /// Whether the check of a silent authentication has to name what the device was given; as the operator says if `None`.
    pub wants_sna_client_token: Option<bool>,
}

/// Where the rules of a new verification come from.
#[derive(Clone)]
pub enum Rules {
    /// These are they.
    Given(CodePolicy),
    /// They follow from what the service's owner chose.
    OfService(fn(&ServiceSettings) -> CodePolicy),
}

impl From<CodePolicy> for Rules {
    fn from(policy: CodePolicy) -> Self {
        Self::Given(policy)
    }
}

/// What rate limits count may be somebody's address.
impl fmt::Debug for NewVerification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewVerification")
            .field("destination", &self.destination)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// A verification that was started or sent again.
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct StartedVerification {
    pub verification: Verification,
    pub service: Service,
    /// What the URL of a silent authentication ends in: only known at this moment.
    pub sna_token: Option<Zeroizing<String>>,
}

/// The token stays out of logs.
impl fmt::Debug for StartedVerification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartedVerification")
            .field("verification", &self.verification.sid)
            .finish_non_exhaustive()
    }
}

/// Starts a verification and sends its code. If one waits for the destination already, what the new one's rules say about
/// that: it is sent again, replaced, or in the way. One that follows a plan is never sent again.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Refusal::NoTemplateFits`], [`Refusal::TemplateUnknown`], [`Refusal::Unwritable`],
/// [`Refusal::DestinationUnfit`], [`Refusal::FromNotAllowed`], [`Refusal::CustomCodeNotAllowed`], [`Refusal::PaymentRequired`], [`Refusal::PaymentUnfit`], [`Refusal::Exists`],
/// [`Refusal::TooManyChecks`], [`Refusal::TooManySends`], [`Refusal::TooSoon`], [`Refusal::RateLimit`],
/// [`Refusal::NoSender`], [`Refusal::Blocked`], [`Refusal::LandlineSms`], [`Error::Failed`].
pub async fn start(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    service: ServiceSid,
    new: &NewVerification,
) -> Result<StartedVerification, Error<Refusal>> {
    let Admitted {
        who: account,
        mut prior,
    } = account.into();
    let scope = Scope { account, service };
    retry_on_conflict(app, || attempt(app, prior.reading(app), scope, new)).await
}

/// What is going to be read to start a verification of `destination`.
#[must_use]
pub fn foresee_start(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    destination: &Destination,
) -> Foreseen {
    Foreseen::default()
        .and(keys::service(account, service))
        .and(keys::destination(service, destination))
        .and_all(keys_to_send(app, account, service, destination))
}

/// Whether the e-mail may come from where the caller says.
fn require_allowed_from(app: &App, new: &NewVerification) -> Result<(), Refusal> {
    let from = new
        .content
        .email
        .as_ref()
        .and_then(|options| options.from.as_ref());
    let is_allowed = |from: &EmailAddress| {
        let folded = from.folded();
        app.policy
            .email_from
            .iter()
            .any(|allowed| allowed.folded() == folded)
    };
    if from.is_none_or(is_allowed) {
        Ok(())
    } else {
        Err(Refusal::FromNotAllowed)
    }
}

/// Reads four times at the most: what the destination and the service lead to, the rate limits, the last verification with
/// what is counted, and budgets of which this process holds nothing. Without values for rate limits it is three times.
async fn attempt(
    app: &App,
    mut reading: Reading<'_>,
    scope: Scope,
    new: &NewVerification,
) -> Result<StartedVerification, Error<Refusal>> {
    let Scope { account, service } = scope;
    audit::note_subject(AuditAct::Change, || AuditSubject {
        service: Some(service),
        destination: Some(new.destination.clone()),
        ..AuditSubject::default()
    });
    let foreseen = foresee_start(app, account, service, &new.destination);
    reading.prefetch(foreseen.keys()).await?;
    let owner = reading.require(&keys::service(account, service)).await?;
    require_room(app, account).await?;
    require_allowed_from(app, new)?;
    let wanted = Wanted::of(app, &owner, new);
    wanted.require_fitting(app, &owner)?;
    let now = app.clock.now();
    let remembered = reading.get(&keys::destination(service, &new.destination)).await?;
    let mut record = remembered.clone().unwrap_or_default();
    // A name that no rate limit has is refused in its turn.
    let counted = rate_limit::counted(app, &mut reading, service, new.rate_limits.pairs()).await;
    let last_key = record.last.map(|sid| keys::verification(service, sid));
    let uses = counted.iter().flatten().map(CountedValue::key);
    let keys: Vec<_> = uses.chain(last_key.as_ref().map(Key::bytes)).collect();
    reading.prefetch(keys).await?;
    let last = match &last_key {
        Some(key) => reading.glance(key).await?,
        None => None,
    };
    let last = last.filter(|last| last.account == account && last.is_kept(now));
    if let Some(last) = &last {
        last.require_unblocked(now)?;
    }
    let waiting = last.filter(|last| last.is_pending(now) && !last.is_from_later(now));
    let Beginning {
        mut verification,
        before,
        batch,
    } = begin(app, &mut reading, scope, &wanted, waiting, now).await?;
    let channel = match &before {
        Some(before) => {
            before.require_sendable(wanted.chosen, now)?;
            wanted.chosen
        }
        None => wanted.channel,
    };
    // A code agrees to one payment (PSD2, dynamic linking): to another one, or to none, another code does.
    if verification.content.payment != wanted.content.payment {
        verification.void_proofs(now);
    }
    verification.content = wanted.content;
    let new_code = next_code(app, &verification, channel, new.custom_code.as_ref(), now)?;
    let sna_token = (channel == Channel::Sna).then(|| {
        let token = SilentToken::draw(service, verification.sid, app.entropy.as_ref());
        let hash = app.vault.token_hash(verification.sid.as_bytes(), token.reveal());
        verification.silent = Some(SilentAuthentication::new(
            hash,
            new.wants_sna_client_token.unwrap_or(app.policy.sna_client_token),
        ));
        token.reveal().clone()
    });
    let counted = counted.map_err(Error::into_area)?;
    let batch = rate_limit::enforce(&mut reading, counted, now, batch)
        .await
        .map_err(Error::into_area)?;
    let order = SendOrder {
        channel,
        new_code,
        risk_check: new.risk_check,
        service: &owner,
        preferred: None,
    };
    let Outgoing { batch, permit } = send(app, &mut reading, &mut verification, order, now, batch).await?;
    record.name_last(verification.sid, verification.kept_until());
    let batch = put_destination(batch, &verification, remembered.as_ref(), &record, now)?;
    let batch = put_verification(batch, before.as_ref(), &verification)?;
    reading.commit(batch).await?;
    permit.commit(verification.sid);
    count_change(app, before.as_ref(), &verification, now);
    Ok(StartedVerification {
        verification,
        service: owner,
        sna_token,
    })
}

/// A verification before it is sent, and what it was in the store, if it was.
struct Beginning {
    verification: Verification,
    before: Option<Verification>,
    batch: Batch,
}

/// A new verification, or the one that waits, as the new one's rules say. What becomes of the one that waits rests on that.
async fn begin(
    app: &App,
    reading: &mut Reading<'_>,
    scope: Scope,
    wanted: &Wanted<'_>,
    waiting: Option<Verification>,
    now: Timestamp,
) -> Result<Beginning, Error<Refusal>> {
    let Scope { account, service } = scope;
    let mut batch = Batch::new();
    if let Some(waiting) = waiting {
        let sid = waiting.sid;
        let key = keys::verification(service, sid);
        // Limits take both destinations for one, but what is sent to the other one is nothing to the reader of this one.
        let uniqueness = match wanted.policy.uniqueness {
            Uniqueness::ReturnExisting if !waiting.destination.is_same(&wanted.new.destination) => {
                Uniqueness::Replace
            }
            uniqueness => uniqueness,
        };
        match uniqueness {
            Uniqueness::None => {}
            Uniqueness::RejectWithExisting => return Err(Refusal::Exists { sid }.into()),
            Uniqueness::Replace => {
                reading.get(&key).await?;
                let mut replaced = waiting.clone();
                replaced.replace(now)?;
                batch = put_verification(batch, Some(&waiting), &replaced)?;
            }
            // It goes on by itself, in the words of whoever began it.
            Uniqueness::ReturnExisting if !waiting.policy.plan.is_empty() => {
                return Err(Refusal::TooSoon {
                    retry_after: waiting.expires_at.since(now),
                }
                .into());
            }
            Uniqueness::ReturnExisting => {
                reading.get(&key).await?;
                return Ok(Beginning {
                    verification: waiting.clone(),
                    before: Some(waiting),
                    batch,
                });
            }
        }
    }
    let draft = Draft {
        sid: VerificationSid::generate(now, app.sids.as_ref()),
        account,
        service,
        destination: wanted.new.destination.clone(),
        policy: wanted.policy.clone(),
        content: wanted.content.clone(),
    };
    Ok(Beginning {
        verification: Verification::begin(draft, now),
        before: None,
        batch,
    })
}

/// What a caller wants, with what the service's owner chose.
struct Wanted<'a> {
    new: &'a NewVerification,
    policy: CodePolicy,
    /// What the caller chose.
    chosen: Channel,
    /// That, or the first of the plan.
    channel: Channel,
    /// Whether one of the templates that the caller offers can be sent, or none is offered.
    has_template: bool,
    content: Content,
}

/// As long as the code that will be drawn.
fn any_code(policy: &CodePolicy) -> String {
    "0".repeat(usize::from(policy.code_length.get()))
}

impl<'a> Wanted<'a> {
    fn of(app: &App, service: &Service, new: &'a NewVerification) -> Self {
        let settings = &service.settings;
        let policy = match &new.rules {
            Rules::Given(policy) => policy.clone(),
            Rules::OfService(policy) => policy(settings),
        };
        let available = app.senders.codes.channels();
        let chosen = new.channel.decide(&available, new.content.payment.is_some());
        let channel = policy.plan.first().map_or(chosen, |step| step.channel);
        let complete = |content| settings.complete(content, channel, &app.policy.templates);
        let any_code = any_code(&policy);
        let fits = |content: &Content| {
            let named = content.template.and_then(|sid| app.policy.templates.by_sid(sid));
            let code = new.custom_code.as_ref().map_or(&*any_code, PlainCode::reveal);
            named.is_some()
                && content
                    .require_writable(channel, code, &app.policy.templates)
                    .is_ok()
        };
        let candidates = new.templates.iter().map(|(template, substitutions)| {
            complete(Content {
                template: Some(*template),
                substitutions: substitutions.clone(),
                ..new.content.clone()
            })
        });
        let template_fits = { candidates }.find(fits);
        Self {
            new,
            chosen,
            channel,
            has_template: new.templates.is_empty() || template_fits.is_some(),
            content: template_fits.unwrap_or_else(|| complete(new.content.clone())),
            policy,
        }
    }

    fn require_fitting(&self, app: &App, service: &Service) -> Result<(), Refusal> {
        let (new, channel) = (self.new, self.channel);
        let templates = &app.policy.templates;
        if !self.has_template {
            return Err(Refusal::NoTemplateFits);
        }
        let named = new.content.template;
        if named.is_some_and(|named| templates.by_sid(named).is_none()) {
            return Err(Refusal::TemplateUnknown);
        }
        let any_code = any_code(&self.policy);
        let code = new.custom_code.as_ref().map_or(&*any_code, PlainCode::reveal);
        self.content
            .require_writable(channel, code, templates)
            .map_err(|why| Refusal::Unwritable { why })?;
        if !self.channels().all(|channel| new.destination.fits(channel)) {
            return Err(Refusal::DestinationUnfit);
        }
        if new.custom_code.is_some() && !service.settings.custom_code_enabled {
            return Err(Refusal::CustomCodeNotAllowed);
        }
        if service.settings.psd2_enabled && new.content.payment.is_none() {
            return Err(Refusal::PaymentRequired);
        }
        if new.content.payment.is_some()
            && let Some(channel) = self.channels().find(|channel| !self.tells_payments(*channel))
        {
            return Err(Refusal::PaymentUnfit { channel });
        }
        Ok(())
    }

    /// All that it is sent over, as far as that is known.
    fn channels(&self) -> impl Iterator<Item = Channel> {
        let later = self.policy.plan.iter().skip(1).map(|step| step.channel);
        iter::once(self.channel).chain(later)
    }

    /// Whether somebody who gets a code over `channel` learns of the payment that it agrees to.
    fn tells_payments(&self, channel: Channel) -> bool {
        match channel {
            Channel::Call => self.policy.calls_tell_payments,
            Channel::Sna => false,
            Channel::Email | Channel::Rcs | Channel::Sms | Channel::Whatsapp => true,
        }
    }
}
