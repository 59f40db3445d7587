//! Where somebody is known by what they are called.
//!
//! All of it is read by key, service by service, but for the SID of a factor or of a challenge: no index says whose it is. It is
//! looked for at the entities of the account, a bounded number at a time, those first that were created last before it.

use std::time::Duration;

use crate::app::App;
use crate::domain::destination::{Destination, EmailAddress};
use crate::domain::entity::{Entity, EntityName};
use crate::domain::phone::PhoneNumber;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, ChallengeSid, EntitySid, FactorSid, ServiceSid, VerificationSid};
use crate::domain::text::Identity;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::domain::verification::Verification;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::keys::{self, Key};
use crate::store::{Order, Scan, records};

/// What a user may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum UserHandle {
    Challenge(ChallengeSid),
    Destination(Destination),
    Entity(EntitySid),
    Factor(FactorSid),
    Identity(Identity),
    Verification(VerificationSid),
}

impl UserHandle {
    /// All that `text` may mean: it may be an SID and an identity at once. Nothing if it can be none of it.
    #[must_use]
    pub fn meanings(text: &str) -> Vec<Self> {
        let number = text
            .starts_with('+')
            .then(|| PhoneNumber::parse(text, None).ok())
            .flatten();
        let address = EmailAddress::parse(text).ok();
        [
            text.parse().ok().map(Self::Challenge),
            text.parse().ok().map(Self::Entity),
            text.parse().ok().map(Self::Factor),
            text.parse().ok().map(Self::Verification),
            number.map(|number| Self::Destination(Destination::Phone(number))),
            address.map(|address| Self::Destination(Destination::Email(address))),
            Identity::parse(text).ok().map(Self::Identity),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// What is known of an identity in one service: an entity, a user with a number, or both.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct KnownPlace {
    pub name: EntityName,
    pub entity: Option<Entity>,
    pub user: Option<User>,
}

/// Where somebody is known.
#[derive(Clone, Debug, Default)]
pub struct FoundUser {
    /// At most [`MOST_PLACES`].
    pub places: Vec<KnownPlace>,
    /// Whether they are known in more services.
    pub has_more_places: bool,
    /// The numbers and addresses that are meant.
    pub destinations: Vec<Destination>,
    /// The verification that was named.
    pub named: Option<Verification>,
    /// Whether the text is the SID of somebody's and the identity of somebody else.
    pub is_ambiguous: bool,
}

/// In how many services somebody is shown.
pub const MOST_PLACES: usize = 50;

/// How far the search for a factor or a challenge got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchPlace {
    /// The service whose entities are looked at.
    pub service: ServiceSid,
    /// Only those before this one are left.
    pub before: EntitySid,
}

/// What became of a search.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time")]
pub enum Search {
    /// That is all there is.
    Over(FoundUser),
    /// Much was looked at, and it is not found yet.
    GoesOn(SearchPlace),
}

/// Where whoever is called one of `handles` is known in the account, or in one `service` of it. A search goes on behind `place`.
///
/// An identity may look like an SID. It hides nobody: what the SID is of is looked for all the same.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn find(
    app: &App,
    account: AccountSid,
    service: Option<ServiceSid>,
    handles: &[UserHandle],
    place: Option<SearchPlace>,
) -> Result<Search, Fault> {
    let services = Reading::new(app)
        .list::<Service>(&keys::services(account), usize::MAX)
        .await?;
    let services: Vec<ServiceSid> = services
        .iter()
        .map(|service| service.sid)
        .filter(|sid| service.is_none_or(|wanted| *sid == wanted))
        .collect();
    let mut finding = Finding {
        app,
        account,
        services,
        found: FoundUser::default(),
    };
    for handle in handles {
        let goes_on = match handle {
            UserHandle::Challenge(sid) => finding.search(Sought::Challenge(*sid), place).await?,
            UserHandle::Factor(sid) => finding.search(Sought::Factor(*sid), place).await?,
            UserHandle::Entity(sid) => {
                finding.add_entity(*sid).await?;
                None
            }
            UserHandle::Verification(sid) => {
                finding.add_verification(*sid).await?;
                None
            }
            UserHandle::Destination(_) | UserHandle::Identity(_) => None,
        };
        if let Some(place) = goes_on {
            return Ok(Search::GoesOn(place));
        }
    }
    // Those of an SID are there first, so that however many users of this identity there are they do not push them out.
    let of_a_sid = finding.found.places.len();
    let is_of_a_sid = of_a_sid > 0 || finding.found.named.is_some();
    for handle in handles {
        match handle {
            UserHandle::Destination(destination) => finding.add_destination(destination),
            UserHandle::Identity(identity) => finding.add_identity(identity).await?,
            _ => {}
        }
    }
    let found = &mut finding.found;
    found.is_ambiguous = is_of_a_sid && (found.places.len() > of_a_sid || found.has_more_places);
    Ok(Search::Over(finding.found))
}

/// What is looked for at each entity.
#[derive(Clone, Copy)]
enum Sought {
    Challenge(ChallengeSid),
    Factor(FactorSid),
}

impl Sought {
    fn created_at(self) -> Timestamp {
        match self {
            Self::Challenge(sid) => sid.created_at(),
            Self::Factor(sid) => sid.created_at(),
        }
    }
}

struct Finding<'a> {
    app: &'a App,
    account: AccountSid,
    services: Vec<ServiceSid>,
    found: FoundUser,
}

impl Finding<'_> {
    fn add_destination(&mut self, destination: &Destination) {
        let known = &mut self.found.destinations;
        if !known.iter().any(|other| other.is_same(destination)) {
            known.push(destination.clone());
        }
    }

    /// The services that know the identity, with the number that is the user's there.
    async fn add_identity(&mut self, identity: &Identity) -> Result<(), Fault> {
        for services in self.services.clone().chunks(READ_AT_ONCE) {
            let names = services.iter().map(|service| EntityName {
                service: *service,
                identity: identity.clone(),
            });
            self.add_names(names.collect()).await?;
        }
        Ok(())
    }

    async fn add_names(&mut self, names: Vec<EntityName>) -> Result<(), Fault> {
        let mut reading = Reading::new(self.app);
        let keys: Vec<_> = names
            .iter()
            .map(|name| {
                (
                    keys::entity(name.service, &name.identity),
                    keys::user(name.service, &name.identity),
                )
            })
            .collect();
        let needed = keys
            .iter()
            .flat_map(|(entity, user)| [entity.bytes(), user.bytes()]);
        reading.prefetch(needed).await?;
        for (name, (entity, user)) in names.into_iter().zip(keys) {
            let entity: Option<Entity> = reading.glance(&entity).await?;
            let user: Option<User> = reading.glance(&user).await?;
            let entity = entity.filter(|entity| entity.account == self.account);
            let user = user.filter(|user| user.account == self.account);
            if entity.is_none() && user.is_none() || self.found.places.iter().any(|place| place.name == name)
            {
                continue;
            }
            if self.found.places.len() == MOST_PLACES {
                self.found.has_more_places = true;
                return Ok(());
            }
            if let Some(phone) = user.as_ref().and_then(|user| user.phone.as_ref()) {
                self.add_destination(&Destination::Phone(phone.number.clone()));
            }
            self.found.places.push(KnownPlace { name, entity, user });
        }
        Ok(())
    }

    async fn add_entity(&mut self, sid: EntitySid) -> Result<(), Fault> {
        for services in self.services.clone().chunks(READ_AT_ONCE) {
            let mut reading = Reading::new(self.app);
            let keys: Vec<_> = services
                .iter()
                .map(|service| (*service, keys::entity_order(*service).key(sid.as_bytes())))
                .collect();
            reading.prefetch(keys.iter().map(|(_, key)| key.bytes())).await?;
            for (service, key) in keys {
                if let Some(identity) = reading.glance(&key).await? {
                    return self.add_names(vec![EntityName { service, identity }]).await;
                }
            }
        }
        Ok(())
    }

    async fn add_verification(&mut self, sid: VerificationSid) -> Result<(), Fault> {
        for services in self.services.clone().chunks(READ_AT_ONCE) {
            let mut reading = Reading::new(self.app);
            let keys: Vec<_> = services
                .iter()
                .map(|service| keys::verification(*service, sid))
                .collect();
            reading.prefetch(keys.iter().map(Key::bytes)).await?;
            for key in keys {
                let verification: Option<Verification> = reading.glance(&key).await?;
                let own = verification.filter(|verification| verification.account == self.account);
                if let Some(verification) = own {
                    self.add_destination(&verification.destination);
                    self.found.named = Some(verification);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Looks for it at the entities of one service after the other. Where to go on, if much was looked at in vain.
    async fn search(
        &mut self,
        sought: Sought,
        place: Option<SearchPlace>,
    ) -> Result<Option<SearchPlace>, Fault> {
        let newest = newest_before(sought.created_at() + CLOCKS_AND_COPIES);
        let left: Vec<_> = self
            .services
            .iter()
            .copied()
            .filter(|service| place.is_none_or(|place| *service >= place.service))
            .collect();
        let mut pages = 0;
        for service in left {
            let begun = place.filter(|place| place.service == service);
            let mut before = begun.map_or(newest, |place| place.before);
            loop {
                if pages == MOST_PAGES {
                    return Ok(Some(SearchPlace { service, before }));
                }
                pages += 1;
                let names = self.names_before(service, before).await?;
                let is_last = names.len() < READ_AT_ONCE;
                if let Some((_, last)) = names.last() {
                    before = *last;
                }
                if let Some(name) = self.owner_among(sought, names).await? {
                    self.add_names(vec![name]).await?;
                    return Ok(None);
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// The entities of the service that were created before this one, the last one first.
    async fn names_before(
        &self,
        service: ServiceSid,
        before: EntitySid,
    ) -> Result<Vec<(EntityName, EntitySid)>, Fault> {
        let listing = keys::entity_order(service);
        let scan = Scan {
            prefix: listing.bytes().to_vec(),
            after: Some(listing.key(before.as_bytes()).into_bytes()),
            order: Order::Descending,
            limit: READ_AT_ONCE,
        };
        let mut names = Vec::new();
        for (key, entry) in Reading::new(self.app).scan(scan).await? {
            if let Some(sid) = keys::last_sid(&key) {
                let identity = records::decode(&entry.value)?;
                names.push((EntityName { service, identity }, EntitySid::from_bytes(sid)));
            }
        }
        Ok(names)
    }

    async fn owner_among(
        &self,
        sought: Sought,
        names: Vec<(EntityName, EntitySid)>,
    ) -> Result<Option<EntityName>, Fault> {
        let scopes = names
            .iter()
            .map(|(name, entity)| name.scope(self.account, *entity));
        let owner = match sought {
            Sought::Challenge(sid) => {
                self.first_there(scopes.map(|scope| keys::challenge(&scope, sid)).collect())
                    .await?
            }
            Sought::Factor(sid) => {
                self.first_there(scopes.map(|scope| keys::factor(&scope, sid)).collect())
                    .await?
            }
        };
        Ok(owner
            .and_then(|owner| names.into_iter().nth(owner))
            .map(|(name, _)| name))
    }

    /// The place of the first of `keys` that is there.
    async fn first_there<T>(&self, keys: Vec<Key<T>>) -> Result<Option<usize>, Fault> {
        let mut reading = Reading::new(self.app);
        reading.prefetch(keys.iter().map(Key::bytes)).await?;
        for (place, key) in keys.iter().enumerate() {
            if reading.glimpse(key).await? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}

/// The first identifier that nothing made at this moment or before is behind of.
fn newest_before(moment: Timestamp) -> EntitySid {
    let mut bytes = [0xff; 16];
    bytes[..6].copy_from_slice(&moment.millis().to_be_bytes()[2..]);
    EntitySid::from_bytes(bytes)
}

/// How many keys are read in one round trip.
const READ_AT_ONCE: usize = 200;

/// How many times that is done in one search before whoever asks has to say that it goes on: of 10,000 entities.
const MOST_PAGES: usize = 50;

/// By how much an entity may be dated behind what belongs to it: another server's clock made it.
const CLOCKS_AND_COPIES: Duration = Duration::from_mins(10);
