//! Starts a verification and sends its code, or sends the code of the one that waits.

use std::fmt;

use zeroize::Zeroizing;

use super::silent_token::SilentToken;
use super::{Remembered, assert_service, read_verification};
use crate::app::App;
use crate::crypto::plain_code::PlainCode;
use crate::domain::channel::{Channel, ChannelChoice};
use crate::domain::destination::Destination;
use crate::domain::refusal::Refusal;
use crate::domain::service::{Service, ServiceSettings};
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::text::Attributes;
use crate::domain::time::Timestamp;
use crate::domain::verification::{
    CodePolicy, Content, Draft, SilentAuthentication, Uniqueness, Verification,
};

use crate::flows::code::{SendOrder, next_code, put_verification, send};
use crate::flows::reading::Reading;
use crate::flows::{Error, rate_limit, retry_on_conflict, service};
use crate::store::Batch;
use crate::store::records::Stored;

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
    /// The code, if the caller chooses it and the service lets it.
    pub custom_code: Option<PlainCode>,
    /// What the service's rate limits count: their names and the values.
    pub rate_limits: Attributes,
    /// Whether it is looked at for fraud.
    pub risk_check: bool,
    /// Whether the check of a silent authentication has to name what the device was given.
    pub wants_sna_client_token: bool,
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
pub struct Started {
    /// The verification.
    pub verification: Verification,
    /// The service that it belongs to.
    pub service: Service,
    /// What the URL of a silent authentication ends in: only known at this moment.
    pub sna_token: Option<Zeroizing<String>>,
}

/// The token stays out of logs.
impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started")
            .field("verification", &self.verification.sid)
            .finish_non_exhaustive()
    }
}

/// Starts a verification and sends its code. If one waits for the destination already, what the new one's rules say about
/// that: it is sent again, replaced, or in the way.
///
/// # Errors
/// [`Refusal::NotFound`] without such a service, [`Refusal::Unwritable`], [`Refusal::Parameter`],
/// [`Refusal::CustomCodeNotAllowed`],
/// [`Refusal::PaymentRequired`], [`Refusal::PaymentUnfit`], [`Refusal::VerificationExists`], [`Refusal::TooManyChecks`],
/// [`Refusal::TooManySends`], [`Refusal::TooSoon`], [`Refusal::RateLimit`], [`Refusal::NoSenderFor`], [`Error::Failed`].
pub async fn start(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: &NewVerification,
) -> Result<Started, Error> {
    retry_on_conflict(|| attempt(app, account, service, new)).await
}

async fn attempt(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    new: &NewVerification,
) -> Result<Started, Error> {
    let owner = service::read(app, account, service).await?;
    let wanted = Wanted::of(app, &owner.record, new);
    wanted.require_fitting(app, &owner.record)?;
    let now = app.clock.now();
    let remembered = Remembered::read(app, service, &new.destination).await?;
    let mut record = remembered.record();
    let last = match record.last {
        Some(sid) => read_verification(app, account, service, sid, now).await?,
        None => None,
    };
    if let Some(last) = &last {
        last.record.require_unblocked(now)?;
    }
    let waiting = last.filter(|last| last.record.is_pending(now) && !last.record.is_from_later(now));
    let batch = assert_service(&owner);
    let Beginning {
        mut verification,
        before,
        batch,
    } = begin(app, account, service, &wanted, waiting, now, batch)?;
    let channel = match &before {
        Some(before) => {
            let channel = if before.policy.plan.is_empty() {
                wanted.chosen
            } else {
                before.require_step(now)?.channel
            };
            before.require_sendable(channel, now)?;
            channel
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
        verification.silent = Some(SilentAuthentication::new(hash, new.wants_sna_client_token));
        token.reveal().clone()
    });
    let mut reading = Reading::new(app);
    let batch = rate_limit::enforce(app, &mut reading, service, new.rate_limits.pairs(), now, batch)
        .await
        .map_err(Error::into_area)?;
    let order = SendOrder {
        channel,
        new_code,
        risk_check: new.risk_check,
        service: &owner.record,
    };
    let (batch, admission) = send(app, &mut verification, order, now, batch).await?;
    record.name_last(verification.sid, verification.kept_until());
    let batch = remembered.assert_in(batch, &verification);
    let batch = remembered.put(batch, &verification, &record, now)?;
    let batch = put_verification(batch, before.as_ref(), &verification)?;
    reading.commit(batch).await?;
    admission.commit(verification.sid);
    Ok(Started {
        verification,
        service: owner.record,
        sna_token,
    })
}

/// A verification before it is sent, and what it was in the store, if it was.
struct Beginning {
    verification: Verification,
    before: Option<Verification>,
    batch: Batch,
}

/// A new verification, or the one that waits, as the new one's rules say.
fn begin(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    wanted: &Wanted<'_>,
    waiting: Option<Stored<Verification>>,
    now: Timestamp,
    mut batch: Batch,
) -> Result<Beginning, Error> {
    if let Some(waiting) = waiting {
        let sid = waiting.record.sid;
        let key = crate::store::keys::verification(service, sid);
        match wanted.policy.uniqueness {
            Uniqueness::None => {}
            Uniqueness::RejectWithExisting => return Err(Refusal::VerificationExists { sid }.into()),
            Uniqueness::Replace => {
                let mut replaced = waiting.record.clone();
                replaced.replace(now)?;
                batch = batch.assert_read(&key, &waiting);
                batch = put_verification(batch, Some(&waiting.record), &replaced)?;
            }
            Uniqueness::ReturnExisting => {
                return Ok(Beginning {
                    verification: waiting.record.clone(),
                    batch: batch.assert_read(&key, &waiting),
                    before: Some(waiting.record),
                });
            }
        }
    }
    let draft = Draft {
        sid: VerificationSid::generate(now, app.entropy.as_ref()),
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
    content: Content,
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
        let content = new.content.clone();
        Self {
            new,
            chosen,
            channel,
            content: settings.complete(content, channel, &app.policy.templates),
            policy,
        }
    }

    fn require_fitting(&self, app: &App, service: &Service) -> Result<(), Refusal> {
        let (new, channel) = (self.new, self.channel);
        // As long as the code that will be drawn.
        let any_code = "0".repeat(usize::from(self.policy.code_length.get()));
        let code = new.custom_code.as_ref().map_or(&*any_code, PlainCode::reveal);
        self.content
            .require_writable(channel, code, &app.policy.templates)
            .map_err(|why| Refusal::Unwritable { why })?;
        if !new.destination.fits(channel) {
            return Err(Refusal::Parameter {
                parameter: "To",
                why: "must be a phone number, or an e-mail address with the channel email",
            });
        }
        if new.custom_code.is_some() && !service.settings.custom_code_enabled {
            return Err(Refusal::CustomCodeNotAllowed);
        }
        if service.settings.psd2_enabled && new.content.payment.is_none() {
            return Err(Refusal::PaymentRequired);
        }
        if new.content.payment.is_some() && matches!(channel, Channel::Call | Channel::Sna) {
            return Err(Refusal::PaymentUnfit { channel });
        }
        Ok(())
    }
}
