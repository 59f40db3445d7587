//! Entities: the users of a service, and where a user's factors and challenges are.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::factor::{self, FactorType};
use super::limits::SlidingLog;
use super::refusal::AreaRefusal;
use super::sid::{AccountSid, EntitySid, ServiceSid};
use super::text::Identity;
use super::time::Timestamp;

/// One user of a service. It is dated again when it gets or loses a factor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Entity {
    pub sid: EntitySid,
    /// The account that owns its service. The store's keys do not say it.
    pub account: AccountSid,
    /// The caller's name for it.
    pub identity: Identity,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
    /// At most [`Entity::MAX_PUSH_FACTORS`].
    pub push_factors: u32,
    /// At most [`Entity::MAX_TOTP_FACTORS`].
    pub totp_factors: u32,
    /// For the limit of factors created within a day, those included that were deleted since.
    pub factor_creations: SlidingLog,
}

/// An entity as callers name it, whether or not it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityName {
    /// The service whose user it is.
    pub service: ServiceSid,
    /// The caller's name for it.
    pub identity: Identity,
}

/// Where an entity is: everything that identifies it to the caller and to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct EntityScope {
    /// The account that was authenticated.
    pub account: AccountSid,
    pub service: ServiceSid,
    /// The caller's name of the entity.
    pub identity: Identity,
    pub entity: EntitySid,
}

impl EntityName {
    /// Where this entity of `account` is.
    #[must_use]
    pub fn scope(&self, account: AccountSid, entity: EntitySid) -> EntityScope {
        EntityScope {
            account,
            service: self.service,
            identity: self.identity.clone(),
            entity,
        }
    }
}

impl Entity {
    /// The most push factors of one entity.
    pub const MAX_PUSH_FACTORS: u32 = 20;
    /// The most TOTP factors of one entity.
    pub const MAX_TOTP_FACTORS: u32 = 100;
    /// The most factors created for one entity in [`Entity::CREATION_WINDOW`].
    pub const MAX_FACTOR_CREATIONS: usize = 100;
    /// The window of [`Entity::MAX_FACTOR_CREATIONS`].
    pub const CREATION_WINDOW: Duration = Duration::from_hours(24);

    /// A new entity without factors.
    #[must_use]
    pub fn new(sid: EntitySid, account: AccountSid, identity: Identity, now: Timestamp) -> Self {
        Self {
            sid,
            account,
            identity,
            date_created: now,
            date_updated: now,
            push_factors: 0,
            totp_factors: 0,
            factor_creations: SlidingLog::default(),
        }
    }

    /// Whether it has no factors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.push_factors == 0 && self.totp_factors == 0
    }

    /// From when on it may be reclaimed: when it has had no factors for as long as `retention`. It was dated again when it lost
    /// its last one.
    #[must_use]
    pub fn end(&self, retention: Duration) -> Option<Timestamp> {
        self.is_empty().then(|| self.date_updated + retention)
    }

    /// Counts one more factor.
    ///
    /// # Errors
    /// [`factor::Refusal::TooManyOfType`] and [`factor::Refusal::TooManyCreations`] at the limits above.
    pub fn add_factor(&mut self, kind: FactorType, now: Timestamp) -> Result<(), factor::Refusal> {
        let (count, limit) = match kind {
            FactorType::Push => (&mut self.push_factors, Self::MAX_PUSH_FACTORS),
            FactorType::Totp => (&mut self.totp_factors, Self::MAX_TOTP_FACTORS),
        };
        if *count >= limit {
            return Err(factor::Refusal::TooManyOfType { kind, limit });
        }
        let wait = self
            .factor_creations
            .wait(now, Self::CREATION_WINDOW, Self::MAX_FACTOR_CREATIONS);
        if !wait.is_zero() {
            return Err(factor::Refusal::TooManyCreations { retry_after: wait });
        }
        *count += 1;
        self.factor_creations.record(now, Self::CREATION_WINDOW);
        self.date_updated = now;
        Ok(())
    }

    /// Counts one factor less.
    pub fn remove_factor(&mut self, kind: FactorType, now: Timestamp) {
        let count = match kind {
            FactorType::Push => &mut self.push_factors,
            FactorType::Totp => &mut self.totp_factors,
        };
        *count = count.saturating_sub(1);
        self.date_updated = now;
    }
}

/// Why nothing became of what somebody wanted of an entity.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The service has an entity of this name.
    #[error("the service has an entity with this identity already")]
    Exists,
    /// The entity, or its service, does not exist, or not for whoever asks.
    #[error("there is no such entity")]
    NotFound,
    /// The account created as many entities and factors within the second as the operator allows.
    #[error("too many entities and factors were created within this second")]
    TooManyCreations,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyCreations => Some(Duration::from_secs(1)),
            Self::Exists | Self::NotFound => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    #[test]
    fn factors_are_limited_in_number_and_in_creations_a_day() {
        let now = Timestamp::from_seconds(1_700_000_000);
        let sid = EntitySid::generate_at(now, &SeededEntropy::new(1));
        let mut entity = Entity::new(
            sid,
            AccountSid::from_bytes([1; 16]),
            Identity::parse("user-001").unwrap(),
            now,
        );
        for _ in 0..20 {
            entity.add_factor(FactorType::Push, now).unwrap();
        }
        assert!(matches!(
            entity.add_factor(FactorType::Push, now),
            Err(factor::Refusal::TooManyOfType {
                kind: FactorType::Push,
                limit: 20
            })
        ));
        for _ in 0..80 {
            entity.add_factor(FactorType::Totp, now).unwrap();
            entity.remove_factor(FactorType::Totp, now);
        }
        assert!(matches!(
            entity.add_factor(FactorType::Totp, now),
            Err(factor::Refusal::TooManyCreations { .. })
        ));
        entity
            .add_factor(FactorType::Totp, now + Entity::CREATION_WINDOW)
            .unwrap();
    }
}
