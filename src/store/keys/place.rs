//! The key map read backwards: what a key's bytes say of its entry.
//!
//! Requests never need this, they know where they look. It is for whoever walks over a whole store.

#[cfg(test)]
mod tests;

use std::fmt;

use crate::domain::country::Country;
use crate::domain::destination::{Destination, EmailAddress};
use crate::domain::fraud::budget::{Counter, CounterKind};
use crate::domain::fraud::prefix::NumberPrefix;
use crate::domain::messaging_configuration::Region;
use crate::domain::opaque::Fingerprint;
use crate::domain::outbox::Lane;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::{
    AccessTokenSid, AccountSid, ApiKeySid, AttemptSid, ChallengeSid, CredentialSid, EntitySid, EventSid,
    FactorSid, RateLimitSid, ServiceSid, VerificationSid, WebhookSid,
};
use crate::domain::text::Identity;
use crate::domain::time::Timestamp;

/// What a key says of its entry; one variant for each line of the key map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An access token of a service.
    AccessToken(ServiceSid, AccessTokenSid),
    /// An account.
    Account(AccountSid),
    /// An API key.
    ApiKey(ApiKeySid),
    /// That an account has an API key.
    ApiKeyOf(AccountSid, ApiKeySid),
    /// A try to send a code.
    Attempt(AccountSid, AttemptSid),
    /// How much of a budget was taken.
    Budget(Counter),
    /// A challenge of an entity.
    Challenge(Owner, ChallengeSid),
    /// That somebody wants to hear of a challenge's expiry.
    ChallengeTimer(Timestamp, ChallengeSid),
    /// How many entities an account creates.
    CreationRate(AccountSid),
    /// A push provider's key of an account.
    Credential(AccountSid, CredentialSid),
    /// Something that was given up.
    DeadLetter(EventSid),
    /// What a service remembers of a destination.
    Destination(ServiceSid, Destination),
    /// Where a device's factor is.
    Device(CredentialSid),
    /// An entity of a service.
    Entity(ServiceSid, Identity),
    /// That a service has an entity.
    EntityOrder(ServiceSid, EntitySid),
    /// A factor of an entity.
    Factor(Owner, FactorSid),
    /// Which messaging service sends to a country.
    MessagingConfiguration(ServiceSid, Region),
    /// Something to be sent to a receiver.
    OutboxRow(Lane, EventSid),
    /// Something to be sent, as it was written before there were lanes.
    OutboxRowWithoutLane(EventSid),
    /// That a challenge waits for a factor's answer.
    Pending(Owner, FactorSid, ChallengeSid),
    /// That nothing is sent to a prefix of an account.
    PrefixBlock(AccountSid, NumberPrefix),
    /// What a deleted service left behind.
    Purge(ServiceSid),
    /// A rate limit of a service.
    RateLimit(ServiceSid, RateLimitSid),
    /// The uses of one value of a rate limit.
    RateLimitUses(ServiceSid, RateLimitSid, Fingerprint),
    /// A number of an account's safe list.
    SafeNumber(AccountSid, PhoneNumber),
    /// A service of an account.
    Service(AccountSid, ServiceSid),
    /// The format of the store.
    StoreFormat,
    /// The key that push services know this server by.
    VapidKey,
    /// A verification of a service.
    Verification(ServiceSid, VerificationSid),
    /// That a verification's plan goes on by itself.
    VerificationTimer(Timestamp, VerificationSid),
    /// A webhook of a service.
    Webhook(ServiceSid, WebhookSid),
}

/// The entity in the keys of its children. The account is not part of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The service.
    pub service: ServiceSid,
    /// The caller's name of the entity.
    pub identity: Identity,
    /// The entity.
    pub entity: EntitySid,
}

impl Place {
    /// Reads a key; `None` if it is none of the key map's.
    #[must_use]
    pub fn parse(key: &[u8]) -> Option<Self> {
        let (kind, mut rest) = key.split_first()?;
        let rest = &mut rest;
        let place = match kind {
            b'a' => Self::Account(AccountSid::from_bytes(sid(rest)?)),
            b'b' => Self::ApiKeyOf(
                AccountSid::from_bytes(sid(rest)?),
                ApiKeySid::from_bytes(sid(rest)?),
            ),
            b'c' => Self::Budget(counter(rest)?),
            b'd' => Self::Device(CredentialSid::from_bytes(sid(rest)?)),
            b'e' => below_entity(rest)?,
            b'f' => Self::SafeNumber(AccountSid::from_bytes(sid(rest)?), phone(std::mem::take(rest))?),
            b'g' => Self::Purge(ServiceSid::from_bytes(sid(rest)?)),
            b'h' => Self::MessagingConfiguration(
                ServiceSid::from_bytes(sid(rest)?),
                region(std::mem::take(rest))?,
            ),
            b'i' => Self::RateLimit(
                ServiceSid::from_bytes(sid(rest)?),
                RateLimitSid::from_bytes(sid(rest)?),
            ),
            b'j' => Self::RateLimitUses(
                ServiceSid::from_bytes(sid(rest)?),
                RateLimitSid::from_bytes(sid(rest)?),
                Fingerprint(sid(rest)?),
            ),
            b'k' => Self::ApiKey(ApiKeySid::from_bytes(sid(rest)?)),
            b'l' => Self::Attempt(
                AccountSid::from_bytes(sid(rest)?),
                AttemptSid::from_bytes(sid(rest)?),
            ),
            b'm' => match std::mem::take(rest) {
                b"format" => Self::StoreFormat,
                b"vapid" => Self::VapidKey,
                _ => return None,
            },
            b'n' => Self::EntityOrder(
                ServiceSid::from_bytes(sid(rest)?),
                EntitySid::from_bytes(sid(rest)?),
            ),
            b'o' => Self::OutboxRowWithoutLane(EventSid::from_bytes(sid(rest)?)),
            b'p' => Self::PrefixBlock(
                AccountSid::from_bytes(sid(rest)?),
                NumberPrefix::from_digits(std::mem::take(rest))?,
            ),
            b'q' => Self::CreationRate(AccountSid::from_bytes(sid(rest)?)),
            b'r' => Self::Credential(
                AccountSid::from_bytes(sid(rest)?),
                CredentialSid::from_bytes(sid(rest)?),
            ),
            b's' => Self::Service(
                AccountSid::from_bytes(sid(rest)?),
                ServiceSid::from_bytes(sid(rest)?),
            ),
            b't' => Self::AccessToken(
                ServiceSid::from_bytes(sid(rest)?),
                AccessTokenSid::from_bytes(sid(rest)?),
            ),
            b'u' => Self::OutboxRow(Lane::from_bytes(&chunk(rest)?)?, EventSid::from_bytes(sid(rest)?)),
            b'v' => Self::Verification(
                ServiceSid::from_bytes(sid(rest)?),
                VerificationSid::from_bytes(sid(rest)?),
            ),
            b'V' => Self::VerificationTimer(due(rest)?, VerificationSid::from_bytes(sid(rest)?)),
            b'w' => Self::Webhook(
                ServiceSid::from_bytes(sid(rest)?),
                WebhookSid::from_bytes(sid(rest)?),
            ),
            b'x' => Self::DeadLetter(EventSid::from_bytes(sid(rest)?)),
            b'y' => Self::Destination(
                ServiceSid::from_bytes(sid(rest)?),
                destination(std::mem::take(rest))?,
            ),
            b'z' => Self::ChallengeTimer(due(rest)?, ChallengeSid::from_bytes(sid(rest)?)),
            _ => return None,
        };
        rest.is_empty().then_some(place)
    }

    /// The service that the entry is reclaimed with, if it belongs to one.
    #[must_use]
    pub fn service(&self) -> Option<ServiceSid> {
        match self {
            Self::AccessToken(service, _)
            | Self::Destination(service, _)
            | Self::Entity(service, _)
            | Self::EntityOrder(service, _)
            | Self::MessagingConfiguration(service, _)
            | Self::RateLimit(service, _)
            | Self::RateLimitUses(service, ..)
            | Self::Verification(service, _)
            | Self::Webhook(service, _) => Some(*service),
            Self::Challenge(owner, _) | Self::Factor(owner, _) | Self::Pending(owner, ..) => {
                Some(owner.service)
            }
            Self::Account(_)
            | Self::ApiKey(_)
            | Self::ApiKeyOf(..)
            | Self::Attempt(..)
            | Self::Budget(_)
            | Self::ChallengeTimer(..)
            | Self::CreationRate(_)
            | Self::Credential(..)
            | Self::DeadLetter(_)
            | Self::Device(_)
            | Self::OutboxRow(..)
            | Self::OutboxRowWithoutLane(_)
            | Self::PrefixBlock(..)
            | Self::Purge(_)
            | Self::SafeNumber(..)
            | Self::Service(..)
            | Self::StoreFormat
            | Self::VapidKey
            | Self::VerificationTimer(..) => None,
        }
    }

    /// What kind of entry it is, for counting them.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AccessToken(..) => "access tokens",
            Self::Account(..) => "accounts",
            Self::ApiKey(..) => "API keys",
            Self::ApiKeyOf(..) => "API keys in their accounts' lists",
            Self::Attempt(..) => "attempts",
            Self::Budget(..) => "budgets",
            Self::Challenge(..) => "challenges",
            Self::ChallengeTimer(..) => "timers of challenges",
            Self::CreationRate(..) => "creation rates",
            Self::Credential(..) => "credentials",
            Self::DeadLetter(..) => "dead letters",
            Self::Destination(..) => "destinations",
            Self::Device(..) => "devices",
            Self::Entity(..) => "entities",
            Self::EntityOrder(..) => "entities in their services' lists",
            Self::Factor(..) => "factors",
            Self::MessagingConfiguration(..) => "messaging configurations",
            Self::OutboxRow(..) => "outbox rows",
            Self::OutboxRowWithoutLane(..) => "outbox rows without a lane",
            Self::Pending(..) => "challenges in their factors' lists",
            Self::PrefixBlock(..) => "blocked prefixes",
            Self::Purge(..) => "deleted services",
            Self::RateLimit(..) => "rate limits",
            Self::RateLimitUses(..) => "uses of rate limits",
            Self::SafeNumber(..) => "safe numbers",
            Self::Service(..) => "services",
            Self::StoreFormat => "formats",
            Self::VapidKey => "VAPID keys",
            Self::Verification(..) => "verifications",
            Self::VerificationTimer(..) => "timers of verifications",
            Self::Webhook(..) => "webhooks",
        }
    }
}

/// Names the entry by its identifiers.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessToken(service, sid) => write!(f, "access token {sid} of {service}"),
            Self::Account(sid) => write!(f, "account {sid}"),
            Self::ApiKey(sid) => write!(f, "API key {sid}"),
            Self::ApiKeyOf(account, sid) => write!(f, "API key {sid} in the list of {account}"),
            Self::Attempt(account, sid) => write!(f, "attempt {sid} of {account}"),
            Self::Budget(counter) => write!(f, "budget {counter:?}"),
            Self::Challenge(owner, sid) => write!(f, "challenge {sid} of {owner}"),
            Self::ChallengeTimer(due, sid) => write!(f, "timer of challenge {sid}, due {due}"),
            Self::CreationRate(account) => write!(f, "creation rate of {account}"),
            Self::Credential(account, sid) => write!(f, "credential {sid} of {account}"),
            Self::DeadLetter(sid) => write!(f, "dead letter {sid}"),
            Self::Destination(service, destination) => write!(f, "destination {destination:?} of {service}"),
            Self::Device(credential) => write!(f, "device {credential}"),
            Self::Entity(service, identity) => write!(f, "entity {identity} of {service}"),
            Self::EntityOrder(service, sid) => write!(f, "entity {sid} in the list of {service}"),
            Self::Factor(owner, sid) => write!(f, "factor {sid} of {owner}"),
            Self::MessagingConfiguration(service, region) => {
                write!(f, "messaging configuration {region:?} of {service}")
            }
            Self::OutboxRow(lane, sid) => write!(f, "outbox row {sid} for {lane}"),
            Self::OutboxRowWithoutLane(sid) => write!(f, "outbox row {sid} without a lane"),
            Self::Pending(owner, factor, sid) => {
                write!(f, "challenge {sid} in the list of factor {factor} of {owner}")
            }
            Self::PrefixBlock(account, prefix) => write!(f, "blocked prefix {prefix} of {account}"),
            Self::Purge(service) => write!(f, "deleted service {service}"),
            Self::RateLimit(service, sid) => write!(f, "rate limit {sid} of {service}"),
            Self::RateLimitUses(service, sid, _) => write!(f, "uses of rate limit {sid} of {service}"),
            Self::SafeNumber(account, number) => write!(f, "safe number {number:?} of {account}"),
            Self::Service(account, sid) => write!(f, "service {sid} of {account}"),
            Self::StoreFormat => f.write_str("format of the store"),
            Self::VapidKey => f.write_str("VAPID key"),
            Self::Verification(service, sid) => write!(f, "verification {sid} of {service}"),
            Self::VerificationTimer(due, sid) => write!(f, "timer of verification {sid}, due {due}"),
            Self::Webhook(service, sid) => write!(f, "webhook {sid} of {service}"),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.entity, self.service)
    }
}

/// Everything below [`entities`](super::entities).
fn below_entity(rest: &mut &[u8]) -> Option<Place> {
    let service = ServiceSid::from_bytes(sid(rest)?);
    let end = rest.iter().position(|byte| *byte == 0)?;
    let identity = Identity::parse(std::str::from_utf8(&rest[..end]).ok()?).ok()?;
    *rest = &rest[end + 1..];
    if rest.is_empty() {
        return Some(Place::Entity(service, identity));
    }
    let entity = EntitySid::from_bytes(sid(rest)?);
    let owner = Owner {
        service,
        identity,
        entity,
    };
    let (kind, child) = rest.split_first()?;
    *rest = child;
    match kind {
        b'c' => Some(Place::Challenge(owner, ChallengeSid::from_bytes(sid(rest)?))),
        b'f' => Some(Place::Factor(owner, FactorSid::from_bytes(sid(rest)?))),
        b'p' => {
            let factor = FactorSid::from_bytes(sid(rest)?);
            Some(Place::Pending(
                owner,
                factor,
                ChallengeSid::from_bytes(sid(rest)?),
            ))
        }
        _ => None,
    }
}

/// Everything behind the letter of a budget's key.
fn counter(rest: &mut &[u8]) -> Option<Counter> {
    let account = AccountSid::from_bytes(sid(rest)?);
    let [kind] = chunk(rest)?;
    let kind = CounterKind::from_byte(kind)?;
    let window = u64::from_be_bytes(chunk(rest)?);
    let subject = std::mem::take(rest).to_vec();
    let fits = match kind {
        CounterKind::Country => subject.len() == 2,
        CounterKind::CountryRefused | CounterKind::KindRefused => matches!(subject.len(), 0 | 2),
        CounterKind::Device => matches!(subject.len(), 4 | 8),
        CounterKind::Number => destination(&subject).is_some(),
        CounterKind::PrefixDay | CounterKind::PrefixHour => NumberPrefix::from_digits(&subject).is_some(),
        CounterKind::Service => subject.len() == 16,
        CounterKind::Spend => subject.len() == 3 && subject.is_ascii(),
    };
    fits.then_some(Counter {
        account,
        kind,
        window,
        subject,
    })
}

/// A phone number without its plus sign.
fn phone(digits: &[u8]) -> Option<PhoneNumber> {
    PhoneNumber::try_from(format!("+{}", std::str::from_utf8(digits).ok()?)).ok()
}

/// A destination in the one spelling that keys have.
fn destination(bytes: &[u8]) -> Option<Destination> {
    let destination = match bytes.split_first()? {
        (b'e', text) => EmailAddress::parse(std::str::from_utf8(text).ok()?)
            .ok()
            .map(Destination::Email),
        (b'p', digits) => phone(digits).map(Destination::Phone),
        _ => None,
    };
    // An address in capitals is another spelling, which no key has.
    destination.filter(|destination| destination.to_key() == bytes)
}

fn region(bytes: &[u8]) -> Option<Region> {
    match bytes {
        b"*" => Some(Region::All),
        letters => {
            let country = Country::parse(std::str::from_utf8(letters).ok()?).ok()?;
            (country.as_bytes() == letters).then_some(Region::Country(country))
        }
    }
}

/// Takes the bytes of an identifier off the front.
fn sid(rest: &mut &[u8]) -> Option<[u8; 16]> {
    chunk(rest)
}

/// Takes the bytes of a moment off the front.
fn due(rest: &mut &[u8]) -> Option<Timestamp> {
    let millis = u64::from_be_bytes(chunk(rest)?);
    Some(Timestamp::from_millis(millis)).filter(|due| due.millis() == millis)
}

fn chunk<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*chunk)
}
