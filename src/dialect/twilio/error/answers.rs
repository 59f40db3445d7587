//! Every refusal's answer: its status, number, wait and sentence, word for word. Clients match on all four.

use std::time::Duration;

use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;

use super::*;
use crate::dialect::twilio::approval::ApprovalFault;
use crate::domain::channel::Channel;
use crate::domain::credential::CredentialKind;
use crate::domain::factor::FactorType;
use crate::domain::fraud::{BlockReason, Blocked};
use crate::domain::message::Unrenderable;
use crate::domain::push_answer::BadProof;
use crate::domain::sid::{ServiceSid, VerificationSid};
use crate::domain::text::UniqueName;
use crate::domain::verification::Refusal;
use crate::domain::{
    access, access_token, account, attempt, challenge, credential, entity, factor, messaging_configuration,
    rate_limit, safe_list, service, webhook,
};

const WAIT: Duration = Duration::from_millis(41_500);
const MOMENT: Duration = Duration::from_millis(1);

fn answer<R: ToApiError>(refusal: R) -> String {
    let error = ApiError::from_flow(flows::Error::Refused(refusal), "/v2/Things/1");
    let (status, code) = (error.status.as_u16(), error.code);
    let message = error.message.clone();
    let wait = told_to_wait(error).map_or("-".to_owned(), |wait| wait.to_string());
    format!("{status} {code} {wait} {message}")
}

/// The wait that a header and the body tell, the same in both; no header tells it that HTTP clients obey unasked.
fn told_to_wait(error: ApiError) -> Option<u64> {
    let response = said(error.into_response(), "");
    assert!(!response.headers().contains_key(RETRY_AFTER));
    let header = response.headers().get(OWN_RETRY_AFTER);
    let header = header.map(|wait| wait.to_str().unwrap().parse().unwrap());
    let body = response.into_body().collect().now_or_never().unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap();
    assert_eq!(body["details"]["retry_after"].as_u64(), header);
    assert_eq!(body.get("details").is_some(), header.is_some());
    header
}

/// A row for each refusal: what the client reads of it.
macro_rules! answers {
    ($($refusal:expr => $answer:literal,)*) => { $(assert_eq!(answer($refusal), $answer);)* };
}

#[test]
fn of_who_is_let_in() {
    answers! {
        access::Refusal::Credentials =>
            "401 20003 - The credentials are wrong, revoked, or their account is suspended",
        access::Refusal::Suspended =>
            "401 20003 - The credentials are wrong, revoked, or their account is suspended",
        access::Refusal::Forbidden =>
            "403 20403 - A device may only use its own factor and that factor's challenges",
        access_token::Refusal::Unfit =>
            "403 60313 - The access token was used before, has expired, or was issued for another entity",
    }
}

#[test]
fn of_entities_and_factors() {
    answers! {
        entity::Refusal::Exists =>
            "409 60301 - The service already has an entity with this identity",
        entity::Refusal::TooManyCreations =>
            "429 60328 1 Too many entities are being created; try again",
        factor::Refusal::BadProof =>
            "403 60311 - The signature is not one of this factor's key over the factor's SID",
        factor::Refusal::CodeMalformed =>
            "400 60306 - Invalid parameter: AuthPayload must be a code: as many ASCII digits as the factor's CodeLength says, and nothing else",
        factor::Refusal::Duplicate =>
            "409 60317 - The entity already has a factor with this key or secret",
        factor::Refusal::LegacySecret =>
            "400 60314 - Invalid parameter: Binding.Secret must have at least 16 bytes: the operator of this server does not allow the shorter secrets of older systems",
        factor::Refusal::AlreadyVerified =>
            "403 60383 - The factor is verified already; create a challenge to check a code",
        factor::Refusal::Delayed { retry_after: WAIT } =>
            "429 20429 42 Too many wrong codes; no code is checked for the next 42 seconds",
        factor::Refusal::Delayed { retry_after: MOMENT } =>
            "429 20429 1 Too many wrong codes; no code is checked for the next 1 seconds",
        factor::Refusal::Disabled =>
            "403 60383 - The factor was disabled after 100 wrong codes in a row; delete it and enrol a new one",
        factor::Refusal::Unverified =>
            "403 60318 - The factor is not verified; verify it first",
        factor::Refusal::Paused { retry_after: WAIT } =>
            "429 20429 42 Push challenges of this factor are paused for the next 42 seconds: its holder reported one, or typed 3 wrong numbers; only denials are taken",
        factor::Refusal::TooManyChallenges { retry_after: WAIT } =>
            "429 60312 42 Too many challenges were created for this factor",
        factor::Refusal::TooManyCreations { retry_after: WAIT } =>
            "429 60326 42 100 factors were created for this entity within 24 hours",
        factor::Refusal::TooManyOfType { kind: FactorType::Totp, limit: 100 } =>
            "400 60315 - The entity has 100 factors of this type already; delete one first",
        factor::Refusal::TooManyPending { limit: 5, retry_after: WAIT } =>
            "429 20429 42 5 challenges of this factor wait for an answer already; let them be answered or expire",
        factor::Refusal::TooManyPushes { limit: 10, retry_after: WAIT } =>
            "429 20429 42 10 pushes were sent to this factor since its last approval; it may be asked again once one is approved, or after 42 seconds",
        factor::Refusal::TooManyAttempts =>
            "429 60310 - 5 codes were tried to verify this factor; delete it and create a new one",
        factor::Refusal::NotFound =>
            "404 20404 - The requested resource /v2/Things/1 was not found",
        factor::Refusal::TokenMissing =>
            "400 60306 - Invalid parameter: Config.NotificationToken is required when Config.NotificationPlatform is apn, fcm or webpush",
        factor::Refusal::TokenIsSubscription =>
            "400 60306 - Invalid parameter: Config.NotificationToken must be the platform's token: only webpush takes a push subscription",
        factor::Refusal::TokenNoSubscription =>
            "400 60306 - Invalid parameter: Config.NotificationToken must be the JSON of a push subscription when the platform is webpush",
        factor::Refusal::Entity(entity::Refusal::TooManyCreations) =>
            "429 60328 1 Too many entities are being created; try again",
    }
}

#[test]
fn of_challenges() {
    answers! {
        challenge::Refusal::AnswerMissing =>
            "400 60306 - Invalid parameter: AuthPayload is required: the code, or what the device signed",
    }
    for (why, sentence) in [
        (
            ApprovalFault::ClaimNoText.into(),
            r#""number" and "reason" must be texts"#,
        ),
        (
            BadProof::FieldAltered,
            "a field that has to be signed is missing or is not the challenge's",
        ),
        (
            ApprovalFault::FieldsDiffer.into(),
            "it signs other fields than those that have to be signed",
        ),
        (
            BadProof::NumberMalformed,
            r#""number" must be a text of exactly as many digits as number_matching.digits says"#,
        ),
        (
            BadProof::NumberMissing,
            r#"this challenge asks for the number that the login page shows: ask the user for it and sign it as "number""#,
        ),
        (BadProof::NumberOfDenial, r#"a denial has no "number""#),
        (
            BadProof::NumberUnasked,
            r#"it signs other fields than those that have to be signed: this challenge asks for no "number""#,
        ),
        (BadProof::ReasonOfApproval, r#"an approval has no "reason""#),
        (
            BadProof::ReasonUnknown,
            r#"the "reason" of a denial can only be "not_me""#,
        ),
        (
            ApprovalFault::Unreadable.into(),
            "AuthPayload is no ES256 JWT as a device makes it",
        ),
        (
            BadProof::Unsigned,
            "the signature is not the device's, or the status is neither approved nor denied",
        ),
    ] {
        assert_eq!(
            answer(challenge::Refusal::BadProof { why }),
            format!("403 60324 - The signed answer does not belong to this challenge: {sentence}")
        );
    }
    answers! {
        challenge::Refusal::BadProof { why: ApprovalFault::TooLong.into() } =>
            "400 60306 - Invalid parameter: AuthPayload must be at most 5456 characters long, or as long as what this challenge has to be signed needs",
        challenge::Refusal::Answered =>
            "403 60322 - The challenge has been answered already",
        challenge::Refusal::Expired =>
            "403 60323 - The challenge has expired; create a new one",
        challenge::Refusal::CodeForPush =>
            "400 60306 - Invalid parameter: AuthPayload can only be given on creation for TOTP factors; a push challenge is answered by its device",
        challenge::Refusal::FactorUnknown =>
            "404 20404 - The requested resource was not found: FactorSid names no factor of this entity",
        challenge::Refusal::NotNotifiable =>
            "400 60307 - The factor's device has no notification platform; it asks for challenges itself",
        challenge::Refusal::TooManyAttempts =>
            "429 60308 - 5 codes were tried on this challenge; create a new one",
        challenge::Refusal::TooManyNotifications { retry_after: WAIT } =>
            "429 60309 42 3 notifications were sent for this challenge; create a new challenge",
        challenge::Refusal::TooManyWaiters =>
            "429 20429 5 Too many requests wait already, altogether or for the same challenge or factor; try again, or close some",
        challenge::Refusal::ExpiryOutOfRange =>
            "400 60306 - Invalid parameter: ExpirationDate must lie in the future, by at most 60 minutes",
        challenge::Refusal::MessageMissing =>
            "400 60306 - Invalid parameter: Details.Message is required for push factors",
        challenge::Refusal::NumberForCode =>
            "400 60306 - Invalid parameter: Details.NumberMatching can only be given for push factors",
        challenge::Refusal::NotFound =>
            "404 20404 - The requested resource /v2/Things/1 was not found",
        challenge::Refusal::Factor(factor::Refusal::Delayed { retry_after: WAIT }) =>
            "429 20429 42 Too many wrong codes; no code is checked for the next 42 seconds",
        challenge::Refusal::Access(access::Refusal::Credentials) =>
            "401 20003 - The credentials are wrong, revoked, or their account is suspended",
    }
}

#[test]
fn of_services_and_credentials() {
    answers! {
        account::Refusal::NotFound =>
            "404 20404 - The requested resource /v2/Things/1 was not found",
        service::Refusal::LookupRequired =>
            "400 60200 - SkipSmsToLandlines requires LookupEnabled",
        service::Refusal::NoSuchCredential { provider: CredentialKind::Apn } =>
            "400 60200 - Invalid parameter: Push.ApnCredentialSid must be the SID of one of the account's credentials of type apn; create one with POST /v1/Credentials",
        service::Refusal::NoSuchCredential { provider: CredentialKind::Fcm } =>
            "400 60200 - Invalid parameter: Push.FcmCredentialSid must be the SID of one of the account's credentials of type fcm; create one with POST /v1/Credentials",
        service::Refusal::NotFound =>
            "404 20404 - The requested resource /v2/Things/1 was not found",
        credential::Refusal::InUse { service: ServiceSid::from_bytes([7; 16]) } =>
            "409 20409 - The credential is used by service VA07070707070707070707070707070707; let the service use another one first",
        credential::Refusal::UnknownTokenUri =>
            "400 60300 - Invalid parameter: Secret must have no other token_uri than https://oauth2.googleapis.com/token, where tokens are asked for unless the operator says otherwise (fcm_token_url)",
        attempt::Refusal::TooManyToCount { most: 500_000 } =>
            "400 60306 - More than 500000 attempts lie between DateCreatedAfter and DateCreatedBefore; ask for shorter times",
    }
}

#[test]
fn of_lists_and_limits() {
    answers! {
        messaging_configuration::Refusal::Exists =>
            "400 60213 - The service already has a messaging configuration for this country; change that one instead",
        rate_limit::Refusal::BucketExists =>
            "400 60211 - The rate limit already has a bucket with this Interval; change its Max instead",
        rate_limit::Refusal::Reached { unique_name: UniqueName::parse("ip").unwrap(), retry_after: WAIT } =>
            "429 20429 42 The rate limit ip is reached for the value given; try again in 42 seconds",
        rate_limit::Refusal::Exists =>
            "400 60208 - The service already has a rate limit with this UniqueName",
        rate_limit::Refusal::TooManyBuckets =>
            "400 60210 - The rate limit has 10 buckets already; delete one first",
        rate_limit::Refusal::TooMany =>
            "400 60207 - The service has 50 rate limits already; delete one first",
        rate_limit::Refusal::Unknown =>
            "400 60200 - Invalid parameter: RateLimits must name only rate limits of the service, each by its UniqueName",
        safe_list::Refusal::Listed =>
            "409 60411 - The phone number is on the safe list already",
        webhook::Refusal::TooMany =>
            "400 60306 - The service has 50 webhooks already; delete one first",
    }
}

#[test]
fn of_verifications() {
    answers! {
        Refusal::Blocked(Blocked { why: BlockReason::Country, retry_after: None }) =>
            "403 60605 - The code was not sent: codes are not sent to this country (settings codes.countries and codes.blocked_countries)",
        Refusal::Blocked(Blocked { why: BlockReason::CountryBudget, retry_after: Some(WAIT) }) =>
            "403 60410 42 The code was not sent: as many codes as may be in a day were sent to this country",
        Refusal::Blocked(Blocked { why: BlockReason::NumberKind, retry_after: None }) =>
            "403 60605 - The code was not sent: the number is a premium-rate or shared-cost one, or of no country (setting codes.premium_numbers)",
        Refusal::Blocked(Blocked { why: BlockReason::NumberUnknown, retry_after: None }) =>
            "403 60605 - The code was not sent: the number is of a range that is not known to be given out (setting codes.unknown_numbers)",
        Refusal::CodeExpired =>
            "404 20404 - The requested resource /v2/Things/1 was not found",
        Refusal::CustomCodeNotAllowed =>
            "403 60204 - CustomCode is not enabled for this service; set CustomCodeEnabled first",
        Refusal::DestinationLocked { retry_after: WAIT } =>
            "429 60202 42 Too many wrong codes were given for this destination; none is checked for the next 42 seconds",
        Refusal::LandlineSms =>
            "403 60205 - The number is a landline's, and this service sends those no SMS (SkipSmsToLandlines); use the channel call",
        Refusal::NoCodeSent =>
            "404 20404 - The requested resource /v2/Things/1 was not found",
        Refusal::NoSender { channel: Channel::Sms } =>
            "400 60223 - The channel sms has no sender for this destination; configure one, or choose another channel",
        Refusal::NoStepLeft =>
            "409 20409 - No step of this verification's plan is left",
        Refusal::NotCancellableYet { retry_after: WAIT } =>
            "429 20429 42 The verification cannot be canceled for the next 42 seconds",
        Refusal::NotFound =>
            "404 20404 - The requested resource /v2/Things/1 was not found",
        Refusal::CodeMalformed =>
            "400 60200 - Invalid parameter: Code must be a code: 4 to 10 digits (or letters, where codes have some), and nothing else",
        Refusal::CodeMissing =>
            "400 60200 - Invalid parameter: Code is required",
        Refusal::DestinationUnfit =>
            "400 60200 - Invalid parameter: To must be a phone number, or an e-mail address with the channel email",
        Refusal::RateLimit(rate_limit::Refusal::Unknown) =>
            "400 60200 - Invalid parameter: RateLimits must name only rate limits of the service, each by its UniqueName",
        Refusal::NoTemplateFits =>
            "400 60252 - None of the Templates can be sent: each is unknown, is not for this Channel, lacks substitutions or is too long",
        Refusal::TemplateUnknown =>
            "400 60228 - TemplateSid names no template; GET /v2/Templates lists those that there are",
        Refusal::Unwritable { why: Unrenderable::TemplateUnfit } =>
            "400 60227 - TemplateSid names a template that is not for this Channel; GET /v2/Templates says which are",
        Refusal::PaymentRequired =>
            "400 60206 - Amount and Payee are required: this service has Psd2Enabled",
        Refusal::PaymentUnfit { channel: Channel::Sna } =>
            "400 60329 - The channel sna cannot be used with Amount and Payee; choose sms, whatsapp or email",
        Refusal::PaymentUnfit { channel: Channel::Call } =>
            "400 60214 - The channel call cannot be used with Amount and Payee; choose sms, whatsapp or email",
    }
    for (why, expected) in [
        (
            Unrenderable::CodeMissing,
            "60200 - Invalid parameter: CustomMessage must contain {{code}} or the CustomCode itself",
        ),
        (
            Unrenderable::SubstitutionsMissing(vec!["order".to_owned(), "shop".to_owned()]),
            "60224 - TemplateCustomSubstitutions must also give: order, shop",
        ),
        (
            Unrenderable::SubstitutionUnfit,
            "60200 - Invalid parameter: TemplateCustomSubstitutions must have values of at most 64 characters, without control characters and marks of direction",
        ),
        (
            Unrenderable::TemplateUnfit,
            "60227 - TemplateSid names a template that is not for this Channel; GET /v2/Templates says which are",
        ),
        (
            Unrenderable::TooLong { segments: 7 },
            "60247 - The message would take 7 text messages; it may take at most 6",
        ),
    ] {
        assert_eq!(answer(Refusal::Unwritable { why }), format!("400 {expected}"));
    }
    answers! {
        Refusal::TooManyChecks { retry_after: WAIT } =>
            "429 60202 42 The wrong codes of this verification are used up; a new one can be asked for in 42 seconds",
        Refusal::TooManySends { retry_after: WAIT } =>
            "429 60203 42 This verification was sent as often as it may be; a new one can be asked for in 42 seconds",
        Refusal::TooSoon { retry_after: WAIT } =>
            "429 20429 42 Too soon; try again in 42 seconds",
        Refusal::Approved =>
            "409 20409 - The verification was approved already",
        Refusal::Exists { sid: VerificationSid::from_bytes([8; 16]) } =>
            "409 20409 - Verification VE08080808080808080808080808080808 waits for the same destination",
    }
}

#[test]
fn a_reached_rate_limit_is_named_in_a_header() {
    let refusal = rate_limit::Refusal::Reached {
        unique_name: UniqueName::parse("end_user.ip-4").unwrap(),
        retry_after: Duration::from_millis(59_001),
    };
    let error = ApiError::from_flow(flows::Error::Refused(refusal), "/v2/Services");
    assert_eq!((error.status.as_u16(), error.code), (429, 20429));
    assert!(error.message.contains("end_user.ip-4") && error.message.contains("60 seconds"));
    let response = said(error.clone().into_response(), "");
    assert_eq!(response.headers()["Twilio-Reached-Rate-Limit"], "end_user.ip-4");
    assert_eq!(told_to_wait(error), Some(60));
}

#[test]
fn clients_are_put_to_sleep_for_five_seconds_at_the_most_and_only_where_they_expect_it() {
    let sleep = |error: ApiError| {
        let response = said(error.into_response(), "");
        let wait = response.headers().get(RETRY_AFTER)?.to_str().unwrap();
        Some(wait.parse::<u64>().unwrap())
    };
    let too_many = |wait| ApiError::too_many_at_once().retry_after(wait);
    for (millis, expected) in [
        (0, Some(1)),
        (5_000, Some(5)),
        (5_001, None),
        (600_000, None),
        (u64::MAX, None),
    ] {
        let wait = Duration::from_millis(millis);
        assert_eq!(sleep(too_many(wait).may_put_to_sleep()), expected, "{millis}");
        assert_eq!(sleep(too_many(wait)), None, "{millis}");
    }
    let unavailable = ApiError::from_fault(&Fault::Unavailable("down".to_owned()));
    assert_eq!(
        sleep(unavailable.may_put_to_sleep()),
        None,
        "the API declares it for 429"
    );
}

#[test]
fn the_log_is_told_why_we_failed_and_the_client_is_not() {
    let error = ApiError::from_fault(&Fault::Unavailable("the disk is full".to_owned()));
    let response = said(error.into_response(), "https://2fa.example.com");
    let Cause(cause) = response.extensions().get().unwrap();
    assert!(cause.contains("the disk is full"), "{cause}");
    let body = response.into_body().collect().now_or_never().unwrap().unwrap();
    let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    assert!(!body.contains("disk"), "{body}");
    assert!(
        body.contains("https://2fa.example.com/docs/errors/20503"),
        "{body}"
    );
}
