//! The parts of keys: how each is written, and how it is read again.

use std::fmt;

use super::Record;
use crate::domain::country::Country;
use crate::domain::destination::{Destination, EmailAddress};
use crate::domain::entity::{Entity, EntityScope};
use crate::domain::fraud::budget::{Counter, CounterKind};
use crate::domain::fraud::prefix::DestinationPrefix;
use crate::domain::messaging_configuration::Region;
use crate::domain::node::{Duty, NodeId};
use crate::domain::opaque::Fingerprint;
use crate::domain::outbox::Lane;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::{
    AccessTokenSid, AccountSid, ApiKeySid, AttemptSid, AuditSid, BearerTokenSid, ChallengeSid, CredentialSid,
    EntitySid, EventSid, FactorSid, RateLimitSid, ServiceSid, VerificationSid, WebhookSid,
};
use crate::domain::text::{DialectName, Identity, KeyName};
use crate::domain::time::Timestamp;

/// Something that keys are made of.
pub(super) trait WritePart {
    /// How many bytes it has in a key.
    fn length(&self) -> usize;

    /// Writes it behind what is there.
    fn write(&self, key: &mut Vec<u8>);
}

/// The key of a kind with these parts.
pub(super) fn written(letter: u8, parts: &[&dyn WritePart]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.length()).sum();
    let mut key = Vec::with_capacity(1 + length);
    key.push(letter);
    for part in parts {
        part.write(&mut key);
    }
    key
}

/// Something that keys consist of.
pub(super) trait ReadPart: Sized {
    /// Takes it off the front of what is left; `None` if that begins with no such part.
    fn read(reader: &mut KeyReader<'_>) -> Option<Self>;

    /// The service that it means or belongs to, if a key tells.
    fn service(&self) -> Option<ServiceSid> {
        None
    }
}

/// A key that is being read.
pub(super) struct KeyReader<'k> {
    letter: u8,
    /// The entity that the key lies below, until somebody takes it.
    owner: Option<Owner>,
    rest: &'k [u8],
}

/// The entity in the keys of its children. The account is not part of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Which service's keys it lies among.
    pub service: ServiceSid,
    /// The caller's name of the entity.
    pub identity: Identity,
    /// Which of those that had the identity one after the other.
    pub entity: EntitySid,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.entity, self.service)
    }
}

impl<'k> KeyReader<'k> {
    /// Begins to read a key.
    pub(super) fn new(key: &'k [u8]) -> Option<Self> {
        let (letter, rest) = key.split_first()?;
        let mut reader = Self {
            letter: *letter,
            owner: None,
            rest,
        };
        if *letter != Entity::KIND {
            return Some(reader);
        }
        let (service, identity) = (ServiceSid::read(&mut reader)?, Identity::read(&mut reader)?);
        if reader.rest.is_empty() {
            // The entity itself.
            return Some(Self { rest, ..reader });
        }
        let entity = EntitySid::read(&mut reader)?;
        let [letter] = reader.chunk()?;
        let owner = Owner {
            service,
            identity,
            entity,
        };
        Some(Self {
            letter,
            owner: Some(owner),
            rest: reader.rest,
        })
    }

    /// The letter of the key's kind.
    pub(super) fn letter(&self) -> u8 {
        self.letter
    }

    /// Whether every part was taken.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty() && self.owner.is_none()
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*chunk)
    }

    /// Everything that is left.
    fn remainder(&mut self) -> &'k [u8] {
        std::mem::take(&mut self.rest)
    }
}

impl<T: WritePart> WritePart for &T {
    fn length(&self) -> usize {
        (*self).length()
    }

    fn write(&self, key: &mut Vec<u8>) {
        (*self).write(key);
    }
}

macro_rules! sids {
    ($($sid:ident $(means $service:ident)?),+) => {$(
        impl WritePart for $sid {
            fn length(&self) -> usize {
                16
            }

            fn write(&self, key: &mut Vec<u8>) {
                key.extend_from_slice(self.as_bytes());
            }
        }

        impl ReadPart for $sid {
            fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
                reader.chunk().map(Self::from_bytes)
            }

            $(fn $service(&self) -> Option<ServiceSid> {
                Some(*self)
            })?
        }
    )+};
}

sids! {
    AccessTokenSid, AccountSid, ApiKeySid, AttemptSid, AuditSid, BearerTokenSid, ChallengeSid, CredentialSid, EntitySid, EventSid, FactorSid,
    RateLimitSid, ServiceSid means service, VerificationSid, WebhookSid
}

/// What belongs to an entity lies below it: the letter that was written comes behind the entity.
impl WritePart for EntityScope {
    fn length(&self) -> usize {
        1 + self.service.length() + self.identity.length() + self.entity.length()
    }

    fn write(&self, key: &mut Vec<u8>) {
        below_entity(key, self.service, &self.identity, self.entity);
    }
}

impl WritePart for Owner {
    fn length(&self) -> usize {
        1 + self.service.length() + self.identity.length() + self.entity.length()
    }

    fn write(&self, key: &mut Vec<u8>) {
        below_entity(key, self.service, &self.identity, self.entity);
    }
}

impl ReadPart for Owner {
    fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
        reader.owner.take()
    }

    fn service(&self) -> Option<ServiceSid> {
        Some(self.service)
    }
}

/// Ends in NUL, which no identity has, so that none is the beginning of another.
macro_rules! texts {
    ($($text:ident),+) => {$(
        impl WritePart for $text {
            fn length(&self) -> usize {
                self.as_str().len() + 1
            }

            fn write(&self, key: &mut Vec<u8>) {
                key.extend_from_slice(self.as_str().as_bytes());
                key.push(0);
            }
        }

        impl ReadPart for $text {
            fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
                let end = reader.rest.iter().position(|byte| *byte == 0)?;
                let (text, rest) = reader.rest.split_at(end);
                reader.rest = rest.get(1..)?;
                Self::parse(std::str::from_utf8(text).ok()?).ok()
            }
        }
    )+};
}

texts! { DialectName, Identity, KeyName }

/// 8 bytes, so that the order of keys is the order of time.
impl WritePart for Timestamp {
    fn length(&self) -> usize {
        8
    }

    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(&self.millis().to_be_bytes());
    }
}

impl ReadPart for Timestamp {
    fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
        let millis = u64::from_be_bytes(reader.chunk()?);
        Some(Self::from_millis(millis)).filter(|moment| moment.millis() == millis)
    }
}

impl WritePart for Lane {
    fn length(&self) -> usize {
        33
    }

    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(&self.to_bytes());
    }
}

impl ReadPart for Lane {
    fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
        Self::from_bytes(&reader.chunk()?)
    }
}

impl WritePart for Fingerprint {
    fn length(&self) -> usize {
        16
    }

    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(self.as_bytes());
    }
}

impl ReadPart for Fingerprint {
    fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
        reader.chunk().map(Self)
    }
}

impl WritePart for NodeId {
    fn length(&self) -> usize {
        16
    }

    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(self.as_bytes());
    }
}

impl ReadPart for NodeId {
    fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
        reader.chunk().map(Self::from_bytes)
    }
}

impl WritePart for Duty {
    fn length(&self) -> usize {
        1
    }

    fn write(&self, key: &mut Vec<u8>) {
        key.push(self.to_byte());
    }
}

impl ReadPart for Duty {
    fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
        let [byte] = reader.chunk()?;
        Self::from_byte(byte)
    }
}

/// The digits without the plus sign, up to the end of the key.
impl WritePart for PhoneNumber {
    fn length(&self) -> usize {
        self.digits().len()
    }

    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(self.digits().as_bytes());
    }
}

impl ReadPart for PhoneNumber {
    fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
        phone(reader.remainder())
    }
}

impl WritePart for DestinationPrefix {
    fn length(&self) -> usize {
        self.as_str().len()
    }

    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(self.as_str().as_bytes());
    }
}

impl ReadPart for DestinationPrefix {
    fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
        Self::from_key(reader.remainder())
    }
}

impl WritePart for Destination {
    fn length(&self) -> usize {
        // What is written may be spelled in another way than what was given.
        64
    }

    fn write(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(&self.to_key());
    }
}

impl ReadPart for Destination {
    fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
        destination(reader.remainder())
    }
}

impl WritePart for Region {
    fn length(&self) -> usize {
        2
    }

    fn write(&self, key: &mut Vec<u8>) {
        match self {
            Self::All => key.push(b'*'),
            Self::Country(country) => key.extend_from_slice(country.as_bytes()),
        }
    }
}

impl ReadPart for Region {
    fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
        match reader.remainder() {
            b"*" => Some(Self::All),
            letters => {
                let country = Country::stored(std::str::from_utf8(letters).ok()?)?;
                (country.as_bytes() == letters).then_some(Self::Country(country))
            }
        }
    }
}

/// The account, a byte for what is counted, 8 bytes for the window, and what it is counted for.
impl WritePart for Counter {
    fn length(&self) -> usize {
        self.account.length() + 1 + 8 + self.subject.len()
    }

    fn write(&self, key: &mut Vec<u8>) {
        self.account.write(key);
        key.push(self.kind.to_byte());
        key.extend_from_slice(&self.window.to_be_bytes());
        key.extend_from_slice(&self.subject);
    }
}

impl ReadPart for Counter {
    fn read(reader: &mut KeyReader<'_>) -> Option<Self> {
        let account = AccountSid::read(reader)?;
        let [kind] = reader.chunk()?;
        let kind = CounterKind::from_byte(kind)?;
        let window = u64::from_be_bytes(reader.chunk()?);
        let subject = reader.remainder().to_vec();
        let fits = match kind {
            CounterKind::Country => subject.len() == 2,
            CounterKind::CountryRefused | CounterKind::KindRefused | CounterKind::UnknownRefused => {
                matches!(subject.len(), 0 | 2)
            }
            CounterKind::Device => matches!(subject.len(), 4 | 8),
            CounterKind::Number => destination(&subject).is_some(),
            CounterKind::PrefixDay | CounterKind::PrefixHour => {
                DestinationPrefix::from_key(&subject).is_some()
            }
            CounterKind::Service => subject.len() == 16,
            CounterKind::Spend => subject.len() == 3 && subject.is_ascii(),
        };
        fits.then_some(Self {
            account,
            kind,
            window,
            subject,
        })
    }
}

fn below_entity(key: &mut Vec<u8>, service: ServiceSid, identity: &Identity, entity: EntitySid) {
    let letter = key.pop();
    key.push(Entity::KIND);
    service.write(key);
    identity.write(key);
    entity.write(key);
    key.extend(letter);
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
