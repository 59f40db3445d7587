//! Why a use case said no. Each dialect has its own words for these; none has a rule of its own.

use std::time::Duration;

use super::channel::Channel;
use super::factor::FactorType;
use super::fraud::BlockReason;
use super::message::Unrenderable;
use super::push_answer::BadProof;
use super::sid::{ServiceSid, VerificationSid};
use super::text::UniqueName;

/// What the refusals of every area have in common.
pub trait AreaRefusal: std::error::Error + Clone + Send + Sync + 'static {
    /// The thing does not exist, or not for whoever asks.
    const NOT_FOUND: Self;

    /// After which time the same may succeed; `None` if no waiting changes it.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// Why a use case said no. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The access token was spent, is over, or was issued for another entity or service.
    #[error("the access token was used before, has expired, or was issued for another entity")]
    AccessTokenUnfit,
    /// Nothing was said to the challenge.
    #[error("an answer is required: the code, or what the device signed")]
    AnswerMissing,
    /// The signature over the challenge, or what was signed, is wrong.
    #[error("the signed answer does not belong to this challenge: {why}")]
    BadChallengeProof {
        /// What is wrong with it.
        why: BadProof,
    },
    /// The signature over the factor's identifier is wrong.
    #[error("the signature is not one of this factor's key over the factor's SID")]
    BadFactorProof,
    /// The rate limit has a bucket of this length.
    #[error("the rate limit already has a bucket with this Interval; change its Max instead")]
    BucketExists,
    /// A guard against toll fraud does not let the code out.
    #[error("the code was not sent: {}", why.explanation())]
    Blocked {
        /// Why.
        why: BlockReason,
        /// When it may be asked for again; `None` if no waiting changes it.
        retry_after: Option<Duration>,
    },
    /// The challenge has been answered.
    #[error("the challenge has been answered already")]
    ChallengeAnswered,
    /// The challenge has expired.
    #[error("the challenge has expired; create a new one")]
    ChallengeExpired,
    /// A push challenge is answered by its device, not with a code when it is created.
    #[error("only challenges of TOTP factors can be answered on creation")]
    CodeForPush,
    /// It is no code of the factor's length, so it is no guess either.
    #[error("a code has as many ASCII digits as the factor says, and nothing else")]
    CodeMalformed,
    /// The code has had its time; the verification goes on.
    #[error("the code has expired; have a new one sent")]
    CodeExpired,
    /// A service uses the push provider's key.
    #[error("the credential is used by service {service}; let the service use another one first")]
    CredentialInUse {
        /// Which service; there may be more.
        service: ServiceSid,
    },
    /// The credentials are wrong, or their account is suspended.
    #[error("the credentials are wrong, revoked, or their account is suspended")]
    Credentials,
    /// The service does not let callers choose codes.
    #[error("CustomCode is not enabled for this service; set CustomCodeEnabled first")]
    CustomCodeNotAllowed,
    /// Too many wrong codes of one destination, over all its verifications: none is evaluated for a while.
    #[error("too many wrong codes were given for this destination; none is checked for the next {} seconds", retry_after.as_secs().max(1))]
    DestinationLocked {
        /// For how long.
        retry_after: Duration,
    },
    /// The entity has a factor with this key or secret.
    #[error("the entity already has a factor with this key or secret")]
    DuplicateBinding,
    /// The service has an entity with this identity.
    #[error("the service already has an entity with this identity")]
    EntityExists,
    /// The factor is verified; codes are checked by challenges.
    #[error("the factor is verified already; create a challenge to check a code")]
    FactorAlreadyVerified,
    /// Too many wrong codes: no code is evaluated for a while.
    #[error("too many wrong codes; no code is checked for the next {} seconds", retry_after.as_secs().max(1))]
    FactorDelayed {
        /// For how long.
        retry_after: Duration,
    },
    /// Too many wrong codes: the factor is disabled for good.
    #[error("the factor was disabled after 100 wrong codes in a row; delete it and enrol a new one")]
    FactorDisabled,
    /// The factor that a new challenge is for does not exist, or not under this entity.
    #[error("the requested resource was not found: FactorSid names no factor of this entity")]
    FactorUnknown,
    /// The factor is not verified yet.
    #[error("the factor is not verified; verify it first")]
    FactorUnverified,
    /// The device may not do this, or not to this.
    #[error("a device may only use its own factor and that factor's challenges")]
    Forbidden,
    /// The number is a landline's, and the service sends those no text messages.
    #[error(
        "the number is a landline's, and this service sends those no SMS (SkipSmsToLandlines); use the channel call"
    )]
    LandlineSms,
    /// Landlines are to be skipped, but numbers are not looked up.
    #[error("SkipSmsToLandlines requires LookupEnabled")]
    LookupRequired,
    /// The service has a messaging configuration for this country.
    #[error("the service already has a messaging configuration for this country; change that one instead")]
    MessagingConfigurationExists,
    /// No code was sent yet.
    #[error("no code was sent yet; have one sent first")]
    NoCodeSent,
    /// No sender is configured for the channel, or none that serves the destination's country.
    #[error("the channel {} has no sender for this destination; configure one, or choose another channel", channel.name())]
    NoSenderFor {
        /// Which channel.
        channel: Channel,
    },
    /// The verification's plan has no step left.
    #[error("no step of this verification's plan is left")]
    NoStepLeft,
    /// It was created a moment ago.
    #[error("the verification cannot be canceled for the next {} seconds", retry_after.as_secs().max(1))]
    NotCancellableYet {
        /// For how long.
        retry_after: Duration,
    },
    /// The thing does not exist, or not in this account.
    #[error("not found")]
    NotFound,
    /// The factor's device cannot be notified.
    #[error("the factor's device has no notification platform; it asks for challenges itself")]
    NotNotifiable,
    /// The number is on the safe list.
    #[error("the phone number is on the safe list already")]
    NumberAlreadySafe,
    /// A parameter does not fit the factor.
    #[error("{parameter} {why}")]
    Parameter {
        /// The parameter's name in the core's words, as in `Config.Skew`.
        parameter: &'static str,
        /// What it must be.
        why: &'static str,
    },
    /// The service's verifications carry an amount and a payee (PSD2).
    #[error("Amount and Payee are required: this service has Psd2Enabled")]
    PaymentRequired,
    /// A call does not read out an amount and a payee, and silent authentication shows nobody anything.
    #[error("the channel {} cannot be used with Amount and Payee; choose sms, whatsapp or email", channel.name())]
    PaymentUnfit {
        /// Which channel.
        channel: Channel,
    },
    /// The factor's holder reported a challenge, or typed too many wrong numbers: nobody may ask, and nothing is approved.
    #[error("push challenges of this factor are paused for the next {} seconds: its holder reported one, or typed 3 wrong \
             numbers; only denials are taken", retry_after.as_secs().max(1))]
    PushPaused {
        /// When the pause ends, unless the account ends it sooner.
        retry_after: Duration,
    },
    /// A value of one of the service's rate limits was used as often as it may be.
    #[error("the rate limit {unique_name} is reached for the value given; try again in {} seconds",
            retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0))]
    RateLimited {
        /// Which rate limit: of several, the one that holds up the longest.
        unique_name: UniqueName,
        /// When none of those that are reached now is in the way any more.
        retry_after: Duration,
    },
    /// The service has a rate limit with this name.
    #[error("the service already has a rate limit with this UniqueName")]
    RateLimitExists,
    /// The rate limit has as many buckets as it may.
    #[error("the rate limit has 10 buckets already; delete one first")]
    TooManyBuckets,
    /// The wrong codes that are evaluated are used up.
    #[error("the wrong codes of this verification are used up; a new one can be asked for in {} seconds", retry_after.as_secs().max(1))]
    TooManyChecks {
        /// When the verification is over.
        retry_after: Duration,
    },
    /// Too many entities were created within the last second.
    #[error("too many entities are being created; try again")]
    TooManyEntityCreations,
    /// All codes of this challenge are used up.
    #[error("5 codes were tried on this challenge; create a new one")]
    TooManyChallengeAttempts,
    /// Too many challenges of this factor.
    #[error("too many challenges were created for this factor")]
    TooManyChallenges {
        /// When one may be created again.
        retry_after: Duration,
    },
    /// Too many factors were created for this entity within a day.
    #[error("100 factors were created for this entity within 24 hours")]
    TooManyFactorCreations {
        /// When one may be created again.
        retry_after: Duration,
    },
    /// The entity has as many factors of this kind as it may.
    #[error("the entity has {limit} factors of this type already; delete one first")]
    TooManyFactors {
        /// Of which kind.
        kind: FactorType,
        /// How many it may have.
        limit: u32,
    },
    /// All notifications of this challenge are used up.
    #[error("3 notifications were sent for this challenge; create a new challenge")]
    TooManyNotifications {
        /// When the challenge expires and does not stand in the way of a new one any more.
        retry_after: Duration,
    },
    /// As many challenges of the factor wait for an answer as may.
    #[error("{limit} challenges of this factor wait for an answer already; let them be answered or expire")]
    TooManyPending {
        /// How many may wait.
        limit: usize,
        /// When the first of them expires.
        retry_after: Duration,
    },
    /// The factor's holder was asked as often as may be without saying yes.
    #[error("{limit} pushes were sent to this factor since its last approval; it may be asked again once one is approved, \
             or after {} seconds", retry_after.as_secs().max(1))]
    TooManyPushes {
        /// How often it may be asked.
        limit: usize,
        /// When the oldest of them counts no more.
        retry_after: Duration,
    },
    /// The service has as many rate limits as it may.
    #[error("the service has 50 rate limits already; delete one first")]
    TooManyRateLimits,
    /// More would have to be looked at than one request may.
    #[error(
        "more than {most} attempts lie between DateCreatedAfter and DateCreatedBefore; ask for shorter times"
    )]
    TooManyToCount {
        /// How many may be looked at.
        most: usize,
    },
    /// The verification was sent as often as may be.
    #[error("this verification was sent as often as it may be; a new one can be asked for in {} seconds", retry_after.as_secs().max(1))]
    TooManySends {
        /// When the verification is over.
        retry_after: Duration,
    },
    /// All codes for verifying this factor are used up.
    #[error("5 codes were tried to verify this factor; delete it and create a new one")]
    TooManyVerificationAttempts,
    /// As many wait as may, or as may for the same thing.
    #[error(
        "too many requests wait already, altogether or for the same challenge or factor; try again, or close some"
    )]
    TooManyWaiters,
    /// The service has as many webhooks as it may.
    #[error("the service has 50 webhooks already; delete one first")]
    TooManyWebhooks,
    /// There has to be a pause between two of them.
    #[error("too soon; try again in {} seconds", retry_after.as_secs().max(1))]
    TooSoon {
        /// How long it still is.
        retry_after: Duration,
    },
    /// What the caller wants to be said cannot be.
    #[error("{why}")]
    Unwritable {
        /// Why.
        why: Unrenderable,
    },
    /// The verification was approved; there is nothing left to send.
    #[error("the verification was approved already")]
    VerificationApproved,
    /// Another verification waits for the same destination.
    #[error("verification {sid} waits for the same destination")]
    VerificationExists {
        /// Which one.
        sid: VerificationSid,
    },
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;
}
