//! The walk over all entries: what it has to remember, and how it makes sure of a problem.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::report::StoreReport;
use crate::app::App;
use crate::domain::entity::Entity;
use crate::domain::factor::FactorType;
use crate::domain::key_ring::KeyNumber;
use crate::domain::sid::{AccountSid, EntitySid, ServiceSid};
use crate::domain::text::Identity;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::authentic::Forgery;
use crate::store::keys::{self, Key, KeyParts, Owner};
use crate::store::kinds::{EntryKind, Holds, Home, Lifetime};
use crate::store::records::{self, Record};
use crate::store::{Entry, Order, Scan, StoreError};

/// A check under way.
pub(super) struct Walk<'a> {
    pub(super) app: &'a App,
    report: StoreReport,
    /// The account of each service. Keys below a service do not tell.
    accounts: BTreeMap<ServiceSid, AccountSid>,
    /// The last service that nobody knew of.
    unknown: Option<ServiceSid>,
    /// The entity whose children come next.
    family: Option<Family>,
}

/// An entry that is being checked.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) key: &'a [u8],
    pub(super) entry: &'a Entry,
    pub(super) parts: &'a KeyParts,
    /// Whether what belongs to its service can be expected to be complete, if it belongs to one itself.
    pub(super) complete: bool,
}

impl Here<'_> {
    /// The entry's record, which was found to be readable.
    pub(super) fn record<T: Record>(&self) -> Result<T, Fault> {
        Ok(records::decode(&self.entry.value)?)
    }
}

/// What became of the service that something belongs to.
pub(super) enum ServiceState {
    /// It is there, in an account.
    Account,
    /// It was deleted, and what is below it waits to be reclaimed in no particular order.
    Deleted,
    /// Nobody knows of it.
    Unknown,
}

/// An entity, and the factors found so far below it.
struct Family {
    service: ServiceSid,
    identity: Identity,
    entity: EntitySid,
    /// How many push and TOTP factors the entity says it has.
    told: (u32, u32),
    found: (u32, u32),
}

impl<'a> Walk<'a> {
    pub(super) async fn begin(app: &'a App) -> Result<Self, Fault> {
        let mut walk = Self {
            app,
            report: StoreReport::default(),
            accounts: BTreeMap::new(),
            unknown: None,
            family: None,
        };
        walk.read_services().await?;
        Ok(walk)
    }

    /// Notes an entry that no server of this store wrote. What it says is not looked at.
    pub(super) fn blame_forged(&mut self, key: &[u8], forgery: Forgery) {
        match KeyParts::parse(key) {
            Some(parts) => {
                self.report.count(parts.kind().name);
                self.report.note(format!("{parts}: {forgery}"));
            }
            None => self.note_unknown(key),
        }
    }

    /// Counts an entry that the key of this number vouches for.
    pub(super) fn count_key(&mut self, number: KeyNumber) {
        self.report.count_key(number);
    }

    fn note_unknown(&mut self, key: &[u8]) {
        self.report.count("entries of no known kind");
        self.report
            .note(format!("key {}: it is none of the key map's", key.escape_ascii()));
    }

    pub(super) async fn visit(&mut self, key: &[u8], entry: &Entry) -> Result<(), Fault> {
        let Some(parts) = KeyParts::parse(key) else {
            self.note_unknown(key);
            return Ok(());
        };
        let kind = parts.kind();
        self.report.count(kind.name);
        let mut here = Here {
            key,
            entry,
            parts: &parts,
            complete: true,
        };
        match (kind.lifetime, entry.expires_at) {
            (Lifetime::Ends, None) => self.blame(&here, "it never expires"),
            (Lifetime::Stays, Some(_)) => self.blame(&here, "it would expire"),
            _ => {}
        }
        if let Some(problem) = problem_of(kind, &entry.value) {
            self.blame(&here, problem);
            return Ok(());
        }
        if kind.home == Home::Service
            && let Some(service) = parts.service()
        {
            here.complete = match self.parent(service).await? {
                ServiceState::Account => true,
                ServiceState::Deleted => false,
                ServiceState::Unknown => {
                    self.confirm(&here, "its service does not exist").await?;
                    false
                }
            };
        }
        self.check(&here).await
    }

    pub(super) async fn finish(mut self) -> Result<StoreReport, Fault> {
        self.close_family().await?;
        let formats = KeyParts::StoreFormat().kind().name;
        if self.report.entries() > 0 && !self.report.counts().contains_key(formats) {
            self.report
                .note(format!("{}: it is not noted", KeyParts::StoreFormat()));
        }
        Ok(self.report)
    }

    /// Notes a problem that the entry shows by itself.
    pub(super) fn blame(&mut self, here: &Here<'_>, problem: impl Display) {
        self.report.note(format!("{}: {problem}", here.parts));
    }

    /// Notes a problem that shows in what other entries are now, if this one is still as it was read and its service
    /// was not deleted.
    pub(super) async fn confirm(&mut self, here: &Here<'_>, problem: &str) -> Result<(), Fault> {
        let now = self.look(here.key).await?;
        let unchanged = now.is_some_and(|entry| entry.version == here.entry.version);
        if unchanged && !self.is_deleted(here.parts.service()).await? {
            self.blame(here, problem);
        }
        Ok(())
    }

    /// Notes `what` of the entry if it does not open. Its key may have gone since the entry was read, and then it was sealed anew.
    pub(super) async fn require_open<T>(
        &mut self,
        here: &Here<'_>,
        what: &str,
        opened: Result<T, impl Display>,
    ) -> Result<(), Fault> {
        let problem = match opened {
            Ok(_) => return Ok(()),
            Err(error) => format!("{what} does not open: {error}"),
        };
        self.confirm(here, &problem).await
    }

    /// What is at `key` now; nothing, if somebody else wrote it, which is a problem of its own.
    pub(super) async fn look(&self, key: &[u8]) -> Result<Option<Entry>, Fault> {
        match self.app.store.get(key).await {
            Err(StoreError::Forged(_)) => Ok(None),
            found => Ok(found?),
        }
    }

    /// Looks at the record at `key`: notes `absent` if there is none, and otherwise what is `wrong` with it. One that
    /// cannot be read is a problem of its own.
    pub(super) async fn refer<T: Record>(
        &mut self,
        here: &Here<'_>,
        key: &Key<T>,
        absent: &str,
        wrong: impl FnOnce(&T) -> Option<&'static str>,
    ) -> Result<(), Fault> {
        let problem = match self.app.store.get(key.bytes()).await {
            Err(StoreError::Forged(_)) => None,
            Err(error) => return Err(error.into()),
            Ok(None) => Some(absent),
            Ok(Some(entry)) => records::decode(&entry.value)
                .ok()
                .and_then(|record| wrong(&record)),
        };
        match problem {
            Some(problem) => self.confirm(here, problem).await,
            None => Ok(()),
        }
    }

    /// What became of a service.
    pub(super) async fn parent(&mut self, service: ServiceSid) -> Result<ServiceState, Fault> {
        if self.is_deleted(Some(service)).await? {
            return Ok(ServiceState::Deleted);
        }
        if !self.accounts.contains_key(&service) && self.unknown != Some(service) {
            // It may have been created since.
            self.read_services().await?;
        }
        if self.accounts.contains_key(&service) {
            return Ok(ServiceState::Account);
        }
        self.unknown = Some(service);
        Ok(ServiceState::Unknown)
    }

    /// The account of a service that was there when the services were last read.
    pub(super) fn account_of(&self, service: ServiceSid) -> Option<AccountSid> {
        self.accounts.get(&service).copied()
    }

    async fn is_deleted(&self, service: Option<ServiceSid>) -> Result<bool, Fault> {
        match service {
            Some(service) => Ok(self.look(keys::purge(service).bytes()).await?.is_some()),
            None => Ok(false),
        }
    }

    /// Begins to count the factors of an entity.
    pub(super) async fn open_family(
        &mut self,
        service: ServiceSid,
        identity: &Identity,
        entity: &Entity,
    ) -> Result<(), Fault> {
        self.close_family().await?;
        self.family = Some(Family {
            service,
            identity: identity.clone(),
            entity: entity.sid,
            told: (entity.push_factors, entity.totp_factors),
            found: (0, 0),
        });
        Ok(())
    }

    /// Counts a factor; `false` if there is no such entity.
    pub(super) fn count_factor(&mut self, owner: &Owner, kind: FactorType) -> bool {
        let Some(family) = &mut self.family else {
            return false;
        };
        if (family.service, &family.identity, family.entity) != (owner.service, &owner.identity, owner.entity)
        {
            return false;
        }
        match kind {
            FactorType::Push => family.found.0 += 1,
            FactorType::Totp => family.found.1 += 1,
        }
        true
    }

    async fn close_family(&mut self) -> Result<(), Fault> {
        let Some(family) = self.family.take() else {
            return Ok(());
        };
        // All of the family was read as it was at one moment, so there is nothing to look up again.
        if family.told != family.found && !self.is_deleted(Some(family.service)).await? {
            let entity = KeyParts::Entity(family.service, family.identity);
            self.report.note(format!(
                "{entity}: it says {} push and {} TOTP factors, but there are {} and {}",
                family.told.0, family.told.1, family.found.0, family.found.1
            ));
        }
        Ok(())
    }

    async fn read_services(&mut self) -> Result<(), Fault> {
        const CHUNK: usize = 1000;
        let mut after = None;
        loop {
            let scan = Scan {
                prefix: keys::all_services(),
                after,
                order: Order::Ascending,
                limit: CHUNK,
            };
            let services = Reading::new(self.app).scan_past(scan).await?;
            for (key, _) in &services {
                if let Some(KeyParts::Service(account, service)) = KeyParts::parse(key) {
                    self.accounts.insert(service, account);
                }
            }
            match services.last() {
                Some((key, _)) if services.len() == CHUNK => after = Some(key.clone()),
                _ => return Ok(()),
            }
        }
    }
}

/// What is wrong with what an entry of this kind holds, if anything is. What a decoder says may repeat what it stumbled on,
/// so it is not repeated here.
fn problem_of(kind: &EntryKind, value: &[u8]) -> Option<String> {
    let (letter, version, read) = match kind.holds {
        Holds::Mark => return (!value.is_empty()).then(|| "it should be empty".to_owned()),
        Holds::Record { version, read, .. } => (kind.letter, version, read),
    };
    read(value).is_err().then(|| match value {
        [found, ..] if *found != letter => format!("it holds a record of kind {}", found.escape_ascii()),
        [_, found, ..] if *found != version => {
            format!("its format version is {found}, which this program does not know")
        }
        _ => "its record is damaged".to_owned(),
    })
}
