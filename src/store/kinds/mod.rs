//! What is stored: one table, a row for each kind of entry.
//!
//! A row says the letter that tells the kind from all others, its name in [`KeyParts`], the function that writes its key
//! with the parts behind the letter, where the kind's keys are listed, what they begin with beyond one listing, what is
//! stored there, how long it stays, and what
//! it is called. Everything else follows: the functions in [`keys`](super::keys), [`KeyParts::parse`], which record may be
//! written where and with or without an end ([`Record`], [`Stays`](super::records::Stays), [`Ends`](super::records::Ends)),
//! what the sweeper reclaims with a service, and what `countersign store check` looks at.
//!
//! **To add a kind:** a row, and its bytes in `tests.rs`. A sample of its record belongs into `tests/it/old_data`.
//!
//! # Keys
//! A key is the letter and the parts. Identifiers stand as their 16 bytes, which sort by creation time, and a `;` before
//! the last one says that the part before it is a listing. Moments stand as 8 bytes of milliseconds, a lane as one byte for
//! the kind of its receiver, 16 for the account and 16 for the receiver, texts as they are; an identity ends in NUL.
//!
//! Everything of one entity shares a prefix, so that a decision touches neighbours only: what belongs to an entity lies
//! below the entity's key, its letter behind the entity's SID. That SID is part of its children's keys, so that an entity
//! that is deleted and created anew under the same identity has none of the old one's.
//!
//! # Values
//! A record begins with the same letter, so that one under a wrong key is noticed; a mark is empty.

mod parts;
mod table;
#[cfg(test)]
mod tests;

pub use self::parts::Owner;

use self::parts::{KeyReader, ReadPart, written};
use self::table::kinds;
use super::StoreError;
use super::records::{
    self, ChallengeTimer, CreationRate, DeviceRecord, DialectServiceRecord, Filling, ImportedKey,
    LookAtSealed, Purge, Record, ServiceCount, StoreFormat, VapidKeyRecord, VerificationTimer, WriteAnew,
};
use crate::domain::access_token::AccessToken;
use crate::domain::account::{Account, ApiKey};
use crate::domain::attempt::Attempt;
use crate::domain::audit::{AuditEntry, AuditHead, AuditSeal};
use crate::domain::bearer_token::BearerToken;
use crate::domain::challenge::Challenge;
use crate::domain::client_key::ClientKey;
use crate::domain::credential::Credential;
use crate::domain::destination::Destination;
use crate::domain::destination_record::DestinationRecord;
use crate::domain::entity::{Entity, EntityScope};
use crate::domain::events::OutboxRow;
use crate::domain::factor::Factor;
use crate::domain::fraud::PrefixBlock;
use crate::domain::fraud::budget::{Counter, Taken};
use crate::domain::fraud::prefix::DestinationPrefix;
use crate::domain::key_ring::{KeyWalk, SealedKeyRing};
use crate::domain::limits::Permits;
use crate::domain::messaging_configuration::{MessagingConfiguration, Region};
use crate::domain::node::{Duty, DutyHolder, NodeId, NodeRecord};
use crate::domain::opaque::{Fingerprint, Sealed};
use crate::domain::outbox::{DeadLetter, Lane};
use crate::domain::phone::PhoneNumber;
use crate::domain::rate_limit::{RateLimit, RateLimitUses};
use crate::domain::safe_list::SafeNumber;
use crate::domain::sealing::{HoldsSealed, SealedField};
use crate::domain::service::Service;
use crate::domain::sid::{
    AccessTokenSid, AccountSid, ApiKeySid, AttemptSid, AuditSid, BearerTokenSid, ChallengeSid, CredentialSid,
    EntitySid, EventSid, FactorSid, RateLimitSid, ServiceSid, VerificationSid, WebhookSid,
};
use crate::domain::store_epoch::{StoreEpoch, Voidable};
use crate::domain::text::{DialectName, Identity, KeyName};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::domain::verification::Verification;
use crate::domain::webhook::Webhook;
use crate::domain::witness::WitnessCount;
use crate::domain::wrong_codes::WrongCodes;

kinds! {
    Nobody {
        /// The format of the store itself.
        b'm' StoreFormat store_format()
            => record StoreFormat, Stays, "formats", "format of the store";
        /// The store's own keys, which only its master key opens.
        b'M' KeyRing key_ring()
            => record SealedKeyRing, Stays, "key rings", "key ring of the store";
        /// How far entries were written anew with the keys that are there now.
        b'Q' KeyWalk key_walk()
            => record KeyWalk, Stays, "walks of the data keys", "walk of the data keys";
        /// That the store is being filled, and what with.
        b'F' Filling filling()
            => record Filling, Stays, "marks of stores that are not whole", "mark of a store that is not whole";
        /// A server that runs on the store.
        b'H' Node node(; id: NodeId) in nodes
            => record NodeRecord, Ends, "servers", "server {id}";
        /// Who does what one of all servers has to do.
        b'J' Duty duty(duty: Duty)
            => record DutyHolder, Ends, "duties of servers", "duty {duty:?} of servers";
        /// The epoch that the store is in. What was written before it, and along with it, may be void; so its key is the last
        /// one, and whoever copies a store writes it behind everything else.
        b'~' StoreEpoch store_epoch()
            => record StoreEpoch, Stays, "epochs of the store", "epoch of the store";
        /// How far the store has come, for a witness outside of it.
        b'O' WitnessCount witness_count()
            => record WitnessCount, Stays, "counts of the store's witness", "count of the store's witness";
        /// The key that push services know this server by.
        b'K' VapidKey vapid_key()
            => record VapidKeyRecord sealed, Stays, "VAPID keys", "VAPID key";
        /// An account.
        b'a' Account account(; sid: AccountSid) in accounts
            => record Account sealed, Stays, "accounts", "account {sid}";
        /// An API key.
        b'k' ApiKey api_key(sid: ApiKeySid)
            => record ApiKey, Stays, "API keys", "API key {sid}";
        /// The API key that goes by a name which it brought along.
        b'I' ImportedKey imported_key(name: &'_ KeyName)
            => record ImportedKey, Stays, "names of imported API keys", "name {name} of an API key";
        /// A bearer token.
        b'T' BearerToken bearer_token(sid: BearerTokenSid)
            => record BearerToken, Stays, "bearer tokens", "bearer token {sid}";
        /// A key that a client and this server agreed on, by a digest of its name.
        b'C' ClientKey client_key(name: &'_ Fingerprint)
            => record ClientKey sealed, Ends, "keys of clients", "key of a client {name:?}";
        /// The key of a device, and where the factor is that its credential belongs to.
        b'd' Device device(credential: CredentialSid)
            => record DeviceRecord, Stays, "devices", "device {credential}";
        /// What one receiver still has to get, in order. Pushes end by themselves, all else by the worker's hand.
        b'o' OutboxRow outbox_row(lane: Lane; sid: EventSid) in outbox under lanes()
            => record OutboxRow, MayEnd, "outbox rows", "outbox row {sid} for {lane}";
        /// What was given up.
        b'x' DeadLetter dead_letter(; sid: EventSid) in dead_letters
            => record DeadLetter, Ends, "dead letters", "dead letter {sid}";
        /// That somebody wants to hear of a challenge's expiry; those that are due first lie in front.
        b'z' ChallengeTimer challenge_timer(due: Timestamp, sid: ChallengeSid) under challenge_timers()
            => record ChallengeTimer, Stays, "timers of challenges", "timer of challenge {sid}, due {due}";
        /// That a verification's plan goes on by itself; those that are due first lie in front.
        b'V' VerificationTimer verification_timer(due: Timestamp, sid: VerificationSid)
            under verification_timers()
            => record VerificationTimer, Stays, "timers of verifications", "timer of verification {sid}, due {due}";
        /// What a deleted service leaves to be reclaimed.
        b'g' Purge purge(; service: ServiceSid) in purges
            => record Purge, Stays, "deleted services", "deleted service {service}";
    }
    Account {
        /// That an account has an API key.
        b'b' ApiKeyOf api_key_of(account: AccountSid; sid: ApiKeySid) in api_keys_of
            => mark ListedApiKey, Stays, "API keys in their accounts' lists", "API key {sid} in the list of {account}";
        /// That an account has a bearer token.
        b'E' BearerTokenOf bearer_token_of(account: AccountSid; sid: BearerTokenSid) in bearer_tokens_of
            => mark ListedBearerToken, Stays, "bearer tokens in their accounts' lists",
               "bearer token {sid} in the list of {account}";
        /// A service of an account.
        b's' Service service(account: AccountSid; sid: ServiceSid) in services under all_services()
            => record Service, Stays, "services", "service {sid} of {account}";
        /// Which service an account's requests in a protocol belong to that knows no services.
        b'D' DialectService dialect_service(account: AccountSid, dialect: &'_ DialectName)
            => record DialectServiceRecord, Stays, "services of protocols", "service of {account} for {dialect}";
        /// A push provider's key of an account.
        b'r' Credential credential(account: AccountSid; sid: CredentialSid) in credentials
            => record Credential sealed, Stays, "credentials", "credential {sid} of {account}";
        /// A try to send a code.
        b'l' Attempt attempt(account: AccountSid; sid: AttemptSid) in attempts
            => record Attempt, Ends, "attempts", "attempt {sid} of {account}";
        /// How many entities and factors an account creates.
        b'q' CreationRate creation_rate(account: AccountSid)
            => record CreationRate, Stays, "creation rates", "creation rate of {account}";
        /// How many services an account has.
        b'N' ServiceCount service_count(account: AccountSid)
            => record ServiceCount, Stays, "counts of services", "count of the services of {account}";
        /// What somebody did, or was refused.
        b'A' AuditEntry audit_entry(account: AccountSid; sid: AuditSid) in audit_entries
            => record AuditEntry, Ends, "entries of the audit log", "audit entry {sid} of {account}";
        /// What seals a stretch of those entries, by the last of them.
        b'U' AuditSeal audit_seal(account: AccountSid; last: AuditSid) in audit_seals
            => record AuditSeal, Ends, "seals of the audit log", "audit seal of {account} up to {last}";
        /// The end of the chain of those seals.
        b'R' AuditHead audit_head(account: AccountSid)
            => record AuditHead, Stays, "heads of the audit log", "head of the audit log of {account}";
        /// A number of an account's safe list.
        b'S' SafeNumber safe_number(account: AccountSid, number: &'_ PhoneNumber)
            => record SafeNumber, Stays, "safe numbers", "safe number {number:?} of {account}";
        /// What an account remembers of wrong codes for a destination.
        b'W' WrongCodes wrong_codes(account: AccountSid, destination: &'_ Destination)
            => record WrongCodes, Ends, "counts of wrong codes", "count of wrong codes for {destination:?} of {account}";
        /// How much of a budget was taken.
        b'B' Budget budget(counter: &'_ Counter)
            => record Taken, Ends, "budgets", "budget {counter:?}";
        /// That nothing is sent to a prefix.
        b'P' PrefixBlock prefix_block(account: AccountSid, prefix: &'_ DestinationPrefix)
            => record PrefixBlock, Ends, "blocked prefixes", "blocked prefix {prefix} of {account}";
    }
    Service {
        /// An entity of a service; one without factors ends.
        b'e' Entity entity(service: ServiceSid, identity: &'_ Identity)
            => record Entity, MayEnd, "entities", "entity {identity} of {service}";
        /// That a service has an entity, and its identity.
        b'n' EntityOrder entity_in_order(service: ServiceSid; sid: EntitySid) in entity_order
            => record Identity, Stays, "entities in their services' lists", "entity {sid} in the list of {service}";
        /// A user of a service.
        b'u' User user(service: ServiceSid, identity: &'_ Identity)
            => record User, Stays, "users", "user {identity} of {service}";
        /// A webhook of a service.
        b'w' Webhook webhook(service: ServiceSid; sid: WebhookSid) in webhooks
            => record Webhook, Stays, "webhooks", "webhook {sid} of {service}";
        /// An access token of a service.
        b't' AccessToken access_token(service: ServiceSid; sid: AccessTokenSid) in access_tokens
            => record AccessToken voided, Ends, "access tokens", "access token {sid} of {service}";
        /// A verification of a service; one whose rules give it no end stays.
        b'v' Verification verification(service: ServiceSid; sid: VerificationSid) in verifications
            => record Verification voided sealed, MayEnd, "verifications", "verification {sid} of {service}";
        /// What a service remembers of a destination, for as long as its last verification is.
        b'y' Destination destination(service: ServiceSid, destination: &'_ Destination)
            => record DestinationRecord, MayEnd, "destinations", "destination {destination:?} of {service}";
        /// A rate limit of a service, with its buckets.
        b'i' RateLimit rate_limit(service: ServiceSid; sid: RateLimitSid) in rate_limits
            => record RateLimit, Stays, "rate limits", "rate limit {sid} of {service}";
        /// The uses of one value of a rate limit.
        b'j' RateLimitUses rate_limit_uses(service: ServiceSid, limit: RateLimitSid, value: &'_ Fingerprint)
            under all_rate_limit_uses(service: ServiceSid)
            => record RateLimitUses, Ends, "uses of rate limits", "uses of rate limit {limit} of {service}";
        /// How many verifications were begun for a destination without a sending.
        b'L' BegunSessions begun_sessions(service: ServiceSid, destination: &'_ Fingerprint)
            => record Permits, Ends, "counts of begun verifications", "count of begun verifications of {service}";
        /// Which messaging service sends to a region.
        b'h' MessagingConfiguration messaging_configuration(service: ServiceSid, region: Region)
            under messaging_configurations(service: ServiceSid)
            => record MessagingConfiguration, Stays, "messaging configurations",
               "messaging configuration {region:?} of {service}";
    }
    Entity {
        /// A factor of an entity; one that is not verified ends.
        b'f' Factor factor(owner: &'_ EntityScope as Owner; sid: FactorSid) in factors
            => record Factor voided sealed, MayEnd, "factors", "factor {sid} of {owner}";
        /// A challenge of an entity.
        b'c' Challenge challenge(owner: &'_ EntityScope as Owner; sid: ChallengeSid) in challenges
            => record Challenge voided, Ends, "challenges", "challenge {sid} of {owner}";
        /// That a challenge waits for a factor's answer.
        b'p' Pending pending_challenge(owner: &'_ EntityScope as Owner, factor: FactorSid; sid: ChallengeSid) in pending
            => mark PendingChallenge, Ends, "challenges in their factors' lists",
               "challenge {sid} in the list of factor {factor} of {owner}";
    }
}

/// What the table says of a kind of entry.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct EntryKind {
    /// What its keys have in front, or behind their entity, and its records too.
    pub letter: u8,
    /// What its entries are called.
    pub name: &'static str,
    /// What its entries are reclaimed with.
    pub home: Home,
    /// Whether the sweeper reclaims its entries by themselves.
    pub lifetime: Lifetime,
    pub holds: Holds,
}

/// What an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// An account. Those are never deleted.
    Account,
    /// An entity, and so its service.
    Entity,
    /// Nothing that could be deleted.
    Nobody,
    /// A service, which takes its entries along.
    Service,
}

/// Whether the sweeper is meant to reclaim an entry some day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Each one at the moment that it was written with.
    Ends,
    /// That depends on what it says, so whoever writes it knows.
    MayEnd,
    /// Never: it goes when somebody deletes it, or what it belongs to.
    Stays,
}

/// What an entry holds.
#[derive(Clone, Copy, Debug)]
pub enum Holds {
    /// Nothing: the key says it all.
    Mark,
    /// A record of the kind's type.
    Record {
        /// The version of its format.
        version: u8,
        /// Reads it, to see whether it can be read.
        read: fn(&[u8]) -> Result<(), StoreError>,
        /// Where something is sealed in it.
        sealed: Option<LookAtSealed>,
        /// Writes it anew, where that changes it: something is sealed in it, or it can be void.
        write_anew: Option<WriteAnew>,
    },
}

/// Does something with every type of record, for tests that none may be missing from.
pub trait RecordVisitor {
    /// Is told of one type of record.
    fn record<T: Record>(&mut self);
}

impl KeyParts {
    /// The service that the entry is reclaimed with, if it belongs to one.
    #[must_use]
    pub fn service(&self) -> Option<ServiceSid> {
        match self.kind().home {
            Home::Entity | Home::Service => self.services().into_iter().flatten().next(),
            Home::Account | Home::Nobody => None,
        }
    }
}

/// Where everything is that is reclaimed with a service: one prefix for each kind, what lies below others left out.
pub(super) fn below_service(service: ServiceSid) -> impl Iterator<Item = Vec<u8>> {
    let kinds = KINDS.iter().filter(|kind| kind.home == Home::Service);
    kinds.map(move |kind| [&[kind.letter][..], service.as_bytes()].concat())
}
