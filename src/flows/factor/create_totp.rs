//! Enrols an authenticator app.

use zeroize::Zeroizing;

use super::enrolment::{Enrolling, Enrolment};
use crate::app::App;
use crate::crypto::otpauth::OtpauthUri;
use crate::crypto::totp::TotpSecret;
use crate::domain::access_token;
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::factor::{
    AcceptedSteps, CodeLength, Factor, FactorKind, FactorStatus, FactorType, LearnedDrift, Refusal, Skew,
    TimeStep, TotpConfig, TotpFactor,
};
use crate::domain::limits::{Failures, SlidingLog};
use crate::domain::sealing::SealedField;
use crate::domain::sid::{AccessTokenSid, AccountSid, FactorSid};
use crate::domain::text::{Attributes, FriendlyName};
use crate::domain::totp_algorithm::TotpAlgorithm;
use crate::flows::reading::{Admitted, Reading};
use crate::flows::{Error, retry_on_conflict};
use crate::store::Batch;
use crate::store::keys;

/// What a caller wants of a new TOTP factor; `None` leaves it to the service's defaults.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct NewTotpFactor {
    /// A name for people, and the account name in the URI.
    pub friendly_name: FriendlyName,
    /// The caller's own secret; one is generated otherwise.
    pub secret: Option<TotpSecret>,
    pub algorithm: Option<TotpAlgorithm>,
    /// How far clocks may differ.
    pub skew: Option<Skew>,
    /// How many digits a code has.
    pub code_length: Option<CodeLength>,
    /// How long a code lives.
    pub time_step: Option<TimeStep>,
    /// What the caller notes with it.
    pub metadata: Option<Attributes>,
}

/// A TOTP factor just enrolled, with what is shown this once.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct EnrolledTotpFactor {
    /// Where it is.
    pub scope: EntityScope,
    pub factor: Factor,
    /// The secret and all its parameters, for the authenticator app.
    pub uri: OtpauthUri,
}

impl EnrolledTotpFactor {
    /// The secret in Base32.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<String> {
        self.uri.secret.to_base32()
    }
}

/// Creates an unverified TOTP factor, and its entity if there is none. It is the account that creates it: an access token
/// permits a device to enrol itself, which has no secret to show.
///
/// # Errors
/// [`Refusal::AccessToken`] for whoever comes with an access token, [`Refusal::LegacySecret`] unless [`Policy`](crate::app::Policy) allows it,
/// [`Refusal::NotFound`] without such a service, [`Refusal::Duplicate`], [`Refusal::Entity`], and the limits of
/// [`crate::domain::entity::Entity::add_factor`]; [`Error::Failed`].
pub async fn create_totp(
    app: &App,
    account: impl Into<Admitted<AccountSid>>,
    permit: Option<AccessTokenSid>,
    name: &EntityName,
    mut new: NewTotpFactor,
) -> Result<EnrolledTotpFactor, Error<Refusal>> {
    if permit.is_some() {
        return Err(Refusal::AccessToken(access_token::Refusal::Unfit).into());
    }
    if !app.policy.legacy_totp_secrets && new.secret.as_ref().is_some_and(TotpSecret::is_legacy) {
        return Err(Refusal::LegacySecret.into());
    }
    let Admitted { who, mut prior } = account.into();
    let secret = new.secret.take();
    let order = TotpOrder {
        account: who,
        name,
        new: &new,
        replaced: None,
    };
    let secret = secret.unwrap_or_else(|| order.draw_secret(app));
    let stored = retry_on_conflict(app, || {
        create_totp_within(app, prior.reading(app), order, &secret, Batch::new())
    })
    .await?;
    Ok(stored.shown_with(secret))
}

/// An enrolment of a TOTP factor that its account asks for.
#[derive(Clone, Copy)]
pub(crate) struct TotpOrder<'n> {
    pub(crate) account: AccountSid,
    pub(crate) name: &'n EntityName,
    /// Its secret, if it has one, is not looked at.
    pub(crate) new: &'n NewTotpFactor,
    /// The factor of the entity whose place it takes.
    pub(crate) replaced: Option<FactorSid>,
}

impl TotpOrder<'_> {
    /// A new secret for it.
    pub(crate) fn draw_secret(&self, app: &App) -> TotpSecret {
        TotpSecret::generate(self.new.algorithm.unwrap_or_default(), app.entropy.as_ref())
    }
}

/// A TOTP factor just enrolled, without what is shown this once.
pub(crate) struct StoredTotpFactor {
    scope: EntityScope,
    factor: Factor,
    config: TotpConfig,
    issuer: String,
}

impl StoredTotpFactor {
    /// With its secret.
    pub(crate) fn shown_with(self, secret: TotpSecret) -> EnrolledTotpFactor {
        let uri = OtpauthUri {
            secret,
            issuer: Some(self.issuer),
            label: self.factor.friendly_name.to_string(),
            algorithm: self.config.algorithm,
            digits: self.config.code_length.get(),
            period: self.config.time_step.get().into(),
        };
        EnrolledTotpFactor {
            scope: self.scope,
            factor: self.factor,
            uri,
        }
    }
}

/// Creates an unverified TOTP factor with this secret, with what is in `batch` already, all of it or nothing.
///
/// # Errors
/// As [`create_totp`] for the account.
pub(crate) async fn create_totp_within(
    app: &App,
    reading: Reading<'_>,
    order: TotpOrder<'_>,
    secret: &TotpSecret,
    batch: Batch,
) -> Result<StoredTotpFactor, Error<Refusal>> {
    let TotpOrder { name, new, .. } = order;
    let now = app.clock.now();
    let sid = FactorSid::generate(now, app.sids.as_ref());
    let new_factor = Enrolling {
        account: order.account,
        name,
        factor: sid,
        kind: FactorType::Totp,
        permit: None,
        replaced: order.replaced,
    };
    let enrolment = Enrolment::begin(app, reading, new_factor, batch).await?;
    let settings = &enrolment.service.settings;
    let defaults = settings.totp_defaults();
    let place = keys::factor(&enrolment.scope, sid);
    let config = TotpConfig {
        algorithm: new.algorithm.unwrap_or(defaults.algorithm),
        skew: new.skew.unwrap_or(defaults.skew),
        code_length: new.code_length.unwrap_or(defaults.code_length),
        time_step: new.time_step.unwrap_or(defaults.time_step),
    };
    let totp = TotpFactor {
        secret: app.vault.seal(
            app.entropy.as_ref(),
            place.bytes(),
            SealedField::TotpSecret,
            secret.as_bytes(),
        ),
        fingerprint: app
            .vault
            .fingerprint(enrolment.scope.entity.as_bytes(), secret.as_bytes()),
        legacy_secret: secret.is_legacy(),
        config,
        accepted: AcceptedSteps::default(),
        drift: LearnedDrift::default(),
    };
    let mut factor = Factor {
        sid,
        friendly_name: new.friendly_name.clone(),
        status: FactorStatus::Unverified { attempts: 0 },
        kind: FactorKind::Totp(totp),
        metadata: new.metadata.clone(),
        date_created: now,
        date_updated: now,
        failures: Failures::default(),
        challenge_creations: SlidingLog::default(),
        last_event: None,
    };
    let issuer = settings.issuer().to_owned();
    let scope = enrolment.commit(app, &mut factor).await?;
    Ok(StoredTotpFactor {
        scope,
        factor,
        config,
        issuer,
    })
}
